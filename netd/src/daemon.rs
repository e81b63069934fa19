//! The daemon: its tasks, and what they share.

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot, watch};

use crate::cidr::Cidr;
use crate::guard::Guard;
use crate::network::{self, Network};
use crate::nft::{self, Family};
use crate::proxy::{self, Event, Worker};
use crate::ranges::{self, InForce};
use crate::requests::Answers;
use crate::service::Cluster;
use crate::settings::Settings;
use crate::{Config, Error, cidr_cache, dns, link, server, watch as api};

/// Events on their way from the watches to the proxy's thread.
const QUEUE: usize = 1024;

/// A started daemon.
pub(crate) struct Daemon {
    config: Config,
    settings: Settings,
    network: SharedNetwork,
    listener: UnixListener,
    guard: Guard,
    dns: dns::Server,
    events: mpsc::Sender<Event>,
    /// Resolves when the proxy's thread has ended.
    proxy: oneshot::Receiver<Infallible>,
    /// The Service tables are in force.
    loaded: watch::Receiver<bool>,
    /// Pod ranges of this node; none before they are known.
    cidrs: watch::Sender<Vec<Cidr>>,
    /// Those of them that are in force.
    in_force: watch::Sender<InForce>,
}

impl Daemon {
    /// Brings up what needs no API server: links, addresses, the table of pods, the socket.
    pub(crate) async fn start(config: Config) -> Result<Self, Error> {
        let settings = Settings::new(&config)?;
        let io = |what: String| move |source| Error::Io { what, source };
        let state = config.state_dir.display();
        std::fs::create_dir_all(&config.state_dir).map_err(io(format!("create {state}")))?;
        let guard = Guard::new(&settings.id)?;
        let network = SharedNetwork::new(Network::open(settings.clone(), &config.state_dir)?);
        let known = match settings.pod_cidrs.clone() {
            none if none.is_empty() => cidr_cache::load(&config.state_dir),
            configured => configured,
        };
        let first = known.clone();
        network.run(move |n| n.apply(&first)).await?;
        let listener =
            server::listen(&config.socket).map_err(io(format!("listen at {}", config.socket.display())))?;

        let cluster = Arc::new(RwLock::new(Cluster::default()));
        let (events, queue) = mpsc::channel(QUEUE);
        // A predecessor's table is as good as one of ours until the API server answers.
        let inherited = nft::tables(Family::V4)?.contains(&nft::services_table(&settings.id));
        let (loaded_sender, loaded) = watch::channel(inherited);
        let worker = Worker::new(
            proxy::table_settings(&settings),
            Arc::clone(&cluster),
            loaded_sender,
        )?
        .quieting(guard.membership());
        let proxy = worker
            .start(queue)
            .map_err(io("start the proxy's thread".into()))?;
        let in_force = watch::Sender::new(Ok(known.clone()));
        let cidrs = watch::Sender::new(known);
        let dns = start_dns(&settings, &config, cluster, cidrs.subscribe()).await?;
        Ok(Self {
            config,
            settings,
            network,
            listener,
            guard,
            dns,
            events,
            proxy,
            loaded,
            cidrs,
            in_force,
        })
    }

    /// Works for ever; everything ends when this future is dropped. A part that ends is the end of all: the others would
    /// go on with what it left, and only a new start brings it back.
    pub(crate) async fn run(self) -> Result<(), Error> {
        let answers = Answers::new(
            self.network.clone(),
            self.loaded.clone(),
            self.cidrs.subscribe(),
            self.in_force.subscribe(),
        );
        let (listener, api) = (self.listener, async {
            let client = api::connect(&self.config.kubeconfig).await;
            let node = self.settings.node_name.clone();
            let cidrs = async {
                if self.settings.pod_cidrs.is_empty() {
                    api::pod_cidrs(client.clone(), node.clone(), self.cidrs.clone()).await;
                } else {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = api::services(client.clone(), self.events.clone()) => "the watch of Services",
                () = api::slices(client.clone(), node.clone(), self.events.clone()) => "the watch of EndpointSlices",
                () = cidrs => "the watch of the Node",
            }
        });
        let ranges = ranges::follow(
            self.cidrs.subscribe(),
            &self.in_force,
            &self.config.state_dir,
            |ranges| self.network.run(move |n| n.apply(&ranges)),
        );
        let ended = tokio::select! {
            () = server::serve(listener, Arc::new(answers)) => "the kubelet's socket",
            () = self.dns.run() => "DNS",
            what = api => what,
            () = ranges => "what follows the pod CIDRs",
            () = self.guard.run(&self.network, &self.events) => "the watch of the tables",
            _ = self.proxy => "the proxy's thread",
        };
        Err(Error::Ended(ended))
    }
}

async fn start_dns(
    settings: &Settings,
    config: &Config,
    cluster: Arc<RwLock<Cluster>>,
    pod_cidrs: watch::Receiver<Vec<Cidr>>,
) -> Result<dns::Server, Error> {
    let reverse = [settings.cluster_cidrs.as_slice(), &settings.service_cidrs].concat();
    let zone = dns::Zone::new(&settings.domain, reverse, settings.dns_ip).ok_or_else(|| {
        Error::Config(format!(
            "the cluster domain {:?} is not a DNS name",
            settings.domain
        ))
    })?;
    let access = dns::Access {
        cluster_cidrs: settings.cluster_cidrs.clone(),
        pod_cidrs,
    };
    dns::Server::bind(settings.dns_ip, zone, cluster, config.resolv_conf.clone(), access)
        .await
        .map_err(|source| Error::Io {
            what: format!(
                "serve DNS at {} port 53 (does another DNS server listen on every address of this node?)",
                settings.dns_ip
            ),
            source,
        })
}

/// The network, changed by one task at a time.
#[derive(Debug, Clone)]
pub(crate) struct SharedNetwork(Arc<Mutex<Network>>);

impl SharedNetwork {
    /// Shares it.
    pub(crate) fn new(network: Network) -> Self {
        Self(Arc::new(Mutex::new(network)))
    }

    /// Runs `change` on the network in a blocking thread.
    pub(crate) async fn run<T, F>(&self, change: F) -> Result<T, network::Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Network) -> Result<T, network::Error> + Send + 'static,
    {
        let network = Arc::clone(&self.0);
        let task = move || change(&mut network.lock().unwrap_or_else(PoisonError::into_inner));
        match tokio::task::spawn_blocking(task).await {
            Ok(outcome) => outcome,
            Err(error) => Err(link::Error::Io {
                what: "network task".into(),
                source: error.into(),
            }
            .into()),
        }
    }
}
