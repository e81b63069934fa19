//! Whose turn it is to pull: few images at a time, and each for one pod at a time.
//!
//! A pull occupies a thread for as long as it takes. The threads are few, and everything else that blocks (the ends of
//! containers, signals, sandboxes, logs) needs them as well: so whoever must wait waits here, where waiting needs none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as Queue, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

/// Images that are pulled at a time. Upstream's default is one (`serializeImagePulls`), but then a slow registry holds up
/// all pods of the node.
const AT_ONCE: usize = 4;

/// Turns to pull.
#[derive(Debug)]
pub struct Turns {
    permits: Arc<Semaphore>,
    /// Who wants the same image, by its reference.
    queues: Mutex<HashMap<String, Weak<Queue<()>>>>,
}

/// Held while an image is pulled.
#[derive(Debug)]
pub(super) struct Turn {
    _first: OwnedMutexGuard<()>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            queues: Mutex::default(),
        }
    }
}

impl Turns {
    /// Waits for the turn to pull an image.
    pub(super) async fn take(&self, reference: &str) -> Turn {
        // Before the permit: those who want one image do not keep others from theirs.
        let first = self.queue(reference).lock_owned().await;
        Turn {
            _first: first,
            // Nobody closes the semaphore, so there is one.
            _permit: self.permits.clone().acquire_owned().await.ok(),
        }
    }

    fn queue(&self, reference: &str) -> Arc<Queue<()>> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|_, queue| queue.strong_count() > 0);
        if let Some(queue) = queues.get(reference).and_then(Weak::upgrade) {
            return queue;
        }
        let queue = Arc::default();
        queues.insert(reference.to_owned(), Arc::downgrade(&queue));
        queue
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn few_pull_at_a_time_and_one_of_those_who_want_the_same() {
        let turns = Turns::default();
        let mut first = Box::pin(turns.take("same"));
        let held = (&mut first).now_or_never().expect("nobody else pulls");
        let mut followers: Vec<_> = (0..100).map(|_| Box::pin(turns.take("same"))).collect();
        for follower in &mut followers {
            assert!(follower.now_or_never().is_none(), "two pull the same image");
        }
        let others: Vec<_> = (1..AT_ONCE)
            .map(|n| turns.take(&format!("other {n}")).now_or_never())
            .collect();
        assert!(others.iter().all(Option::is_some), "who waits holds others up");
        let mut late = Box::pin(turns.take("late"));
        assert!((&mut late).now_or_never().is_none(), "too many pull");
        drop(held);
        assert!((&mut late).now_or_never().is_some());
        let next = (&mut followers[0]).now_or_never();
        assert!(next.is_some());
        assert!((&mut followers[1]).now_or_never().is_none());
        drop((others, followers, next));
        drop(turns.queue("another"));
        assert_eq!(turns.queues.lock().unwrap().len(), 1, "queues outlive their use");
    }
}
