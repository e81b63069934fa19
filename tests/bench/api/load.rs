//! Creates, gets, lists, updates and deletes of pods.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::StreamExt;
use serde_json::Value;

use super::{CLIENTS, PODS, Pods, Server, memory, path_of, text};
use crate::statistics::Samples;

/// Each operation on [`PODS`] pods, and the memory that they take.
pub async fn operations(server: &Server, pods: &Pods) -> Result<()> {
    println!("{}:", pods.title);
    create(server, pods, 0..PODS, "create").await?;
    memory::print("5,000 pods", server, PODS).await?;
    series(server, "get", 0..4 * PODS, async |index| {
        server
            .send("GET", &path_of(index % PODS), Vec::new())
            .await
            .map(drop)
    })
    .await?;
    list(server).await?;
    series(server, "update (GET, PUT)", 0..PODS, async |index| {
        let body = server.send("GET", &path_of(index), Vec::new()).await?;
        let mut object: Value = serde_json::from_slice(&body)?;
        object["metadata"]["labels"]["updated"] = "yes".into();
        server
            .send("PUT", &path_of(index), object.to_string().into())
            .await
            .map(drop)
    })
    .await?;
    series(server, "patch (merge)", 0..PODS, async |index| {
        let request = http::Request::patch(path_of(index))
            .header("content-type", "application/merge-patch+json")
            .body(kube::client::Body::from(
                br#"{"metadata":{"labels":{"patched":"yes"}}}"#.to_vec(),
            ))?;
        let response = server.client.send(request).await?;
        response.into_body().collect_bytes().await?;
        Ok(())
    })
    .await?;
    // No kubelet has them, so they go at once.
    let now = br#"{"gracePeriodSeconds":0}"#.to_vec();
    series(server, "delete", 0..PODS, async |index| {
        server
            .send("DELETE", &path_of(index), now.clone())
            .await
            .map(drop)
    })
    .await
}

/// Creates pods of these numbers.
pub async fn create(server: &Server, pods: &Pods, range: std::ops::Range<usize>, title: &str) -> Result<()> {
    series(server, title, range, async |index| {
        let body = (pods.make)(index).to_string();
        server
            .send("POST", "/api/v1/namespaces/bench/pods", body.into())
            .await
            .map(drop)
    })
    .await
}

/// Runs an operation for each number with [`CLIENTS`] under way, and prints its rate, latency and CPU.
async fn series(
    server: &Server,
    title: &str,
    range: std::ops::Range<usize>,
    operation: impl AsyncFn(usize) -> Result<()>,
) -> Result<()> {
    let count = range.len();
    let (begun, used) = (Instant::now(), server.cpu());
    let operation = &operation;
    let results: Vec<Result<Duration>> = futures::stream::iter(range.map(|index| async move {
        let sent = Instant::now();
        operation(index).await.map(|()| sent.elapsed())
    }))
    .buffer_unordered(CLIENTS)
    .collect()
    .await;
    let (elapsed, used) = (begun.elapsed().as_secs_f64(), server.cpu() - used);
    let samples = Samples::new(results.into_iter().collect::<Result<_>>()?);
    println!(
        "{CLIENTS} clients, {title}: {:.0}/s, {:.3} ms CPU each; {}, p99 {:.1} ms",
        count as f64 / elapsed,
        used * 1000.0 / count as f64,
        samples.summary(),
        samples.percentile(99).as_secs_f64() * 1000.0
    );
    Ok(())
}

/// A whole list as JSON, one client.
async fn list(server: &Server) -> Result<()> {
    const TIMES: usize = 20;
    let mut samples = Vec::new();
    let mut size = 0;
    let used = server.cpu();
    for _ in 0..TIMES {
        let begun = Instant::now();
        size = server
            .send("GET", "/api/v1/namespaces/bench/pods", Vec::new())
            .await?
            .len();
        samples.push(begun.elapsed());
    }
    let used = server.cpu() - used;
    println!(
        "LIST of {PODS} pods (JSON, {:.1} MB): {}, {:.1} ms CPU each",
        size as f64 / 1e6,
        Samples::new(samples).summary(),
        used * 1000.0 / TIMES as f64
    );
    Ok(())
}

/// The revision of the newest change.
pub async fn revision(server: &Server) -> Result<String> {
    let body = server
        .send("GET", "/api/v1/namespaces/bench/configmaps?limit=1", Vec::new())
        .await?;
    Ok(text(&serde_json::from_slice(&body)?, "/metadata/resourceVersion")?.to_owned())
}
