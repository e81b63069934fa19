//! The sequence of all changes that are known.

use std::collections::{BTreeMap, HashMap};

use super::Fault;
use crate::history::{Answer, Call, Event, History, Operation, Seen, Time};

/// A change.
#[derive(Debug, Clone)]
pub struct Change {
    pub key: String,
    /// `None`: deleted.
    pub value: Option<u64>,
    /// When its write was invoked.
    pub invoked: Time,
    /// The object before it.
    pub previous: Option<Seen>,
}

/// A span of revisions, up to the next one's `from`, in which a key did not change.
#[derive(Debug, Clone)]
pub struct Segment {
    pub from: u64,
    pub seen: Option<Seen>,
    /// A deletion of `seen` that was invoked then, and may have happened inside the span.
    pub vanishes: Option<Time>,
}

/// All changes.
#[derive(Debug, Default)]
pub struct Log {
    pub changes: BTreeMap<u64, Change>,
    pub keys: BTreeMap<String, Vec<Segment>>,
}

/// The writes of a history by what identifies them.
struct Writes<'a> {
    puts: HashMap<u64, &'a Operation>,
    deletions: HashMap<(&'a str, u64), Vec<&'a Operation>>,
}

impl Log {
    /// Puts it together.
    pub fn new(history: &History) -> Result<Self, Fault> {
        let mut writes = Writes {
            puts: HashMap::new(),
            deletions: HashMap::new(),
        };
        for operation in &history.operations {
            match &operation.call {
                Call::Create { value, .. } | Call::Update { value, .. } => {
                    let earlier = writes.puts.insert(*value, operation);
                    assert!(earlier.is_none(), "the driver wrote {value} twice");
                }
                Call::Delete { key, expect } => {
                    writes
                        .deletions
                        .entry((key, *expect))
                        .or_default()
                        .push(operation);
                }
                Call::Get { .. } | Call::List { .. } => {}
            }
        }
        let mut log = Self::default();
        for operation in &history.operations {
            log.acknowledged(operation)?;
        }
        for operation in &history.operations {
            match (
                &operation.call,
                operation.returned.as_ref().map(|(_, answer)| answer),
            ) {
                (
                    Call::Get { key } | Call::Update { key, .. } | Call::Delete { key, .. },
                    Some(Answer::Object(Some(seen)) | Answer::Conflict(seen)),
                ) => log.seen(&writes, key, *seen)?,
                (_, Some(Answer::Page { objects, .. })) => {
                    for (key, seen) in objects {
                        log.seen(&writes, key, *seen)?;
                    }
                }
                _ => {}
            }
        }
        let events = || {
            let notices = history.watches.iter().flat_map(|watch| &watch.notices);
            notices.flat_map(|notice| &notice.events)
        };
        for event in events() {
            if let Some(previous) = event.previous {
                log.seen(&writes, &event.key, previous)?;
            }
            if !event.deleted {
                log.seen(&writes, &event.key, event.seen)?;
            }
        }
        for event in events().filter(|event| event.deleted) {
            log.seen_deletion(&writes, event)?;
        }
        log.chain(&writes)?;
        Ok(log)
    }

    fn insert(&mut self, revision: u64, key: &str, value: Option<u64>, invoked: Time) -> Result<(), Fault> {
        if let Some(change) = self.changes.get(&revision) {
            if change.key == key && change.value == value {
                return Ok(());
            }
            let there = (&change.key, change.value);
            return Err(Fault::Contradiction(format!(
                "at revision {revision}: {there:?} and {:?}",
                (key, value)
            )));
        }
        self.changes.insert(
            revision,
            Change {
                key: key.to_owned(),
                value,
                invoked,
                previous: None,
            },
        );
        Ok(())
    }

    fn acknowledged(&mut self, operation: &Operation) -> Result<(), Fault> {
        let Some((_, Answer::Written(seen))) = &operation.returned else {
            return Ok(());
        };
        match &operation.call {
            Call::Create { key, value } | Call::Update { key, value, .. } => {
                if seen.value != *value {
                    return Err(Fault::Impossible(format!(
                        "{:?} was answered with {seen:?}",
                        operation.call
                    )));
                }
                self.insert(seen.revision, key, Some(*value), operation.invoked)
            }
            Call::Delete { key, .. } => self.insert(seen.revision, key, None, operation.invoked),
            call => panic!("{call:?} writes nothing"),
        }
    }

    /// Somebody saw an object, so its write happened.
    fn seen(&mut self, writes: &Writes<'_>, key: &str, seen: Seen) -> Result<(), Fault> {
        let invented = || Err(Fault::Invented(format!("{key}: {seen:?}")));
        let Some(put) = writes.puts.get(&seen.value) else {
            return invented();
        };
        let (Call::Create { key: of, .. } | Call::Update { key: of, .. }) = &put.call else {
            return invented();
        };
        if of != key {
            return invented();
        }
        match &put.returned {
            None => {
                let elsewhere =
                    |(at, change): (&u64, &Change)| *at != seen.revision && change.value == Some(seen.value);
                if self.changes.iter().any(elsewhere) {
                    return Err(Fault::Contradiction(format!(
                        "{key}: {seen:?}, and at another revision"
                    )));
                }
                self.insert(seen.revision, key, Some(seen.value), put.invoked)
            }
            Some((_, Answer::Written(written))) if written.revision == seen.revision => Ok(()),
            Some((_, Answer::Written(written))) => Err(Fault::Contradiction(format!(
                "{key}: {seen:?} was written at {}",
                written.revision
            ))),
            Some(_) => invented(),
        }
    }

    /// A watcher saw a deletion, so it happened.
    fn seen_deletion(&mut self, writes: &Writes<'_>, event: &Event) -> Result<(), Fault> {
        let before = self.changes.range(..event.seen.revision).rev();
        let last = before.into_iter().find(|(_, change)| change.key == event.key);
        let deletions = last.and_then(|(at, _)| writes.deletions.get(&(event.key.as_str(), *at)));
        let mine = |operation: &&&Operation| match &operation.returned {
            None => true,
            Some((_, Answer::Written(seen))) => seen.revision == event.seen.revision,
            Some(_) => false,
        };
        // Of several whose answer is not known it was any: the first in time promises least. (They stand here by server.)
        let mine = deletions.into_iter().flatten().filter(mine);
        let Some(operation) = mine.min_by_key(|one| (one.returned.is_none(), one.invoked)) else {
            return Err(Fault::Invented(format!("the deletion {event:?}")));
        };
        self.insert(event.seen.revision, &event.key, None, operation.invoked)
    }

    /// Checks each change against the one before it of the same key.
    fn chain(&mut self, writes: &Writes<'_>) -> Result<(), Fault> {
        for (revision, change) in &mut self.changes {
            let segments = self.keys.entry(change.key.clone()).or_insert_with(|| {
                vec![Segment {
                    from: 0,
                    seen: None,
                    vanishes: None,
                }]
            });
            let last = segments.last_mut().expect("the one from 0");
            let put = change.value.and_then(|value| writes.puts.get(&value));
            let lost = |what: &str| {
                Err(Fault::LostUpdate(format!(
                    "revision {revision} of {} {what}, after {:?}",
                    change.key, last.seen
                )))
            };
            match (put.map(|put| &put.call), last.seen) {
                (Some(Call::Create { .. }), Some(_))
                    if last.vanishes.is_none() || *revision < last.from + 2 =>
                {
                    return lost("created what was there");
                }
                (Some(Call::Update { expect, .. }), seen)
                    if seen.map(|seen| seen.revision) != Some(*expect) =>
                {
                    return lost(&format!("replaced revision {expect}"));
                }
                (None, None) => return lost("deleted nothing"),
                (None, Some(seen)) => {
                    let known = writes.deletions.get(&(change.key.as_str(), seen.revision));
                    let did = |operation: &&Operation| match &operation.returned {
                        None => true,
                        Some((_, Answer::Written(written))) => written.revision == *revision,
                        Some(_) => false,
                    };
                    if !known.is_some_and(|all| all.iter().any(did)) {
                        return lost("deleted another revision than it was to");
                    }
                    // It was this one, so no other deletion made the object vanish before.
                    last.vanishes = None;
                }
                (Some(Call::Update { .. }), Some(_)) => last.vanishes = None,
                _ => {}
            }
            change.previous = match (&put.map(|put| &put.call), last.vanishes) {
                (Some(Call::Create { .. }), Some(_)) => None,
                _ => last.seen,
            };
            let seen = change.value.map(|value| Seen {
                revision: *revision,
                value,
            });
            let unanswered = writes
                .deletions
                .get(&(change.key.as_str(), *revision))
                .into_iter()
                .flatten()
                .filter(|operation| operation.returned.is_none());
            segments.push(Segment {
                from: *revision,
                seen,
                vanishes: unanswered.map(|operation| operation.invoked).min(),
            });
        }
        Ok(())
    }
}
