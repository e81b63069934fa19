//! Waiting for the cluster to be ready.

use std::time::Duration;

use anyhow::Result;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Node;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};

use crate::cluster::Cluster;
use crate::commands::status;

/// Resolves when the API server is ready and the node's Ready condition is true.
pub async fn until_ready(cluster: &Cluster) -> Result<()> {
    let client = status::client(cluster).await?;
    while status::ready(&client).await.is_err() {
        // Waits for the API server to bind its port: there is nothing to watch before that.
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    node_ready(client, &cluster.node_name).await;
    Ok(())
}

/// Watches the node, also before it exists and across an API server that restarts.
async fn node_ready(client: Client, name: &str) {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let nodes = watcher(Api::<Node>::all(client), config)
        .default_backoff()
        .applied_objects();
    let mut ready = std::pin::pin!(nodes.filter(|node| {
        let ready = node
            .as_ref()
            .ok()
            .and_then(status::node_ready)
            .is_some_and(|(ready, _)| ready);
        std::future::ready(ready)
    }));
    ready.next().await;
}

/// What is missing, for the message after the time limit.
pub async fn blame(cluster: &Cluster) -> String {
    let check = async {
        let client = status::client(cluster).await?;
        status::ready(&client).await?;
        let node = Api::<Node>::all(client).get(&cluster.node_name).await?;
        anyhow::Ok(status::node_ready(&node).map_or_else(
            || "the node reports no condition".to_owned(),
            |(_, message)| message,
        ))
    };
    let limit = Duration::from_secs(5);
    match tokio::time::timeout(limit, check).await {
        Ok(Ok(message)) => message,
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => "the API server does not answer".to_owned(),
    }
}
