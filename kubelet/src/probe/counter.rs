//! Thresholds: how many equal results in a row make a verdict. Pure.

/// Counts results of one probe.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counter {
    success_threshold: i32,
    failure_threshold: i32,
    last: Option<bool>,
    run: i32,
}

impl Counter {
    pub fn new(success_threshold: i32, failure_threshold: i32) -> Self {
        Self {
            success_threshold,
            failure_threshold,
            last: None,
            run: 0,
        }
    }

    /// Takes a result; the verdict if a threshold is reached.
    pub fn feed(&mut self, success: bool) -> Option<bool> {
        if self.last == Some(success) {
            self.run = self.run.saturating_add(1);
        } else {
            self.last = Some(success);
            self.run = 1;
        }
        let threshold = if success {
            self.success_threshold
        } else {
            self.failure_threshold
        };
        (self.run >= threshold).then_some(success)
    }
}
