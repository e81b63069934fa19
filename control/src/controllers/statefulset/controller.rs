//! Follows StatefulSets and their pods, and carries plans out.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::plan::{Plan, plan};
use super::pod;
use crate::controllers::api::{Api, Error, EventType, Recorder, Reference, resources};
use crate::controllers::informer::{Expectations, Informer, Key, Next, Queue};
use crate::controllers::model::{ControllerRevision, Pod, StatefulSet, Time, index_owned};
use crate::controllers::{Context, claim, owners, revisions};

const NAME: &str = "statefulset-controller";

struct Controller {
    api: Api,
    recorder: Recorder,
    sets: Arc<Informer<StatefulSet>>,
    revisions: Arc<Informer<ControllerRevision>>,
    pods: Arc<Informer<Pod>>,
    expectations: Arc<Expectations>,
    queue: Arc<Queue<Key>>,
}

/// Starts the controller.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    let api = context.api(NAME);
    let controller = Arc::new(Controller {
        recorder: Context::recorder(&api, NAME, tasks),
        api,
        sets: context.stateful_sets.clone(),
        revisions: context.controller_revisions.clone(),
        pods: context.pods.clone(),
        expectations: Arc::default(),
        queue: Queue::new(),
    });
    controller.listen();
    for _ in 0..2 {
        let this = controller.clone();
        tasks.spawn(async move {
            this.sets.synced().await;
            this.revisions.synced().await;
            this.pods.synced().await;
            let queue = this.queue.clone();
            queue.work(NAME, |key| this.reconcile(key)).await;
        });
    }
}

impl Controller {
    fn listen(&self) {
        owners::follow(&self.sets, &self.queue, &self.expectations);
        owners::follow_pods(&self.pods, "StatefulSet", &self.queue, &self.expectations);
    }

    async fn reconcile(&self, key: Key) -> Result<Next, Error> {
        let Some(set) = self.sets.store().get_key(&key) else {
            return Ok(Next::Wait);
        };
        if set.spec.selector.is_empty() {
            return Ok(Next::Wait);
        }
        let caught_up = self.expectations.satisfied(&key);
        let owner = (resources::stateful_sets(), &set.metadata);
        let mut claims = claim::classify(&set.metadata, &set.spec.selector, self.pods.store());
        claims.adopt.retain(|pod| pod::ordinal(&set, pod).is_some());
        let pods = claim::claim(&self.api, owner, resources::pods(), claims, None).await?;
        let history = self.revisions.store().by_index(&index_owned(&set.metadata.uid));
        let template = set.spec.template.value();
        let step = revisions::find(&template, &history, set.status.collision_count);
        let labels = json!(set.spec.selector.match_labels);
        let update = revisions::apply(&self.api, owner, &labels, &template, step)
            .await?
            .name;
        let before = history
            .iter()
            .find(|revision| revision.metadata.name == set.status.current_revision);
        // A revision that somebody has spoiled is as good as none.
        let before = before.and_then(|revision| {
            let template = revisions::usable_template(revision)?;
            Some((revision.metadata.name.clone(), template))
        });
        let (current, current_template) = before.unwrap_or_else(|| (update.clone(), template.clone()));
        let now = Time::now();
        let plan = plan(&set, &pods, &current, &update, now);
        let status = plan.status.clone();
        let again = set.spec.min_ready_seconds > 0 && status.available_replicas < status.ready_replicas;
        let outcome = if caught_up {
            self.carry_out(&set, plan, (&current, &current_template), (&update, &template))
                .await
        } else {
            Ok(())
        };
        owners::write_status(&self.api, owner, &set.status, &status).await?;
        outcome?;
        let in_use = |revision: &ControllerRevision| {
            let name = &revision.metadata.name;
            *name == current
                || *name == update
                || pods
                    .iter()
                    .any(|pod| pod.metadata.labels.get(revisions::HASH_LABEL) == Some(name))
        };
        for old in revisions::surplus(&history, set.spec.revision_history_limit, in_use) {
            let resource = resources::controller_revisions();
            self.api
                .delete(resource, &key.namespace, &old.metadata.name, &json!({}))
                .await?;
        }
        // Readiness that has to last makes no event.
        let wait = Duration::from_secs(set.spec.min_ready_seconds.max(1) as u64);
        let next = Next::Wait.within(again.then_some(wait));
        Ok(next.within(self.expectations.unseen(&key)))
    }

    async fn carry_out(
        &self,
        set: &StatefulSet,
        plan: Plan,
        current: (&str, &Value),
        update: (&str, &Value),
    ) -> Result<(), Error> {
        let key = set.metadata.key();
        let reference = set.metadata.reference(resources::stateful_sets());
        for pod in &plan.recreate {
            let message = format!(
                "StatefulSet {}/{} is recreating failed Pod {}",
                set.metadata.namespace, set.metadata.name, pod.metadata.name
            );
            self.recorder
                .record(&reference, EventType::Warning, "RecreatingFailedPod", message);
        }
        if !plan.create.is_empty() || !plan.delete.is_empty() {
            let uids = plan.delete.iter().map(|pod| pod.metadata.uid.clone());
            self.expectations.expect(&key, plan.create.len(), uids);
        }
        let mut outcome = Ok(());
        for (ordinal, updated) in plan.create {
            let (revision, template) = if updated { update } else { current };
            if let Err(error) = self.create(set, &reference, ordinal, revision, template).await {
                self.expectations.created(&key);
                outcome = Err(error);
            }
        }
        for pod in plan.delete {
            let options = json!({"preconditions": {"uid": pod.metadata.uid}});
            let name = &pod.metadata.name;
            match self
                .api
                .delete(resources::pods(), &key.namespace, name, &options)
                .await
            {
                Ok(true) => {
                    let message = format!(
                        "delete Pod {name} in StatefulSet {} successful",
                        set.metadata.name
                    );
                    self.recorder
                        .record(&reference, EventType::Normal, "SuccessfulDelete", message);
                }
                Ok(false) => self.expectations.deleted(&key, &pod.metadata.uid),
                Err(error) => {
                    self.expectations.deleted(&key, &pod.metadata.uid);
                    outcome = Err(error);
                }
            }
        }
        outcome
    }

    async fn create(
        &self,
        set: &StatefulSet,
        reference: &Reference,
        ordinal: i64,
        revision: &str,
        template: &Value,
    ) -> Result<(), Error> {
        let namespace = &set.metadata.namespace;
        for claim in pod::claims(set, ordinal) {
            let name = claim["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let resource = resources::persistent_volume_claims();
            if self.api.get(resource, namespace, &name).await?.is_none() {
                self.api.create(resource, namespace, claim).await?;
            }
        }
        let body = pod::pod(set, template, revision, ordinal);
        let name = format!("{}-{ordinal}", set.metadata.name);
        let result = self.api.create(resources::pods(), namespace, body).await;
        let (kind, reason, verdict) = match &result {
            Ok(_) => (EventType::Normal, "SuccessfulCreate", "successful".to_owned()),
            Err(error) => (
                EventType::Warning,
                "FailedCreate",
                format!("failed error: {}", error.message()),
            ),
        };
        let message = format!("create Pod {name} in StatefulSet {} {verdict}", set.metadata.name);
        self.recorder.record(reference, kind, reason, message);
        result.map(drop)
    }
}
