//! Exponential back-off of restarts and image pulls, as `client-go/util/flowcontrol/backoff.go` counts it.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

/// First delay.
const INITIAL: Duration = Duration::from_secs(10);
/// Longest delay. After twice this time without a failure the count starts again.
const MAXIMUM: Duration = Duration::from_mins(5);

/// How often something has failed lately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backoff {
    delay: Option<Duration>,
    updated: Option<Timestamp>,
}

impl Backoff {
    /// Counts a further try, made at `now`, after a failure at `failed_at`.
    pub fn advance(&mut self, failed_at: Timestamp, now: Timestamp) {
        self.delay = Some(match self.delay {
            Some(delay) if !self.expired(failed_at) => (delay * 2).min(MAXIMUM),
            _ => INITIAL,
        });
        self.updated = Some(now);
    }

    /// The current delay; `None` before the first [`Backoff::advance`] or long after the last.
    pub fn delay(&self, failed_at: Timestamp) -> Option<Duration> {
        self.delay.filter(|_| !self.expired(failed_at))
    }

    /// How long to wait still, for a failure at `failed_at`. Never more than the delay, whatever the clock did.
    pub fn remaining(&self, failed_at: Timestamp, now: Timestamp) -> Option<Duration> {
        let delay = self.delay(failed_at)?;
        let passed = Duration::try_from(now.duration_since(failed_at)).unwrap_or(Duration::ZERO);
        delay.checked_sub(passed).filter(|left| !left.is_zero())
    }

    fn expired(&self, at: Timestamp) -> bool {
        self.updated.is_some_and(|updated| {
            Duration::try_from(at.duration_since(updated)).is_ok_and(|quiet| quiet > MAXIMUM * 2)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    #[test]
    fn doubles_to_five_minutes() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.remaining(at(0), at(0)), None);
        let mut seen = Vec::new();
        for n in 0..7 {
            backoff.advance(at(n), at(n));
            seen.push(backoff.delay(at(n)).unwrap().as_secs());
        }
        assert_eq!(seen, [10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn counts_from_the_failure() {
        let mut backoff = Backoff::default();
        backoff.advance(at(0), at(0));
        assert_eq!(backoff.remaining(at(5), at(8)), Some(Duration::from_secs(7)));
        assert_eq!(backoff.remaining(at(5), at(15)), None);
    }

    #[test]
    fn starts_again_after_ten_quiet_minutes() {
        let mut backoff = Backoff::default();
        backoff.advance(at(0), at(0));
        backoff.advance(at(1), at(1));
        assert_eq!(backoff.remaining(at(602), at(602)), None);
        backoff.advance(at(602), at(602));
        assert_eq!(backoff.delay(at(602)), Some(INITIAL));
    }

    #[test]
    fn survives_a_clock_set_back() {
        let mut backoff = Backoff::default();
        backoff.advance(at(5000), at(5000));
        assert_eq!(backoff.remaining(at(5000), at(0)), Some(INITIAL));
    }
}
