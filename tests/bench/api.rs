//! Durable creates per second.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;
use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, PostParams};

use crate::statistics::Samples;

/// Creates `count` ConfigMaps with `clients` requests under way at a time.
pub async fn creates(client: &Client, clients: usize, count: usize) -> Result<()> {
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let begun = Instant::now();
    let parameters = PostParams::default();
    let results: Vec<_> = futures::stream::iter((0..count).map(|index| {
        let (api, parameters) = (&api, &parameters);
        async move {
            let sent = Instant::now();
            api.create(parameters, &config_map(index))
                .await
                .map(|_| sent.elapsed())
        }
    }))
    .buffer_unordered(clients)
    .collect()
    .await;
    let elapsed = begun.elapsed().as_secs_f64();
    let latencies = results.into_iter().collect::<Result<Vec<_>, _>>()?;
    println!(
        "{clients} clients: {:.0} durable creates/s, {}",
        count as f64 / elapsed,
        Samples::new(latencies).summary()
    );
    api.delete_collection(
        &DeleteParams::default(),
        &ListParams::default().labels("bench=creates"),
    )
    .await?;
    Ok(())
}

fn config_map(index: usize) -> ConfigMap {
    let mut object = ConfigMap {
        data: Some(BTreeMap::from([("key".into(), "v".repeat(200))])),
        ..ConfigMap::default()
    };
    object.metadata.name = Some(format!("create-{index}"));
    object.metadata.labels = Some(BTreeMap::from([("bench".into(), "creates".into())]));
    object
}
