//! The checker must find what is wrong: in histories written by hand, in real ones with one thing changed, and in what
//! clients are told by stores that break their promises.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::check::{Fault, check};
use crate::driver::{Plan, Random, no_barrier};
use crate::faulty::{Faulty, Wrong};
use crate::history::{Answer, Call, End, Event, History, Notice, Operation, Seen, Time, Watch};
use crate::{embedded, record};

const KEY: &str = "a/x";

fn seen(revision: u64, value: u64) -> Seen {
    Seen { revision, value }
}

fn operation(invoked: Time, returned: Time, call: Call, answer: Answer) -> Operation {
    Operation {
        call,
        invoked,
        returned: Some((returned, answer)),
    }
}

fn unknown(invoked: Time, call: Call) -> Operation {
    Operation {
        call,
        invoked,
        returned: None,
    }
}

fn create(value: u64) -> Call {
    Call::Create {
        key: KEY.to_owned(),
        value,
    }
}

fn update(value: u64, expect: u64) -> Call {
    Call::Update {
        key: KEY.to_owned(),
        value,
        expect,
    }
}

fn delete(expect: u64) -> Call {
    Call::Delete {
        key: KEY.to_owned(),
        expect,
    }
}

fn get() -> Call {
    Call::Get { key: KEY.to_owned() }
}

fn list() -> Call {
    Call::List {
        namespace: None,
        at: None,
    }
}

fn page(revision: u64, objects: &[(&str, Seen)]) -> Answer {
    Answer::Page {
        revision,
        objects: objects
            .iter()
            .map(|(key, seen)| ((*key).to_owned(), *seen))
            .collect(),
    }
}

fn found(revision: u64, value: u64) -> Answer {
    Answer::Object(Some(seen(revision, value)))
}

fn written(revision: u64, value: u64) -> Answer {
    Answer::Written(seen(revision, value))
}

/// Created at 2 as value 12, updated at 3 to value 13.
fn two_writes() -> Vec<Operation> {
    vec![
        operation(10, 20, create(12), written(2, 12)),
        operation(30, 40, update(13, 2), written(3, 13)),
    ]
}

fn checked(operations: Vec<Operation>) -> Result<(), Fault> {
    check(&History {
        operations,
        watches: Vec::new(),
    })
}

/// Two writes, and then this.
fn after_two(more: impl IntoIterator<Item = Operation>) -> Result<(), Fault> {
    checked(two_writes().into_iter().chain(more).collect())
}

macro_rules! assert_fault {
    ($result:expr, $kind:ident) => {{
        let result = $result;
        assert!(matches!(result, Err(Fault::$kind(_))), "{result:?}");
    }};
}

#[test]
fn sound_histories_pass() {
    assert_eq!(checked(Vec::new()), Ok(()));
    assert_eq!(after_two([operation(50, 60, get(), found(3, 13))]), Ok(()));
    // While the update is under way either state is right, but the first one not after the second one.
    let during = |first: (u64, u64), second: (u64, u64)| {
        after_two([
            operation(31, 33, get(), found(first.0, first.1)),
            operation(34, 36, get(), found(second.0, second.1)),
        ])
    };
    assert_eq!(during((2, 12), (3, 13)), Ok(()));
    assert_eq!(during((2, 12), (2, 12)), Ok(()));
    assert_fault!(during((3, 13), (2, 12)), Stale);
    // Refusals that were true.
    assert_eq!(
        after_two([
            operation(15, 17, get(), Answer::Object(None)),
            operation(50, 60, create(14), Answer::Exists),
            operation(50, 60, update(15, 2), Answer::Conflict(seen(3, 13))),
            operation(61, 62, delete(3), written(4, 13)),
            operation(63, 64, update(16, 3), Answer::NotFound),
            operation(65, 66, list(), page(4, &[])),
            operation(67, 68, create(17), written(9, 17)),
        ]),
        Ok(())
    );
}

#[test]
fn writes_of_unknown_end_may_have_happened_or_not() {
    // Seen: it did.
    assert_eq!(
        after_two([
            unknown(50, update(14, 3)),
            operation(60, 70, get(), found(3, 13)),
            operation(80, 90, get(), found(4, 14)),
        ]),
        Ok(())
    );
    // Not any more once it was seen.
    assert_fault!(
        after_two([
            unknown(50, update(14, 3)),
            operation(60, 70, get(), found(4, 14)),
            operation(80, 90, get(), found(3, 13)),
        ]),
        Stale
    );
    // A deletion leaves only what is missing.
    let deletion = |first: Answer, second: Answer| {
        after_two([
            unknown(50, delete(3)),
            operation(60, 70, get(), first),
            operation(80, 90, get(), second),
        ])
    };
    assert_eq!(deletion(found(3, 13), Answer::Object(None)), Ok(()));
    assert_eq!(deletion(Answer::Object(None), Answer::Object(None)), Ok(()));
    assert_fault!(deletion(Answer::Object(None), found(3, 13)), Stale);
    assert_eq!(
        after_two([
            unknown(50, delete(3)),
            operation(60, 70, create(14), written(5, 14))
        ]),
        Ok(())
    );
    // No revision is left for the deletion.
    assert_fault!(
        after_two([
            unknown(50, delete(3)),
            operation(60, 70, create(14), written(4, 14))
        ]),
        LostUpdate
    );
    // Nobody had asked for it yet.
    assert_fault!(
        after_two([
            operation(50, 60, get(), Answer::Object(None)),
            unknown(70, delete(3))
        ]),
        Stale
    );
    assert_fault!(
        after_two([
            unknown(50, delete(3)),
            operation(60, 70, list(), page(5, &[])),
            operation(60, 90, list(), page(6, &[(KEY, seen(3, 13))])),
        ]),
        Stale
    );
}

#[test]
fn lost_updates_are_found() {
    assert_fault!(
        after_two([operation(50, 60, update(14, 2), written(4, 14))]),
        LostUpdate
    );
    assert_fault!(
        after_two([operation(50, 60, create(14), written(4, 14))]),
        LostUpdate
    );
    assert_fault!(
        after_two([operation(50, 60, delete(2), written(4, 13))]),
        LostUpdate
    );
    assert_fault!(
        after_two([
            operation(50, 60, delete(3), written(4, 13)),
            operation(70, 80, update(14, 3), written(5, 14)),
        ]),
        LostUpdate
    );
    assert_fault!(
        after_two([
            operation(50, 60, delete(3), written(4, 13)),
            operation(50, 60, delete(3), written(5, 13)),
        ]),
        LostUpdate
    );
}

#[test]
fn acknowledged_writes_that_are_gone_are_found() {
    // As after a crash.
    assert_fault!(after_two([operation(50, 60, get(), found(2, 12))]), Stale);
    assert_fault!(after_two([operation(50, 60, get(), Answer::Object(None))]), Stale);
    assert_fault!(
        after_two([operation(50, 60, list(), page(2, &[(KEY, seen(2, 12))]))]),
        Stale
    );
    assert_fault!(
        after_two([operation(50, 60, list(), page(3, &[(KEY, seen(2, 12))]))]),
        Torn
    );
    assert_fault!(after_two([operation(50, 60, list(), page(4, &[]))]), Torn);
    assert_fault!(
        after_two([operation(50, 60, update(14, 3), Answer::NotFound)]),
        Stale
    );
    assert_fault!(
        after_two([operation(50, 60, update(14, 3), Answer::Conflict(seen(2, 12)))]),
        Stale
    );
    // Its revision is given out again.
    let again = Call::Create {
        key: "a/y".to_owned(),
        value: 14,
    };
    assert_fault!(
        after_two([operation(50, 60, again.clone(), written(3, 14))]),
        Contradiction
    );
    assert_fault!(after_two([operation(50, 60, again, written(1, 14))]), WentBack);
}

#[test]
fn what_cannot_be_is_found() {
    assert_fault!(after_two([operation(50, 60, get(), found(3, 99))]), Invented);
    assert_fault!(after_two([operation(50, 60, get(), found(4, 13))]), Contradiction);
    assert_fault!(after_two([operation(25, 28, get(), found(3, 13))]), Impossible);
    assert_fault!(
        after_two([operation(25, 28, list(), page(3, &[(KEY, seen(3, 13))]))]),
        Impossible
    );
    assert_fault!(after_two([operation(1, 2, create(14), Answer::Exists)]), Stale);
    assert_fault!(
        after_two([operation(50, 60, update(14, 3), Answer::Conflict(seen(3, 13)))]),
        Impossible
    );
    assert_fault!(
        after_two([operation(50, 60, update(14, 3), written(4, 99))]),
        Impossible
    );
    assert_fault!(
        after_two([operation(50, 60, delete(3), written(4, 12))]),
        Impossible
    );
    // Refused, and done.
    assert_fault!(
        after_two([
            operation(50, 60, update(14, 2), Answer::Conflict(seen(3, 13))),
            operation(70, 80, get(), found(4, 14)),
        ]),
        Invented
    );
    let at = Call::List {
        namespace: None,
        at: Some(2),
    };
    assert_eq!(
        after_two([operation(50, 60, at.clone(), page(2, &[(KEY, seen(2, 12))]))]),
        Ok(())
    );
    assert_eq!(
        after_two([operation(50, 60, at.clone(), Answer::Compacted)]),
        Ok(())
    );
    assert_fault!(
        after_two([operation(50, 60, at.clone(), page(2, &[(KEY, seen(3, 13))]))]),
        Torn
    );
    assert_fault!(
        after_two([operation(50, 60, at.clone(), page(3, &[(KEY, seen(3, 13))]))]),
        Impossible
    );
    assert_fault!(after_two([operation(50, 60, at, Answer::Future)]), Impossible);
    let other = Call::List {
        namespace: Some("b".to_owned()),
        at: None,
    };
    assert_fault!(
        after_two([operation(50, 60, other, page(3, &[(KEY, seen(3, 13))]))]),
        Torn
    );
}

/// Created at 2, updated at 3, deleted at 4, created at 5; watched from 1 on.
fn watched(notices: Vec<Notice>, end: End) -> Result<(), Fault> {
    let mut operations = two_writes();
    operations.push(operation(50, 60, delete(3), written(4, 13)));
    operations.push(operation(70, 80, create(15), written(5, 15)));
    check(&History {
        operations,
        watches: vec![Watch {
            after: 1,
            notices,
            end,
        }],
    })
}

fn event(revision: u64) -> Event {
    let (value, previous) = match revision {
        2 => (12, None),
        3 => (13, Some(seen(2, 12))),
        4 => (13, Some(seen(3, 13))),
        _ => (15, None),
    };
    Event {
        key: KEY.to_owned(),
        seen: seen(revision, value),
        deleted: revision == 4,
        previous,
    }
}

fn notice(revisions: &[u64], upto: u64) -> Notice {
    Notice {
        at: 100,
        events: revisions.iter().map(|revision| event(*revision)).collect(),
        upto,
    }
}

#[test]
fn faults_of_watches_are_found() {
    assert_eq!(watched(vec![notice(&[2, 3, 4, 5], 5)], End::Drained), Ok(()));
    assert_eq!(
        watched(
            vec![notice(&[2], 2), notice(&[3, 4], 4), notice(&[5], 9)],
            End::Drained
        ),
        Ok(())
    );
    assert_eq!(watched(vec![notice(&[2], 2)], End::Killed), Ok(()));
    assert_eq!(watched(vec![notice(&[2], 2)], End::Compacted), Ok(()));
    assert_fault!(watched(vec![notice(&[2], 2)], End::Drained), Stalled);
    assert_fault!(watched(Vec::new(), End::Drained), Stalled);
    assert_fault!(watched(vec![notice(&[2, 4, 5], 5)], End::Killed), Missed);
    assert_fault!(watched(vec![notice(&[3, 4, 5], 5)], End::Killed), Missed);
    assert_fault!(watched(vec![notice(&[2, 3, 4], 5)], End::Killed), Missed);
    assert_fault!(
        watched(vec![notice(&[2], 3), notice(&[4, 5], 5)], End::Killed),
        Missed
    );
    assert_fault!(watched(vec![notice(&[], 5)], End::Killed), Missed);
    assert_fault!(watched(vec![notice(&[2, 2, 3], 3)], End::Killed), Duplicate);
    assert_fault!(
        watched(vec![notice(&[2, 3], 3), notice(&[3, 4], 4)], End::Killed),
        Duplicate
    );
    assert_fault!(
        watched(vec![notice(&[2, 3], 3), notice(&[2], 3)], End::Killed),
        Duplicate
    );
    assert_fault!(watched(vec![notice(&[3, 2], 3)], End::Killed), Reordered);
    assert_fault!(watched(vec![notice(&[2, 4, 3], 4)], End::Killed), Reordered);
    assert_fault!(
        watched(vec![notice(&[2], 2), notice(&[], 1)], End::Killed),
        Reordered
    );
    assert_fault!(watched(vec![notice(&[2, 3], 2)], End::Killed), WrongEvent);
    let changed = |change: &dyn Fn(&mut Event)| {
        let mut notice = notice(&[2, 3, 4, 5], 5);
        notice.events.iter_mut().for_each(change);
        watched(vec![notice], End::Drained)
    };
    assert_fault!(changed(&|event| event.previous = None), WrongEvent);
    assert_fault!(changed(&|event| event.deleted = false), Contradiction);
    assert_fault!(changed(&|event| event.key = "a/y".to_owned()), Invented);
    assert_fault!(
        changed(&|event| {
            if event.deleted {
                event.seen.value = 12;
            }
        }),
        WrongEvent
    );
    // Told before anybody asked for it: whether or not the write was acknowledged later.
    let early = |revisions: &[u64], at| Watch {
        after: 1,
        notices: vec![Notice {
            at,
            ..notice(revisions, 3)
        }],
        end: End::Killed,
    };
    let mut history = History {
        operations: two_writes(),
        watches: vec![early(&[2, 3], 25)],
    };
    assert_fault!(check(&history), WentBack);
    history.operations[1].returned = None;
    assert_fault!(check(&history), Impossible);
    history.watches = vec![early(&[2, 3], 35)];
    assert_eq!(check(&history), Ok(()));
    // Once a watcher was told, readers know as well.
    let mut operations = two_writes();
    operations[1].returned = None;
    operations.push(operation(50, 60, get(), found(2, 12)));
    let told = Watch {
        after: 1,
        notices: vec![Notice {
            at: 45,
            ..notice(&[2, 3], 3)
        }],
        end: End::Killed,
    };
    assert_fault!(
        check(&History {
            operations,
            watches: vec![told],
        }),
        Stale
    );
}

/// A real history, without a fault.
fn real(seed: u64) -> History {
    let dir = tempfile::tempdir().unwrap();
    let history = record(Arc::new(embedded(dir.path())), plan(seed));
    assert_eq!(check(&history), Ok(()), "seed {seed}");
    history
}

fn plan(seed: u64) -> Plan {
    Plan {
        seed,
        clients: 5,
        calls: 200,
        watchers: 2,
        barrier: no_barrier(),
        drain: Duration::from_secs(2),
    }
}

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

/// What clients are told by each faulty store does not pass; what the sound one under it tells them does.
#[test]
fn faulty_stores_are_found_out() {
    let wrongs: [(Wrong, &[&str]); 9] = [
        (Wrong::LosesUpdates, &["LostUpdate"]),
        (
            Wrong::ForgetsWrites,
            &[
                "Stale",
                "Torn",
                "Contradiction",
                "LostUpdate",
                "Missed",
                "WentBack",
            ],
        ),
        (Wrong::ReadsStale, &["Stale"]),
        (Wrong::ListsStale, &["Stale"]),
        (Wrong::ListsTorn, &["Torn", "Stale"]),
        (Wrong::MissesEvents, &["Missed"]),
        (Wrong::RepeatsEvents, &["Duplicate"]),
        (Wrong::ReordersEvents, &["Reordered"]),
        (Wrong::FallsAsleep, &["Stalled"]),
    ];
    for (wrong, expected) in wrongs {
        let dir = tempfile::tempdir().unwrap();
        let store = Faulty::new(embedded(dir.path()), wrong);
        let fault = check(&record(Arc::new(store), plan(3)));
        let text = format!("{fault:?}");
        assert!(
            expected
                .iter()
                .any(|name| text.starts_with(&format!("Err({name}("))),
            "{wrong:?}: {text:.300}"
        );
    }
    real(3);
}
