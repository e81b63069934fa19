//! Clients at work on all servers: each goes to the next server when one fails, as clients do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::history::{Outcome, Watched, watch};

/// Namespace of the load, in which no controller writes ConfigMaps but its own one.
pub const NAMESPACE: &str = "load";
/// Clients that create objects.
const CREATORS: usize = 4;
/// Clients that count up, on each of [`COUNTERS`].
const COUNTERS_EACH: usize = 2;
/// Objects that are counted up.
pub const COUNTERS: [&str; 2] = ["counter-a", "counter-b"];
/// An answer that takes longer than this is not waited for.
const LONGEST: Duration = Duration::from_secs(15);

/// What a client was told.
#[derive(Debug, Default)]
pub struct Told {
    /// Created or changed: name to revision, of counters to all their steps.
    pub created: BTreeMap<String, String>,
    /// Steps of counters that were acknowledged: counter, value, revision.
    pub steps: Vec<(String, u64, String)>,
    /// Requests without an answer, or with one that leaves it open.
    pub unknown: Vec<String>,
}

/// The clients.
pub struct Load {
    stop: Arc<AtomicBool>,
    writers: Vec<JoinHandle<Told>>,
    watchers: Vec<JoinHandle<Watched>>,
    clients: Vec<kube::Client>,
}

impl Load {
    /// Begins.
    pub async fn start(clients: &[kube::Client]) -> Self {
        super::planes::create(
            &clients[0],
            "/api/v1/namespaces",
            &serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
        )
        .await;
        let maps: Api<ConfigMap> = Api::namespaced(clients[1].clone(), NAMESPACE);
        let begin = maps
            .create(&PostParams::default(), &map("begin", 0))
            .await
            .unwrap();
        let from = begin.metadata.resource_version.unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let watchers = (0..3).map(|at| tokio::spawn(watch(clients.to_vec(), at, from.clone())));
        let watchers = watchers.collect();
        for counter in COUNTERS {
            maps.create(&PostParams::default(), &map(counter, 0))
                .await
                .unwrap();
        }
        let creators =
            (0..CREATORS).map(|number| tokio::spawn(create(clients.to_vec(), number, Arc::clone(&stop))));
        let counters = COUNTERS.iter().flat_map(|counter| {
            let stop = &stop;
            (0..COUNTERS_EACH)
                .map(move |number| tokio::spawn(count(clients.to_vec(), number, counter, Arc::clone(stop))))
        });
        Self {
            writers: creators.chain(counters).collect(),
            stop: Arc::clone(&stop),
            watchers,
            clients: clients.to_vec(),
        }
    }

    /// Ends the writers, and the watchers when they have seen the last write.
    pub async fn finish(self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        let mut told = Told::default();
        for writer in self.writers {
            let part = writer.await.unwrap();
            told.created.extend(part.created);
            told.steps.extend(part.steps);
            told.unknown.extend(part.unknown);
        }
        let maps: Api<ConfigMap> = Api::namespaced(self.clients[0].clone(), NAMESPACE);
        maps.create(&PostParams::default(), &map("end", 0)).await.unwrap();
        let mut watched = Vec::new();
        for watcher in self.watchers {
            let seen = timeout(Duration::from_secs(30), watcher).await;
            watched.push(seen.expect("a watcher does not see the end").unwrap());
        }
        Outcome { told, watched }
    }
}

/// A ConfigMap with a number.
fn map(name: &str, value: u64) -> ConfigMap {
    let mut map = ConfigMap::default();
    map.metadata.name = Some(name.to_owned());
    map.data = Some([("n".to_owned(), value.to_string())].into());
    map
}

/// The clients in turn.
pub struct Rotation {
    clients: Vec<kube::Client>,
    at: usize,
}

impl Rotation {
    pub fn new(clients: Vec<kube::Client>, at: usize) -> Self {
        Self { clients, at }
    }

    pub fn maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.clients[self.at % self.clients.len()].clone(), NAMESPACE)
    }

    /// This one has failed.
    pub async fn next(&mut self) {
        self.at += 1;
        sleep(Duration::from_millis(50)).await;
    }
}

fn code(error: &kube::Error) -> u16 {
    match error {
        kube::Error::Api(status) => status.code,
        _ => 0,
    }
}

async fn create(clients: Vec<kube::Client>, number: usize, stop: Arc<AtomicBool>) -> Told {
    let mut told = Told::default();
    let mut rotation = Rotation::new(clients, number);
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        count += 1;
        let name = format!("o{number}-{count}");
        let object = map(&name, 0);
        match timeout(LONGEST, rotation.maps().create(&PostParams::default(), &object)).await {
            Ok(Ok(object)) => {
                told.created
                    .insert(name, object.metadata.resource_version.unwrap());
            }
            other => {
                if let Ok(Err(error)) = &other {
                    assert!(
                        !matches!(code(error), 400..=499 if code(error) != 429),
                        "{name}: {error}"
                    );
                }
                told.unknown.push(name);
                rotation.next().await;
            }
        }
        sleep(Duration::from_millis(5)).await;
    }
    told
}

async fn count(clients: Vec<kube::Client>, number: usize, counter: &str, stop: Arc<AtomicBool>) -> Told {
    let mut told = Told::default();
    let mut rotation = Rotation::new(clients, number);
    while !stop.load(Ordering::Relaxed) {
        let Ok(Ok(mut object)) = timeout(LONGEST, rotation.maps().get(counter)).await else {
            rotation.next().await;
            continue;
        };
        let value: u64 = object.data.as_ref().unwrap()["n"].parse().unwrap();
        object.data = Some([("n".to_owned(), (value + 1).to_string())].into());
        match timeout(
            LONGEST,
            rotation.maps().replace(counter, &PostParams::default(), &object),
        )
        .await
        {
            Ok(Ok(object)) => {
                let revision = object.metadata.resource_version.unwrap();
                told.steps.push((counter.to_owned(), value + 1, revision));
            }
            Ok(Err(error)) if code(&error) == 409 => {}
            other => {
                if let Ok(Err(error)) = &other {
                    assert!(
                        !matches!(code(error), 400..=499 if code(error) != 429),
                        "{counter}: {error}"
                    );
                }
                told.unknown.push(counter.to_owned());
                rotation.next().await;
            }
        }
        sleep(Duration::from_millis(5)).await;
    }
    told
}
