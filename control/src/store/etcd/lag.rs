//! How long after etcd's answer the watch brings what the answer was about.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long an event of ours may take, before the revision is taken for somebody else's.
pub const USUAL: Duration = Duration::from_millis(50);
/// While others write, at least this long: where events are quick, what has not come by then will not come.
const SHORTEST: Duration = Duration::from_millis(2);
/// While others write, at most this long: a write more is better than a longer wait.
const LONGEST: Duration = Duration::from_millis(25);

/// The recent average, in microseconds.
#[derive(Debug, Default)]
pub struct Lag(AtomicU64);

impl Lag {
    /// An event has come, so long after its answer.
    pub fn note(&self, took: Duration) {
        // One that hangs says nothing of the others.
        let took = took.min(LONGEST).as_micros() as u64;
        let average = self.0.load(Ordering::Relaxed);
        // Of two at the same time, one is lost.
        self.0.store((average * 7 + took) / 8, Ordering::Relaxed);
    }

    /// How long to wait while others write, before asking for an event by a write: most of ours have come by twice the
    /// average.
    pub fn beside_strangers(&self) -> Duration {
        let average = Duration::from_micros(self.0.load(Ordering::Relaxed));
        (average * 2).clamp(SHORTEST, LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_how_quick_events_are() {
        let lag = Lag::default();
        let after = |took: u64| {
            for _ in 0..100 {
                lag.note(Duration::from_millis(took));
            }
            lag.beside_strangers().as_millis()
        };
        assert_eq!(lag.beside_strangers(), SHORTEST);
        assert!((15..=16).contains(&after(8)));
        assert_eq!(after(0), SHORTEST.as_millis());
        assert_eq!(after(100_000), LONGEST.as_millis());
        lag.note(Duration::ZERO);
        assert_eq!(
            lag.beside_strangers(),
            LONGEST,
            "one that is quick is not all of them"
        );
    }
}
