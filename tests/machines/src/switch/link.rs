//! The state of a port's link.

use std::time::Duration;

/// A link between a port and its machine.
#[derive(Debug)]
pub(super) struct Link {
    pub up: bool,
    pub delay: Duration,
    lose_one_in: u32,
    passed: u32,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            up: true,
            delay: Duration::ZERO,
            lose_one_in: 0,
            passed: 0,
        }
    }
}

impl Link {
    /// Loses every `count`-th frame from now on, so that a run can be repeated.
    pub(super) fn lose_one_in(&mut self, count: u32) {
        self.lose_one_in = count;
        self.passed = 0;
    }

    /// How long a frame takes over this link; `None` if it is lost.
    pub(super) fn pass(&mut self) -> Option<Duration> {
        if !self.up {
            return None;
        }
        self.passed = self.passed.wrapping_add(1);
        if self.lose_one_in > 0 && self.passed.is_multiple_of(self.lose_one_in) {
            return None;
        }
        Some(self.delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_lossy_and_slow() {
        let mut link = Link::default();
        assert_eq!(link.pass(), Some(Duration::ZERO));
        link.lose_one_in(3);
        link.delay = Duration::from_millis(5);
        let passed = (0..30).filter(|_| link.pass().is_some()).count();
        assert_eq!(passed, 20);
        assert_eq!(link.pass(), Some(Duration::from_millis(5)));
        link.up = false;
        assert_eq!(link.pass(), None);
        link.up = true;
        link.lose_one_in(0);
        assert!((0..30).all(|_| link.pass().is_some()));
    }
}
