//! Since when something has been waited for, and whether that is too long.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// When what is waited for happened last; nothing while nothing is waited for.
#[derive(Debug, Default)]
pub struct Since {
    last: Mutex<Option<Instant>>,
    began: Notify,
}

impl Since {
    /// Notes when it happened last, or that nothing is waited for.
    pub fn note(&self, last: Option<Instant>) {
        let mut noted = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.is_none() && last.is_some() {
            self.began.notify_one();
        }
        *noted = last;
    }

    /// Resolves when it has not happened for so long.
    pub async fn longer_than(&self, patience: Duration) {
        loop {
            let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
            match last.map(|last| last + patience) {
                None => self.began.notified().await,
                Some(until) if Instant::now() >= until => return,
                // The timer is what is left.
                Some(until) => tokio::time::sleep_until(until).await,
            }
        }
    }
}
