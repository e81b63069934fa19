//! Random clients of any store, all at once, and what they were told.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use keelson_control::object::{GroupResource, Object};
use keelson_control::store::{Change, Event, Expect, Range, Store, StoreError, Write, key_of};

use crate::history::{self, Answer, Call, End, Notice, Seen};
use crate::record::{Recorder, now};

/// What is awaited before each read, where a store needs it to be up to date.
pub type Barrier = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// A barrier that waits for nothing.
pub fn no_barrier() -> Barrier {
    Arc::new(|| std::future::ready(()).boxed())
}

/// Long enough for any machine.
pub const DRAIN: Duration = Duration::from_secs(20);

/// What to do.
#[derive(Clone)]
pub struct Plan {
    /// Chooses everything that is random.
    pub seed: u64,
    /// Clients that read and write.
    pub clients: usize,
    /// Calls of each.
    pub calls: usize,
    /// Watchers beside them.
    pub watchers: usize,
    /// Before each read.
    pub barrier: Barrier,
    /// How long watchers may take to see everything once nothing is written any more.
    pub drain: Duration,
}

/// Objects are few, so that clients meet.
const NAMES: [(&str, &str); 6] = [
    ("a", "x"),
    ("a", "y"),
    ("a-b", "x"),
    ("b", "x"),
    ("b", "y"),
    ("b", "z"),
];

/// Numbers that look random (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// The resource that is used.
pub fn resource() -> Arc<GroupResource> {
    Arc::new(GroupResource::new("", "configmaps"))
}

/// Runs the plan to its end.
pub async fn run(store: Arc<dyn Store>, recorder: Arc<Recorder>, plan: Plan) {
    let done = Arc::new(AtomicBool::new(false));
    let mut random = Random(plan.seed);
    let watchers: Vec<_> = (0..plan.watchers)
        .map(|_| {
            let watcher = Watcher {
                store: Arc::clone(&store),
                recorder: Arc::clone(&recorder),
                random: Random(random.next()),
                done: Arc::clone(&done),
                drain: plan.drain,
            };
            tokio::spawn(watcher.run())
        })
        .collect();
    let clients: Vec<_> = (0..plan.clients)
        .map(|_| {
            let client = Client {
                store: Arc::clone(&store),
                recorder: Arc::clone(&recorder),
                random: Random(random.next()),
                known: HashMap::new(),
                barrier: Arc::clone(&plan.barrier),
            };
            tokio::spawn(client.run(plan.calls))
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    for watcher in watchers {
        watcher.await.unwrap();
    }
}

struct Client {
    store: Arc<dyn Store>,
    recorder: Arc<Recorder>,
    random: Random,
    /// The last revision that it saw of each object.
    known: HashMap<String, u64>,
    barrier: Barrier,
}

impl Client {
    async fn run(mut self, calls: usize) {
        for _ in 0..calls {
            let call = self.choose();
            let id = self.recorder.invoked(&call);
            if let Some(answer) = self.make(&call).await {
                self.learn(&call, &answer);
                self.recorder.returned(id, answer);
            }
            if self.random.below(4) == 0 {
                tokio::task::yield_now().await;
            }
        }
    }

    fn choose(&mut self) -> Call {
        let (namespace, name) = NAMES[self.random.below(NAMES.len() as u64) as usize];
        let key = key_of(namespace, name);
        let value = self.recorder.number();
        // Now and then of a revision that is long gone, or was never.
        let known = self.known.get(&key).copied().unwrap_or(1);
        let expect = known.saturating_sub(u64::from(self.random.below(12) == 0));
        match self.random.below(100) {
            0..20 => Call::Create { key, value },
            20..50 => Call::Update { key, value, expect },
            50..65 => Call::Delete { key, expect },
            65..88 => Call::Get { key },
            choice => {
                let at = (choice >= 95).then(|| {
                    let back = self.random.below(120);
                    // Sometimes of the future.
                    (self.store.revision() + 3).saturating_sub(back).max(1)
                });
                Call::List {
                    namespace: (self.random.below(2) == 0).then(|| namespace.to_owned()),
                    at,
                }
            }
        }
    }

    /// Makes a call; `None` if the answer is not waited for or leaves open what happened.
    async fn make(&mut self, call: &Call) -> Option<Answer> {
        let (key, expect, value) = match call {
            Call::Create { key, value } => (key, Expect::Absent, Some(*value)),
            Call::Update { key, value, expect } => (key, Expect::Revision(*expect), Some(*value)),
            Call::Delete { key, expect } => (key, Expect::Revision(*expect), None),
            Call::Get { key } => {
                (self.barrier)().await;
                let object = self.store.get(&resource(), key);
                return Some(Answer::Object(object.as_deref().map(seen)));
            }
            Call::List { namespace, at } => {
                (self.barrier)().await;
                let range = Range {
                    at: *at,
                    ..Range::all(namespace.as_deref())
                };
                return Some(match self.store.range(&resource(), &range) {
                    Ok(page) => Answer::Page {
                        revision: page.revision,
                        objects: page
                            .objects
                            .iter()
                            .map(|object| (key(object), seen(object)))
                            .collect(),
                    },
                    Err(StoreError::Compacted(_)) => Answer::Compacted,
                    Err(StoreError::Future(_)) => Answer::Future,
                    Err(error) => panic!("{call:?}: {error}"),
                });
            }
        };
        let change = match value {
            Some(value) => Change::Put {
                object: object(key, value),
                expires: None,
            },
            None => Change::Delete,
        };
        let written = self.store.write(Write {
            resource: resource(),
            key: key.clone(),
            expect,
            change,
        });
        if self.random.below(30) == 0 {
            // A client that goes away.
            return written.now_or_never().and_then(answer);
        }
        answer(written.await)
    }

    fn learn(&mut self, call: &Call, answer: &Answer) {
        match (call, answer) {
            (
                Call::Create { key, .. }
                | Call::Update { key, .. }
                | Call::Delete { key, .. }
                | Call::Get { key },
                Answer::Written(seen) | Answer::Conflict(seen) | Answer::Object(Some(seen)),
            ) => {
                self.known.insert(key.clone(), seen.revision);
            }
            (_, Answer::Page { objects, .. }) => {
                let seen = objects.iter().map(|(key, seen)| (key.clone(), seen.revision));
                self.known.extend(seen);
            }
            _ => {}
        }
    }
}

/// What a write's result tells.
fn answer(result: Result<Arc<Object>, StoreError>) -> Option<Answer> {
    Some(match result {
        Ok(object) => Answer::Written(seen(&object)),
        Err(StoreError::Exists) => Answer::Exists,
        Err(StoreError::NotFound) => Answer::NotFound,
        Err(StoreError::Conflict(object)) => Answer::Conflict(seen(&object)),
        Err(_) => return None,
    })
}

struct Watcher {
    store: Arc<dyn Store>,
    recorder: Arc<Recorder>,
    random: Random,
    done: Arc<AtomicBool>,
    drain: Duration,
}

impl Watcher {
    /// Watches from some revision for some time, and again from where it was, or from somewhere else.
    async fn run(mut self) {
        let mut cursor = self.store.revision();
        loop {
            let after = if self.random.below(3) == 0 {
                self.store
                    .revision()
                    .saturating_sub(self.random.below(120))
                    .max(1)
            } else {
                cursor
            };
            let events = 5 + self.random.below(80);
            let id = self.recorder.watching(after);
            let (came, end) = self.follow(id, after, events).await;
            self.recorder.ended(id, end);
            match end {
                End::Drained => return,
                End::Compacted => cursor = self.store.revision(),
                End::Killed => cursor = came,
            }
        }
    }

    async fn follow(&mut self, id: u64, after: u64, mut events: u64) -> (u64, End) {
        let mut changed = self.store.subscribe(&resource());
        let mut cursor = after;
        let mut deadline = None;
        loop {
            changed.borrow_and_update();
            let done = self.done.load(Ordering::SeqCst);
            if done && deadline.is_none() {
                deadline = Some((tokio::time::Instant::now() + self.drain, self.store.revision()));
            }
            let batch = 1 + self.random.below(20) as usize;
            let changes = match self.store.changes(&resource(), cursor, batch) {
                Ok(changes) => changes,
                Err(StoreError::Compacted(_)) => return (cursor, End::Compacted),
                Err(error) => panic!("watch: {error}"),
            };
            let none = changes.events.is_empty();
            events = events.saturating_sub(changes.events.len() as u64);
            if !none || changes.upto != cursor {
                cursor = changes.upto;
                let notice = Notice {
                    at: now(),
                    events: changes.events.iter().map(|event| event_of(event)).collect(),
                    upto: changes.upto,
                };
                self.recorder.noticed(id, notice);
            }
            if let Some((deadline, revision)) = deadline {
                // The checker judges whether it came far enough.
                if cursor >= revision || tokio::time::Instant::now() > deadline {
                    return (cursor, End::Drained);
                }
            } else if events == 0 {
                return (cursor, End::Killed);
            }
            if none {
                // Wakes now and then to see whether the clients have done.
                let wait = tokio::time::timeout(Duration::from_millis(50), changed.changed()).await;
                if let Ok(Err(_)) = wait {
                    return (cursor, End::Killed);
                }
            }
        }
    }
}

fn event_of(event: &Event) -> history::Event {
    history::Event {
        key: key(&event.object),
        seen: Seen {
            revision: event.revision,
            ..seen(&event.object)
        },
        deleted: event.deleted,
        previous: event.previous.as_deref().map(seen),
    }
}

fn key(object: &Object) -> String {
    key_of(&object.namespace, &object.name)
}

fn seen(object: &Object) -> Seen {
    let value = object.value();
    let revision = &value["metadata"]["resourceVersion"];
    assert_eq!(
        *revision,
        object.resource_version.to_string(),
        "the bytes say the same"
    );
    Seen {
        revision: object.resource_version,
        value: value["data"]["n"].as_str().unwrap().parse().unwrap(),
    }
}

fn object(key: &str, value: u64) -> Object {
    let (namespace, name) = key.split_once('/').unwrap();
    // Of different sizes, so that pages split and merge.
    let filler = "x".repeat((value % 97 * 23) as usize);
    let text = format!(
        "{{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{{\"resourceVersion\":\"\",\"name\":\"{name}\",\
         \"namespace\":\"{namespace}\"}},\"data\":{{\"n\":\"{value}\",\"filler\":\"{filler}\"}}}}"
    );
    Object::describe(&serde_json::from_str(&text).unwrap(), text.into())
}

/// How often each kind of call had each kind of answer, to see that a history is worth checking.
pub fn tally(history: &history::History) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for operation in &history.operations {
        let call = format!("{:?}", operation.call);
        let answer = match &operation.returned {
            Some((_, answer)) => format!("{answer:?}"),
            None => "unknown".to_owned(),
        };
        let word = |text: &str| text.split([' ', '(', '{']).next().unwrap_or_default().to_owned();
        *tally
            .entry(format!("{} {}", word(&call), word(&answer)))
            .or_insert(0) += 1;
    }
    let events = history.watches.iter().flat_map(|watch| &watch.notices);
    let events = events.map(|notice| notice.events.len()).sum();
    tally.insert("events".to_owned(), events);
    for watch in &history.watches {
        *tally.entry(format!("watch {:?}", watch.end)).or_insert(0) += 1;
    }
    tally
}
