//! CronJobs: starts Jobs by a schedule.
//!
//! Source: `k8s.io/kubernetes/pkg/controller/cronjob`. Schedules are in the zone that the CronJob names, or in UTC.

mod controller;
mod schedule;
#[cfg(test)]
mod tests;

pub use controller::start;
