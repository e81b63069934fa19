//! The `kube` crate: typed and dynamic objects, apply, watchers and reflectors, a controller, and the streams of pods.

mod controller;
mod customs;
mod objects;
mod ports;
mod streams;
mod watches;

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, ObjectMeta, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::NamespaceResourceScope;
use kube::runtime::{conditions, wait::await_condition};
use kube::{Client, Config, Resource};
use serde_json::json;

use crate::context::{Context, PATIENCE, Test};

pub const TESTS: &[Test] = &[
    ("rust_objects", |c| run(c, objects::all)),
    ("rust_discovery", |c| run(c, objects::discovery)),
    ("rust_watch_and_reflector", |c| run(c, watches::all)),
    ("rust_exec_and_attach", |c| run(c, streams::all)),
    ("rust_port_forward", |c| run(c, ports::all)),
    ("rust_custom_resources", |c| run(c, customs::all)),
    ("rust_controller", |c| run(c, controller::all)),
];

/// A client in the test's namespace.
pub struct Session {
    pub client: Client,
    pub namespace: String,
}

impl Session {
    /// The objects of a kind in the namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates a pod of one busybox container that ends at once when told to, and waits until it runs.
    pub async fn pod(&self, name: &str, script: &str, stdin: bool) -> Result<Pod> {
        let pod = serde_json::from_value(json!({
            "metadata": {"name": name},
            "spec": {"terminationGracePeriodSeconds": 0, "containers": [
                {"name": "c", "image": "busybox:1.36", "command": ["sh", "-c", script], "stdin": stdin},
            ]},
        }))?;
        let pods: Api<Pod> = self.api();
        pods.create(&PostParams::default(), &pod).await?;
        let running = await_condition(pods.clone(), name, conditions::is_pod_running());
        Box::pin(within(PATIENCE, running))
            .await??
            .context("the pod went")
    }
}

fn run<F: Future<Output = Result<()>>>(c: &Context, body: impl FnOnce(Session) -> F) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let kubeconfig = Kubeconfig::read_from(c.cluster.dir().join("admin.kubeconfig"))?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let session = Session {
            client: Client::try_from(config)?,
            namespace: c.kubectl.current_namespace().to_owned(),
        };
        body(session).await
    })
}

/// A future that must come to an end in time.
pub async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(limit, future)
        .await
        .with_context(|| format!("not within {} s", limit.as_secs()))
}

/// Demands a refusal with a code and a reason; returns the message.
pub fn refused<T: Debug>(outcome: kube::Result<T>, code: u16, reason: &str) -> Result<String> {
    match outcome {
        Err(kube::Error::Api(status)) => {
            ensure!(
                status.code == code && status.reason == reason,
                "refused otherwise: {status:?}"
            );
            Ok(status.message.clone())
        }
        other => bail!("should have been refused with {code} {reason}: {other:?}"),
    }
}

/// A ConfigMap with one label and one value.
pub fn config_map(name: &str, app: &str, value: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some([("app".to_owned(), app.to_owned())].into()),
            ..ObjectMeta::default()
        },
        data: Some([("k".to_owned(), value.to_owned())].into()),
        ..ConfigMap::default()
    }
}
