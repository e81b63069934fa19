//! Creates, reads (as JSON and as protobuf), lists and deletes pods over HTTPS with 16 clients, and prints rates and the CPU that the
//! server process used: `cargo run --release -p keelson-control --example creates -- DIR PID [COUNT]`, where `DIR` is that
//! of a running `serve` example (or of `keelson control`) and `PID` its process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::{Method, Request};
use serde_json::json;

/// Clients at once.
const CLIENTS: usize = 16;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().ok_or("which directory?")?);
    let pid = arguments.next().ok_or("which process?")?;
    let count: usize = arguments.next().unwrap_or_else(|| "4000".to_owned()).parse()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(bench(&dir, &pid, count))
}

async fn bench(dir: &Path, pid: &str, count: usize) -> Result<(), Box<dyn std::error::Error>> {
    let pods = "/api/v1/namespaces/default/pods";
    let pod = |number: usize| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("bench-{number}"), "labels": {"app": "bench"}},
            "spec": {"schedulerName": "nobody", "containers": [{"name": "c", "image": "busybox:1.36",
                "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}}]}})
    };
    let (create, read, delete) = (pod, move |number| format!("{pods}/bench-{number}"), "bench");
    let _ = delete;
    phase(dir, pid, "create", count, |number| {
        request(
            Method::POST,
            pods,
            serde_json::to_vec(&create(number)).unwrap_or_default(),
        )
    })
    .await?;
    phase(dir, pid, "get", count * 4, |number| {
        request(Method::GET, &read(number % count), Vec::new())
    })
    .await?;
    phase(dir, pid, "get pb", count * 4, |number| {
        protobuf(request(Method::GET, &read(number % count), Vec::new()))
    })
    .await?;
    phase(dir, pid, "list", 20, |_| request(Method::GET, pods, Vec::new())).await?;
    phase(dir, pid, "list pb", 20, |_| {
        protobuf(request(Method::GET, pods, Vec::new()))
    })
    .await?;
    println!("server memory after {count} pods: {} KiB resident", resident(pid));
    phase(dir, pid, "delete", count, |number| {
        request(Method::DELETE, &read(number), Vec::new())
    })
    .await
}

fn request(method: Method, path: &str, body: Vec<u8>) -> Request<kube::client::Body> {
    let mut request = Request::new(kube::client::Body::from(body));
    *request.method_mut() = method;
    // Paths are made of letters, digits and slashes.
    *request.uri_mut() = path.parse().unwrap_or_default();
    request
        .headers_mut()
        .insert("content-type", http::HeaderValue::from_static("application/json"));
    request
}

/// The same request for an answer in protobuf.
fn protobuf(mut request: Request<kube::client::Body>) -> Request<kube::client::Body> {
    let media = http::HeaderValue::from_static(keelson_api::protobuf::MEDIA_TYPE);
    request.headers_mut().insert("accept", media);
    request
}

async fn phase(
    dir: &Path,
    pid: &str,
    what: &str,
    count: usize,
    make: impl Fn(usize) -> Request<kube::client::Body> + Send + Sync + Copy,
) -> Result<(), Box<dyn std::error::Error>> {
    let next = Arc::new(AtomicUsize::new(0));
    let kubeconfig = kube::config::Kubeconfig::read_from(dir.join("admin.kubeconfig"))?;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let options = kube::config::KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig.clone(), &options).await?;
        clients.push(kube::Client::try_from(config)?);
    }
    let before = cpu(pid);
    let began = Instant::now();
    let work = clients.iter().map(|client| {
        let next = Arc::clone(&next);
        async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok::<_, kube::Error>(());
                }
                let response = client.send(make(number)).await?;
                let status = response.status();
                let body = response.into_body().collect_bytes().await?;
                if !status.is_success() {
                    eprintln!("{status}: {}", String::from_utf8_lossy(&body));
                }
            }
        }
    });
    futures::future::try_join_all(work).await?;
    let took = began.elapsed();
    let used = cpu(pid).saturating_sub(before);
    println!(
        "{what:>7}: {:>8.0}/s, {:.3} ms of server CPU each",
        count as f64 / took.as_secs_f64(),
        used.as_secs_f64() * 1000.0 / count as f64
    );
    Ok(())
}

/// CPU time of a process (proc_pid_stat(5), fields 14 and 15; the clock tick is 10 ms on Linux).
fn cpu(pid: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

fn resident(pid: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .map_or_else(String::new, |line| line.trim().trim_end_matches(" kB").to_owned())
}
