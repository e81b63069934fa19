//! Clients that read and write.

use std::collections::HashMap;
use std::sync::Arc;

use futures::FutureExt;
use keelson_control::object::Object;
use keelson_control::store::{Change, Expect, Range, Store, StoreError, Write, key_of};

use super::{Random, barrier, key, resource, seen};
use crate::history::{Answer, Call};
use crate::record::Recorder;

/// Objects are few, so that clients meet.
const NAMES: [(&str, &str); 6] = [
    ("a", "x"),
    ("a", "y"),
    ("a-b", "x"),
    ("b", "x"),
    ("b", "y"),
    ("b", "z"),
];

/// Reads and writes.
pub struct Client {
    stores: Vec<Arc<dyn Store>>,
    recorder: Arc<Recorder>,
    random: Random,
    /// The last revision that it saw of each object.
    known: HashMap<String, u64>,
}

impl Client {
    pub fn new(stores: Vec<Arc<dyn Store>>, recorder: Arc<Recorder>, random: Random) -> Self {
        Self {
            stores,
            recorder,
            random,
            known: HashMap::new(),
        }
    }

    pub async fn run(mut self, calls: usize) {
        for _ in 0..calls {
            let store = Arc::clone(self.random.of(&self.stores));
            let call = self.choose(&store);
            let id = self.recorder.invoked(&call);
            if let Some(answer) = self.make(&store, &call).await {
                self.learn(&call, &answer);
                self.recorder.returned(id, answer);
            }
            if self.random.below(4) == 0 {
                tokio::task::yield_now().await;
            }
        }
    }

    fn choose(&mut self, store: &Arc<dyn Store>) -> Call {
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
                    // Sometimes of the future, also of who is behind.
                    if self.random.below(8) == 0 {
                        return store.revision() + 1000;
                    }
                    store.revision().saturating_sub(self.random.below(120)).max(1)
                });
                Call::List {
                    namespace: (self.random.below(2) == 0).then(|| namespace.to_owned()),
                    at,
                }
            }
        }
    }

    /// Makes a call; `None` if the answer is not waited for or leaves open what happened.
    async fn make(&mut self, store: &Arc<dyn Store>, call: &Call) -> Option<Answer> {
        let (key, expect, value) = match call {
            Call::Create { key, value } => (key, Expect::Absent, Some(*value)),
            Call::Update { key, value, expect } => (key, Expect::Revision(*expect), Some(*value)),
            Call::Delete { key, expect } => (key, Expect::Revision(*expect), None),
            Call::Get { key } => {
                if !barrier(store).await {
                    return None;
                }
                let object = store.get(&resource(), key);
                return Some(Answer::Object(object.as_deref().map(seen)));
            }
            Call::List { namespace, at } => {
                if !barrier(store).await {
                    return None;
                }
                let range = Range {
                    at: *at,
                    ..Range::all(namespace.as_deref())
                };
                return Some(match store.range(&resource(), &range) {
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
        let written = store.write(Write {
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
