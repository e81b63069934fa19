//! Creates, gets, lists, updates and deletes of pods.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::StreamExt;
use serde_json::Value;

use super::{CLIENTS, PODS, Pods, Server, memory, path_of, text};
use crate::statistics::Samples;

/// What one kind of operation takes.
pub struct Figures {
    title: String,
    /// Of the whole, a second.
    rate: f64,
    /// Of each, in milliseconds.
    cpu: f64,
    median: f64,
}

/// Each operation on [`PODS`] pods, and the memory that they take.
pub async fn operations(server: &Server, pods: &Pods) -> Result<Vec<Figures>> {
    println!("{}, {}:", server.name, pods.title);
    let create = create(server, pods, 0..PODS, "create").await?;
    memory::print("5,000 pods", server, PODS).await?;
    let get = series(server, "get", 0..4 * PODS, async |index| {
        server
            .send("GET", &path_of(index % PODS), Vec::new())
            .await
            .map(drop)
    })
    .await?;
    let list = list(server).await?;
    let update = series(server, "update (GET, PUT)", 0..PODS, async |index| {
        let body = server.send("GET", &path_of(index), Vec::new()).await?;
        let mut object: Value = serde_json::from_slice(&body)?;
        object["metadata"]["labels"]["updated"] = "yes".into();
        server
            .send("PUT", &path_of(index), object.to_string().into())
            .await
            .map(drop)
    })
    .await?;
    let patch = series(server, "patch (merge)", 0..PODS, async |index| {
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
    let delete = series(server, "delete", 0..PODS, async |index| {
        server
            .send("DELETE", &path_of(index), now.clone())
            .await
            .map(drop)
    })
    .await?;
    Ok(vec![create, get, list, update, patch, delete])
}

/// Prints how the figures of two servers compare, measured one after the other.
pub fn compare(ours: &[Figures], theirs: &[Figures]) {
    println!("beside upstream, measured in turn:");
    for (ours, theirs) in ours.iter().zip(theirs) {
        println!(
            "{}: {:.2} of the CPU (1/{:.1}), {:.1} times the rate, {:.2} of the median time (1/{:.1})",
            ours.title,
            ours.cpu / theirs.cpu,
            theirs.cpu / ours.cpu,
            ours.rate / theirs.rate,
            ours.median / theirs.median,
            theirs.median / ours.median,
        );
    }
}

/// Creates pods of these numbers.
pub async fn create(
    server: &Server,
    pods: &Pods,
    range: std::ops::Range<usize>,
    title: &str,
) -> Result<Figures> {
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
) -> Result<Figures> {
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
    let figures = Figures {
        title: title.to_owned(),
        rate: count as f64 / elapsed,
        cpu: used * 1000.0 / count as f64,
        median: samples.percentile(50).as_secs_f64() * 1000.0,
    };
    println!(
        "{CLIENTS} clients, {title}: {:.0}/s, {:.3} ms CPU each; {}, p99 {:.1} ms",
        figures.rate,
        figures.cpu,
        samples.summary(),
        samples.percentile(99).as_secs_f64() * 1000.0
    );
    Ok(figures)
}

/// A whole list as JSON, one client.
async fn list(server: &Server) -> Result<Figures> {
    const TIMES: usize = 20;
    let mut samples = Vec::new();
    let mut size = 0;
    let (begun, used) = (Instant::now(), server.cpu());
    for _ in 0..TIMES {
        let sent = Instant::now();
        size = server
            .send("GET", "/api/v1/namespaces/bench/pods", Vec::new())
            .await?
            .len();
        samples.push(sent.elapsed());
    }
    let (elapsed, used) = (begun.elapsed().as_secs_f64(), server.cpu() - used);
    let samples = Samples::new(samples);
    let figures = Figures {
        title: format!("LIST of {PODS}"),
        rate: TIMES as f64 / elapsed,
        cpu: used * 1000.0 / TIMES as f64,
        median: samples.percentile(50).as_secs_f64() * 1000.0,
    };
    println!(
        "LIST of {PODS} pods (JSON, {:.1} MB): {}, {:.1} ms CPU each",
        size as f64 / 1e6,
        samples.summary(),
        figures.cpu
    );
    Ok(figures)
}

/// The revision of the newest change.
pub async fn revision(server: &Server) -> Result<String> {
    let body = server
        .send("GET", "/api/v1/namespaces/bench/configmaps?limit=1", Vec::new())
        .await?;
    Ok(text(&serde_json::from_slice(&body)?, "/metadata/resourceVersion")?.to_owned())
}
