//! Alternating measurements and their tables.

use std::time::{Duration, Instant};

use super::Outcome;

/// Pause between two samples: long enough for the kernel to go idle, which some operations pay for dearly.
const GAP: Duration = Duration::from_millis(100);

/// One thing that is measured.
pub struct Subject<'a> {
    name: String,
    work: Box<dyn FnMut() -> Outcome<Duration> + 'a>,
    samples: [Vec<Duration>; 2],
    failure: Option<String>,
}

impl<'a> Subject<'a> {
    /// `work` says itself how long the interesting part took.
    pub fn new(name: impl Into<String>, work: impl FnMut() -> Outcome<Duration> + 'a) -> Self {
        Self {
            name: name.into(),
            work: Box::new(work),
            samples: [Vec::new(), Vec::new()],
            failure: None,
        }
    }

    fn sample(&mut self, series: Option<usize>) {
        if self.failure.is_some() {
            return;
        }
        match ((self.work)(), series) {
            (Ok(time), Some(series)) => self.samples[series].push(time),
            (Ok(_), None) => {}
            (Err(error), _) => self.failure = Some(error),
        }
    }

    fn median(&self, series: usize) -> Option<f64> {
        percentile(&self.samples[series], 50)
    }
}

/// Milliseconds that `percent` of the samples do not exceed (nearest rank).
pub fn percentile(samples: &[Duration], percent: usize) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map(|time| time.as_secs_f64() * 1000.0)
}

/// How long some work takes.
pub fn time<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

/// Measures all subjects in turn (A B C A B C ...), once back to back and once with gaps, and prints the table. Ratios are
/// to the subject whose name begins with `base`.
pub fn alternate(title: &str, rounds: usize, base: &str, mut subjects: Vec<Subject<'_>>) {
    for subject in &mut *subjects {
        subject.sample(None); // a first time, for caches
    }
    for series in 0..2 {
        for _ in 0..rounds {
            for subject in &mut subjects {
                if series == 1 {
                    std::thread::sleep(GAP);
                }
                subject.sample(Some(series));
            }
        }
    }
    let reference = subjects
        .iter()
        .find(|s| s.name.starts_with(base) && s.failure.is_none());
    let reference = [0, 1].map(|series| reference.and_then(|subject| subject.median(series)));
    println!("\n{title} (ms; n = {rounds} each; ratios of medians to: {base})\n");
    println!("| | back to back: median | p95 | ratio | every 100 ms: median | p95 | ratio |");
    println!("|---|---|---|---|---|---|---|");
    for subject in &subjects {
        if let Some(error) = &subject.failure {
            println!("| {} | failed: {error} | | | | | |", subject.name);
            continue;
        }
        let mut line = format!("| {} |", subject.name);
        for (samples, reference) in subject.samples.iter().zip(reference) {
            let (median, p95) = (percentile(samples, 50), percentile(samples, 95));
            let ratio = median.zip(reference).map(|(own, other)| own / other);
            let cell = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
            line += &format!(" {} | {} | {} |", cell(median), cell(p95), cell(ratio));
        }
        println!("{line}");
    }
}
