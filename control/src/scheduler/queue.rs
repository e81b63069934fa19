//! Pods that wait: by priority, then by age; those that found no node wait for a change.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

/// Shortest and longest time between two attempts at a pod, whatever happens in between.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// After this time a pod is tried again even if nothing has happened (upstream: 5 minutes).
const STALE: Duration = Duration::from_mins(5);

/// Order of attempts: higher priority first, then first come.
type Rank = (std::cmp::Reverse<i64>, u64);

#[derive(Debug)]
enum Place {
    Active(Rank),
    /// Is being decided, or bound to what was decided: no change concerns it until that has failed.
    Trying,
    /// Has found no node and waits for a change, or for the deadline.
    Parked,
    /// Something changed, but the last attempt was a moment ago.
    BackingOff,
}

#[derive(Debug)]
struct Entry {
    priority: i64,
    attempts: u32,
    last: Instant,
    place: Place,
}

/// The queue, by pod UID.
#[derive(Debug, Default)]
pub struct Queue {
    entries: HashMap<String, Entry>,
    active: BTreeMap<Rank, String>,
    timers: BTreeSet<(Instant, String)>,
    sequence: u64,
}

impl Queue {
    /// Adds a pod, or wakes it because it has changed.
    pub fn add(&mut self, uid: &str, priority: i64, now: Instant) {
        if self.entries.contains_key(uid) {
            return self.wake(uid, now);
        }
        let place = self.activate(uid, priority);
        let entry = Entry {
            priority,
            attempts: 0,
            last: now,
            place,
        };
        self.entries.insert(uid.to_owned(), entry);
    }

    fn activate(&mut self, uid: &str, priority: i64) -> Place {
        self.sequence += 1;
        let rank = (std::cmp::Reverse(priority), self.sequence);
        self.active.insert(rank, uid.to_owned());
        Place::Active(rank)
    }

    /// Forgets a pod.
    pub fn remove(&mut self, uid: &str) {
        if let Some(Entry {
            place: Place::Active(rank),
            ..
        }) = self.entries.remove(uid)
        {
            self.active.remove(&rank);
        }
    }

    /// The next pod to try. Nothing wakes it until it is [`Queue::park`]ed.
    pub fn pop(&mut self, now: Instant) -> Option<String> {
        self.fire(now);
        let (_, uid) = self.active.pop_first()?;
        if let Some(entry) = self.entries.get_mut(&uid) {
            entry.attempts += 1;
            entry.last = now;
            entry.place = Place::Trying;
        }
        Some(uid)
    }

    /// The pod that was popped found no node, or could not be bound to it.
    pub fn park(&mut self, uid: &str, now: Instant) {
        if let Some(entry) = self.entries.get_mut(uid)
            && matches!(entry.place, Place::Trying)
        {
            entry.place = Place::Parked;
            self.timers.insert((now + STALE, uid.to_owned()));
        }
    }

    /// Something has changed: all parked pods are tried again.
    pub fn wake_all(&mut self, now: Instant) {
        let parked: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, e)| matches!(e.place, Place::Parked))
            .map(|(uid, _)| uid.clone())
            .collect();
        for uid in parked {
            self.wake(&uid, now);
        }
    }

    /// Tries a parked pod again, at once or when its back-off is over.
    pub fn wake(&mut self, uid: &str, now: Instant) {
        let Some(entry) = self
            .entries
            .get_mut(uid)
            .filter(|entry| matches!(entry.place, Place::Parked))
        else {
            return;
        };
        let ready = entry.last + back_off(entry.attempts);
        let priority = entry.priority;
        if ready > now {
            entry.place = Place::BackingOff;
            self.timers.insert((ready, uid.to_owned()));
        } else {
            let place = self.activate(uid, priority);
            if let Some(entry) = self.entries.get_mut(uid) {
                entry.place = place;
            }
        }
    }

    fn fire(&mut self, now: Instant) {
        while let Some((at, uid)) = self.timers.pop_first() {
            if at > now {
                self.timers.insert((at, uid));
                break;
            }
            let Some(entry) = self.entries.get(&uid) else {
                continue;
            };
            let due = match entry.place {
                Place::Active(_) | Place::Trying => false,
                Place::BackingOff => entry.last + back_off(entry.attempts) <= now,
                Place::Parked => entry.last + STALE <= now,
            };
            if due {
                let priority = entry.priority;
                let place = self.activate(&uid, priority);
                if let Some(entry) = self.entries.get_mut(&uid) {
                    entry.place = place;
                }
            }
        }
    }

    /// When to look again if nothing happens.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }
}

fn back_off(attempts: u32) -> Duration {
    let factor = 1u32 << attempts.saturating_sub(1).min(16);
    (BACK_OFF.0 * factor).min(BACK_OFF.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priority_then_age() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.add("old", 0, now);
        queue.add("new", 0, now);
        queue.add("important", 100, now);
        queue.add("gone", 200, now);
        queue.remove("gone");
        let order: Vec<_> = std::iter::from_fn(|| queue.pop(now)).collect();
        assert_eq!(order, ["important", "old", "new"]);
    }

    #[test]
    fn parked_pods_wait_for_changes_and_back_off() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        queue.add("a", 0, start);
        queue.pop(start);
        queue.park("a", start);
        assert_eq!(queue.pop(start), None);
        queue.wake_all(start + Duration::from_millis(50));
        assert_eq!(
            queue.pop(start + Duration::from_millis(50)),
            None,
            "tried a moment ago"
        );
        assert_eq!(
            queue.pop(start + Duration::from_millis(200)).as_deref(),
            Some("a")
        );
        queue.park("a", start + Duration::from_millis(200));
        assert_eq!(queue.pop(start + Duration::from_secs(200)), None);
        assert_eq!(
            queue.pop(start + Duration::from_secs(301)).as_deref(),
            Some("a"),
            "stale"
        );
    }
}
