//! A work queue of keys: each key waits at most once, is worked on by one worker at a time, and can be delayed.
//!
//! Source: `k8s.io/client-go/util/workqueue`: 5 ms back-off doubling per key.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The longest back-off. Upstream's is 1,000 s; but while the store cannot be reached every key fails, and nothing tells when
/// it can be again: a namespace would get its service account, without which it admits no pods, up to a quarter of an hour
/// late.
const LONGEST: Duration = Duration::from_secs(30);

/// A reconciler's wish after it has run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Next {
    /// Nothing until something changes.
    #[default]
    Wait,
    /// Again after this time.
    After(Duration),
}

impl Next {
    /// No later than after `limit`, if there is one.
    #[must_use]
    pub fn within(self, limit: Option<Duration>) -> Self {
        match (self, limit) {
            (next, None) => next,
            (Self::Wait, Some(limit)) => Self::After(limit),
            (Self::After(delay), Some(limit)) => Self::After(delay.min(limit)),
        }
    }
}

#[derive(Debug)]
struct State<K> {
    ready: VecDeque<K>,
    waiting: HashSet<K>,
    active: HashSet<K>,
    /// Added while active: goes back into `ready` when the worker is done.
    dirty: HashSet<K>,
    delayed: BTreeMap<(Instant, u64), K>,
    /// The place of each key in `delayed`.
    due: HashMap<K, (Instant, u64)>,
    sequence: u64,
    failures: HashMap<K, u32>,
}

/// The queue. Shared by its event handlers and workers.
#[derive(Debug)]
pub struct Queue<K> {
    state: Mutex<State<K>>,
    changed: Notify,
}

impl<K: Clone + Eq + Hash + Send + 'static> Queue<K> {
    /// An empty queue.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                ready: VecDeque::new(),
                waiting: HashSet::new(),
                active: HashSet::new(),
                dirty: HashSet::new(),
                delayed: BTreeMap::new(),
                due: HashMap::new(),
                sequence: 0,
                failures: HashMap::new(),
            }),
            changed: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        // No code panics while holding the lock; the state is consistent in any case.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a key.
    pub fn add(&self, key: K) {
        self.lock().add(key);
        self.changed.notify_one();
    }

    /// Adds a key after a delay; sooner if it was to be added sooner anyway.
    pub fn add_after(&self, key: K, delay: Duration) {
        self.lock().delay(key, Instant::now() + delay);
        self.changed.notify_one();
    }

    async fn next(&self) -> K {
        loop {
            let until = {
                let mut state = self.lock();
                state.release_due(Instant::now());
                if let Some(key) = state.ready.pop_front() {
                    state.waiting.remove(&key);
                    state.active.insert(key.clone());
                    if !state.ready.is_empty() {
                        // Another worker may be asleep: one notification can stand for several keys.
                        self.changed.notify_one();
                    }
                    return key;
                }
                state.delayed.keys().next().map(|(at, _)| *at)
            };
            match until {
                // Waits for the earliest delayed key.
                Some(at) => drop(tokio::time::timeout_at(at, self.changed.notified()).await),
                None => self.changed.notified().await,
            }
        }
    }

    fn done(&self, key: &K, failed: bool) -> Option<Duration> {
        let mut state = self.lock();
        state.active.remove(key);
        let delay = if failed {
            let count = state.failures.entry(key.clone()).or_insert(0);
            *count += 1;
            Some(back_off(*count))
        } else {
            state.failures.remove(key);
            None
        };
        if state.dirty.remove(key) {
            state.add(key.clone());
            drop(state);
            self.changed.notify_one();
        }
        delay
    }

    /// Works on keys one after the other, forever. Start several of these for parallel work.
    pub async fn work<F, R, E>(self: Arc<Self>, name: &'static str, reconcile: F)
    where
        F: Fn(K) -> R + Send,
        R: Future<Output = Result<Next, E>> + Send,
        E: std::fmt::Display,
        K: std::fmt::Debug,
    {
        loop {
            let key = self.next().await;
            // One object that trips a bug must not end the controller for all others.
            let failed = match AssertUnwindSafe(reconcile(key.clone())).catch_unwind().await {
                Ok(Ok(next)) => {
                    self.done(&key, false);
                    if let Next::After(delay) = next {
                        self.add_after(key, delay);
                    }
                    continue;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => {
                    tracing::error!(controller = name, ?key, "reconcile panicked, will retry");
                    "panic".to_owned()
                }
            };
            tracing::debug!(
                controller = name,
                ?key,
                error = failed,
                "reconcile failed, will retry"
            );
            if let Some(delay) = self.done(&key, true) {
                self.add_after(key, delay);
            }
        }
    }
}

impl<K: Clone + Eq + Hash> State<K> {
    fn add(&mut self, key: K) {
        if self.active.contains(&key) {
            self.dirty.insert(key);
        } else if self.waiting.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }

    /// Of several delays the shortest holds: whoever is reconciled then asks for the next one. If all held, each event of a
    /// key whose reconciler asks to be called again would begin a chain of calls that never ends.
    fn delay(&mut self, key: K, at: Instant) {
        if let Some(known) = self.due.get(&key) {
            if known.0 <= at {
                return;
            }
            self.delayed.remove(known);
        }
        self.sequence += 1;
        let place = (at, self.sequence);
        self.due.insert(key.clone(), place);
        self.delayed.insert(place, key);
    }

    fn release_due(&mut self, now: Instant) {
        while let Some(entry) = self.delayed.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let key = entry.remove();
            self.due.remove(&key);
            self.add(key);
        }
    }
}

/// Delay before the n-th retry.
fn back_off(failures: u32) -> Duration {
    let factor = 1 << failures.saturating_sub(1).min(20);
    (Duration::from_millis(5) * factor).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_doubles_to_a_bound() {
        assert_eq!(back_off(1), Duration::from_millis(5));
        assert_eq!(back_off(4), Duration::from_millis(40));
        assert_eq!(back_off(60), Duration::from_secs(30));
    }

    #[test]
    fn the_sooner_of_two_wishes() {
        let [soon, late] = [1, 2].map(Duration::from_secs);
        for (next, limit, expected) in [
            (Next::Wait, None, Next::Wait),
            (Next::Wait, Some(soon), Next::After(soon)),
            (Next::After(soon), None, Next::After(soon)),
            (Next::After(soon), Some(late), Next::After(soon)),
            (Next::After(late), Some(soon), Next::After(soon)),
        ] {
            assert_eq!(next.within(limit), expected);
        }
    }

    #[tokio::test]
    async fn keys_wait_once_and_come_back_if_added_while_active() {
        let queue = Queue::new();
        queue.add(1);
        queue.add(1);
        queue.add(2);
        assert_eq!(queue.next().await, 1);
        queue.add(1);
        assert_eq!(queue.next().await, 2);
        assert_eq!(
            queue.lock().ready.len(),
            0,
            "1 is active and must not run twice at once"
        );
        queue.done(&1, false);
        assert_eq!(queue.next().await, 1);
    }

    #[tokio::test]
    async fn delayed_keys_come_in_order() {
        let queue = Queue::new();
        queue.add_after("late", Duration::from_millis(40));
        queue.add_after("soon", Duration::from_millis(5));
        let start = Instant::now();
        assert_eq!(queue.next().await, "soon");
        assert_eq!(queue.next().await, "late");
        assert!(start.elapsed() >= Duration::from_millis(40));
    }

    #[test]
    fn a_key_is_delayed_once() {
        let now = Instant::now();
        let (soon, late) = (now + Duration::from_secs(1), now + Duration::from_secs(9));
        for order in [[soon, late], [late, soon]] {
            let queue = Queue::new();
            let mut state = queue.lock();
            for at in order {
                state.delay("a", at);
            }
            assert_eq!((state.delayed.len(), state.due["a"].0), (1, soon));
            state.release_due(soon);
            assert_eq!(
                (state.ready.len(), state.delayed.len(), state.due.len()),
                (1, 0, 0)
            );
        }
    }

    #[tokio::test]
    async fn a_panic_is_a_failure() {
        let queue = Queue::new();
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        queue.add("bad");
        queue.add("good");
        let worker = tokio::spawn(queue.work("test", move |key| {
            let sender = sender.clone();
            async move {
                sender.send(key).ok();
                assert!(key != "bad", "a bug");
                Ok::<_, String>(Next::Wait)
            }
        }));
        for expected in ["bad", "good", "bad"] {
            assert_eq!(receiver.recv().await, Some(expected));
        }
        worker.abort();
    }
}
