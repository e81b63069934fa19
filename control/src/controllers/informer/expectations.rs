//! What a controller has done and its cache has not shown yet, so that a stale cache never makes it do it again.
//!
//! Source: `k8s.io/kubernetes/pkg/controller` `UIDTrackingControllerExpectations`.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Key;

/// After this time an expectation is given up: its event was lost.
const LIFETIME: Duration = Duration::from_mins(5);

#[derive(Debug)]
struct Expected {
    creations: usize,
    deletions: HashSet<String>,
    since: Instant,
}

/// Expectations per owner.
#[derive(Debug, Default)]
pub struct Expectations {
    owners: Mutex<HashMap<Key, Expected>>,
}

impl Expectations {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Expected>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the cache has caught up with what was done for `owner`.
    pub fn satisfied(&self, owner: &Key) -> bool {
        self.unseen(owner).is_none()
    }

    /// For how long the cache is still waited for, if it has not caught up: a pod that is made and gone while an informer lists
    /// again makes no event, so that nothing else would bring the owner back.
    pub fn unseen(&self, owner: &Key) -> Option<Duration> {
        let owners = self.lock();
        let expected = owners.get(owner)?;
        if expected.creations == 0 && expected.deletions.is_empty() {
            return None;
        }
        let left = LIFETIME.checked_sub(expected.since.elapsed())?;
        (!left.is_zero()).then_some(left)
    }

    /// Announces creations and deletions (by UID) that are about to be requested; forgets older ones.
    pub fn expect(&self, owner: &Key, creations: usize, deletions: impl IntoIterator<Item = String>) {
        let expected = Expected {
            creations,
            deletions: deletions.into_iter().collect(),
            since: Instant::now(),
        };
        self.lock().insert(owner.clone(), expected);
    }

    /// One creation was seen, or has failed.
    pub fn created(&self, owner: &Key) {
        self.created_many(owner, 1);
    }

    /// Several creations were seen, or were given up.
    pub fn created_many(&self, owner: &Key, count: usize) {
        if let Some(expected) = self.lock().get_mut(owner) {
            expected.creations = expected.creations.saturating_sub(count);
        }
    }

    /// A deletion was seen, or has failed.
    pub fn deleted(&self, owner: &Key, uid: &str) {
        if let Some(expected) = self.lock().get_mut(owner) {
            expected.deletions.remove(uid);
        }
    }

    /// The owner is gone.
    pub fn forget(&self, owner: &Key) {
        self.lock().remove(owner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn satisfied_when_all_was_seen() {
        let expectations = Expectations::default();
        let owner = Key::new("a", "b");
        assert!(expectations.satisfied(&owner));
        expectations.expect(&owner, 2, ["u1".to_owned()]);
        expectations.created(&owner);
        expectations.created(&owner);
        assert!(!expectations.satisfied(&owner));
        expectations.deleted(&owner, "other");
        assert!(!expectations.satisfied(&owner));
        expectations.deleted(&owner, "u1");
        assert!(expectations.satisfied(&owner));
        assert_eq!(expectations.unseen(&owner), None);
        expectations.created(&owner);
        assert!(
            expectations.satisfied(&owner),
            "an event too many does not underflow"
        );
    }

    #[test]
    fn what_is_never_seen_is_waited_for_until_it_is_given_up() {
        let expectations = Expectations::default();
        let owner = Key::new("a", "b");
        expectations.expect(&owner, 1, []);
        assert!(expectations.unseen(&owner).is_some_and(|left| left <= LIFETIME));
        if let Some(expected) = expectations.lock().get_mut(&owner) {
            expected.since = Instant::now().checked_sub(LIFETIME).unwrap();
        }
        assert_eq!(expectations.unseen(&owner), None);
        assert!(expectations.satisfied(&owner));
    }
}
