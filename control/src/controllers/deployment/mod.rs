//! Deployments: rolls ReplicaSets of successive templates over each other.

mod execute;
mod hash;
mod newest;
mod plan;
mod progress;
mod revision;
mod rolling;
mod scaling;
mod state;
#[cfg(test)]
mod tests;

pub use hash::template_hash;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::api::{Api, Error, Recorder, resources};
use super::informer::{Informer, Key, Next, Queue};
use super::model::{Deployment, Pod, ReplicaSet, Time, index_owned};
use super::{Context, claim};

/// Keys worked on at once.
const WORKERS: usize = 5;
const NAME: &str = "deployment-controller";

struct Controller {
    api: Api,
    recorder: Recorder,
    deployments: Arc<Informer<Deployment>>,
    sets: Arc<Informer<ReplicaSet>>,
    pods: Arc<Informer<Pod>>,
    queue: Arc<Queue<Key>>,
}

/// Starts the controller.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    let api = context.api(NAME);
    let controller = Arc::new(Controller {
        recorder: Context::recorder(&api, NAME, tasks),
        api,
        deployments: context.deployments.clone(),
        sets: context.replica_sets.clone(),
        pods: context.pods.clone(),
        queue: Queue::new(),
    });
    controller.listen();
    for _ in 0..WORKERS {
        let controller = controller.clone();
        tasks.spawn(async move {
            controller.deployments.synced().await;
            controller.sets.synced().await;
            controller.pods.synced().await;
            let queue = controller.queue.clone();
            queue.work(NAME, |key| controller.reconcile(key)).await;
        });
    }
}

impl Controller {
    fn listen(&self) {
        let queue = self.queue.clone();
        self.deployments.on_change(move |old, new| {
            if let Some(deployment) = new.or(old) {
                queue.add(deployment.metadata.key());
            }
        });
        let (queue, deployments) = (self.queue.clone(), self.deployments.clone());
        self.sets.on_change(move |old, new| {
            for set in [old, new].into_iter().flatten() {
                match set.metadata.controller() {
                    Some(owner) if owner.kind == "Deployment" => {
                        queue.add(Key::new(&set.metadata.namespace, &owner.name));
                    }
                    Some(_) => {}
                    None => {
                        for deployment in deployments.store().in_namespace(&set.metadata.namespace) {
                            let selector = &deployment.spec.selector;
                            if !selector.is_empty() && selector.matches(&set.metadata.labels) {
                                queue.add(deployment.metadata.key());
                            }
                        }
                    }
                }
            }
        });
        // Recreate waits for the last old pod to be gone.
        let (queue, sets) = (self.queue.clone(), self.sets.clone());
        let deployments = self.deployments.clone();
        self.pods.on_change(move |old, new| {
            let (Some(pod), None) = (old, new) else { return };
            let Some(owner) = pod
                .metadata
                .controller()
                .filter(|owner| owner.kind == "ReplicaSet")
            else {
                return;
            };
            let set = sets.store().get(&pod.metadata.namespace, &owner.name);
            let Some(owner) = set.as_ref().and_then(|set| set.metadata.controller()) else {
                return;
            };
            let deployment = deployments.store().get(&pod.metadata.namespace, &owner.name);
            if deployment.is_some_and(|deployment| deployment.spec.strategy.kind == "Recreate") {
                queue.add(Key::new(&pod.metadata.namespace, &owner.name));
            }
        });
    }

    async fn reconcile(&self, key: Key) -> Result<Next, Error> {
        let Some(deployment) = self.deployments.store().get_key(&key) else {
            return Ok(Next::Wait);
        };
        if deployment.spec.selector.is_empty() {
            execute::selects_everything(&self.recorder, &deployment);
            return Ok(Next::Wait);
        }
        let claims = claim::classify(&deployment.metadata, &deployment.spec.selector, self.sets.store());
        let owner = (resources::deployments(), &deployment.metadata);
        let sets = claim::claim(&self.api, owner, resources::replica_sets(), claims, None).await?;
        let now = Time::now();
        let plan = plan::plan(&deployment, &sets, |newest| self.old_pods(&sets, newest), now);
        let again = progress::check_again(&deployment, &plan.status, now);
        execute::execute(&self.api, &self.recorder, &deployment, &sets, plan).await?;
        Ok(again.map_or(Next::Wait, |seconds| Next::After(Duration::from_secs(seconds))))
    }

    fn old_pods(&self, sets: &[Arc<ReplicaSet>], newest: Option<&str>) -> bool {
        let old = sets
            .iter()
            .filter(|set| Some(set.metadata.name.as_str()) != newest);
        old.flat_map(|set| self.pods.store().by_index(&index_owned(&set.metadata.uid)))
            .any(|pod| !pod.has_ended())
    }
}
