//! Services, reduced to what environment variables show of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::Service;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use tokio::sync::watch;

use crate::container::service_env::{ServiceFacts, service_variables};

/// All services of the cluster; cheap to clone.
#[derive(Clone)]
pub struct ServiceCache {
    services: Arc<RwLock<HashMap<(String, String), ServiceFacts>>>,
    synced: watch::Receiver<bool>,
}

impl ServiceCache {
    /// Starts watching.
    pub fn start(client: Client) -> Self {
        let (sender, synced) = watch::channel(false);
        let cache = Self {
            services: Arc::default(),
            synced,
        };
        tokio::spawn(follow(client, cache.services.clone(), sender));
        cache
    }

    /// The service variables for a pod, once the services are known (upstream too refuses to start containers before
    /// that). `None` if they are not known within `patience`.
    pub async fn variables(
        &self,
        namespace: &str,
        links: bool,
        patience: Duration,
    ) -> Option<BTreeMap<String, String>> {
        let mut synced = self.synced.clone();
        let known = tokio::time::timeout(patience, synced.wait_for(|known| *known)).await;
        known.ok()?.ok()?;
        let services = self.services.read().unwrap_or_else(PoisonError::into_inner);
        Some(service_variables(services.values(), namespace, links))
    }
}

async fn follow(
    client: Client,
    services: Arc<RwLock<HashMap<(String, String), ServiceFacts>>>,
    synced: watch::Sender<bool>,
) {
    let stream = watcher::watcher(Api::<Service>::all(client), watcher::Config::default());
    pin_mut!(stream);
    let mut listed = HashMap::new();
    while let Some(event) = stream.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(service)) => {
                let facts = facts(service);
                listed.insert((facts.namespace.clone(), facts.name.clone()), facts);
            }
            Ok(Event::InitDone) => {
                *services.write().unwrap_or_else(PoisonError::into_inner) = std::mem::take(&mut listed);
                synced.send_replace(true);
            }
            Ok(Event::Apply(service)) => {
                let facts = facts(service);
                let mut known = services.write().unwrap_or_else(PoisonError::into_inner);
                known.insert((facts.namespace.clone(), facts.name.clone()), facts);
            }
            Ok(Event::Delete(service)) => {
                let facts = facts(service);
                let mut known = services.write().unwrap_or_else(PoisonError::into_inner);
                known.remove(&(facts.namespace, facts.name));
            }
            Err(error) => {
                tracing::debug!(%error, "service watch");
                // The API is away: ask again in a moment.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

fn facts(service: Service) -> ServiceFacts {
    let spec = service.spec.unwrap_or_default();
    let ports = spec.ports.into_iter().flatten().map(|port| {
        (
            port.name.unwrap_or_default(),
            port.protocol.unwrap_or_else(|| "TCP".into()),
            port.port,
        )
    });
    ServiceFacts {
        namespace: service.metadata.namespace.unwrap_or_default(),
        name: service.metadata.name.unwrap_or_default(),
        cluster_ip: spec.cluster_ip.unwrap_or_default(),
        ports: ports.collect(),
    }
}
