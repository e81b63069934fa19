//! A place in the sequence for everything that was read, or refused because of what was there.
//!
//! Operations are taken in the order of time. Whatever returned before another began bounds it from below, what begins
//! after it returned bounds it from above. Of the places that fit, the earliest is taken, which leaves most room to the
//! others: if that does not work, nothing does.

use super::Fault;
use super::log::{Log, Segment};
use crate::history::{Answer, Call, History, Operation, Seen, Time};

/// What somebody saw of a key that may have vanished unseen, and where in time and in the sequence.
#[derive(Debug)]
struct Sight {
    key: String,
    segment: u64,
    there: bool,
    invoked: Time,
    returned: Time,
    /// The revision, if it is known exactly.
    exact: Option<u64>,
}

struct Checker<'a> {
    log: &'a Log,
    /// Invocation and revision of each change, by time, with the lowest revision of this and all later ones.
    later: Vec<(Time, u64)>,
    sights: Vec<Sight>,
}

/// Checks all operations.
pub fn check(history: &History, log: &Log) -> Result<(), Fault> {
    let mut later: Vec<(Time, u64)> = log
        .changes
        .iter()
        .map(|(revision, change)| (change.invoked, *revision))
        .collect();
    later.sort_unstable();
    let mut lowest = u64::MAX;
    for (_, revision) in later.iter_mut().rev() {
        lowest = lowest.min(*revision);
        *revision = lowest;
    }
    let mut checker = Checker {
        log,
        later,
        sights: Vec::new(),
    };
    // Time, whether it is an end (of two at once, beginnings come first: then they overlap), and which.
    let mut moments: Vec<(Time, bool, usize)> = Vec::new();
    for (index, operation) in history.operations.iter().enumerate() {
        if let Some((returned, _)) = &operation.returned {
            moments.push((operation.invoked, false, index));
            moments.push((*returned, true, index));
        }
    }
    // What a watcher was told has happened.
    let told: Vec<(Time, u64)> = history
        .watches
        .iter()
        .flat_map(|watch| &watch.notices)
        .filter_map(|notice| {
            Some((
                notice.at,
                notice.events.iter().map(|event| event.seen.revision).max()?,
            ))
        })
        .collect();
    let count = history.operations.len();
    moments.extend(
        told.iter()
            .enumerate()
            .map(|(index, (at, _))| (*at, true, count + index)),
    );
    moments.sort_unstable();
    let mut known = 0;
    let mut lower = vec![0; count];
    for (_, end, index) in moments {
        if index >= count {
            known = known.max(told[index - count].1);
        } else if !end {
            lower[index] = known;
        } else {
            let place = checker.place(&history.operations[index], lower[index])?;
            known = known.max(place);
        }
    }
    checker.no_resurrections()
}

impl<'a> Checker<'a> {
    /// The highest revision that is below all writes that began later.
    fn upper(&self, returned: Time) -> u64 {
        let after = self.later.partition_point(|(invoked, _)| *invoked <= returned);
        self.later.get(after).map_or(u64::MAX, |(_, lowest)| lowest - 1)
    }

    /// The earliest place of an operation; 0 if it says nothing about when it happened.
    fn place(&mut self, operation: &Operation, lower: u64) -> Result<u64, Fault> {
        let Some((returned, answer)) = &operation.returned else {
            return Ok(0);
        };
        let upper = self.upper(*returned);
        let stale = |why: &str| {
            Fault::Stale(format!(
                "{:?} was answered {answer:?} between revisions {lower} and {upper}: {why}",
                operation.call
            ))
        };
        match (&operation.call, answer) {
            (Call::Create { .. } | Call::Update { .. } | Call::Delete { .. }, Answer::Written(seen)) => {
                if seen.revision <= lower || seen.revision > upper {
                    return Err(Fault::WentBack(format!(
                        "{:?} was done at {}, between revisions {lower} and {upper}",
                        operation.call, seen.revision
                    )));
                }
                if let Call::Delete { .. } = operation.call {
                    let last = self.log.changes[&seen.revision].previous;
                    if last.map(|last| last.value) != Some(seen.value) {
                        return Err(Fault::Impossible(format!(
                            "{:?} deleted {last:?}, and was answered {answer:?}",
                            operation.call
                        )));
                    }
                }
                Ok(seen.revision)
            }
            (Call::Get { key }, Answer::Object(Some(seen))) => {
                self.there(key, *seen, operation, lower, upper)
            }
            (Call::Update { key, expect, .. } | Call::Delete { key, expect }, Answer::Conflict(seen)) => {
                if seen.revision == *expect {
                    return Err(Fault::Impossible(format!(
                        "{:?} was refused though it was right",
                        operation.call
                    )));
                }
                self.there(key, *seen, operation, lower, upper)
            }
            (Call::Create { key, .. }, Answer::Exists) => {
                let segments = self.segments(key);
                let place = segments
                    .iter()
                    .zip(ends(segments))
                    .filter(|(segment, end)| segment.seen.is_some() && *end > lower)
                    .map(|(segment, _)| segment.from.max(lower))
                    .next();
                place
                    .filter(|place| *place <= upper)
                    .ok_or_else(|| stale("nothing was there"))
            }
            (Call::Get { key }, Answer::Object(None))
            | (Call::Update { key, .. } | Call::Delete { key, .. }, Answer::NotFound) => {
                self.absent(key, operation, lower, upper)
            }
            (Call::List { namespace, at }, Answer::Page { revision, objects }) => {
                if at.is_some_and(|at| at != *revision) {
                    return Err(Fault::Impossible(format!(
                        "{:?} was answered for {revision}",
                        operation.call
                    )));
                }
                if at.is_none() && *revision < lower {
                    return Err(stale("an older state"));
                }
                if *revision > upper {
                    return Err(Fault::Impossible(format!(
                        "{:?} saw revision {revision} before it could be",
                        operation.call
                    )));
                }
                self.page(namespace.as_deref(), *revision, objects, operation)?;
                Ok(if at.is_some() { 0 } else { *revision })
            }
            (Call::List { at: Some(_), .. }, Answer::Compacted) => Ok(0),
            (Call::List { at: Some(at), .. }, Answer::Future) if *at > lower => Ok(0),
            (call, answer) => Err(Fault::Impossible(format!("{call:?} was answered {answer:?}"))),
        }
    }

    fn segments(&self, key: &str) -> &'a [Segment] {
        const NEVER: &[Segment] = &[Segment {
            from: 0,
            seen: None,
            vanishes: None,
        }];
        self.log.keys.get(key).map_or(NEVER, Vec::as_slice)
    }

    /// The earliest place where the key has this object.
    fn there(
        &mut self,
        key: &str,
        seen: Seen,
        operation: &Operation,
        lower: u64,
        upper: u64,
    ) -> Result<u64, Fault> {
        let segments = self.segments(key);
        let found = segments
            .iter()
            .zip(ends(segments))
            .find(|(segment, _)| segment.seen == Some(seen));
        let Some((segment, end)) = found else {
            return Err(Fault::Impossible(format!("{key}: {seen:?} never was")));
        };
        let place = seen.revision.max(lower);
        if place >= end {
            return Err(Fault::Stale(format!(
                "{:?} saw {seen:?}, which was gone at {end}; {lower} was known",
                operation.call
            )));
        }
        if place > upper {
            return Err(Fault::Impossible(format!(
                "{key}: {seen:?} was seen before it could be"
            )));
        }
        if segment.vanishes.is_some() {
            self.sight(key, segment.from, true, operation, None);
        }
        Ok(place)
    }

    /// The earliest place where the key has no object.
    fn absent(&mut self, key: &str, operation: &Operation, lower: u64, upper: u64) -> Result<u64, Fault> {
        let returned = operation.returned.as_ref().map_or(Time::MAX, |(at, _)| *at);
        let segments = self.segments(key);
        let place = segments
            .iter()
            .zip(ends(segments))
            .find_map(|(segment, end)| {
                // Where it vanished unseen, that took a revision of its own.
                let from = match (segment.seen, segment.vanishes) {
                    (None, _) => segment.from,
                    (Some(_), Some(invoked)) if invoked < returned => segment.from + 1,
                    (Some(_), _) => return None,
                };
                let place = from.max(lower);
                (place < end).then_some((place, segment.from, segment.seen.is_some()))
            })
            .filter(|(place, ..)| *place <= upper);
        let Some((place, segment, vanished)) = place else {
            return Err(Fault::Stale(format!(
                "{:?} found nothing between revisions {lower} and {upper}",
                operation.call
            )));
        };
        if vanished {
            self.sight(key, segment, false, operation, None);
        }
        Ok(place)
    }

    /// Whether a page is the state of its revision.
    fn page(
        &mut self,
        namespace: Option<&str>,
        revision: u64,
        objects: &std::collections::BTreeMap<String, Seen>,
        operation: &Operation,
    ) -> Result<(), Fault> {
        let prefix = namespace.map(|namespace| format!("{namespace}/"));
        let inside = |key: &str| prefix.as_deref().is_none_or(|prefix| key.starts_with(prefix));
        if let Some(key) = objects.keys().find(|key| !inside(key)) {
            return Err(Fault::Torn(format!("{:?} has {key}", operation.call)));
        }
        let mut sights = Vec::new();
        for (key, segments) in self.log.keys.iter().filter(|(key, _)| inside(key)) {
            let last = segments.partition_point(|segment| segment.from <= revision) - 1;
            let segment = &segments[last];
            let listed = objects.get(key).copied();
            let vanished = listed.is_none() && segment.vanishes.is_some() && revision > segment.from;
            if listed != segment.seen && !vanished {
                return Err(Fault::Torn(format!(
                    "{:?} at revision {revision} has {listed:?} for {key}, which was {:?}",
                    operation.call, segment.seen
                )));
            }
            if segment.vanishes.is_some() {
                sights.push((key.clone(), segment.from, listed.is_some()));
            }
        }
        for (key, from, there) in sights {
            self.sight(&key, from, there, operation, Some(revision));
        }
        Ok(())
    }

    fn sight(&mut self, key: &str, segment: u64, there: bool, operation: &Operation, exact: Option<u64>) {
        // A state of the past says where, not when.
        let timeless = matches!(operation.call, Call::List { at: Some(_), .. });
        self.sights.push(Sight {
            key: key.to_owned(),
            segment,
            there,
            invoked: if timeless { 0 } else { operation.invoked },
            returned: match &operation.returned {
                Some((at, _)) if !timeless => *at,
                _ => Time::MAX,
            },
            exact,
        });
    }

    /// Once somebody has found that an object vanished, nobody may see it later.
    fn no_resurrections(&self) -> Result<(), Fault> {
        for gone in self.sights.iter().filter(|sight| !sight.there) {
            let same = |sight: &&Sight| sight.there && sight.key == gone.key && sight.segment == gone.segment;
            for there in self.sights.iter().filter(same) {
                let later = match (gone.exact, there.exact) {
                    (Some(gone), Some(there)) => there >= gone,
                    _ => false,
                };
                if later || gone.returned < there.invoked {
                    return Err(Fault::Stale(format!(
                        "{} of revision {} was gone, and there again",
                        gone.key, gone.segment
                    )));
                }
            }
        }
        Ok(())
    }
}

/// Where each segment ends: at the next one's beginning.
fn ends(segments: &[Segment]) -> impl Iterator<Item = u64> {
    segments
        .iter()
        .skip(1)
        .map(|segment| segment.from)
        .chain([u64::MAX])
}
