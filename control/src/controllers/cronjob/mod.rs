//! CronJobs: starts Jobs by a schedule.
//!
//! Source: `k8s.io/kubernetes/pkg/controller/cronjob`. Schedules are in UTC; another `timeZone` is refused with an
//! event, since the time zone database is not built in.

mod controller;
mod schedule;
#[cfg(test)]
mod tests;

pub use controller::start;
