//! Jobs and CronJobs.

mod cron_job;
mod job;

use super::Kind;

/// Its kinds.
pub(super) fn kinds() -> Vec<Kind> {
    vec![cron_job::kind(), job::kind()]
}
