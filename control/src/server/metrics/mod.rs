//! What `/metrics` and `/metrics/slis` count, under upstream's names (`apiserver/pkg/endpoints/metrics`).
//!
//! Every request goes through here, so counting takes one lock and one look-up, and allocates nothing for built-in kinds.
//! Clients cannot grow the tables: [`labels`] come from what is served, and beyond [`MOST_SERIES`] all count as one.

mod histogram;
mod labels;
mod process;
mod show;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use histogram::Histogram;
pub use labels::Labels;
pub use show::{serve, slis};

use crate::kinds::{Kind, Text};

/// Most series of a name; custom kinds that come and go would make ever more of them.
const MOST_SERIES: usize = 4096;

/// Upper ends of upstream's buckets of durations, in seconds.
const SECONDS: [f64; 23] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0,
    20.0, 30.0, 45.0, 60.0,
];
/// Those of sizes, in bytes.
const BYTES: [f64; 7] = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// Counters and gauges.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: Mutex<HashMap<Labels, Series>>,
    running: Arc<Mutex<BTreeMap<Labels, u64>>>,
    /// With the code of the answer.
    terminated: Mutex<BTreeMap<(Labels, u16), u64>>,
    /// By group, version and kind.
    events: Mutex<BTreeMap<[Text; 3], Arc<AtomicU64>>>,
    /// Streams that were translated for kubelets, by how and by code.
    translated: Mutex<BTreeMap<(Translation, u16), u64>>,
    reading: AtomicUsize,
    writing: AtomicUsize,
}

/// What is known of the requests with the same labels.
#[derive(Debug, Default, Clone)]
struct Series {
    /// How many were answered with each code.
    codes: Vec<(u16, u64)>,
    durations: Histogram<23>,
    sizes: Option<Box<Histogram<7>>>,
}

/// A long-running request, as long as any clone is there.
#[derive(Debug, Clone)]
pub struct Running(#[expect(dead_code, reason = "held, not read")] Arc<Entry>);

#[derive(Debug)]
struct Entry {
    labels: Labels,
    all: Arc<Mutex<BTreeMap<Labels, u64>>>,
}

/// How a stream is translated for a kubelet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Translation {
    /// Channels over WebSocket into SPDY streams.
    Channels,
    /// SPDY out of WebSocket messages.
    Tunnel,
}

/// A request in flight.
#[derive(Debug)]
pub struct InFlight<'a>(&'a AtomicUsize);

impl Metrics {
    /// Counts a request; `size` is that of its answer, if it is known.
    pub fn record(&self, labels: Labels, code: u16, took: Duration, size: Option<u64>) {
        let reads = matches!(labels.verb, "GET" | "LIST");
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let room = requests.len() < MOST_SERIES || requests.contains_key(&labels);
        // Those that find none are one.
        let labels = if room { labels } else { Labels::default() };
        let series = requests.entry(labels).or_default();
        match series.codes.iter_mut().find(|(known, _)| *known == code) {
            Some((_, number)) => *number += 1,
            None => series.codes.push((code, 1)),
        }
        series.durations.observe(&SECONDS, took.as_secs_f64());
        if let (true, Some(size)) = (reads, size) {
            series.sizes.get_or_insert_default().observe(&BYTES, size as f64);
        }
    }

    /// Counts a request that was given up, so that others go on.
    pub fn terminate(&self, labels: &Labels, code: u16) {
        let mut terminated = self.terminated.lock().unwrap_or_else(PoisonError::into_inner);
        let mut series = (labels.clone(), code);
        if terminated.len() >= MOST_SERIES && !terminated.contains_key(&series) {
            series.0 = Labels::default();
        }
        *terminated.entry(series).or_default() += 1;
    }

    /// Counts a long-running request while it runs.
    pub fn run(&self, labels: &Labels) -> Running {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let room = running.len() < MOST_SERIES || running.contains_key(labels);
        let labels = if room { labels.clone() } else { Labels::default() };
        *running.entry(labels.clone()).or_default() += 1;
        Running(Arc::new(Entry {
            labels,
            all: Arc::clone(&self.running),
        }))
    }

    /// Counts a request with an end in sight while it is served.
    pub fn fly(&self, reads: bool) -> InFlight<'_> {
        let kind = if reads { &self.reading } else { &self.writing };
        kind.fetch_add(1, Ordering::Relaxed);
        InFlight(kind)
    }

    /// Counts a stream that was translated; `code` is how it ended, 200 also for a process that failed.
    pub fn translated(&self, how: Translation, code: u16) {
        let mut translated = self.translated.lock().unwrap_or_else(PoisonError::into_inner);
        *translated.entry((how, code)).or_default() += 1;
    }

    /// The counter of events that watches of this kind have sent.
    pub fn events(&self, kind: &Kind) -> Arc<AtomicU64> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let mut name = [kind.group.clone(), kind.version.clone(), kind.kind.clone()];
        if events.len() >= MOST_SERIES && !events.contains_key(&name) {
            name = <[Text; 3]>::default();
        }
        Arc::clone(events.entry(name).or_default())
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.labels) {
            *count -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(number: usize) -> Labels {
        Labels {
            verb: "GET",
            resource: number.to_string().into(),
            ..Labels::default()
        }
    }

    #[test]
    fn clients_cannot_grow_the_tables() {
        let metrics = Metrics::default();
        for number in 0..MOST_SERIES + 10 {
            metrics.record(numbered(number), 200, Duration::ZERO, Some(2000));
        }
        let requests = metrics.requests.lock().unwrap();
        assert_eq!(requests.len(), MOST_SERIES + 1);
        assert_eq!(requests[&Labels::default()].codes, [(200, 10)]);
        for number in 0..MOST_SERIES + 10 {
            metrics.terminate(&numbered(number), 429);
        }
        let terminated = metrics.terminated.lock().unwrap();
        assert_eq!(terminated.len(), MOST_SERIES + 1);
        assert_eq!(terminated[&(Labels::default(), 429)], 10);
    }

    #[test]
    fn what_runs_is_counted_until_its_last_part_ends() {
        let metrics = Metrics::default();
        let count = || metrics.running.lock().unwrap()[&numbered(1)];
        let one = metrics.run(&numbered(1));
        let other = metrics.run(&numbered(1));
        let part = one.clone();
        assert_eq!(count(), 2);
        drop(one);
        assert_eq!(count(), 2);
        drop((other, part));
        assert_eq!(count(), 0);
    }
}
