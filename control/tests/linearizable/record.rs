//! Taking down what happens, step by step, from many threads.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::time::{ClockId, clock_gettime};

use crate::history::{Answer, Call, End, Entry, Notice, Time};

/// What a line of a recording process begins with.
pub const MARK: &str = "HISTORY ";

/// Where steps go.
pub struct Recorder {
    next: AtomicU64,
    to: To,
}

enum To {
    Memory(Mutex<Vec<Entry>>),
    /// The standard output, each step written before the next thing is done, so that a kill loses none.
    Output,
}

/// The machine's monotonic clock.
pub fn now() -> Time {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}

impl Recorder {
    /// Keeps everything.
    pub fn in_memory() -> Self {
        Self::after(0)
    }

    /// Keeps everything that follows rounds which were recorded elsewhere.
    pub fn after(round: u64) -> Self {
        Self {
            next: AtomicU64::new(round << 32),
            to: To::Memory(Mutex::default()),
        }
    }

    /// Writes lines; the round tells processes apart.
    pub fn to_output(round: u64) -> Self {
        Self {
            next: AtomicU64::new(round << 32),
            to: To::Output,
        }
    }

    /// A number that no other operation, watch or value has.
    pub fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn entry(&self, entry: Entry) {
        match &self.to {
            To::Memory(entries) => entries.lock().unwrap().push(entry),
            To::Output => {
                let line = format!("{MARK}{}\n", serde_json::to_string(&entry).unwrap());
                let mut out = std::io::stdout().lock();
                out.write_all(line.as_bytes()).unwrap();
                out.flush().unwrap();
            }
        }
    }

    /// A call is about to be made.
    pub fn invoked(&self, call: &Call) -> u64 {
        let id = self.number();
        self.entry(Entry::Invoked(id, now(), call.clone()));
        id
    }

    /// Its answer has come.
    pub fn returned(&self, id: u64, answer: Answer) {
        self.entry(Entry::Returned(id, now(), answer));
    }

    /// A watch begins.
    pub fn watching(&self, after: u64) -> u64 {
        let id = self.number();
        self.entry(Entry::Watching(id, after));
        id
    }

    /// A watcher was told something.
    pub fn noticed(&self, id: u64, notice: Notice) {
        self.entry(Entry::Noticed(id, notice));
    }

    /// A watch ended.
    pub fn ended(&self, id: u64, end: End) {
        self.entry(Entry::Ended(id, end));
    }

    /// What was kept.
    pub fn entries(&self) -> Vec<Entry> {
        match &self.to {
            To::Memory(entries) => entries.lock().unwrap().clone(),
            To::Output => Vec::new(),
        }
    }
}
