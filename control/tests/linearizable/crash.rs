//! The same with a process that is killed at any moment, and goes on in the next one with what the disk has.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::check::check;
use crate::driver::{DRAIN, Plan, Random, no_barrier, run, tally};
use crate::history::{Entry, History};
use crate::record::{MARK, Recorder};
use crate::{duration, embedded, seed};

/// Tells the child which directory to use; the round and the seed follow after colons.
const CHILD: &str = "KEELSON_LINEARIZABLE_CHILD";
/// How often one store is killed.
const ROUNDS: u64 = 12;

/// The child: clients on the store until the kill.
#[test]
fn child() {
    let Ok(order) = std::env::var(CHILD) else { return };
    let mut words = order.rsplitn(3, ':');
    let seed = words.next().unwrap().parse().unwrap();
    let round = words.next().unwrap().parse().unwrap();
    let store = embedded(Path::new(words.next().unwrap()));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let plan = Plan {
        seed,
        clients: 6,
        calls: usize::MAX,
        watchers: 2,
        barrier: no_barrier(),
        drain: DRAIN,
    };
    runtime.block_on(run(Arc::new(store), Arc::new(Recorder::to_output(round)), plan));
}

/// One life of the store's process; what it said.
fn life(dir: &Path, round: u64, seed: u64, lasts: Duration) -> History {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["crash::child", "--exact", "--nocapture"])
        .env(CHILD, format!("{}:{round}:{seed}", dir.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let drain = std::thread::spawn(move || {
        let mut entries: Vec<Entry> = Vec::new();
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap_or(0) > 0 {
            // The kill may cut the last one.
            let text = line
                .find(MARK)
                .and_then(|at| line[at + MARK.len()..].strip_suffix('\n'));
            entries.extend(text.map(|text| serde_json::from_str::<Entry>(text).unwrap()));
            line.clear();
        }
        entries
    });
    std::thread::sleep(lasts);
    assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
    child.kill().unwrap();
    child.wait().unwrap();
    History::from_entries(drain.join().unwrap())
}

#[test]
fn what_was_promised_before_a_kill_holds_after_it() {
    let mut random = Random(seed());
    let began = Instant::now();
    let mut stores = 0;
    while stores < 1 || began.elapsed() < duration() {
        let seed = random.next();
        let mut choice = Random(seed);
        let dir = tempfile::tempdir().unwrap();
        let mut history = History::default();
        for round in 1..=ROUNDS {
            // From before it has opened the store to some hundreds of commits later.
            let lasts = Duration::from_millis(10 + choice.below(300));
            history.append(life(dir.path(), round, choice.next(), lasts));
        }
        // Whoever comes last sees everything, and is part of the history.
        let plan = Plan {
            seed,
            clients: 3,
            calls: 60,
            watchers: 1,
            barrier: no_barrier(),
            drain: DRAIN,
        };
        let last = Arc::new(Recorder::after(ROUNDS + 1));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(run(Arc::new(embedded(dir.path())), Arc::clone(&last), plan));
        history.append(History::from_entries(last.entries()));
        let tally = tally(&history);
        println!("seed {seed}: {tally:?}");
        if let Err(fault) = check(&history) {
            panic!("seed {seed}: {fault:?}");
        }
        for what in ["Create Written", "Update unknown", "Get Object", "events"] {
            assert!(
                tally.get(what).is_some_and(|count| *count > 0),
                "no {what}: {tally:?}"
            );
        }
        stores += 1;
    }
}
