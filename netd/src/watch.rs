//! Watching the API: Services, EndpointSlices and this node's Node object.
//!
//! Objects are reduced to what netd needs as they arrive; no copy of the API's objects is kept.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, Service as ApiService};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, Resource};
use tokio::sync::{mpsc, watch};
use tower::timeout::TimeoutLayer;
use tracing::warn;

use crate::Error;
use crate::cidr::Cidr;
use crate::proxy::Event;
use crate::service::{Key, Service, Slice};

/// Delays between attempts: from 0.2 to 5 seconds, so that a control plane that returns is noticed soon.
#[derive(Debug, Clone)]
struct Retry(Duration);

const FIRST_DELAY: Duration = Duration::from_millis(200);
const LAST_DELAY: Duration = Duration::from_secs(5);
/// How long the beginning of an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

impl Iterator for Retry {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let delay = self.0;
        self.0 = (delay * 2).min(LAST_DELAY);
        Some(delay)
    }
}

impl Backoff for Retry {
    fn reset(&mut self) {
        self.0 = FIRST_DELAY;
    }
}

/// A client for the API server of `kubeconfig`. Waits for the file to become usable: `keelson up` starts the daemons
/// together, and a joining node gets its certificate later.
pub(crate) async fn connect(kubeconfig: &Path) -> Client {
    let mut retry = Retry(FIRST_DELAY);
    loop {
        match try_connect(kubeconfig).await {
            Ok(client) => return client,
            Err(error) => warn!(%error, "no client for the API yet"),
        }
        // The file may appear, or be repaired, at any path component: a retry is simpler than watching them all.
        tokio::time::sleep(retry.next().unwrap_or(LAST_DELAY)).await;
    }
}

async fn try_connect(path: &Path) -> Result<Client, Error> {
    let say = |e: &dyn std::fmt::Display| Error::Api(format!("{}: {e}", path.display()));
    let kubeconfig = Kubeconfig::read_from(path).map_err(|e| say(&e))?;
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(|e| say(&e))?;
    config.headers.push((
        http::header::USER_AGENT,
        http::HeaderValue::from_static("keelson-netd"),
    ));
    timely(config, PATIENCE).map_err(|e| say(&e))
}

/// A client whose requests fail when no answer begins within `patience`: a server that hangs, or a network that swallows
/// packets, must not stop a watch for ever. A watch that has begun is not cut short.
fn timely(config: kube::Config, patience: Duration) -> kube::Result<Client> {
    let timely = TimeoutLayer::new(patience);
    Ok(ClientBuilder::try_from(config)?.with_layer(&timely).build())
}

/// Reports every Service to `events`, for ever.
pub(crate) async fn services(client: Client, events: mpsc::Sender<Event>) {
    let to_event = |key: Key, object: Option<&ApiService>| Event::Service(key, object.map(Service::from_api));
    objects::<ApiService>(Api::all(client), events, to_event, Event::ServicesListed).await;
}

/// Reports every EndpointSlice to `events`, for ever.
pub(crate) async fn slices(client: Client, node: String, events: mpsc::Sender<Event>) {
    let to_event = move |key: Key, object: Option<&EndpointSlice>| {
        Event::Slice(key, object.and_then(|o| Slice::from_api(o, &node)))
    };
    objects::<EndpointSlice>(Api::all(client), events, to_event, Event::SlicesListed).await;
}

async fn objects<K>(
    api: Api<K>,
    events: mpsc::Sender<Event>,
    to_event: impl Fn(Key, Option<&K>) -> Event,
    listed: impl Fn(HashSet<Key>) -> Event,
) where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    let stream = watcher(api, watcher::Config::default()).backoff(Retry(FIRST_DELAY));
    let mut stream = std::pin::pin!(stream);
    let mut present = HashSet::new();
    while let Some(item) = stream.next().await {
        let event = match item {
            Ok(watcher::Event::Init) => {
                present.clear();
                continue;
            }
            Ok(watcher::Event::InitApply(object)) => {
                present.insert(key(&object));
                to_event(key(&object), Some(&object))
            }
            Ok(watcher::Event::InitDone) => listed(std::mem::take(&mut present)),
            Ok(watcher::Event::Apply(object)) => to_event(key(&object), Some(&object)),
            Ok(watcher::Event::Delete(object)) => to_event(key(&object), None),
            Err(error) => {
                warn!(%error, kind = %K::kind(&()), "watch interrupted, trying again");
                continue;
            }
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

fn key<K: Resource>(object: &K) -> Key {
    let meta = object.meta();
    Key::new(
        meta.namespace.as_deref().unwrap_or_default(),
        meta.name.as_deref().unwrap_or_default(),
    )
}

/// Reports the pod ranges of node `name` to `cidrs` whenever they change, for ever.
pub(crate) async fn pod_cidrs(client: Client, name: String, cidrs: watch::Sender<Vec<Cidr>>) {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let stream = watcher(Api::<Node>::all(client), config).backoff(Retry(FIRST_DELAY));
    let mut stream = std::pin::pin!(stream);
    while let Some(item) = stream.next().await {
        match item {
            Ok(watcher::Event::Apply(node) | watcher::Event::InitApply(node)) => {
                // The server is asked for one node only, but an answer is not proof.
                if node.metadata.name.as_deref() == Some(name.as_str()) {
                    let found = node_cidrs(&node);
                    cidrs.send_if_modified(|known| {
                        !found.is_empty() && *known != found && {
                            *known = found;
                            true
                        }
                    });
                }
            }
            // A Node that is gone keeps its ranges here: its pods are still running.
            Ok(_) => {}
            Err(error) => warn!(%error, kind = "Node", "watch interrupted, trying again"),
        }
    }
}

fn node_cidrs(node: &Node) -> Vec<Cidr> {
    let Some(spec) = &node.spec else {
        return Vec::new();
    };
    let texts: Vec<&String> = match &spec.pod_cidrs {
        Some(cidrs) if !cidrs.is_empty() => cidrs.iter().collect(),
        _ => spec.pod_cidr.iter().collect(),
    };
    texts.into_iter().filter_map(|t| t.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_an_error() {
        // Connections wait in its queue.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let client = timely(kube::Config::new(url.parse().unwrap()), Duration::from_millis(50)).unwrap();
        let request = client.apiserver_version();
        let outcome = tokio::time::timeout(PATIENCE, request).await;
        outcome.expect("it waits for ever").unwrap_err();
    }
}
