//! HTTPS, routing and the generic handlers.
//!
//! A request's way: [`listen`] accepts and speaks TLS; [`pipeline`] bounds, authenticates, authorizes and accounts;
//! [`dispatch`] finds the handler; [`read`] and [`write`] serve objects of any kind, [`subresource`] what hangs on
//! them, [`connect`] streams to kubelets and pods, [`socket`] is for clients that take answers as WebSocket messages; [`discovery`], [`health`] and [`metrics`] tell about the server.
//! [`local`] is the door for callers in this process: the same way, without sockets. [`connections`], [`intake`], [`outgo`] and [`cut`] bound
//! what clients can hold, [`apart`] and [`later`] how long they hold up others; [`decoders`] are doors for fuzzing.

mod accept;
mod apart;
mod body;
mod bootstrap;
mod call;
mod components;
mod connect;
mod connections;
mod convert;
mod cut;
mod deadline;
pub mod decoders;
mod definitions;
mod discovery;
mod dispatch;
mod each;
mod encode;
mod health;
mod host;
mod intake;
mod later;
mod legacy_tokens;
mod listen;
mod local;
mod metrics;
mod options;
mod outgo;
mod path;
mod pipeline;
mod pretty;
mod protobuf;
mod query;
mod read;
mod recent;
mod refusal;
mod registration;
mod registry;
mod respond;
mod select;
mod since;
mod snapshot;
mod socket;
mod subresource;
mod table;
mod verb;
mod version;
mod write;
mod yaml_size;

use std::sync::Arc;
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{Semaphore, watch};

pub use listen::Tls;
pub use snapshot::PATH as SNAPSHOT_PATH;
pub use version::built_from;

use crate::Config;
use crate::admission::Chain;
use crate::auth::{Authenticator, Authorizer, UserInfo};
use crate::object::{GroupResource, Object, Reader};
use crate::store::Store;
use health::Health;
use metrics::Metrics;
use registry::Registry;

/// Most requests that only read, in flight at once (upstream's `--max-requests-inflight`).
const MOST_READS: usize = 400;
/// Most requests that write, in flight at once (upstream's `--max-mutating-requests-inflight`).
const MOST_WRITES: usize = 200;
/// After a write of our own that the store did not take: nothing tells when it would.
const PAUSE: Duration = Duration::from_secs(5);

/// What all requests share.
#[derive(Debug)]
pub struct Api {
    store: Arc<dyn Store>,
    /// The kinds as they are now; another registry takes its place when a definition changes.
    registry: watch::Sender<Arc<Registry>>,
    authenticator: Authenticator,
    authorizer: Arc<Authorizer>,
    chain: Chain,
    advertise: std::net::SocketAddr,
    /// Other servers share the store.
    shared: bool,
    health: Health,
    metrics: Metrics,
    reads: Arc<Semaphore>,
    /// Large requests of clients, and those of this process, nodes and administrators, who do not wait for clients.
    apart: apart::Apart,
    apart_exempt: apart::Apart,
    writes: Arc<Semaphore>,
    intake: intake::Intake,
    outgo: outgo::Outgo,
    /// Where answers are made that are not the stored bytes; of those who do not wait for clients, too.
    making: apart::Apart,
    making_exempt: apart::Apart,
    /// One snapshot at a time.
    snapshots: Arc<Semaphore>,
    random: SystemRandom,
    stop: watch::Sender<bool>,
    kubelets: connect::Kubelets,
    recent: recent::Recent,
    definitions: definitions::Definitions,
    budgets: subresource::Budgets,
}

impl Api {
    /// The kinds as they are now.
    fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry.borrow())
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        if self.random.fill(&mut bytes).is_err() {
            // Only on a kernel without getrandom(2), which the preflight checks refuse.
            tracing::error!("the system has no random numbers");
        }
        bytes
    }

    /// A random number below a bound.
    fn random_below(&self, bound: u32) -> u32 {
        u32::from_le_bytes(self.random()) % bound.max(1)
    }

    /// A random UID (RFC 9562, version 4).
    fn uid(&self) -> String {
        let mut bytes: [u8; 16] = self.random();
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let mut text = String::with_capacity(36);
        for (place, byte) in bytes.into_iter().enumerate() {
            if matches!(place, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            for half in [byte >> 4, byte & 0x0f] {
                text.push(char::from(b"0123456789abcdef"[usize::from(half)]));
            }
        }
        text
    }

    /// Resolves when the server stops, which ends watches and streams.
    async fn stopping(&self) {
        let mut stop = self.stop.subscribe();
        // An error means that the server is gone, which is a stop as well.
        drop(stop.wait_for(|stop| *stop).await);
    }
}

/// The API server.
#[derive(Debug, Clone)]
pub struct Server {
    api: Arc<Api>,
}

impl Server {
    /// A server over an open store. Keys are read from the configuration's `pki_dir`.
    pub fn new(config: &Config, store: Arc<dyn Store>) -> Result<Self, crate::Error> {
        let reader: Arc<dyn Reader> = Arc::new(store.cache().clone());
        let authorizer = Arc::new(Authorizer::new(Arc::clone(&reader)));
        let server = Self {
            api: Arc::new(Api {
                authenticator: Authenticator::with_domain(
                    &config.pki_dir,
                    &config.cluster_domain,
                    Arc::clone(&reader),
                )?,
                chain: Chain::new(config, reader, Arc::clone(&authorizer))?,
                authorizer,
                store,
                registry: watch::Sender::new(Arc::new(Registry::builtin())),
                advertise: config.advertise,
                shared: config.etcd.is_some(),
                health: Health::default(),
                metrics: Metrics::default(),
                reads: Arc::new(Semaphore::new(MOST_READS)),
                apart: apart::Apart::default(),
                apart_exempt: apart::Apart::default(),
                writes: Arc::new(Semaphore::new(MOST_WRITES)),
                intake: intake::Intake::default(),
                outgo: outgo::Outgo::default(),
                making: apart::Apart::default(),
                making_exempt: apart::Apart::default(),
                snapshots: Arc::new(Semaphore::new(1)),
                random: SystemRandom::new(),
                stop: watch::Sender::new(false),
                kubelets: connect::Kubelets::new(config),
                recent: recent::Recent::default(),
                definitions: definitions::Definitions::default(),
                budgets: subresource::Budgets::default(),
            }),
        };
        // What was established before a restart is served from the first request on.
        server.api.definitions.load(&server.api);
        Ok(server)
    }

    /// A client that acts as this user, without sockets.
    pub fn client(&self, user: UserInfo) -> kube::Client {
        local::client(Arc::clone(&self.api), user)
    }

    /// A random name, different at every call.
    pub fn process_id(&self) -> String {
        self.api.uid()
    }

    /// Serves HTTPS on a bound listener until [`Server::stop`].
    pub async fn serve(&self, listener: tokio::net::TcpListener, tls: Tls) {
        listen::serve(Arc::clone(&self.api), listener, tls).await;
    }

    /// Marks a part of the control plane as up; `/readyz` answers 200 once all are.
    pub fn ready(&self, part: &'static str) {
        self.api.health.ready(part);
    }

    /// Ends watches, streams and connections.
    pub fn stop(&self) {
        self.api.stop.send_replace(true);
    }
}

/// The built-in resources as they are stored.
pub fn builtin_resources() -> Vec<GroupResource> {
    let storages: std::collections::BTreeSet<GroupResource> = Registry::builtin()
        .all()
        .iter()
        .map(|served| GroupResource::clone(&served.storage))
        .collect();
    storages.into_iter().collect()
}

/// What an object claims for itself alone, for a store that several servers share.
pub fn claims(resource: &GroupResource, object: &Object) -> std::collections::BTreeSet<String> {
    if resource.group.is_empty() && resource.resource == "services" {
        crate::admission::service_claims(&object.value())
    } else {
        std::collections::BTreeSet::new()
    }
}

/// Selectable fields of an object, for the store when it loads.
pub fn selectable_fields(
    resource: &GroupResource,
    value: &serde_json::Value,
) -> std::collections::BTreeMap<String, String> {
    let version = value["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
    let stored = |kind: &&crate::kinds::Kind| match &kind.storage {
        Some((group, plural)) => *group == resource.group && *plural == resource.resource,
        None => kind.group == resource.group && kind.plural == resource.resource,
    };
    let mut kinds = crate::kinds::builtin().iter().filter(stored);
    // Of several that share a place (events), each stores its own form.
    let written = kinds
        .clone()
        .find(|kind| kind.group == group && kind.version == version);
    written
        .or_else(|| kinds.next())
        .map(|kind| kind.strategy.selectable_fields(value))
        .unwrap_or_default()
}
