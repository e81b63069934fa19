//! How many connections there are, and who has to go when there is no more room: those of whom nothing is known yet.
//!
//! A connection costs its peer nothing, so whoever opens thousands and says nothing must not keep others out. A peer becomes
//! known by a certificate or a token that is good; until then, the next one may take its place.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

/// Most connections at once.
const MOST: usize = 4096;

/// Whether it is known who is at the other end of a connection.
#[derive(Debug, Clone, Default)]
pub struct Known(Arc<AtomicBool>);

impl Known {
    /// Somebody has shown good credentials.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The place of a connection. Whatever outlives its HTTP, as an upgraded stream does, keeps a clone.
#[derive(Debug, Clone)]
pub struct Place(#[expect(dead_code, reason = "held, not read")] Arc<OwnedSemaphorePermit>);

/// All connections of a listener.
#[derive(Debug)]
pub struct Connections {
    room: Arc<Semaphore>,
    /// In the order in which they came; some have become known or are gone.
    strangers: Mutex<VecDeque<(Known, AbortHandle)>>,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            room: Arc::new(Semaphore::new(MOST)),
            strangers: Mutex::default(),
        }
    }
}

impl Connections {
    /// Room for one more. If there is none, the stranger who came first has to go; if all are known, waits.
    pub async fn enter(&self) -> Option<Place> {
        let room = Arc::clone(&self.room);
        let place = |permit| Place(Arc::new(permit));
        if let Ok(permit) = Arc::clone(&room).try_acquire_owned() {
            return Some(place(permit));
        }
        self.show_out();
        room.acquire_owned().await.ok().map(place)
    }

    /// Takes note of a connection's task.
    pub fn add(&self, known: Known, task: AbortHandle) {
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        if strangers.len() >= 2 * MOST {
            strangers.retain(|(known, task)| !known.is_set() && !task.is_finished());
        }
        strangers.push_back((known, task));
    }

    fn show_out(&self) {
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((known, task)) = strangers.pop_front() {
            if !known.is_set() && !task.is_finished() {
                return task.abort();
            }
        }
    }

    /// Waits until all have ended, but not longer than this.
    pub async fn ended(&self, linger: Duration) {
        let all = self.room.acquire_many(MOST as u32);
        drop(tokio::time::timeout(linger, all).await);
    }
}
