//! Real histories with one thing changed.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::driver::Random;
use crate::history::{Event, Notice};

/// One thing in a real history is changed at a random place, a hundred times for each kind of change.
#[test]
fn one_wrong_answer_in_a_real_history_is_found() {
    let history = real(7);
    let mut random = Random(11);
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for _ in 0..100 {
        for (what, change) in CHANGES {
            let mut changed = history.clone();
            if !change(&mut changed, &mut random) {
                continue;
            }
            let fault = check(&changed);
            assert!(fault.is_err(), "{what} was not noticed");
            *found.entry(what).or_insert(0) += 1;
        }
    }
    for (what, _) in CHANGES {
        assert!(
            found.get(what).is_some_and(|count| *count > 20),
            "{what}: {found:?}"
        );
    }
}

/// Changes a history at a random place; false if there is nothing to change.
type Mutation = fn(&mut History, &mut Random) -> bool;

const CHANGES: [(&str, Mutation); 8] = [
    ("an event left out", |history, random| {
        with_events(history, random, 2, |events, at| {
            events.remove(at);
        })
    }),
    ("an event told twice", |history, random| {
        with_events(history, random, 1, |events, at| {
            events.insert(at, events[at].clone());
        })
    }),
    ("two events the wrong way round", |history, random| {
        with_events(history, random, 2, |events, at| {
            let other = if at == 0 { 1 } else { at - 1 };
            events.swap(at, other);
        })
    }),
    ("an event of another value", |history, random| {
        with_events(history, random, 1, |events, at| events[at].seen.value ^= 1)
    }),
    ("an object read at another revision", |history, random| {
        let acknowledged = acknowledged(history);
        with_answer(history, random, |answer| match answer {
            Answer::Object(Some(seen)) if acknowledged.contains(&seen.revision) => {
                seen.revision += 1;
                true
            }
            _ => false,
        })
    }),
    ("a listed object missing", |history, random| {
        // Not one that a deletion of unknown end may have taken away.
        let deletions: BTreeSet<(String, u64)> = history
            .operations
            .iter()
            .filter(|operation| operation.returned.is_none())
            .filter_map(|operation| match &operation.call {
                Call::Delete { key, expect } => Some((key.clone(), *expect)),
                _ => None,
            })
            .collect();
        with_answer(history, random, |answer| match answer {
            Answer::Page { objects, .. } => {
                let safe = |(key, seen): (&String, &Seen)| {
                    let deletion = (key.clone(), seen.revision);
                    (!deletions.contains(&deletion)).then_some(deletion.0)
                };
                let key = objects.iter().find_map(safe);
                key.is_some_and(|key| objects.remove(&key).is_some())
            }
            _ => false,
        })
    }),
    ("a list under another revision", |history, random| {
        // By far enough that other objects are in it.
        with_answer(history, random, |answer| match answer {
            Answer::Page { revision, objects } if *revision > 100 && !objects.is_empty() => {
                *revision -= 60;
                true
            }
            _ => false,
        })
    }),
    (
        "a write acknowledged at the revision of another",
        |history, random| {
            let acknowledged = acknowledged(history);
            with_answer(history, random, |answer| match answer {
                Answer::Written(seen) if acknowledged.contains(&(seen.revision - 1)) => {
                    seen.revision -= 1;
                    true
                }
                _ => false,
            })
        },
    ),
];

/// The revisions of acknowledged writes: what is known of others depends on who happened to see them.
fn acknowledged(history: &History) -> BTreeSet<u64> {
    let written = |operation: &Operation| match &operation.returned {
        Some((_, Answer::Written(seen))) => Some(seen.revision),
        _ => None,
    };
    history.operations.iter().filter_map(written).collect()
}

fn with_events(
    history: &mut History,
    random: &mut Random,
    least: usize,
    change: impl Fn(&mut Vec<Event>, usize),
) -> bool {
    let acknowledged = acknowledged(history);
    let mut notices: Vec<&mut Notice> = history
        .watches
        .iter_mut()
        .flat_map(|watch| &mut watch.notices)
        .filter(|notice| notice.events.len() >= least)
        .collect();
    if notices.is_empty() {
        return false;
    }
    let chosen = random.below(notices.len() as u64) as usize;
    let events = &mut notices[chosen].events;
    let at = random.below(events.len() as u64) as usize;
    if !acknowledged.contains(&events[at].seen.revision) {
        return false;
    }
    change(events, at);
    true
}

fn with_answer(history: &mut History, random: &mut Random, change: impl Fn(&mut Answer) -> bool) -> bool {
    let count = history.operations.len();
    let start = random.below(count as u64) as usize;
    (0..count).any(|step| {
        let operation = &mut history.operations[(start + step) % count];
        operation
            .returned
            .as_mut()
            .is_some_and(|(_, answer)| change(answer))
    })
}
