//! Follows budgets, pods and their controllers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use super::status::compute;
use crate::controllers::Context;
use crate::controllers::api::{Api, Error, EventType, Recorder, resources};
use crate::controllers::informer::{Informer, Key, Next, Queue};
use crate::controllers::model::{Budget, Deployment, Pod, ReplicaSet, StatefulSet, Time};

const NAME: &str = "disruption-controller";

struct Controller {
    api: Api,
    recorder: Recorder,
    budgets: Arc<Informer<Budget>>,
    pods: Arc<Informer<Pod>>,
    sets: Arc<Informer<ReplicaSet>>,
    controllers: Arc<Informer<ReplicaSet>>,
    stateful_sets: Arc<Informer<StatefulSet>>,
    deployments: Arc<Informer<Deployment>>,
    queue: Arc<Queue<Key>>,
}

/// Starts the controller.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    let api = context.api(NAME);
    let controller = Arc::new(Controller {
        recorder: Context::recorder(&api, "controllermanager", tasks),
        api,
        budgets: Informer::new(resources::pod_disruption_budgets()),
        pods: context.pods.clone(),
        sets: context.replica_sets.clone(),
        controllers: context.replication_controllers.clone(),
        stateful_sets: context.stateful_sets.clone(),
        deployments: context.deployments.clone(),
        queue: Queue::new(),
    });
    controller.listen();
    let informers = context.api(crate::controllers::INFORMERS);
    tasks.spawn(controller.budgets.clone().run(informers));
    tasks.spawn(async move {
        controller.budgets.synced().await;
        controller.pods.synced().await;
        controller.sets.synced().await;
        controller.deployments.synced().await;
        let queue = controller.queue.clone();
        queue.work(NAME, |key| controller.reconcile(key)).await;
    });
}

impl Controller {
    fn listen(&self) {
        let queue = self.queue.clone();
        self.budgets.on_change(move |_, new| {
            if let Some(budget) = new {
                queue.add(budget.metadata.key());
            }
        });
        let (queue, budgets) = (self.queue.clone(), self.budgets.clone());
        self.pods.on_change(move |old, new| {
            let Some(any) = new.or(old) else { return };
            for budget in budgets.store().in_namespace(&any.metadata.namespace) {
                let Some(selector) = &budget.spec.selector else {
                    continue;
                };
                if [old, new]
                    .into_iter()
                    .flatten()
                    .any(|pod| selector.matches(&pod.metadata.labels))
                {
                    queue.add(budget.metadata.key());
                }
            }
        });
        // A changed scale changes what a percentage means.
        let (queue, budgets) = (self.queue.clone(), self.budgets.clone());
        self.deployments.on_change(move |old, new| {
            let (Some(old), Some(new)) = (old, new) else {
                return;
            };
            if old.spec.replicas != new.spec.replicas {
                for budget in budgets.store().in_namespace(&new.metadata.namespace) {
                    queue.add(budget.metadata.key());
                }
            }
        });
    }

    async fn reconcile(&self, key: Key) -> Result<Next, Error> {
        let Some(budget) = self.budgets.store().get_key(&key) else {
            return Ok(Next::Wait);
        };
        let mut pods = self.pods.store().in_namespace(&key.namespace);
        pods.retain(|pod| {
            let selector = budget.spec.selector.as_ref();
            selector.is_some_and(|selector| selector.matches(&pod.metadata.labels)) && !pod.has_ended()
        });
        let reference = budget.metadata.reference(resources::pod_disruption_budgets());
        if pods.is_empty() {
            self.recorder
                .record(&reference, EventType::Normal, "NoPods", "No matching pods found");
        }
        let scale = self.scale(&pods);
        if let Err(message) = &scale
            && (budget.spec.max_unavailable.is_some())
        {
            let message = format!("Failed to calculate the number of expected pods: {message}");
            self.recorder.record(
                &reference,
                EventType::Warning,
                "CalculateExpectedPodCountFailed",
                message,
            );
        }
        let computed = compute(&budget, &pods, scale, Time::now());
        if computed.status != budget.status {
            // On the revision that was looked at only: an eviction in between must not be forgotten. If there was
            // one, its event brings us here again.
            let revision = budget.metadata.resource_version.clone();
            let target = (
                key.namespace.as_str(),
                key.name.as_str(),
                budget.metadata.uid.as_str(),
            );
            self.api
                .edit(resources::pod_disruption_budgets(), target, "status", |object| {
                    let current = object["metadata"]["resourceVersion"].as_str() == Some(&revision);
                    if current {
                        object["status"] = json!(computed.status);
                    }
                    current
                })
                .await?;
        }
        Ok(computed.again.map_or(Next::Wait, |seconds| {
            Next::After(Duration::from_secs(seconds.max(1) as u64))
        }))
    }

    /// Sum of the wanted replicas of all controllers of the pods.
    fn scale(&self, pods: &[Arc<Pod>]) -> Result<i64, String> {
        let mut scales = BTreeMap::new();
        for pod in pods {
            let Some(owner) = pod.metadata.controller() else {
                return Err(format!("found no controller ref for pod {:?}", pod.metadata.name));
            };
            let (namespace, name) = (pod.metadata.namespace.as_str(), owner.name.as_str());
            let set = match owner.kind.as_str() {
                "ReplicaSet" => self.sets.store().get(namespace, name),
                "ReplicationController" => self.controllers.store().get(namespace, name),
                "StatefulSet" => {
                    if let Some(set) = self.stateful_sets.store().get(namespace, name) {
                        scales.insert(set.metadata.uid.clone(), set.replicas());
                    }
                    continue;
                }
                kind => {
                    return Err(format!(
                        "{kind}.{} does not implement the scale subresource",
                        owner.api_version
                    ));
                }
            };
            let Some(set) = set.filter(|set| set.metadata.uid == owner.uid) else {
                continue;
            };
            let above = set
                .metadata
                .controller()
                .filter(|owner| owner.kind == "Deployment");
            let deployment = above.and_then(|owner| self.deployments.store().get(namespace, &owner.name));
            match deployment {
                Some(deployment) => scales.insert(deployment.metadata.uid.clone(), deployment.replicas()),
                None => scales.insert(set.metadata.uid.clone(), set.replicas()),
            };
        }
        Ok(scales.values().sum())
    }
}
