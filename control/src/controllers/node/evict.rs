//! Deletes pods from nodes with NoExecute taints that they do not tolerate, or no longer.
//!
//! Source: `k8s.io/kubernetes/pkg/controller/tainteviction`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use super::NAME;
use crate::controllers::Context;
use crate::controllers::api::{Api, Error, EventType, Patch, Recorder, resources};
use crate::controllers::informer::{Informer, Next, Queue};
use crate::controllers::model::{Node, Pod, Taint, Time, Toleration};

/// When a pod has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It tolerates all.
    Stay,
    /// At this time, which may have passed.
    At(Time),
}

/// Decides over the NoExecute taints of the pod's node. Of several limited tolerations the shortest counts, from the
/// time its taint was set.
pub fn verdict(taints: &[Taint], tolerations: &[Toleration], now: Time) -> Verdict {
    let mut verdict = Verdict::Stay;
    for taint in taints.iter().filter(|taint| taint.effect == "NoExecute") {
        let since = taint.time_added.unwrap_or(now);
        let mut matching = tolerations
            .iter()
            .filter(|toleration| taint.is_tolerated_by(toleration))
            .peekable();
        let end = if matching.peek().is_none() {
            Some(now)
        } else {
            let shortest = matching
                .filter_map(|toleration| toleration.toleration_seconds)
                .min();
            shortest.map(|seconds| Time(since.0.saturating_add(seconds.max(0))))
        };
        if let Some(end) = end {
            verdict = match verdict {
                Verdict::At(earlier) if earlier <= end => verdict,
                _ => Verdict::At(end),
            };
        }
    }
    verdict
}

struct Controller {
    api: Api,
    recorder: Recorder,
    nodes: Arc<Informer<Node>>,
    pods: Arc<Informer<Pod>>,
    queue: Arc<Queue<String>>,
}

/// Starts the controller.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    let api = context.api(NAME);
    let controller = Arc::new(Controller {
        recorder: Context::recorder(&api, "taint-eviction-controller", tasks),
        api,
        nodes: context.nodes.clone(),
        pods: context.pods.clone(),
        queue: Queue::new(),
    });
    let queue = controller.queue.clone();
    context.nodes.on_change(move |old, new| {
        if let Some(node) = new
            && old.is_none_or(|old| old.spec.taints != node.spec.taints)
        {
            queue.add(node.metadata.name.clone());
        }
    });
    let (queue, nodes) = (controller.queue.clone(), context.nodes.clone());
    context.pods.on_change(move |old, new| {
        let Some(pod) = new.filter(|pod| !pod.spec.node_name.is_empty()) else {
            return;
        };
        let differs = |old: &Arc<Pod>| {
            old.spec.node_name != pod.spec.node_name || old.spec.tolerations != pod.spec.tolerations
        };
        let node = nodes.store().get("", &pod.spec.node_name);
        if old.is_none_or(differs) && node.is_some_and(|node| has_no_execute(&node)) {
            queue.add(pod.spec.node_name.clone());
        }
    });
    tasks.spawn(async move {
        controller.nodes.synced().await;
        controller.pods.synced().await;
        let queue = controller.queue.clone();
        queue
            .work("taint-eviction-controller", |name| controller.reconcile(name))
            .await;
    });
}

fn has_no_execute(node: &Node) -> bool {
    node.spec.taints.iter().any(|taint| taint.effect == "NoExecute")
}

impl Controller {
    async fn reconcile(&self, name: String) -> Result<Next, Error> {
        let Some(node) = self
            .nodes
            .store()
            .get("", &name)
            .filter(|node| has_no_execute(node))
        else {
            return Ok(Next::Wait);
        };
        let now = Time::now();
        let mut next: Option<i64> = None;
        for pod in self.pods.store().by_index(&Pod::index_node(&name)) {
            if pod.metadata.deleted.is_some() {
                continue;
            }
            match verdict(&node.spec.taints, &pod.spec.tolerations, now) {
                Verdict::Stay => {}
                Verdict::At(time) if time <= now => self.evict(&pod, now).await?,
                Verdict::At(time) => {
                    let wait = time.since(now);
                    next = Some(next.map_or(wait, |earlier| earlier.min(wait)));
                }
            }
        }
        // The end of a toleration is no event.
        Ok(next.map_or(Next::Wait, |seconds| {
            Next::After(Duration::from_secs(seconds.max(1) as u64))
        }))
    }

    async fn evict(&self, pod: &Pod, now: Time) -> Result<(), Error> {
        let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
        let reference = pod.metadata.reference(resources::pods());
        let message = format!("Marking for deletion Pod {namespace}/{name}");
        self.recorder
            .record(&reference, EventType::Normal, "TaintManagerEviction", message);
        let patch = json!({"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [{
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
            "lastTransitionTime": now,
        }]}});
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
        let options = json!({"preconditions": {"uid": pod.metadata.uid}});
        match self
            .api
            .delete(resources::pods(), namespace, name, &options)
            .await
        {
            Err(error) if !error.is_conflict() => Err(error),
            _ => Ok(()),
        }
    }
}
