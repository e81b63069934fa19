//! A thousand watchers of one resource, a hundred writes a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use futures::AsyncReadExt;
use serde_json::json;
use tokio::task::JoinSet;

use super::{Server, load};
use crate::statistics::Samples;

const WATCHERS: usize = 1_000;
const WRITES: usize = 1_000;
const INTERVAL: Duration = Duration::from_millis(10);
/// Stands before the time of sending, in nanoseconds of the Unix epoch, in each object.
const MARK: &str = "\"sent\":\"";

/// Prints CPU for each delivered event, and the time from sending a write to reading its event.
pub async fn deliver(server: &Server) -> Result<()> {
    raise_file_limit()?;
    let path = format!(
        "/api/v1/namespaces/bench/configmaps?watch=1&resourceVersion={}",
        load::revision(server).await?
    );
    let delivered = Arc::new(AtomicUsize::new(0));
    let mut watchers = JoinSet::new();
    for _ in 0..WATCHERS {
        let request = http::Request::get(&path).body(Vec::new())?;
        let stream = server.client.request_stream(request).await?;
        watchers.spawn(follow(stream, Arc::clone(&delivered)));
    }
    let idle = server.cpu();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let idle = (server.cpu() - idle) / 5.0;
    let (begun, used) = (Instant::now(), server.cpu());
    let mut ticks = tokio::time::interval(INTERVAL);
    for number in 0..WRITES {
        ticks.tick().await;
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("w{number}")},
            "data": {"sent": nanoseconds().to_string()}});
        server
            .send(
                "POST",
                "/api/v1/namespaces/bench/configmaps",
                object.to_string().into(),
            )
            .await?;
    }
    let rate = WRITES as f64 / begun.elapsed().as_secs_f64();
    let patience = Instant::now();
    while delivered.load(Ordering::Relaxed) < WATCHERS * WRITES {
        ensure!(patience.elapsed() < Duration::from_mins(2), "events are missing");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let used = server.cpu() - used;
    let mut latencies = Vec::new();
    while let Some(watcher) = watchers.join_next().await {
        latencies.extend(watcher??);
    }
    ensure!(latencies.len() == WATCHERS * WRITES, "{} events", latencies.len());
    let samples = Samples::new(latencies);
    println!(
        "{WATCHERS} watchers, {rate:.0} writes/s: {:.2} us CPU for each delivered event (writes included; {idle:.3} cores \
         without writes); {}, p99 {:.1} ms",
        used * 1e6 / (WATCHERS * WRITES) as f64,
        samples.summary(),
        samples.percentile(99).as_secs_f64() * 1000.0
    );
    Ok(())
}

/// Reads events until all have come; how long each was on its way.
async fn follow(
    stream: impl futures::AsyncBufRead + Send,
    delivered: Arc<AtomicUsize>,
) -> Result<Vec<Duration>> {
    let mut stream = Box::pin(stream);
    let mut latencies = Vec::with_capacity(WRITES);
    let (mut buffer, mut rest) = (vec![0; 16 << 10], Vec::new());
    while latencies.len() < WRITES {
        let read = stream.read(&mut buffer).await?;
        ensure!(read > 0, "the watch ended");
        let now = nanoseconds();
        rest.extend_from_slice(&buffer[..read]);
        let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') else {
            continue;
        };
        let before = latencies.len();
        for line in std::str::from_utf8(&rest[..end])?.lines() {
            let at = line.find(MARK).context("an event without its time")? + MARK.len();
            let digits = line[at..].split('"').next().context("a time")?;
            latencies.push(Duration::from_nanos(now.saturating_sub(digits.parse()?)));
        }
        rest.drain(..=end);
        delivered.fetch_add(latencies.len() - before, Ordering::Relaxed);
    }
    Ok(latencies)
}

fn nanoseconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64)
}

/// Each watcher has a connection of its own.
fn raise_file_limit() -> Result<()> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}
