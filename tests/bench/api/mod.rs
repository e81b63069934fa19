//! The API server: operations per second with sixteen clients, what they cost, lists, watches, and memory.
//!
//! Every write is durable when it is answered. Bodies are sent and received as bytes, so that the clients, which share the
//! machine with the server, cost little.

mod load;
mod memory;
mod upstream;
mod watches;

use anyhow::{Context, Result, ensure};
use keelson_tests::Cluster;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use upstream::Upstream;

use crate::process;

/// Clients at a time.
const CLIENTS: usize = 16;
/// Pods of the middle size.
const PODS: usize = 5_000;

/// Everything, on one cluster; its nodes run none of these pods.
pub async fn measure(cluster: &Cluster, client: &Client) -> Result<()> {
    let server = Server {
        name: "control process",
        client: client.clone(),
        pids: vec![cluster.pid("control")?],
    };
    server.namespace("bench").await?;
    let upstream = Upstream::start(cluster.dir()).await?;
    memory::print("idle", &server, 0).await?;
    if let Some(upstream) = &upstream {
        memory::print("idle", &upstream.server, 0).await?;
    }
    for pods in [&PLAIN, &RICH] {
        let ours = load::operations(&server, pods).await?;
        if let Some(upstream) = &upstream {
            let theirs = load::operations(&upstream.server, pods).await?;
            load::compare(&ours, &theirs);
        }
    }
    drop(upstream);
    watches::deliver(&server).await?;
    memory::many(&server).await
}

/// A server, and its processes.
struct Server {
    name: &'static str,
    client: Client,
    pids: Vec<i32>,
}

impl Server {
    /// One request; its answer's body.
    async fn send(&self, method: &str, path: &str, body: Vec<u8>) -> Result<bytes::Bytes> {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(Body::from(body))?;
        let response = self.client.send(request).await?;
        let status = response.status();
        let body = response.into_body().collect_bytes().await?;
        ensure!(
            status.is_success(),
            "{method} {path}: {status} {}",
            String::from_utf8_lossy(&body)
        );
        Ok(body)
    }

    /// A namespace in which pods can be created.
    async fn namespace(&self, name: &str) -> Result<()> {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        self.send("POST", "/api/v1/namespaces", body.to_string().into())
            .await?;
        let account = format!("/api/v1/namespaces/{name}/serviceaccounts/default");
        for _ in 0..200 {
            if self.send("GET", &account, Vec::new()).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        anyhow::bail!("no service account in {name}")
    }

    /// CPU time that the processes have used, in seconds.
    fn cpu(&self) -> f64 {
        let ticks: u64 = self.pids.iter().map(|pid| process::cpu_ticks(*pid)).sum();
        ticks as f64 / 100.0
    }

    /// Their memory in bytes, PSS.
    fn memory(&self) -> u64 {
        self.pids.iter().map(|pid| process::pss(*pid)).sum()
    }
}

/// Pods of one make, which no scheduler takes.
struct Pods {
    title: &'static str,
    make: fn(usize) -> Value,
}

/// As small as those with which real Kubernetes was measured (1.6 KB as stored).
const PLAIN: Pods = Pods {
    title: "plain pods",
    make: |index| {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": format!("web-{index:06}"), "labels": {"app": "web"}},
            "spec": {"schedulerName": "nobody", "containers": [{"name": "web", "image": "busybox:1.36"}]},
        })
    },
};

/// Such as a Deployment makes (3 KB as stored).
const RICH: Pods = Pods {
    title: "pods with probes, resources and environment",
    make: rich,
};

fn rich(index: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("web-{index:06}"), "labels": {"app": "web", "pod-template-hash": "5d8c9f7b6"},
            "annotations": {"example.com/revision": "17"}},
        "spec": {"schedulerName": "nobody", "containers": [{
            "name": "web", "image": "registry.example.com/team/web:1.2.3", "ports": [{"containerPort": 8080}],
            "env": [{"name": "PORT", "value": "8080"}, {"name": "MODE", "value": "production"}],
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 5}}]},
    })
}

fn path_of(index: usize) -> String {
    format!("/api/v1/namespaces/bench/pods/web-{index:06}")
}

/// The number of a field that the kernel or the server gives as text.
fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str> {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .context(pointer.to_owned())
}
