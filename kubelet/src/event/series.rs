//! Which event repeats which: counting and spam protection. Pure.
//!
//! Source: `client-go/tools/record/events_cache.go` (burst 25 per object, one more every 5 minutes).

use std::collections::{HashMap, VecDeque};

use k8s_openapi::jiff::Timestamp;

/// Events remembered for counting. Older ones start a new object when they come again.
const REMEMBERED: usize = 512;
/// Events an object may have at once.
const BURST: f64 = 25.0;
/// Seconds for one more.
const REFILL_SECONDS: f64 = 300.0;

/// What makes two events the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub uid: String,
    pub name: String,
    pub field_path: String,
    pub kind: super::Kind,
    pub reason: String,
    pub message: String,
}

/// What to do with an occurrence.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// Create an event object.
    Create,
    /// Count up the object of that name.
    Count { name: String, count: i32 },
    /// Too many from this object: drop it.
    Drop,
}

/// Memory of what was sent.
#[derive(Debug, Default)]
pub(super) struct Series {
    sent: HashMap<Key, (String, i32)>,
    order: VecDeque<Key>,
    buckets: HashMap<String, (f64, Timestamp)>,
}

impl Series {
    /// Judges an occurrence at `now`.
    pub fn judge(&mut self, key: &Key, now: Timestamp) -> Verdict {
        let allowance = if self.sent.contains_key(key) {
            // Repeats have one of their own, so that a probe that fails every second does not hide the restart that
            // follows from it.
            format!("{}/{}/{}", key.uid, key.field_path, key.reason)
        } else {
            key.uid.clone()
        };
        if !self.take_token(allowance, now) {
            return Verdict::Drop;
        }
        match self.sent.get_mut(key) {
            Some((name, count)) => {
                *count += 1;
                Verdict::Count {
                    name: name.clone(),
                    count: *count,
                }
            }
            None => Verdict::Create,
        }
    }

    /// Remembers the object made for `key`.
    pub fn created(&mut self, key: Key, name: String) {
        if self.order.len() >= REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.sent.remove(&oldest);
        }
        self.order.push_back(key.clone());
        self.sent.insert(key, (name, 1));
    }

    /// Forgets an object the API no longer has.
    pub fn forget(&mut self, key: &Key) {
        self.sent.remove(key);
        self.order.retain(|known| known != key);
    }

    fn take_token(&mut self, allowance: String, now: Timestamp) -> bool {
        if self.buckets.len() > REMEMBERED {
            // Full buckets say nothing.
            self.buckets
                .retain(|_, (tokens, since)| refilled(*tokens, *since, now) < BURST);
        }
        let (tokens, since) = self.buckets.entry(allowance).or_insert((BURST, now));
        *tokens = refilled(*tokens, *since, now);
        *since = now;
        if *tokens < 1.0 {
            return false;
        }
        *tokens -= 1.0;
        true
    }
}

fn refilled(tokens: f64, since: Timestamp, now: Timestamp) -> f64 {
    (tokens + now.duration_since(since).as_secs_f64().max(0.0) / REFILL_SECONDS).min(BURST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(message: &str) -> Key {
        Key {
            uid: "u".into(),
            name: "p".into(),
            field_path: String::new(),
            kind: crate::event::Kind::Normal,
            reason: "R".into(),
            message: message.into(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_same_event_is_counted() {
        let mut series = Series::default();
        assert_eq!(series.judge(&key("a"), at(0)), Verdict::Create);
        series.created(key("a"), "e1".into());
        assert_eq!(
            series.judge(&key("a"), at(1)),
            Verdict::Count {
                name: "e1".into(),
                count: 2
            }
        );
        assert_eq!(series.judge(&key("b"), at(1)), Verdict::Create);
        series.forget(&key("a"));
        assert_eq!(series.judge(&key("a"), at(2)), Verdict::Create);
    }

    #[test]
    fn an_object_cannot_flood() {
        let mut series = Series::default();
        let made = (0..100)
            .filter(|n| series.judge(&key(&n.to_string()), at(0)) != Verdict::Drop)
            .count();
        assert_eq!(made, 25);
        assert_eq!(series.judge(&key("later"), at(301)), Verdict::Create);
        assert_eq!(series.judge(&key("later still"), at(302)), Verdict::Drop);
    }

    #[test]
    fn memory_is_bounded() {
        let mut series = Series::default();
        for n in 0..2000 {
            series.created(
                Key {
                    uid: n.to_string(),
                    ..key("m")
                },
                "e".into(),
            );
            series.judge(
                &Key {
                    uid: n.to_string(),
                    ..key("m")
                },
                at(n * 1000),
            );
        }
        assert!(series.sent.len() <= REMEMBERED && series.buckets.len() <= REMEMBERED + 1);
    }
}
