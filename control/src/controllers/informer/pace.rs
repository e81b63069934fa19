//! How long to wait before the next request, from how those before it went.

use std::time::Duration;

/// The first wait; each one in a row doubles it.
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(10);

/// The pace of one reflector.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Requests in a row that failed.
    failures: u32,
    /// Lists in a row that were soon of no use.
    relists: u32,
}

impl Pace {
    /// A list or a watch failed.
    pub fn failed(&mut self) -> Duration {
        self.failures += 1;
        wait(self.failures)
    }

    /// A list was answered: what failed before it is over.
    pub fn listed(&mut self) {
        self.failures = 0;
    }

    /// A watch ended in order. A server that ends watches at once must not be asked in a tight loop.
    pub fn ended(&mut self) -> Duration {
        self.failures = 0;
        SHORTEST
    }

    /// A watch cannot go on from the list before, which was so long ago. A server of which no watch is understood would
    /// otherwise do nothing but list.
    pub fn relist(&mut self, since: Duration) -> Duration {
        self.relists = if since < LONGEST { self.relists + 1 } else { 1 };
        wait(self.relists)
    }
}

fn wait(times: u32) -> Duration {
    (SHORTEST * (1 << times.saturating_sub(1).min(16))).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_a_bound_and_begin_again() {
        let mut pace = Pace::default();
        let millis = Duration::from_millis;
        let waits: Vec<_> = (0..3).map(|_| pace.failed()).collect();
        assert_eq!(waits, [millis(50), millis(100), millis(200)]);
        assert_eq!((0..60).map(|_| pace.failed()).last(), Some(LONGEST));
        // An outage is over with the first list, not only with the first watch.
        pace.listed();
        assert_eq!(pace.failed(), millis(50));
        pace.failed();
        assert_eq!((pace.ended(), pace.failed()), (millis(50), millis(50)));
    }

    #[test]
    fn lists_that_are_soon_of_no_use_become_rare() {
        let mut pace = Pace::default();
        let mut relist = |since| {
            pace.listed();
            pace.relist(since)
        };
        let millis = Duration::from_millis;
        assert_eq!([relist(millis(1)), relist(millis(1))], [millis(50), millis(100)]);
        assert_eq!((0..60).map(|_| relist(millis(1))).last(), Some(LONGEST));
        assert_eq!(relist(Duration::from_hours(1)), millis(50));
    }
}
