//! Histories of reads and writes, written by hand.

use super::*;

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
