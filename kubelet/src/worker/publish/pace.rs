//! When a status is sent.

use std::time::{Duration, Instant};

/// Delay after the first failure; doubles.
const FIRST_RETRY: Duration = Duration::from_millis(200);
const LONGEST_RETRY: Duration = Duration::from_secs(10);
/// Delay before a status that somebody else has overwritten is sent again.
const CONTESTED: Duration = Duration::from_secs(1);

/// One request at a time, and pauses after failures. Plain data: the worker asks it after every turn.
#[derive(Debug)]
pub(in crate::worker) struct Pace {
    sending: bool,
    /// Not before.
    retry_at: Option<Instant>,
    /// Delay after the next failure.
    delay: Duration,
    /// The status is kept back until then.
    held_until: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            sending: false,
            retry_at: None,
            delay: FIRST_RETRY,
            held_until: None,
        }
    }
}

impl Pace {
    /// Whether a status is to be sent now; then the caller sends it. `news`: whether the API should be told anything;
    /// `held_until`: until when that is kept back.
    pub fn send(&mut self, news: bool, held_until: Option<Instant>, now: Instant) -> bool {
        self.held_until = held_until;
        if !news {
            // Nothing is left to repeat.
            self.retry_at = None;
        }
        let early = self.retry_at.is_some_and(|at| at > now);
        if self.sending || !news || held_until.is_some() || early {
            return false;
        }
        self.retry_at = None;
        self.sending = true;
        true
    }

    /// When time alone changes the answer of [`Pace::send`], which has been asked since anything else has changed. While
    /// the status is held, a retry that is due waits with it.
    pub fn wake(&self) -> Option<Instant> {
        self.held_until.or(self.retry_at)
    }

    pub fn sending(&self) -> bool {
        self.sending
    }

    pub fn accepted(&mut self) {
        self.sending = false;
        self.delay = FIRST_RETRY;
    }

    pub fn gone(&mut self) {
        self.sending = false;
    }

    pub fn failed(&mut self, now: Instant) {
        self.sending = false;
        self.retry_at = Some(now + self.delay);
        self.delay = (self.delay * 2).min(LONGEST_RETRY);
    }

    /// Two writers that disagree must not drive each other round.
    pub fn contested(&mut self, now: Instant) {
        self.retry_at = Some(now + CONTESTED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(now: Instant) -> Pace {
        let mut pace = Pace::default();
        assert!(pace.send(true, None, now));
        assert!(!pace.send(true, None, now), "one at a time");
        pace.failed(now);
        pace
    }

    #[test]
    fn what_failed_is_sent_again_later_and_later() {
        let now = Instant::now();
        let mut pace = failed(now);
        assert!(!pace.send(true, None, now));
        assert_eq!(pace.wake(), Some(now + FIRST_RETRY));
        assert!(pace.send(true, None, now + FIRST_RETRY));
        assert_eq!(pace.wake(), None);
        pace.failed(now);
        assert!(!pace.send(true, None, now + FIRST_RETRY));
        assert_eq!(pace.wake(), Some(now + FIRST_RETRY * 2));
    }

    /// A worker sleeps until the wake, and asks again at once if that has passed.
    #[test]
    fn no_wake_is_in_the_past() {
        let now = Instant::now();
        let due = now + FIRST_RETRY * 2;
        let later = due + LONGEST_RETRY;
        for (what, news, held_until) in [
            ("the pod is gone, or its status is what the API has", false, None),
            ("the status is held", true, Some(later)),
            ("both", false, Some(later)),
        ] {
            let mut pace = failed(now);
            assert!(!pace.send(news, held_until, due), "{what}");
            assert!(pace.wake().is_none_or(|wake| wake > due), "{what}");
        }
        let mut pace = failed(now);
        assert!(!pace.send(true, Some(later), due));
        assert!(pace.send(true, None, later), "what was held is forgotten");
    }
}
