//! How soon a failed daemon pod is made anew: where the node refuses it, controller and kubelet would chase each other.
//!
//! Source: `failedPodsBackoff` of upstream's controller; what lasts is the same.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// First delay; it doubles up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(15);

/// UID and generation of the set, and name of the node.
type Key = (String, String);

/// Delays by set and node.
#[derive(Debug, Default)]
pub struct Backoff {
    entries: Mutex<HashMap<Key, Entry>>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    since: Instant,
    delay: Duration,
}

impl Backoff {
    /// Whether a failed pod may go now; if not, how long it has to stay. What may go starts the next, longer delay.
    pub fn go(&self, set: &str, node: &str, now: Instant) -> Result<(), Duration> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        // Who has not failed for long begins anew.
        entries.retain(|_, entry| now.saturating_duration_since(entry.since) < 2 * LONGEST);
        let key = (set.to_owned(), node.to_owned());
        let delay = match entries.get(&key) {
            None => FIRST,
            Some(entry) => {
                let left = entry
                    .delay
                    .saturating_sub(now.saturating_duration_since(entry.since));
                if !left.is_zero() {
                    return Err(left);
                }
                (entry.delay * 2).min(LONGEST)
            }
        };
        entries.insert(key, Entry { since: now, delay });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_and_are_forgotten() {
        let backoff = Backoff::default();
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert_eq!(backoff.go("ds", "a", at(0)), Ok(()));
        assert_eq!(backoff.go("ds", "a", at(0)), Err(Duration::from_secs(1)));
        assert_eq!(backoff.go("ds", "b", at(0)), Ok(()), "another node");
        assert_eq!(backoff.go("ds", "a", at(1)), Ok(()));
        assert_eq!(backoff.go("ds", "a", at(2)), Err(Duration::from_secs(1)));
        let mut now = 3;
        for _ in 0..20 {
            assert_eq!(backoff.go("ds", "a", at(now)), Ok(()));
            now += 15 * 60;
        }
        assert_eq!(backoff.go("ds", "a", at(now - 1)), Err(Duration::from_secs(1)));
        assert_eq!(backoff.go("ds", "a", at(now + 3600)), Ok(()));
        assert_eq!(backoff.go("ds", "a", at(now + 3600)), Err(Duration::from_secs(1)));
    }
}
