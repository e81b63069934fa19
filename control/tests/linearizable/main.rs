//! Whether a store is what it says: linearizable, its watches complete, nothing acknowledged ever lost.
//!
//! Random clients create, compare-and-swap, delete, read, list and watch, all at once; what each was told is taken down
//! ([`record`]) and checked as a whole ([`check`]). [`crash`] does so with a process that is killed again and again.
//! [`planted`] gives the checker histories and stores with faults: it must find each.
//!
//! `KEELSON_LINEARIZABLE_SECONDS` makes the random tests go on for so long; `KEELSON_LINEARIZABLE_SEED` repeats a run's
//! choices.

mod check;
mod crash;
mod driver;
mod faulty;
mod history;
mod planted;
mod record;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keelson_control::store::{Embedded, Options, Store};

use check::check;
use driver::{DRAIN, Plan, Random, no_barrier, run, tally};
use history::History;
use record::Recorder;

/// Opens an embedded store.
fn embedded(dir: &Path) -> Embedded {
    Embedded::open(dir, &Options::new(|_, _| BTreeMap::new())).unwrap()
}

/// What some random clients were told.
fn record(store: Arc<dyn Store>, plan: Plan) -> History {
    let recorder = Arc::new(Recorder::in_memory());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(3)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(store, Arc::clone(&recorder), plan));
    History::from_entries(recorder.entries())
}

/// The first seed.
fn seed() -> u64 {
    std::env::var("KEELSON_LINEARIZABLE_SEED").map_or_else(|_| record::now(), |seed| seed.parse().unwrap())
}

/// How long the random tests go on.
fn duration() -> Duration {
    let seconds = std::env::var("KEELSON_LINEARIZABLE_SECONDS").map_or(0, |seconds| seconds.parse().unwrap());
    Duration::from_secs(seconds)
}

#[test]
fn the_embedded_store_is_linearizable() {
    let mut seeds = Random(seed());
    let began = Instant::now();
    let mut runs = 0;
    let mut total = BTreeMap::new();
    while runs < 5 || began.elapsed() < duration() {
        let seed = seeds.next();
        let dir = tempfile::tempdir().unwrap();
        // Often with so little history that watchers fall behind it.
        let options = Options {
            history_events: if runs % 2 == 0 { 10_000 } else { 40 },
            ..Options::new(|_, _| BTreeMap::new())
        };
        let store = Arc::new(Embedded::open(dir.path(), &options).unwrap());
        let plan = Plan {
            seed,
            clients: 2 + runs % 11,
            calls: 300,
            watchers: 3,
            barrier: no_barrier(),
            drain: DRAIN,
        };
        let history = record(store, plan);
        if let Err(fault) = check(&history) {
            panic!("seed {seed}: {fault:?}");
        }
        for (what, count) in tally(&history) {
            *total.entry(what).or_insert(0) += count;
        }
        runs += 1;
    }
    println!("{runs} histories: {total:?}");
    for what in [
        "Create Written",
        "Create Exists",
        "Update Written",
        "Update Conflict",
        "Update NotFound",
        "Update unknown",
        "Delete Written",
        "Get Object",
        "List Page",
        "List Compacted",
        "List Future",
        "events",
        "watch Drained",
        "watch Compacted",
    ] {
        assert!(
            total.get(what).is_some_and(|count| *count > 0),
            "no {what}: {total:?}"
        );
    }
}
