//! Medians and percentiles.

use std::time::Duration;

/// Sorted samples.
#[derive(Debug)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// From measurements in any order; at least one.
    pub fn new(mut samples: Vec<Duration>) -> Self {
        samples.sort();
        Self(samples)
    }

    /// The value that `percent` of the samples do not exceed (nearest rank).
    pub fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }

    /// `median 12.3 ms, p95 20.1 ms (n = 20)`.
    pub fn summary(&self) -> String {
        let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        format!(
            "median {:.1} ms, p95 {:.1} ms (n = {})",
            ms(self.percentile(50)),
            ms(self.percentile(95)),
            self.0.len()
        )
    }
}
