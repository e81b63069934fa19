//! Follows CronJobs and their Jobs; a timer per CronJob waits for its next start.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::schedule::Schedule;
use crate::controllers::Context;
use crate::controllers::api::{Api, Error, EventType, Recorder, Reference, resources};
use crate::controllers::informer::{Informer, Key, Next, Queue};
use crate::controllers::model::{CronJob, CronJobStatus, Job, Time, controller_reference, index_owned};
use crate::controllers::owners;
use crate::time_zone;

const NAME: &str = "cronjob-controller";
/// More missed starts than this are not counted, but reported.
const TOO_MANY: usize = 100;

struct Controller {
    api: Api,
    recorder: Recorder,
    crons: Arc<Informer<CronJob>>,
    jobs: Arc<Informer<Job>>,
    queue: Arc<Queue<Key>>,
}

/// Starts the controller.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    let api = context.api(NAME);
    let controller = Arc::new(Controller {
        recorder: Context::recorder(&api, NAME, tasks),
        api,
        crons: context.cron_jobs.clone(),
        jobs: context.jobs.clone(),
        queue: Queue::new(),
    });
    let queue = controller.queue.clone();
    controller.crons.on_change(move |_, new| {
        if let Some(cron) = new {
            queue.add(cron.metadata.key());
        }
    });
    let queue = controller.queue.clone();
    controller.jobs.on_change(move |old, new| {
        for job in [old, new].into_iter().flatten() {
            if let Some(owner) = job.metadata.controller().filter(|owner| owner.kind == "CronJob") {
                queue.add(Key::new(&job.metadata.namespace, &owner.name));
            }
        }
    });
    tasks.spawn(async move {
        controller.crons.synced().await;
        controller.jobs.synced().await;
        let queue = controller.queue.clone();
        queue.work(NAME, |key| controller.reconcile(key)).await;
    });
}

/// Starts that are due: the latest, how many there are, and the next one.
pub fn due(schedule: &Schedule, since: Time, now: Time) -> (Option<Time>, usize, Option<Time>) {
    let (mut latest, mut missed) = (None, 0);
    let mut next = schedule.next(since);
    while let Some(time) = next.filter(|time| *time <= now) {
        latest = Some(time);
        missed += 1;
        if missed > TOO_MANY {
            // Jump close to now: only the latest matters.
            let skipped = schedule.next(Time(now.0 - 2 * (now.0 - time.0).min(86_400)));
            next = skipped
                .filter(|skipped| *skipped > time)
                .or_else(|| schedule.next(time));
        } else {
            next = schedule.next(time);
        }
    }
    (latest, missed, next)
}

impl Controller {
    async fn reconcile(&self, key: Key) -> Result<Next, Error> {
        let Some(cron) = self
            .crons
            .store()
            .get_key(&key)
            .filter(|cron| cron.metadata.deleted.is_none())
        else {
            return Ok(Next::Wait);
        };
        let jobs = self.jobs.store().by_index(&index_owned(&cron.metadata.uid));
        let reference = cron.metadata.reference(resources::cron_jobs());
        let mut status = self.observe(&cron, &reference, &jobs);
        self.clean_up(&cron, &reference, &jobs).await?;
        let now = Time::now();
        let next = match self.schedule(&cron, &reference) {
            Some(schedule) if !cron.spec.suspend => {
                let since = cron.status.last_schedule_time.unwrap_or(cron.metadata.created);
                let earliest = cron
                    .spec
                    .starting_deadline_seconds
                    .map_or(since.0, |late| since.0.max(now.0 - late));
                let (latest, missed, next) = due(&schedule, Time(earliest), now);
                if missed > TOO_MANY {
                    let message = format!(
                        "too many missed start times: {missed}. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
                    );
                    self.recorder
                        .record(&reference, EventType::Warning, "TooManyMissedTimes", message);
                }
                if let Some(time) = latest {
                    self.start(&cron, &reference, &jobs, time, &mut status).await?;
                }
                next
            }
            _ => None,
        };
        let owner = (resources::cron_jobs(), &cron.metadata);
        owners::write_status(&self.api, owner, &cron.status, &status).await?;
        // The next start is an event of the clock.
        let wait =
            next.map(|next| Duration::from_secs(u64::try_from(next.since(Time::now())).unwrap_or(0).max(1)));
        Ok(wait.map_or(Next::Wait, Next::After))
    }

    fn schedule(&self, cron: &CronJob, reference: &Reference) -> Option<Schedule> {
        let zone = match cron.spec.time_zone.as_deref() {
            Some(name) => time_zone::find(name),
            None => Some(TimeZone::UTC),
        };
        let Some(zone) = zone else {
            let name = cron.spec.time_zone.as_deref().unwrap_or_default();
            let message = format!("invalid timeZone: {name:?}: unknown time zone {name}");
            self.recorder
                .record(reference, EventType::Warning, "UnknownTimeZone", message);
            return None;
        };
        match Schedule::parse(&cron.spec.schedule, zone) {
            Ok(schedule) => Some(schedule),
            Err(error) => {
                let message = format!("unparseable schedule: {:?} : {error}", cron.spec.schedule);
                self.recorder
                    .record(reference, EventType::Warning, "UnparseableSchedule", message);
                None
            }
        }
    }

    /// Active jobs and the last success, as the cache shows them.
    fn observe(&self, cron: &CronJob, reference: &Reference, jobs: &[Arc<Job>]) -> CronJobStatus {
        let mut status = cron.status.clone();
        let was_active = |job: &Job| {
            let uid = job.metadata.uid.as_str();
            cron.status
                .active
                .iter()
                .any(|entry| entry["uid"].as_str() == Some(uid))
        };
        for job in jobs.iter().filter(|job| job.end().is_some() && was_active(job)) {
            let kind = job.end().map_or("", |end| end.kind.as_str());
            let message = format!("Saw completed job: {}, condition: {kind}", job.metadata.name);
            self.recorder
                .record(reference, EventType::Normal, "SawCompletedJob", message);
        }
        // A job that was just started may not be in the cache yet.
        let unseen = status.active.iter().filter(|entry| {
            let created = cron
                .status
                .last_schedule_time
                .is_some_and(|time| Time::now().since(time) < 60);
            created
                && !jobs
                    .iter()
                    .any(|job| entry["uid"].as_str() == Some(&job.metadata.uid))
        });
        let mut active: Vec<Value> = unseen.cloned().collect();
        active.extend(
            jobs.iter()
                .filter(|job| job.end().is_none())
                .map(|job| entry(job)),
        );
        active.sort_by_key(|entry| entry["name"].as_str().unwrap_or_default().to_owned());
        status.active = active;
        let succeeded = jobs
            .iter()
            .filter(|job| job.end().is_some_and(|end| end.kind == "Complete"));
        status.last_successful_time = succeeded
            .filter_map(|job| job.status.completion_time)
            .max()
            .max(status.last_successful_time);
        status
    }

    async fn start(
        &self,
        cron: &CronJob,
        reference: &Reference,
        jobs: &[Arc<Job>],
        time: Time,
        status: &mut CronJobStatus,
    ) -> Result<(), Error> {
        let name = format!("{}-{}", cron.metadata.name, time.0 / 60);
        if jobs.iter().any(|job| job.metadata.name == name) {
            status.last_schedule_time = Some(time);
            return Ok(());
        }
        match cron.spec.concurrency_policy.as_str() {
            "Forbid" if !status.active.is_empty() => {
                let message =
                    "Not starting job because prior execution is running and concurrency policy is Forbid";
                self.recorder
                    .record(reference, EventType::Normal, "JobAlreadyActive", message);
                status.last_schedule_time = Some(time);
                return Ok(());
            }
            "Replace" => {
                for job in jobs.iter().filter(|job| job.end().is_none()) {
                    self.delete(reference, job).await?;
                }
                status.active.clear();
            }
            _ => {}
        }
        let template = cron.spec.job_template.value();
        let mut annotations = template["metadata"]["annotations"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        annotations.insert(
            "batch.kubernetes.io/cronjob-scheduled-timestamp".to_owned(),
            time.to_string().into(),
        );
        let body = json!({
            "metadata": {
                "name": name,
                "namespace": cron.metadata.namespace,
                "labels": template["metadata"]["labels"],
                "annotations": annotations,
                "ownerReferences": [controller_reference(&cron.metadata, resources::cron_jobs())],
            },
            "spec": template["spec"],
        });
        match self
            .api
            .create(resources::jobs(), &cron.metadata.namespace, body)
            .await
        {
            Ok(created) => {
                let job: Job = serde_json::from_value(created).unwrap_or_default();
                status.active.push(entry(&job));
                status.last_schedule_time = Some(time);
                self.recorder.record(
                    reference,
                    EventType::Normal,
                    "SuccessfulCreate",
                    format!("Created job {name}"),
                );
                Ok(())
            }
            Err(error) if error.is_already_exists() || error.is_namespace_terminating() => {
                status.last_schedule_time = Some(time);
                Ok(())
            }
            Err(error) => {
                let message = format!("Error creating job: {}", error.message());
                self.recorder
                    .record(reference, EventType::Warning, "FailedCreate", message);
                Err(error)
            }
        }
    }

    async fn delete(&self, reference: &Reference, job: &Job) -> Result<(), Error> {
        let options = json!({"propagationPolicy": "Background", "preconditions": {"uid": job.metadata.uid}});
        self.api
            .delete(
                resources::jobs(),
                &job.metadata.namespace,
                &job.metadata.name,
                &options,
            )
            .await?;
        let message = format!("Deleted job {}", job.metadata.name);
        self.recorder
            .record(reference, EventType::Normal, "SuccessfulDelete", message);
        Ok(())
    }

    /// Removes finished jobs beyond the limits, oldest first.
    async fn clean_up(&self, cron: &CronJob, reference: &Reference, jobs: &[Arc<Job>]) -> Result<(), Error> {
        let limits = [
            ("Complete", cron.spec.successful_jobs_history_limit.unwrap_or(3)),
            ("Failed", cron.spec.failed_jobs_history_limit.unwrap_or(1)),
        ];
        for (kind, limit) in limits {
            let mut ended: Vec<_> = jobs
                .iter()
                .filter(|job| job.end().is_some_and(|end| end.kind == kind))
                .collect();
            ended.sort_by_key(|job| (job.status.start_time, job.metadata.name.clone()));
            let surplus = ended.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
            for job in ended
                .into_iter()
                .take(surplus)
                .filter(|job| job.metadata.deleted.is_none())
            {
                self.delete(reference, job).await?;
            }
        }
        Ok(())
    }
}

fn entry(job: &Job) -> Value {
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "namespace": job.metadata.namespace,
        "name": job.metadata.name,
        "uid": job.metadata.uid,
    })
}
