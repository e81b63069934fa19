//! Jobs and CronJobs.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::meta::metadata;
use super::{Condition, Meta, Selector, Template, Time, is_zero, nullable};
use crate::controllers::informer::Object;

/// A Job.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Job {
    /// Metadata.
    #[serde(deserialize_with = "metadata")]
    pub metadata: Meta,
    /// Desired state.
    pub spec: JobSpec,
    /// Observed state.
    pub status: JobStatus,
}

/// `spec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobSpec {
    /// Pods at a time.
    pub parallelism: Option<i64>,
    /// Successes wanted; `None`: any success ends it.
    pub completions: Option<i64>,
    /// Failures allowed.
    pub backoff_limit: Option<i64>,
    /// Longest time it may be active.
    pub active_deadline_seconds: Option<i64>,
    /// Deleted this long after its end.
    pub ttl_seconds_after_finished: Option<i64>,
    /// Runs nothing for now.
    #[serde(deserialize_with = "nullable")]
    pub suspend: bool,
    /// `NonIndexed` or `Indexed`.
    pub completion_mode: String,
    /// Somebody else's job if it is not ours.
    pub managed_by: Option<String>,
    /// Pods it manages.
    #[serde(deserialize_with = "nullable")]
    pub selector: Selector,
    /// Template of its pods.
    pub template: Template,
}

/// `status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobStatus {
    /// Conditions.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When it succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// Running and pending pods.
    #[serde(skip_serializing_if = "is_zero")]
    pub active: i64,
    /// Pods that succeeded.
    #[serde(skip_serializing_if = "is_zero")]
    pub succeeded: i64,
    /// Pods that failed.
    #[serde(skip_serializing_if = "is_zero")]
    pub failed: i64,
    /// Pods that are going.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminating: Option<i64>,
    /// Ready pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<i64>,
    /// Indexes that succeeded, `1,3-5`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub completed_indexes: String,
    /// Pods that have ended and are not in the counts yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uncounted_terminated_pods: Option<Uncounted>,
}

/// `status.uncountedTerminatedPods`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Uncounted {
    /// UIDs.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub succeeded: Vec<String>,
    /// UIDs.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
}

impl Object for Job {
    fn meta(&self) -> &Meta {
        &self.metadata
    }

    fn index(&self) -> Vec<String> {
        vec![self.metadata.owner_index()]
    }
}

impl Job {
    /// The condition that ended it.
    pub fn end(&self) -> Option<&Condition> {
        let ended = |c: &&Condition| matches!(c.kind.as_str(), "Complete" | "Failed") && c.status == "True";
        self.status.conditions.iter().find(ended)
    }
}

/// A CronJob.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct CronJob {
    /// Metadata.
    #[serde(deserialize_with = "metadata")]
    pub metadata: Meta,
    /// Desired state.
    pub spec: CronJobSpec,
    /// Observed state.
    pub status: CronJobStatus,
}

/// `spec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CronJobSpec {
    /// Five fields or a name.
    pub schedule: String,
    /// Time zone name.
    pub time_zone: Option<String>,
    /// A start may be late by this.
    pub starting_deadline_seconds: Option<i64>,
    /// `Allow`, `Forbid` or `Replace`.
    pub concurrency_policy: String,
    /// Starts nothing for now.
    #[serde(deserialize_with = "nullable")]
    pub suspend: bool,
    /// Template of its jobs.
    pub job_template: Template,
    /// Finished jobs to keep.
    pub successful_jobs_history_limit: Option<i64>,
    /// Failed jobs to keep.
    pub failed_jobs_history_limit: Option<i64>,
}

/// `status`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CronJobStatus {
    /// Running jobs.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub active: Vec<Value>,
    /// Last start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_schedule_time: Option<Time>,
    /// Last success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_successful_time: Option<Time>,
}

impl Object for CronJob {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}
