//! The agent's life: opens everything, then turns the watch of pods into workers.

mod dispatch;
mod exits;
mod orphans;
mod source;

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keelson_runtime::image::ImageStore;
use keelson_runtime::node::NodeRuntime;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::sync::watch;
use tower::timeout::TimeoutLayer;

use crate::cache::{ObjectCache, ServiceCache};
use crate::event::Recorder;
use crate::node::{Facts, Heartbeat, NodeHandle, cgroups};
use crate::registry::Registry;
use crate::server::{ServerConfig, serve};
use crate::worker::{Context, Turns};
use crate::{Config, Error};
use dispatch::Dispatcher;

/// How long the beginning of an answer may take: a server that hangs, or a network that swallows packets, must not hold up a
/// worker for ever. Watches are not cut short: their answer begins at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the agent until `shutdown` resolves. Containers go on running afterwards.
///
/// # Errors
/// Refuses to start, naming what is missing, where the host cannot enforce limits and the configuration does not allow
/// that; and when directories, runtime, credentials or the server's port cannot be opened.
pub async fn run(mut config: Config, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    let limits_problem = cgroups::explain(&cgroups::missing_controllers());
    if let Some(problem) = &limits_problem {
        if !config.allow_missing_cgroups {
            return Err(Error::Host(format!(
                "{problem}; to go on without limits, allow missing cgroups"
            )));
        }
        tracing::warn!("{problem}");
    }
    config.runtime.cgroups &= limits_problem.is_none();
    create_directories(&config)?;
    let (runtime, images) = open_stores(&config).await?;
    let client = client(&config.kubeconfig).await?;
    let registry = Registry::new(config.clone(), runtime.clone());
    let (bound, port) = watch::channel(None);
    let server = listen(
        server_config(&config),
        runtime.clone(),
        registry.clone(),
        client.clone(),
        bound,
    );
    let facts = Facts::read(&config.root_dir);
    let node = NodeHandle::new(&config.node_name, config.node_ip, &facts, config.max_pods);
    let netd = keelson_netd::client::Client::new(&config.netd_socket);
    let events = Recorder::start(client.clone(), config.node_name.clone());
    let (objects, changed) = ObjectCache::new(client.clone());

    let heartbeat = Heartbeat {
        client: client.clone(),
        node: node.clone(),
        facts,
        max_pods: config.max_pods,
        wanted_port: config.listen.port(),
        port,
        root_dir: config.root_dir.clone(),
        images: images.clone(),
        netd: netd.clone(),
        events: events.clone(),
        limits_problem,
    };
    let services = ServiceCache::start(client.clone());
    let context = Arc::new(Context {
        config,
        client,
        runtime,
        images,
        pulls: Turns::default(),
        netd,
        events,
        objects,
        services,
        node,
        registry,
    });

    // Before the runtime is asked what runs, so that no end falls between the two.
    let exits = context.runtime.events()?;
    let dispatcher = Dispatcher::new(context.clone());
    tokio::select! {
        () = shutdown => Ok(()),
        result = server => result,
        () = heartbeat.run() => Ok(()),
        result = exits::follow(exits, dispatcher.clone()) => result,
        () = dispatcher.clone().follow_objects(changed) => Ok(()),
        result = source::follow(&dispatcher) => result,
    }
}

/// Serves for as long as the agent runs, as soon as the address is there: on a one-machine cluster it is the pod
/// bridge's, which netd makes once our Node object has a pod range.
async fn listen(
    config: ServerConfig,
    runtime: NodeRuntime,
    registry: Registry,
    client: kube::Client,
    bound: watch::Sender<Option<u16>>,
) -> Result<(), Error> {
    /// Until netd has made the address.
    const RETRY: Duration = Duration::from_millis(100);
    loop {
        let pods = Arc::new(registry.clone());
        match serve(config.clone(), runtime.clone(), pods, client.clone()).await {
            Ok(server) => {
                bound.send_replace(Some(server.address.port()));
                // The server's tasks serve; this one only holds it.
                std::future::pending::<()>().await;
            }
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::AddrNotAvailable => {
                tokio::time::sleep(RETRY).await;
            }
            Err(error) => return Err(error),
        }
    }
}

fn create_directories(config: &Config) -> Result<(), Error> {
    for (path, mode) in [(&config.root_dir, 0o750), (&config.log_dir, 0o755)] {
        std::os::unix::fs::DirBuilderExt::mode(std::fs::DirBuilder::new().recursive(true), mode)
            .create(path)
            .map_err(|source| Error::Io {
                what: format!("create {}", path.display()),
                source,
            })?;
    }
    Ok(())
}

async fn open_stores(config: &Config) -> Result<(NodeRuntime, ImageStore), Error> {
    let (runtime, images) = (config.runtime.clone(), config.image_dir.clone());
    tokio::task::spawn_blocking(move || Ok((NodeRuntime::open(runtime)?, ImageStore::open(&images)?)))
        .await
        .map_err(|error| Error::Host(format!("opening the stores did not end: {error}")))?
}

async fn client(path: &Path) -> Result<kube::Client, Error> {
    let wrong =
        |error: &dyn std::fmt::Display| Error::Host(format!("kubeconfig {}: {error}", path.display()));
    let kubeconfig = Kubeconfig::read_from(path).map_err(|e| wrong(&e))?;
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(|e| wrong(&e))?;
    // Who the server notes as the manager of our fields.
    config.headers.push((
        http::header::USER_AGENT,
        http::HeaderValue::from_static("kubelet"),
    ));
    Ok(kube::client::ClientBuilder::try_from(config)?
        .with_layer(&TimeoutLayer::new(PATIENCE))
        .build())
}

fn server_config(config: &Config) -> ServerConfig {
    ServerConfig {
        listen: config.listen,
        client_ca: config.client_ca.clone(),
        tls_cert: config.tls_cert.clone(),
        tls_key: config.tls_key.clone(),
        node_name: config.node_name.clone(),
    }
}
