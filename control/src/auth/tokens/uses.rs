//! What is to be told about the use of tokens: which secrets are to be marked, and how often what was used.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::object::Object;

/// A secret whose token was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// Namespace of the secret.
    pub namespace: String,
    /// Name of the secret.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// The day, as the label writes it.
    pub day: String,
}

/// Secrets that are to be marked. Authentication does not wait for a write, so it leaves them here; one entry for each
/// secret, however often its token is used.
#[derive(Debug, Default)]
pub struct Uses {
    waiting: Mutex<BTreeMap<(String, String), Use>>,
    news: Notify,
}

impl Uses {
    /// Leaves one here.
    pub fn note(&self, secret: &Object, day: String) {
        let used = Use {
            namespace: secret.namespace.clone(),
            name: secret.name.clone(),
            uid: secret.uid.clone(),
            day,
        };
        let key = (used.namespace.clone(), used.name.clone());
        // A map is consistent after every step.
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.insert(key, used);
        drop(waiting);
        self.news.notify_one();
    }

    /// Those that are waiting; waits for one if there is none.
    pub async fn next(&self) -> Vec<Use> {
        loop {
            let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            if !waiting.is_empty() {
                return waiting.into_values().collect();
            }
            self.news.notified().await;
        }
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// How often tokens of each sort were used.
#[derive(Debug, Default)]
pub struct Counters {
    /// Extended ones, within the time that was asked for.
    pub valid: Counter,
    /// Extended ones, after it.
    pub stale: Counter,
    /// Those in secrets.
    pub legacy: Counter,
    /// Of these, those that were made for the account.
    pub auto_legacy: Counter,
    /// Of these, those that somebody made by hand.
    pub manual_legacy: Counter,
    /// Those in secrets that have been marked as invalid.
    pub invalid_legacy: Counter,
}

impl Counters {
    /// Upstream's name of each, its help, and the number.
    pub fn all(&self) -> [(&'static str, &'static str, u64); 6] {
        [
            (
                "valid_tokens_total",
                "Cumulative valid projected service account tokens used",
                &self.valid,
            ),
            (
                "stale_tokens_total",
                "Cumulative stale projected service account tokens used",
                &self.stale,
            ),
            (
                "legacy_tokens_total",
                "Cumulative legacy service account tokens used",
                &self.legacy,
            ),
            (
                "legacy_auto_token_uses_total",
                "Cumulative auto-generated legacy tokens used",
                &self.auto_legacy,
            ),
            (
                "legacy_manual_token_uses_total",
                "Cumulative manually created legacy tokens used",
                &self.manual_legacy,
            ),
            (
                "invalid_legacy_auto_token_uses_total",
                "Cumulative invalid auto-generated legacy tokens used",
                &self.invalid_legacy,
            ),
        ]
        .map(|(name, help, counter)| (name, help, counter.0.load(Ordering::Relaxed)))
    }
}
