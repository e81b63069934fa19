//! Whether somebody else writes to the same etcd: another program, or API servers with another prefix.
//!
//! etcd counts the changes of all, and the watch brings ours, every one and in order. So where a revision is left out it was
//! a stranger's, and the next one that etcd tells of may be as well: it will not come by the watch.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For how long somebody who has written is expected to write again.
const RECENT: Duration = Duration::from_secs(10);

/// When a change of somebody else's was noticed last.
#[derive(Debug, Default)]
pub struct Strangers(Mutex<Option<Instant>>);

impl Strangers {
    /// The watch has left something out.
    pub fn noticed(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether somebody else has written lately.
    pub fn are_about(&self) -> bool {
        let noticed = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noticed.is_some_and(|at| at.elapsed() < RECENT)
    }
}
