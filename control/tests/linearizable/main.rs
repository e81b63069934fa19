//! Whether a store is what it says: linearizable, its watches complete, nothing acknowledged ever lost.
//!
//! Random clients create, compare-and-swap, delete, read, list and watch, all at once ([`driver`]); what each was told is
//! taken down ([`record`]) and checked as a whole ([`check`]). [`crash`] does so with processes that are killed again and
//! again. [`etcd`] does both with several servers on a real etcd whose members are killed as well (`make unit-etcd`).
//! [`planted`] gives the checker histories and stores with faults: it must find each.
//!
//! `KEELSON_LINEARIZABLE_SECONDS` makes the random tests go on for so long; `KEELSON_LINEARIZABLE_SEED` repeats a run's
//! choices.

mod check;
mod crash;
mod driver;
mod etcd;
mod faulty;
mod history;
#[path = "../peers/etcd.rs"]
mod peer;
mod place;
mod planted;
mod record;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keelson_control::store::Store;

use check::check;
use driver::{DRAIN, Plan, Random, require, run, tally};
use history::History;
use place::Place;
use record::Recorder;

/// What some random clients were told.
fn record(stores: Vec<Arc<dyn Store>>, plan: Plan) -> History {
    record_to(&Arc::new(Recorder::in_memory()), stores, plan)
}

/// The same, by this recorder.
fn record_to(recorder: &Arc<Recorder>, stores: Vec<Arc<dyn Store>>, plan: Plan) -> History {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(3)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(stores, Arc::clone(recorder), plan));
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

/// Fails if the history is not sound; counts what it is made of.
fn assert_sound(seed: u64, history: &History) -> BTreeMap<String, usize> {
    if let Err(fault) = check(history) {
        panic!("seed {seed}: {fault:?}");
    }
    tally(history)
}

/// Everything that clients can be told, which enough of histories must have.
const ALL: [&str; 14] = [
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
];

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
        let store = Place::directory(dir.path()).open_with(if runs % 2 == 0 { 10_000 } else { 40 });
        let plan = Plan {
            seed,
            clients: 2 + runs % 11,
            calls: 300,
            watchers: 3,
            drain: DRAIN,
        };
        let history = record(vec![store], plan);
        for (what, count) in assert_sound(seed, &history) {
            *total.entry(what).or_insert(0) += count;
        }
        runs += 1;
    }
    println!("{runs} histories: {total:?}");
    require(&total, &ALL);
}
