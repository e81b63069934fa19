//! Clients that watch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keelson_control::store::{Event, Store, StoreError};

use super::{Random, barrier, key, resource, seen};
use crate::history::{self, End, Notice, Seen};
use crate::record::{Recorder, now};

/// Follows changes.
pub struct Watcher {
    pub stores: Vec<Arc<dyn Store>>,
    pub recorder: Arc<Recorder>,
    pub random: Random,
    /// The clients have come to their end.
    pub done: Arc<AtomicBool>,
    pub drain: Duration,
}

impl Watcher {
    /// Watches from some revision for some time, and again from where it was, or from somewhere else.
    pub async fn run(mut self) {
        let mut cursor = self.stores[0].revision();
        loop {
            let store = Arc::clone(self.random.of(&self.stores));
            let after = match self.random.below(12) {
                0..4 => store.revision().saturating_sub(self.random.below(120)).max(1),
                // Anywhere in what has ever been.
                4 => 1 + self.random.below(store.revision()),
                _ => cursor,
            };
            let events = 5 + self.random.below(80);
            let id = self.recorder.watching(after);
            let (came, end) = self.follow(&store, id, after, events).await;
            self.recorder.ended(id, end);
            match end {
                End::Drained => return,
                End::Compacted => cursor = store.revision(),
                End::Killed => cursor = came,
            }
        }
    }

    async fn follow(&mut self, store: &Arc<dyn Store>, id: u64, after: u64, mut events: u64) -> (u64, End) {
        let mut changed = store.subscribe(&resource());
        let mut cursor = after;
        let mut end = None;
        loop {
            changed.borrow_and_update();
            if self.done.load(Ordering::SeqCst) && end.is_none() {
                // The store may not have seen yet what the clients were told.
                let deadline = tokio::time::Instant::now() + self.drain;
                while !barrier(store).await {
                    assert!(
                        tokio::time::Instant::now() < deadline,
                        "the store does not come back"
                    );
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                end = Some((deadline, store.revision()));
            }
            let batch = 1 + self.random.below(20) as usize;
            let changes = match store.changes(&resource(), cursor, batch) {
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
            if let Some((deadline, revision)) = end {
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
