//! Stores that break their promises.

use std::sync::Arc;

use keelson_control::store::Store;

use super::*;
use crate::faulty::{Faulty, Wrong};

/// What is wrong, and as what the checker may see it.
pub const WRONGS: [(Wrong, &[&str]); 9] = [
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

/// What the clients are told by stores, each of which does this wrong.
pub fn wrong_history(stores: Vec<Arc<dyn Store>>, wrong: Wrong, seed: u64) -> Result<(), Fault> {
    let faulty = |inner| -> Arc<dyn Store> { Arc::new(Faulty::new(inner, wrong)) };
    check(&record(stores.into_iter().map(faulty).collect(), plan(seed)))
}

pub fn assert_found(fault: &Result<(), Fault>, wrong: Wrong, expected: &[&str]) {
    let text = format!("{fault:?}");
    let is = |name: &&str| text.starts_with(&format!("Err({name}("));
    assert!(expected.iter().any(is), "{wrong:?}: {text:.300}");
}

/// What clients are told by each faulty store does not pass; what the sound one under it tells them does.
#[test]
fn faulty_stores_are_found_out() {
    for (wrong, expected) in WRONGS {
        let dir = tempfile::tempdir().unwrap();
        let stores = vec![Place::directory(dir.path()).open()];
        assert_found(&wrong_history(stores, wrong, 3), wrong, expected);
    }
    real(3);
}
