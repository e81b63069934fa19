//! What a Job should do next, decided over plain data.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::indexes::Indexes;
use super::pod::{index, is_tracked};
use crate::controllers::api::EventType;
use crate::controllers::model::{Condition, Job, JobStatus, Pod, Time, Uncounted};

/// The decision.
#[derive(Debug, Default)]
pub struct Plan {
    /// Status to write first, with the newly ended pods as uncounted.
    pub status: JobStatus,
    /// Pods that lose their finalizer afterwards; then their UIDs move from uncounted to the counts.
    pub release: Vec<Arc<Pod>>,
    /// Pods to make, with their index.
    pub create: Vec<Option<i64>>,
    /// Pods to delete.
    pub delete: Vec<Arc<Pod>>,
    /// Events about the Job.
    pub events: Vec<(EventType, &'static str, String)>,
    /// Seconds after which to look again.
    pub again: Option<i64>,
}

/// Most pods that one pass makes (upstream's figure); their events lead to the next.
const BURST: i64 = 500;

/// Longest and shortest wait after failures, in seconds.
const BACK_OFF: (i64, i64) = (10, 600);

/// The status after the pods were released: what was uncounted is counted.
pub fn count(mut status: JobStatus) -> JobStatus {
    let uncounted = status.uncounted_terminated_pods.take().unwrap_or_default();
    status.succeeded += uncounted.succeeded.len() as i64;
    status.failed += uncounted.failed.len() as i64;
    status.uncounted_terminated_pods = Some(Uncounted::default());
    status
}

/// Decides. `pods` are all pods of the Job.
pub fn plan(job: &Job, pods: &[Arc<Pod>], now: Time) -> Plan {
    let mut plan = Plan {
        status: job.status.clone(),
        ..Plan::default()
    };
    if job.end().is_some() {
        // Counted to the end; only stragglers are released.
        plan.release = pods
            .iter()
            .filter(|pod| is_tracked(pod) && !pod.is_active())
            .cloned()
            .collect();
        return plan;
    }
    if job.metadata.deleted.is_some() {
        plan.release = pods.iter().filter(|pod| is_tracked(pod)).cloned().collect();
        return plan;
    }
    take_uncounted(job, pods, &mut plan);
    let counted = count(plan.status.clone());
    let mut active: Vec<_> = pods.iter().filter(|pod| pod.is_active()).cloned().collect();
    let status = &mut plan.status;
    if status.start_time.is_none() && !job.spec.suspend {
        status.start_time = Some(now);
    }
    status.terminating = Some(
        pods.iter()
            .filter(|pod| pod.metadata.deleted.is_some() && !pod.has_ended())
            .count() as i64,
    );
    let target =
        Condition::find(&status.conditions, "FailureTarget").filter(|condition| condition.status == "True");
    // What has been announced stays: a job does not fail while the pods go that it needs no more.
    let met = Condition::is_true(&status.conditions, "SuccessCriteriaMet");
    let failure = target
        .map(|c| (reason(&c.reason), c.message.clone()))
        .or_else(|| failure(job, &counted, &active, now))
        .filter(|_| !met);
    if let Some((reason, message)) = failure {
        fail(&mut plan, reason, &message, std::mem::take(&mut active), now);
    } else if met || is_complete(job, &counted, active.len()) {
        plan.delete = std::mem::take(&mut active);
        complete(&mut plan, now);
    } else if job.spec.suspend {
        suspend(&mut plan, std::mem::take(&mut active), now);
    } else {
        resume(&mut plan, now);
        adjust(job, &counted, &mut active, pods, now, &mut plan);
    }
    let going: BTreeSet<_> = plan.delete.iter().map(|pod| pod.metadata.uid.clone()).collect();
    active.retain(|pod| !going.contains(&pod.metadata.uid));
    plan.status.active = active.len() as i64;
    let ended = |kind| Condition::is_true(&plan.status.conditions, kind);
    if plan.status.start_time.is_none() && (ended("Complete") || ended("Failed")) {
        // It was suspended when its last pods came to their ends: what has ended has started.
        plan.status.start_time = Some(now);
    }
    plan.status.ready = Some(active.iter().filter(|pod| pod.is_ready()).count() as i64);
    if plan.again.is_none() {
        plan.again = deadline(job, &plan.status).map(|deadline| deadline.since(now).max(1));
    }
    plan
}

/// Puts pods that have ended and are not counted into the uncounted ones, and the indexes into the completed ones.
fn take_uncounted(job: &Job, pods: &[Arc<Pod>], plan: &mut Plan) {
    let mut uncounted = plan.status.uncounted_terminated_pods.take().unwrap_or_default();
    let bound = job.spec.completions.unwrap_or(0);
    let mut done = Indexes::parse(&plan.status.completed_indexes, bound);
    for pod in pods.iter().filter(|pod| is_tracked(pod)) {
        let uid = &pod.metadata.uid;
        let succeeded = pod.status.phase == "Succeeded";
        if !succeeded && pod.status.phase != "Failed" && pod.metadata.deleted.is_none() {
            continue;
        }
        plan.release.push(pod.clone());
        // What was counted as failed when it was deleted may have ended well since; it counts once.
        if uncounted.succeeded.contains(uid) || uncounted.failed.contains(uid) {
            continue;
        }
        let list = if succeeded {
            &mut uncounted.succeeded
        } else {
            &mut uncounted.failed
        };
        match index(pod).filter(|_| job.spec.completion_mode == "Indexed" && succeeded) {
            // A second success of an index counts for nothing.
            Some(index) if !(0..bound).contains(&index) || !done.insert(index) => {}
            _ => list.push(uid.clone()),
        }
    }
    plan.status.completed_indexes = done.to_string();
    plan.status.uncounted_terminated_pods = Some(uncounted);
}

fn reason(text: &str) -> &'static str {
    if text == "DeadlineExceeded" {
        "DeadlineExceeded"
    } else {
        "BackoffLimitExceeded"
    }
}

fn deadline(job: &Job, status: &JobStatus) -> Option<Time> {
    Some(Time(
        status
            .start_time?
            .0
            .saturating_add(job.spec.active_deadline_seconds?),
    ))
}

fn failure(job: &Job, counted: &JobStatus, active: &[Arc<Pod>], now: Time) -> Option<(&'static str, String)> {
    let limit = job.spec.backoff_limit.unwrap_or(6);
    // Containers that are restarted in place fail as well.
    let restarts: i64 = active
        .iter()
        .filter(|pod| pod.spec.restart_policy == "OnFailure")
        .flat_map(|pod| {
            pod.status
                .container_statuses
                .iter()
                .chain(&pod.status.init_container_statuses)
        })
        .map(|status| status.restart_count)
        .sum();
    if counted.failed > limit || restarts > 0 && restarts >= limit {
        return Some((
            "BackoffLimitExceeded",
            "Job has reached the specified backoff limit".to_owned(),
        ));
    }
    let late = !job.spec.suspend && deadline(job, counted).is_some_and(|deadline| now >= deadline);
    late.then(|| {
        (
            "DeadlineExceeded",
            "Job was active longer than specified deadline".to_owned(),
        )
    })
}

fn is_complete(job: &Job, counted: &JobStatus, active: usize) -> bool {
    match job.spec.completions {
        None => counted.succeeded > 0 && active == 0,
        Some(wanted) => counted.succeeded >= wanted,
    }
}

fn set(conditions: &mut Vec<Condition>, kind: &str, status: &str, reason: &str, message: &str, now: Time) {
    if Condition::find(conditions, kind).is_some_and(|known| known.status == status && known.reason == reason)
    {
        return;
    }
    conditions.retain(|condition| condition.kind != kind);
    conditions.push(Condition {
        kind: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_probe_time: Some(now),
        last_transition_time: Some(now),
        ..Condition::default()
    });
}

/// First the target, then, when no pod is left, the end.
fn fail(plan: &mut Plan, reason: &'static str, message: &str, active: Vec<Arc<Pod>>, now: Time) {
    let ended = active.is_empty() && plan.status.terminating == Some(0);
    let conditions = &mut plan.status.conditions;
    set(conditions, "FailureTarget", "True", reason, message, now);
    if ended {
        set(conditions, "Failed", "True", reason, message, now);
        plan.events.push((EventType::Warning, reason, message.to_owned()));
    }
    plan.delete = active;
}

fn complete(plan: &mut Plan, now: Time) {
    let (reason, message) = ("CompletionsReached", "Reached expected number of succeeded pods");
    let conditions = &mut plan.status.conditions;
    set(conditions, "SuccessCriteriaMet", "True", reason, message, now);
    if plan.delete.is_empty() && plan.status.terminating == Some(0) {
        set(conditions, "Complete", "True", reason, message, now);
        plan.status.completion_time = Some(now);
        plan.events
            .push((EventType::Normal, "Completed", "Job completed".to_owned()));
    }
}

fn suspend(plan: &mut Plan, active: Vec<Arc<Pod>>, now: Time) {
    if !Condition::is_true(&plan.status.conditions, "Suspended") {
        plan.events
            .push((EventType::Normal, "Suspended", "Job suspended".to_owned()));
    }
    set(
        &mut plan.status.conditions,
        "Suspended",
        "True",
        "JobSuspended",
        "Job suspended",
        now,
    );
    plan.status.start_time = None;
    plan.delete = active;
}

fn resume(plan: &mut Plan, now: Time) {
    if Condition::is_true(&plan.status.conditions, "Suspended") {
        set(
            &mut plan.status.conditions,
            "Suspended",
            "False",
            "JobResumed",
            "Job resumed",
            now,
        );
        plan.events
            .push((EventType::Normal, "Resumed", "Job resumed".to_owned()));
        plan.status.start_time = Some(now);
    }
}

/// Makes or deletes pods until as many are active as there should be.
fn adjust(
    job: &Job,
    counted: &JobStatus,
    active: &mut [Arc<Pod>],
    pods: &[Arc<Pod>],
    now: Time,
    plan: &mut Plan,
) {
    let parallelism = job.spec.parallelism.unwrap_or(1);
    let wanted = match job.spec.completions {
        // After the first success the others may end, but no new ones start.
        None if counted.succeeded > 0 => (active.len() as i64).min(parallelism),
        None => parallelism,
        Some(completions) => parallelism.min(completions - counted.succeeded),
    };
    let missing = wanted - active.len() as i64;
    if missing < 0 {
        active.sort_by_key(|pod| (pod.is_ready(), std::cmp::Reverse(pod.metadata.created)));
        plan.delete = active
            .iter()
            .take(missing.unsigned_abs() as usize)
            .cloned()
            .collect();
        return;
    }
    if missing == 0 {
        return;
    }
    let missing = missing.min(BURST);
    if let Some(wait) = back_off(pods, counted.failed, now) {
        plan.again = Some(wait);
        return;
    }
    if job.spec.completion_mode != "Indexed" {
        plan.create = vec![None; missing as usize];
        return;
    }
    let bound = job.spec.completions.unwrap_or(0);
    let done = Indexes::parse(&plan.status.completed_indexes, bound);
    let taken: BTreeSet<_> = active.iter().filter_map(|pod| index(pod)).collect();
    let free = done.missing(bound).filter(|number| !taken.contains(number));
    plan.create = free.take(missing as usize).map(Some).collect();
}

/// Seconds to wait after the latest failure, doubling with each.
fn back_off(pods: &[Arc<Pod>], failed: i64, now: Time) -> Option<i64> {
    let finished = |pod: &Arc<Pod>| {
        let ends = pod
            .status
            .container_statuses
            .iter()
            .filter_map(|status| status.state.terminated.as_ref());
        ends.filter_map(|end| end.finished_at)
            .max()
            .unwrap_or(pod.metadata.created)
    };
    let last = pods
        .iter()
        .filter(|pod| pod.status.phase == "Failed")
        .map(finished)
        .max()?;
    let exponent = u32::try_from(failed.saturating_sub(1)).unwrap_or(0).min(10);
    let wait = (BACK_OFF.0 << exponent).min(BACK_OFF.1) - now.since(last);
    (wait > 0).then_some(wait)
}
