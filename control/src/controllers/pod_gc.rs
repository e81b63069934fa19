//! Removes pods that nobody will remove: on nodes that are gone, never bound and deleted, and too many that ended.
//!
//! Source: `k8s.io/kubernetes/pkg/controller/podgc`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use super::Context;
use super::api::{Api, Error, Patch, resources};
use super::informer::{Informer, Key, Next, Queue};
use super::model::{Node, Pod, Time};

const NAME: &str = "pod-garbage-collector";
/// Ended pods that are kept (`--terminated-pod-gc-threshold`).
const TERMINATED_KEPT: usize = 12_500;
/// How long a node may be missing: it may come back, or our cache may be late.
const QUARANTINE: Duration = Duration::from_secs(40);

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Item {
    Pod(Key),
    /// All pods of a node that was missing when this was queued.
    Node(String),
    /// The number of ended pods.
    Ended,
}

/// Starts the controller.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    let queue = Queue::new();
    let (adder, nodes) = (queue.clone(), context.nodes.clone());
    let pods = Arc::downgrade(&context.pods);
    context.pods.on_change(move |old, new| {
        let Some(pod) = new else { return };
        if pod.metadata.deleted.is_some() && pod.spec.node_name.is_empty() {
            adder.add(Item::Pod(pod.metadata.key()));
        }
        let node = &pod.spec.node_name;
        if old.is_none() && !node.is_empty() && nodes.store().get("", node).is_none() {
            adder.add_after(Item::Node(node.clone()), QUARANTINE);
        }
        let has_just_ended = pod.has_ended() && old.is_none_or(|old| !old.has_ended());
        if has_just_ended
            && pods
                .upgrade()
                .is_some_and(|pods| pods.store().len() > TERMINATED_KEPT)
        {
            adder.add(Item::Ended);
        }
    });
    let adder = queue.clone();
    context.nodes.on_change(move |old, new| {
        if let (Some(node), None) = (old, new) {
            adder.add_after(Item::Node(node.metadata.name.clone()), QUARANTINE);
        }
    });
    let (api, pods, nodes) = (context.api(NAME), context.pods.clone(), context.nodes.clone());
    tasks.spawn(async move {
        pods.synced().await;
        nodes.synced().await;
        queue.work(NAME, |item| look(&api, &pods, &nodes, item)).await;
    });
}

async fn look(api: &Api, pods: &Informer<Pod>, nodes: &Informer<Node>, item: Item) -> Result<Next, Error> {
    match item {
        Item::Pod(key) => {
            if let Some(pod) = pods.store().get_key(&key)
                && pod.metadata.deleted.is_some()
                && pod.spec.node_name.is_empty()
            {
                remove(api, &pod, None).await?;
            }
        }
        Item::Node(name) => {
            let missing = nodes.store().get("", &name).is_none()
                && api.get(resources::nodes(), "", &name).await?.is_none();
            if missing {
                for pod in pods.store().by_index(&Pod::index_node(&name)) {
                    remove(api, &pod, Some("PodGC: node no longer exists")).await?;
                }
            }
        }
        Item::Ended => {
            let mut ended: Vec<_> = pods
                .store()
                .all()
                .into_iter()
                .filter(|pod| pod.has_ended())
                .collect();
            let surplus = ended.len().saturating_sub(TERMINATED_KEPT);
            ended.sort_by(|a, b| {
                (a.metadata.created, &a.metadata.name).cmp(&(b.metadata.created, &b.metadata.name))
            });
            for pod in ended.iter().take(surplus) {
                remove(api, pod, None).await?;
            }
        }
    }
    Ok(Next::Wait)
}

/// Deletes at once: there is no kubelet to wait for.
async fn remove(api: &Api, pod: &Pod, because: Option<&str>) -> Result<(), Error> {
    let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
    if let Some(message) = because {
        let mut status = json!({"conditions": [{
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByPodGC",
            "message": message,
            "lastTransitionTime": Time::now(),
        }]});
        if !pod.has_ended() {
            status["phase"] = "Failed".into();
        }
        let patch = json!({"metadata": {"uid": pod.metadata.uid}, "status": status});
        match api
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
    }
    let options = json!({"gracePeriodSeconds": 0, "preconditions": {"uid": pod.metadata.uid}});
    match api.delete(resources::pods(), namespace, name, &options).await {
        Err(error) if !error.is_conflict() => Err(error),
        _ => Ok(()),
    }
}
