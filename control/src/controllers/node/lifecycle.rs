//! Watches heartbeats and sets conditions and taints.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{NAME, health, taints};
use crate::controllers::Context;
use crate::controllers::api::{Api, Error, EventType, Patch, Recorder, resources};
use crate::controllers::informer::{Informer, Next, Queue};
use crate::controllers::model::{Condition, Lease, Node, Pod, Time};

/// Where the kubelets' heartbeats are.
const NODE_LEASES: &str = "kube-node-lease";

struct Controller {
    api: Api,
    recorder: Recorder,
    nodes: Arc<Informer<Node>>,
    pods: Arc<Informer<Pod>>,
    leases: Arc<Informer<Lease>>,
    /// When each node was last heard of, by our own clock: theirs may be wrong.
    heard: Arc<Mutex<HashMap<String, Instant>>>,
    queue: Arc<Queue<String>>,
}

/// Starts the controller.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    let api = context.api(NAME);
    let controller = Arc::new(Controller {
        recorder: Context::recorder(&api, NAME, tasks),
        api,
        nodes: context.nodes.clone(),
        pods: context.pods.clone(),
        leases: context.leases.clone(),
        heard: Arc::default(),
        queue: Queue::new(),
    });
    controller.listen();
    for _ in 0..2 {
        let this = controller.clone();
        tasks.spawn(async move {
            this.nodes.synced().await;
            this.pods.synced().await;
            this.leases.synced().await;
            let queue = this.queue.clone();
            queue.work(NAME, |name| this.reconcile(name)).await;
        });
    }
}

impl Controller {
    fn listen(&self) {
        let (queue, heard, recorder) = (self.queue.clone(), self.heard.clone(), self.recorder.clone());
        self.nodes.on_change(move |old, new| {
            let Some(node) = new else {
                let Some(old) = old else { return };
                let name = &old.metadata.name;
                let message = format!("Node {name} event: Removing Node {name} from Controller");
                recorder.record(&node_reference(old), EventType::Normal, "RemovingNode", message);
                hear(&heard).remove(name);
                return;
            };
            let name = &node.metadata.name;
            if old.is_none() {
                let message = format!("Node {name} event: Registered Node {name} in Controller");
                recorder.record(
                    &node_reference(node),
                    EventType::Normal,
                    "RegisteredNode",
                    message,
                );
            }
            // Our own change of conditions keeps the heartbeat, so it does not count as one.
            if old.is_none_or(|old| health::heartbeat(old) != health::heartbeat(node)) {
                hear(&heard).insert(name.clone(), Instant::now());
            }
            queue.add(name.clone());
        });
        let heard = self.heard.clone();
        self.leases.on_change(move |old, new| {
            let Some(lease) = new.filter(|lease| lease.metadata.namespace == NODE_LEASES) else {
                return;
            };
            if old.is_none_or(|old| old.spec.renew_time != lease.spec.renew_time) {
                hear(&heard).insert(lease.metadata.name.clone(), Instant::now());
            }
        });
    }

    async fn reconcile(&self, name: String) -> Result<Next, Error> {
        let Some(node) = self
            .nodes
            .store()
            .get("", &name)
            .filter(|node| node.metadata.deleted.is_none())
        else {
            return Ok(Next::Wait);
        };
        let silence = {
            let mut heard = hear(&self.heard);
            heard.entry(name.clone()).or_insert_with(Instant::now).elapsed()
        };
        if silence >= health::GRACE {
            let conditions = health::unknown(&node, Time::now());
            if !conditions.is_empty() {
                let patch =
                    json!({"metadata": {"uid": node.metadata.uid}, "status": {"conditions": conditions}});
                self.api
                    .patch(resources::nodes(), "", &name, "status", Patch::Strategic, &patch)
                    .await?;
                // The change comes back through the watch and brings the taints.
                return Ok(Next::After(health::GRACE));
            }
        }
        self.set_taints(&node).await?;
        if !Condition::is_true(&node.status.conditions, "Ready")
            && Condition::find(&node.status.conditions, "Ready").is_some()
        {
            self.mark_pods_not_ready(&node).await?;
        }
        // Silence makes no event: look again when the grace period ends.
        let wait = health::GRACE.saturating_sub(silence).max(Duration::from_secs(1));
        Ok(Next::After(wait))
    }

    async fn set_taints(&self, node: &Node) -> Result<(), Error> {
        let Some(taints) = taints::desired(node, Time::now()) else {
            return Ok(());
        };
        // The revision: taints that somebody else has just set must not be lost.
        let patch = json!({
            "metadata": {"uid": node.metadata.uid, "resourceVersion": node.metadata.resource_version},
            "spec": {"taints": taints},
        });
        self.api
            .patch(
                resources::nodes(),
                "",
                &node.metadata.name,
                "",
                Patch::Merge,
                &patch,
            )
            .await?;
        Ok(())
    }

    /// Endpoints must not wait for the eviction of the pods.
    async fn mark_pods_not_ready(&self, node: &Node) -> Result<(), Error> {
        for pod in self.pods.store().by_index(&Pod::index_node(&node.metadata.name)) {
            if !pod.is_ready() || pod.has_ended() {
                continue;
            }
            let patch = json!({"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [
                {"type": "Ready", "status": "False", "lastTransitionTime": Time::now()},
            ]}});
            let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
            match self
                .api
                .patch(
                    resources::pods(),
                    namespace,
                    name,
                    "status",
                    Patch::Strategic,
                    &patch,
                )
                .await
            {
                Err(error) if !error.is_gone() => return Err(error),
                _ => {}
            }
            let reference = pod.metadata.reference(resources::pods());
            self.recorder.record(
                &reference,
                EventType::Warning,
                "NodeNotReady",
                "Node is not ready",
            );
        }
        Ok(())
    }
}

fn hear(heard: &Mutex<HashMap<String, Instant>>) -> std::sync::MutexGuard<'_, HashMap<String, Instant>> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Events about nodes carry the node's name as UID, as the kubelet's do: `kubectl describe node` looks for both.
fn node_reference(node: &Node) -> crate::controllers::api::Reference {
    node.metadata.reference(resources::nodes())
}
