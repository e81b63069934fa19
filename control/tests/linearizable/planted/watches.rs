//! Histories with a watch, written by hand.

use super::*;
use crate::history::{End, Event, Notice, Watch};

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

#[test]
fn a_deletion_of_which_nobody_heard_may_have_been_anybodys() {
    let mut operations = two_writes();
    // Two servers were killed while they deleted; the history of the first stands first, whoever was earlier.
    operations.extend([unknown(90, delete(3)), unknown(45, delete(3))]);
    operations.push(operation(60, 70, list(), page(4, &[])));
    let watches = vec![Watch {
        after: 1,
        notices: vec![notice(&[2, 3, 4], 4)],
        end: End::Killed,
    }];
    let mut history = History { operations, watches };
    assert_eq!(check(&history), Ok(()));
    history.operations.remove(3);
    assert_fault!(check(&history), Impossible);
}
