//! Publishes the cluster's certificate authority to every namespace, where pods mount it.

use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinSet;

use super::api::{Api, Error, resources};
use super::informer::{Informer, Next, Queue};
use super::model::{ConfigMap, Namespace};
use super::{Context, authority};

const NAME: &str = "root-ca-cert-publisher";
/// Name of the ConfigMap.
pub const CONFIG_MAP: &str = "kube-root-ca.crt";
const DESCRIPTION: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal \
    endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across \
    distributions of Kubernetes clusters.";

/// Starts the controller.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    let queue: Arc<Queue<String>> = Queue::new();
    let adder = queue.clone();
    context.namespaces.on_change(move |_, new| {
        if let Some(namespace) = new {
            adder.add(namespace.metadata.name.clone());
        }
    });
    let adder = queue.clone();
    context.config_maps.on_change(move |old, new| {
        if let Some(map) = new.or(old) {
            adder.add(map.metadata.namespace.clone());
        }
    });
    let pki_dir = context.config.pki_dir.clone();
    let (api, namespaces, maps) = (
        context.api(NAME),
        context.namespaces.clone(),
        context.config_maps.clone(),
    );
    tasks.spawn(async move {
        let authority = authority::read(&pki_dir).await;
        namespaces.synced().await;
        maps.synced().await;
        queue
            .work(NAME, |name| publish(&api, &namespaces, &maps, &authority, name))
            .await;
    });
}

async fn publish(
    api: &Api,
    namespaces: &Informer<Namespace>,
    maps: &Informer<ConfigMap>,
    authority: &str,
    name: String,
) -> Result<Next, Error> {
    if namespaces
        .store()
        .get("", &name)
        .is_none_or(|namespace| namespace.status.phase == "Terminating")
    {
        return Ok(Next::Wait);
    }
    let data = json!({"ca.crt": authority});
    let Some(map) = maps.store().get(&name, CONFIG_MAP) else {
        let body = json!({
            "metadata": {
                "name": CONFIG_MAP,
                "namespace": name,
                "annotations": {"kubernetes.io/description": DESCRIPTION},
            },
            "data": data,
        });
        return match api.create(resources::config_maps(), &name, body).await {
            Err(error)
                if !error.is_already_exists()
                    && !error.is_not_found()
                    && !error.is_namespace_terminating() =>
            {
                Err(error)
            }
            _ => Ok(Next::Wait),
        };
    };
    if map.data.len() != 1 || map.data.get("ca.crt").map(String::as_str) != Some(authority) {
        // The role allows no read, so the object is built from the cache; nobody else has business in it.
        let body = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": CONFIG_MAP,
                "namespace": name,
                "uid": map.metadata.uid,
                "resourceVersion": map.metadata.resource_version,
                "labels": map.metadata.labels,
                "annotations": map.metadata.annotations,
            },
            "data": data,
        });
        api.replace(resources::config_maps(), "", &body).await?;
    }
    Ok(Next::Wait)
}
