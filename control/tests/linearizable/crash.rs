//! The same with processes that are killed at any moment, and others that go on with what the disk or etcd has.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::driver::{DRAIN, Plan, Random, require, run};
use crate::history::{Entry, History};
use crate::place::Place;
use crate::record::{MARK, Recorder};
use crate::{assert_sound, duration, record_to, seed};

/// Tells the child where its store is, its number and its seed.
const CHILD: &str = "KEELSON_LINEARIZABLE_CHILD";

/// The child: clients on the store until the kill.
#[test]
fn child() {
    let Ok(order) = std::env::var(CHILD) else { return };
    let (place, number, seed): (Place, u64, u64) = serde_json::from_str(&order).unwrap();
    let store = place.open();
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
        drain: DRAIN,
    };
    runtime.block_on(run(vec![store], Arc::new(Recorder::to_output(number)), plan));
}

/// A child that runs, and who listens to it.
pub struct Life {
    process: Child,
    listener: JoinHandle<Vec<Entry>>,
}

impl Life {
    /// Starts one. Numbers and values of processes with different numbers are different.
    pub fn begin(place: &Place, number: u64, seed: u64) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["crash::child", "--exact", "--nocapture"])
            .env(CHILD, serde_json::to_string(&(place, number, seed)).unwrap())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut reader = BufReader::new(process.stdout.take().unwrap());
        let listener = std::thread::spawn(move || {
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
        Self { process, listener }
    }

    /// Kills it; what it said.
    pub fn end(mut self) -> History {
        assert!(
            self.process.try_wait().unwrap().is_none(),
            "the child ended by itself"
        );
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        History::from_entries(self.listener.join().unwrap())
    }
}

/// Who comes last sees everything, and is part of the history.
pub fn last(place: &Place, number: u64, seed: u64) -> History {
    let plan = Plan {
        seed,
        clients: 3,
        calls: 60,
        watchers: 1,
        drain: DRAIN,
    };
    record_to(&Arc::new(Recorder::after(number)), vec![place.open()], plan)
}

/// What a history with kills must have to be worth checking.
pub const KILLED: [&str; 4] = ["Create Written", "Update unknown", "Get Object", "events"];

#[test]
fn what_was_promised_before_a_kill_holds_after_it() {
    const ROUNDS: u64 = 12;
    let mut random = Random(seed());
    let began = Instant::now();
    let mut stores = 0;
    while stores < 1 || began.elapsed() < duration() {
        let seed = random.next();
        let mut choice = Random(seed);
        let dir = tempfile::tempdir().unwrap();
        let place = Place::directory(dir.path());
        let mut history = History::default();
        for round in 1..=ROUNDS {
            // From before it has opened the store to some hundreds of commits later.
            let lasts = Duration::from_millis(10 + choice.below(300));
            let life = Life::begin(&place, round, choice.next());
            std::thread::sleep(lasts);
            history.append(life.end());
        }
        history.append(last(&place, ROUNDS + 1, seed));
        let tally = assert_sound(seed, &history);
        println!("seed {seed}: {tally:?}");
        require(&tally, &KILLED);
        stores += 1;
    }
}
