//! Gives each node its pod address ranges.

use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinSet;

use super::NAME;
use super::cidr::Pool;
use crate::controllers::Context;
use crate::controllers::api::{Api, Error, EventType, Patch, Recorder, resources};
use crate::controllers::informer::{Informer, Next, Queue};
use crate::controllers::model::Node;

/// Starts the controller; without cluster ranges it has nothing to do.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    let mut pools = Vec::new();
    for text in &context.config.cluster_cidrs {
        match Pool::new(text) {
            Ok(pool) => pools.push(pool),
            Err(error) => tracing::error!(%error, "cluster CIDR ignored"),
        }
    }
    if pools.is_empty() {
        return;
    }
    let queue: Arc<Queue<String>> = Queue::new();
    let adder = queue.clone();
    context.nodes.on_change(move |_, new| {
        if let Some(node) = new.filter(|node| node.spec.pod_cidrs.is_empty()) {
            adder.add(node.metadata.name.clone());
        }
    });
    let api = context.api(NAME);
    let recorder = Context::recorder(&api, "cidrAllocator", tasks);
    let nodes = context.nodes.clone();
    // One worker: ranges are handed out one after the other.
    tasks.spawn(async move {
        nodes.synced().await;
        queue
            .work("node-ipam-controller", |name| {
                assign(&api, &recorder, &nodes, pools.clone(), name)
            })
            .await;
    });
}

/// Assigns from pools in which nothing is taken yet: what is taken is what the nodes say, afresh from the API, since
/// the cache may not show the assignment before this one.
async fn assign(
    api: &Api,
    recorder: &Recorder,
    nodes: &Informer<Node>,
    mut pools: Vec<Pool>,
    name: String,
) -> Result<Next, Error> {
    let Some(node) = nodes
        .store()
        .get("", &name)
        .filter(|node| node.spec.pod_cidrs.is_empty())
    else {
        return Ok(Next::Wait);
    };
    let list: serde_json::Value = api
        .get_path(&resources::nodes().path(""), "application/json")
        .await?;
    for item in list["items"].as_array().into_iter().flatten() {
        for cidr in item["spec"]["podCIDRs"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|cidr| cidr.as_str())
        {
            if item["metadata"]["name"].as_str() == Some(&name) {
                return Ok(Next::Wait);
            }
            for pool in &mut pools {
                pool.occupy(cidr);
            }
        }
    }
    let cidrs: Option<Vec<_>> = pools.iter_mut().map(Pool::take).collect();
    let Some(cidrs) = cidrs else {
        let reference = node.metadata.reference(resources::nodes());
        let message = format!("Node {name} status is now: CIDRNotAvailable");
        recorder.record(&reference, EventType::Normal, "CIDRNotAvailable", message);
        return Ok(Next::After(std::time::Duration::from_mins(1)));
    };
    let patch = json!({
        "metadata": {"uid": node.metadata.uid},
        "spec": {"podCIDR": cidrs[0], "podCIDRs": cidrs},
    });
    api.patch(resources::nodes(), "", &name, "", Patch::Strategic, &patch)
        .await?;
    Ok(Next::Wait)
}
