//! Follows Jobs and their pods, and carries plans out.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use tokio::task::JoinSet;

use super::plan::{count, plan};
use super::pod::{self, TRACKING};
use crate::controllers::api::{Api, Error, Patch, Recorder, resources};
use crate::controllers::informer::{Expectations, Informer, Key, Next, Queue};
use crate::controllers::model::{Job, JobStatus, Pod, Time, index_owned};
use crate::controllers::{Context, claim, owners, pods};

const NAME: &str = "job-controller";
/// Who removes finished Jobs.
const TTL_NAME: &str = "ttl-after-finished-controller";

struct Controller {
    api: Api,
    ttl_api: Api,
    recorder: Recorder,
    jobs: Arc<Informer<Job>>,
    pods: Arc<Informer<Pod>>,
    expectations: Arc<Expectations>,
    queue: Arc<Queue<Key>>,
    /// Pods without an owner that still carry the finalizer.
    orphans: Arc<Queue<Key>>,
}

/// Starts the controller.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    let apis = (context.api(NAME), context.api(TTL_NAME));
    follow(apis, (&context.jobs, &context.pods), tasks);
}

/// Starts it over these informers.
pub(super) fn follow(
    (api, ttl_api): (Api, Api),
    (jobs, pods): (&Arc<Informer<Job>>, &Arc<Informer<Pod>>),
    tasks: &mut JoinSet<()>,
) {
    let controller = Arc::new(Controller {
        recorder: Context::recorder(&api, NAME, tasks),
        api,
        ttl_api,
        jobs: jobs.clone(),
        pods: pods.clone(),
        expectations: Arc::default(),
        queue: Queue::new(),
        orphans: Queue::new(),
    });
    controller.listen();
    let this = controller.clone();
    tasks.spawn(async move {
        // Before, every Job seems to be gone.
        this.jobs.synced().await;
        this.pods.synced().await;
        let queue = this.orphans.clone();
        queue.work(NAME, |key| this.release_orphan(key)).await;
    });
    for _ in 0..2 {
        let this = controller.clone();
        tasks.spawn(async move {
            this.jobs.synced().await;
            this.pods.synced().await;
            let queue = this.queue.clone();
            queue.work(NAME, |key| this.reconcile(key)).await;
        });
    }
}

impl Controller {
    fn listen(&self) {
        owners::follow(&self.jobs, &self.queue, &self.expectations);
        owners::follow_pods(&self.pods, "Job", &self.queue, &self.expectations);
        let (orphans, pods) = (self.orphans.clone(), self.pods.clone());
        self.jobs.on_change(move |old, new| {
            // Gone, or another one of its name: nobody counts what it had.
            if let Some(old) = old.filter(|old| new.is_none_or(|new| new.metadata.uid != old.metadata.uid)) {
                for pod in pods.store().by_index(&index_owned(&old.metadata.uid)) {
                    orphans.add(pod.metadata.key());
                }
            }
        });
        let (orphans, jobs) = (self.orphans.clone(), self.jobs.clone());
        self.pods.on_change(move |_, new| {
            if let Some(pod) = new
                && pod::is_tracked(pod)
                && !is_counted(&jobs, pod)
            {
                orphans.add(pod.metadata.key());
            }
        });
    }

    async fn reconcile(&self, key: Key) -> Result<Next, Error> {
        let Some(job) = self.jobs.store().get_key(&key) else {
            return Ok(Next::Wait);
        };
        let others = job
            .spec
            .managed_by
            .as_deref()
            .is_some_and(|name| name != "kubernetes.io/job-controller");
        if others || job.spec.selector.is_empty() {
            return Ok(Next::Wait);
        }
        let caught_up = self.expectations.satisfied(&key);
        let claims = claim::classify(&job.metadata, &job.spec.selector, self.pods.store());
        let owner = (resources::jobs(), &job.metadata);
        let pods = claim::claim(&self.api, owner, resources::pods(), claims, Some(TRACKING)).await?;
        let now = Time::now();
        let plan = plan(&job, &pods, now);
        let ended = job.end().is_some() || job.metadata.deleted.is_some();
        // Without the finished condition: that is written with the counts only.
        let uncounted = before_counting(&job, &plan.status);
        if !ended {
            owners::write_status(&self.api, owner, &job.status, &uncounted).await?;
        }
        for pod in &plan.release {
            self.release(pod, None).await?;
        }
        if ended {
            return self.expire(&job, now).await;
        }
        owners::write_status(&self.api, owner, &uncounted, &count(plan.status)).await?;
        let reference = job.metadata.reference(resources::jobs());
        for (kind, reason, message) in plan.events {
            self.recorder.record(&reference, kind, reason, message);
        }
        if caught_up {
            if !plan.create.is_empty() || !plan.delete.is_empty() {
                let uids = plan.delete.iter().map(|pod| pod.metadata.uid.clone());
                self.expectations.expect(&key, plan.create.len(), uids);
            }
            let bodies = plan.create.iter().map(|index| pod::pod(&job, *index));
            let results =
                join_all(bodies.map(|body| pods::create_one(&self.api, &self.recorder, &reference, body)))
                    .await;
            let mut outcome = Ok(());
            for error in results.into_iter().filter_map(Result::err) {
                self.expectations.created(&key);
                if !error.is_namespace_terminating() {
                    outcome = Err(error);
                }
            }
            let given_up = |uid: &str| self.expectations.deleted(&key, uid);
            pods::delete(&self.api, &self.recorder, &reference, &plan.delete, given_up).await?;
            outcome?;
        }
        let wait = plan
            .again
            .map(|seconds| Duration::from_secs(seconds.max(1) as u64));
        Ok(Next::Wait.within(wait).within(self.expectations.unseen(&key)))
    }

    /// Whom nobody counts must not keep the finalizer: it would never go.
    async fn release_orphan(&self, key: Key) -> Result<Next, Error> {
        if let Some(pod) = self.pods.store().get_key(&key)
            && !is_counted(&self.jobs, &pod)
        {
            // As it was seen: a Job may adopt it, and count on the finalizer, at the same time.
            let version = Some(pod.metadata.resource_version.as_str());
            self.release(&pod, version).await?;
        }
        Ok(Next::Wait)
    }

    /// Takes the finalizer away, if the pod still has this resourceVersion or whatever it has.
    async fn release(&self, pod: &Pod, version: Option<&str>) -> Result<(), Error> {
        if !pod::is_tracked(pod) {
            return Ok(());
        }
        let mut patch = json!({"metadata": {
            "uid": pod.metadata.uid,
            "$deleteFromPrimitiveList/finalizers": [TRACKING],
        }});
        if let Some(version) = version {
            patch["metadata"]["resourceVersion"] = version.into();
        }
        let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
        match self
            .api
            .patch(resources::pods(), namespace, name, "", Patch::Strategic, &patch)
            .await
        {
            Err(error) if !error.is_gone() => Err(error),
            _ => Ok(()),
        }
    }

    /// Deletes a finished Job when its time has come.
    async fn expire(&self, job: &Job, now: Time) -> Result<Next, Error> {
        let (Some(end), Some(ttl)) = (job.end(), job.spec.ttl_seconds_after_finished) else {
            return Ok(Next::Wait);
        };
        // Somebody else has said what becomes of its pods.
        if job.metadata.deleted.is_some() {
            return Ok(Next::Wait);
        }
        let left = end.last_transition_time.unwrap_or(now).0.saturating_add(ttl) - now.0;
        if left > 0 {
            return Ok(Next::After(Duration::from_secs(left as u64)));
        }
        let options = json!({"propagationPolicy": "Foreground", "preconditions": {"uid": job.metadata.uid}});
        self.ttl_api
            .delete(
                resources::jobs(),
                &job.metadata.namespace,
                &job.metadata.name,
                &options,
            )
            .await?;
        Ok(Next::Wait)
    }
}

/// Whether there is somebody who counts a pod: its Job, or a controller of another kind that uses the finalizer.
fn is_counted(jobs: &Informer<Job>, pod: &Pod) -> bool {
    pod.metadata.controller().is_some_and(|owner| {
        let key = Key::new(&pod.metadata.namespace, &owner.name);
        let job = jobs.store().get_key(&key);
        owner.kind != "Job" || job.is_some_and(|job| job.metadata.uid == owner.uid)
    })
}

/// The new status with the old conditions.
fn before_counting(job: &Job, status: &JobStatus) -> JobStatus {
    JobStatus {
        conditions: job.status.conditions.clone(),
        completion_time: job.status.completion_time,
        ..status.clone()
    }
}
