//! Follows DaemonSets, nodes and pods, and carries plans out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::json;
use tokio::task::JoinSet;

use super::backoff::Backoff;
use super::plan::{Plan, plan};
use super::pod;
use crate::controllers::api::{Api, Error, EventType, Recorder, resources};
use crate::controllers::informer::{Expectations, Informer, Key, Next, Queue};
use crate::controllers::model::{ControllerRevision, DaemonSet, Node, Pod, Time};
use crate::controllers::revisions::{self, HASH_LABEL, Revision};
use crate::controllers::{Context, claim, owners, pods};

const NAME: &str = "daemon-set-controller";
const COMPONENT: &str = "daemonset-controller";

struct Controller {
    api: Api,
    recorder: Recorder,
    sets: Arc<Informer<DaemonSet>>,
    revisions: Arc<Informer<ControllerRevision>>,
    nodes: Arc<Informer<Node>>,
    pods: Arc<Informer<Pod>>,
    expectations: Arc<Expectations>,
    queue: Arc<Queue<Key>>,
    backoff: Backoff,
}

/// Starts the controller.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    let api = context.api(NAME);
    let controller = Arc::new(Controller {
        recorder: Context::recorder(&api, COMPONENT, tasks),
        api,
        sets: context.daemon_sets.clone(),
        revisions: context.controller_revisions.clone(),
        nodes: context.nodes.clone(),
        pods: context.pods.clone(),
        expectations: Arc::default(),
        queue: Queue::new(),
        backoff: Backoff::default(),
    });
    controller.listen();
    for _ in 0..2 {
        let this = controller.clone();
        tasks.spawn(async move {
            this.sets.synced().await;
            this.revisions.synced().await;
            this.nodes.synced().await;
            this.pods.synced().await;
            let queue = this.queue.clone();
            queue.work(COMPONENT, |key| this.reconcile(key)).await;
        });
    }
}

/// Heartbeats and addresses of a node do not matter.
fn relevant(old: &Node, new: &Node) -> bool {
    old.metadata.labels != new.metadata.labels
        || old.spec.taints != new.spec.taints
        || old.spec.unschedulable != new.spec.unschedulable
}

impl Controller {
    fn listen(&self) {
        owners::follow(&self.sets, &self.queue, &self.expectations);
        let (queue, sets) = (self.queue.clone(), self.sets.clone());
        self.nodes.on_change(move |old, new| {
            if let (Some(old), Some(new)) = (old, new)
                && !relevant(old, new)
            {
                return;
            }
            for set in sets.store().all() {
                queue.add(set.metadata.key());
            }
        });
        owners::follow_pods(&self.pods, "DaemonSet", &self.queue, &self.expectations);
    }

    async fn reconcile(&self, key: Key) -> Result<Next, Error> {
        let Some(set) = self.sets.store().get_key(&key) else {
            return Ok(Next::Wait);
        };
        let owner = (resources::daemon_sets(), &set.metadata);
        if set.spec.selector.is_empty() {
            let message = "This daemon set is selecting all pods. A non-empty selector is required.";
            let reference = set.metadata.reference(owner.0);
            self.recorder
                .record(&reference, EventType::Warning, "SelectingAll", message);
            return Ok(Next::Wait);
        }
        if set.metadata.deleted.is_some() {
            return Ok(Next::Wait);
        }
        let caught_up = self.expectations.satisfied(&key);
        let claims = claim::classify(&set.metadata, &set.spec.selector, self.pods.store());
        let pods = claim::claim(&self.api, owner, resources::pods(), claims, None).await?;
        let history = self
            .revisions
            .store()
            .by_index(&crate::controllers::model::index_owned(&set.metadata.uid));
        let original = set.spec.template.value();
        let step = revisions::find(&original, &history, set.status.collision_count);
        let labels = &original["metadata"]["labels"];
        let revision = revisions::apply(&self.api, owner, labels, &original, step).await?;
        let template = pod::template(&set);
        let now = Time::now();
        let mut plan = plan(
            &set,
            &template,
            &revision.hash,
            &self.nodes.store().all(),
            &pods,
            now,
        );
        // Readiness that has to last makes no event.
        let lasting =
            set.spec.min_ready_seconds > 0 && plan.status.number_ready > plan.status.number_available;
        let mut again = lasting.then(|| Duration::from_secs(set.spec.min_ready_seconds as u64));
        let status = plan.status.clone();
        if caught_up {
            plan.failed.retain(|pod| match self.may_go(&set, pod) {
                Ok(()) => true,
                Err(left) => {
                    again = Some(again.map_or(left, |other| other.min(left)));
                    false
                }
            });
        }
        let outcome = if caught_up {
            self.carry_out(&set, &template, &revision, plan).await
        } else {
            Ok(())
        };
        owners::write_status(&self.api, owner, &set.status, &status).await?;
        outcome?;
        let in_use = |old: &ControllerRevision| {
            let hash = Revision::of(old).hash;
            hash == revision.hash
                || pods
                    .iter()
                    .any(|pod| pod.metadata.labels.get(HASH_LABEL) == Some(&hash))
        };
        for old in revisions::surplus(&history, set.spec.revision_history_limit, in_use) {
            let resource = resources::controller_revisions();
            self.api
                .delete(resource, &key.namespace, &old.metadata.name, &json!({}))
                .await?;
        }
        Ok(Next::Wait.within(again).within(self.expectations.unseen(&key)))
    }

    /// Whether a pod that has ended is to be removed now, so that another comes.
    fn may_go(&self, set: &DaemonSet, pod: &Pod) -> Result<(), Duration> {
        if pod.status.phase != "Failed" {
            return Ok(());
        }
        // A changed set begins anew.
        let key = format!("{}/{}", set.metadata.uid, set.status.observed_generation);
        self.backoff.go(&key, &pod.spec.node_name, Instant::now())
    }

    async fn carry_out(
        &self,
        set: &DaemonSet,
        template: &serde_json::Value,
        revision: &Revision,
        plan: Plan,
    ) -> Result<(), Error> {
        let key = set.metadata.key();
        let reference = set.metadata.reference(resources::daemon_sets());
        for pod in &plan.failed {
            let name = format!("{}/{}", pod.metadata.namespace, pod.metadata.name);
            let (kind, reason, verb) = match pod.status.phase.as_str() {
                "Failed" => (EventType::Warning, "FailedDaemonPod", "failed"),
                _ => (EventType::Normal, "SucceededDaemonPod", "succeeded"),
            };
            let message = format!(
                "Found {verb} daemon pod {name} on node {}, will try to kill it",
                pod.spec.node_name
            );
            self.recorder.record(&reference, kind, reason, message);
        }
        let delete: Vec<_> = plan.delete.into_iter().chain(plan.failed).collect();
        if !plan.create.is_empty() || !delete.is_empty() {
            let uids = delete.iter().map(|pod| pod.metadata.uid.clone());
            self.expectations.expect(&key, plan.create.len(), uids);
        }
        let bodies = plan
            .create
            .iter()
            .map(|node| pod::pod(set, template, &revision.hash, node));
        let results =
            join_all(bodies.map(|body| pods::create_one(&self.api, &self.recorder, &reference, body))).await;
        let mut outcome = Ok(());
        for error in results.into_iter().filter_map(Result::err) {
            self.expectations.created(&key);
            if !error.is_namespace_terminating() {
                outcome = Err(error);
            }
        }
        pods::delete(&self.api, &self.recorder, &reference, &delete, |uid| {
            self.expectations.deleted(&key, uid);
        })
        .await?;
        outcome
    }
}
