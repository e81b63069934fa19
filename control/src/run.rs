//! Starting and stopping: store, bootstrap objects, HTTPS, controllers, scheduler.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::auth::UserInfo;
use crate::controllers::api::Api;
use crate::election::{Candidate, Timing};
use crate::encryption::{self, Encryption};
use crate::presence::Presence;
use crate::server::{self, Server, Tls};
use crate::store::{Embedded, Etcd, EtcdOptions, Options, Store};
use crate::{Config, Error, bootstrap, controllers, scheduler};

/// Between compactions of etcd (upstream's `--etcd-compaction-interval`).
const COMPACTION: Duration = Duration::from_mins(5);

/// Runs the control plane until `shutdown` resolves.
///
/// A busy port, a store that another process has open or that is damaged, and missing certificates are errors at once; so
/// is a disk that fails later, after which only a new start knows what is stored.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    let began = Instant::now();
    // Bound first, so that a second control plane fails before it touches anything.
    let listener = bind(config.listen)?;
    // Pods cannot reach a loopback listener, so there is a second one where the `kubernetes` Service points.
    let for_pods = (config.advertise != config.listen && !config.listen.ip().is_unspecified())
        .then(|| bind(config.advertise))
        .transpose()?;
    let tls = Tls::load(&config.pki_dir)?;
    let encryption_file = config.encryption.path(&config.pki_dir);
    let encryption = Arc::new(Encryption::from_file(encryption_file.as_deref())?);
    let (server, store) = open(&config, &encryption).await?;
    let failed = store.failed();
    let objects = bootstrap::objects(&config);
    let registered = server.begin(objects.clone()).await?;
    server.ready("bootstrap");
    let stop = watch::Sender::new(false);
    let stopped = || until(stop.subscribe());
    let clients: controllers::Clients = {
        let server = server.clone();
        Arc::new(move |name: &str| {
            server.client(match name {
                controllers::APISERVER => apiserver(),
                name => controller(name),
            })
        })
    };
    let serve = async {
        match for_pods {
            Some(second) => {
                tokio::join!(server.serve(listener, tls.clone()), server.serve(second, tls));
            }
            None => server.serve(listener, tls).await,
        }
    };
    // What tells this process from others that share the store; upstream's form.
    let process = server.process_id();
    let leading = |name, user| {
        config.etcd.is_some().then(|| Candidate {
            api: Api::new(server.client(component(user))),
            name,
            identity: format!("{}_{process}", host_name()),
            timing: Timing::default(),
        })
    };
    let controllers = lead(
        leading("kube-controller-manager", "system:kube-controller-manager"),
        |stop| controllers::run(clients.clone(), &config, until(stop)),
        stopped(),
    );
    let scheduler = lead(
        leading("kube-scheduler", "system:kube-scheduler"),
        |stop| scheduler::run(server.client(component("system:kube-scheduler")), until(stop)),
        stopped(),
    );
    let presence = async {
        if config.etcd.is_some() {
            let presence = Presence {
                api: Api::new(server.client(apiserver())),
                advertise: config.advertise,
                process: process.clone(),
            };
            presence.run(stopped()).await;
        }
    };
    server.ready("controllers");
    server.ready("scheduler");
    tracing::info!(address = %config.listen, milliseconds = began.elapsed().as_millis(), "the control plane is up");
    let end = async {
        shutdown.await;
        tracing::info!("stopping");
        stop.send_replace(true);
        server.stop();
    };
    let keep = async {
        tokio::select! {
            () = server.keep_kubernetes_service(objects) => {}
            () = stopped() => {}
        }
    };
    let reload = async {
        if let (true, Some(file)) = (config.encryption.automatic_reload, &encryption_file) {
            tokio::select! {
                () = encryption::follow(file, &encryption, |before| store.rules_changed(before)) => {}
                () = stopped() => {}
            }
        }
    };
    let work = async {
        tokio::join!(
            serve,
            controllers,
            scheduler,
            presence,
            keep,
            reload,
            server.follow_definitions(),
            server.keep_registered(registered),
            server.track_legacy_tokens(),
            end
        );
    };
    tokio::select! {
        () = work => Ok(()),
        // At once, not in order: what was being written is lost or not, and only the next start can tell.
        why = failed => Err(Error::Store(why)),
    }
}

/// The store that the configuration names, and a server over it.
async fn open(config: &Config, encryption: &Arc<Encryption>) -> Result<(Server, Arc<dyn Store>), Error> {
    let options = Options {
        encryption: Arc::clone(encryption),
        ..Options::new(server::selectable_fields)
    };
    let store: Arc<dyn Store> = match &config.etcd {
        None => Arc::new(Embedded::open(&config.data_dir, &options)?),
        Some(servers) => {
            let store = Etcd::open(EtcdOptions {
                servers: servers.clone(),
                store: options,
                builtin: server::builtin_resources(),
                claims: server::claims,
                compaction: Some(COMPACTION),
            });
            Arc::new(store.await?)
        }
    };
    Ok((Server::new(config, Arc::clone(&store))?, store))
}

/// Resolves when it is time to end.
async fn until(mut stop: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop as well.
    drop(stop.wait_for(|stop| *stop).await);
}

/// Runs something while this process is the leader, or from the start if nobody else can be.
async fn lead<W: Future<Output = ()>>(
    candidate: Option<Candidate>,
    work: impl Fn(watch::Receiver<bool>) -> W,
    stopped: impl Future<Output = ()>,
) {
    if let Some(candidate) = candidate {
        return candidate.run(work, stopped).await;
    }
    let stop = watch::Sender::new(false);
    tokio::join!(work(stop.subscribe()), async {
        stopped.await;
        stop.send_replace(true);
    });
}

fn host_name() -> String {
    nix::unistd::gethostname().map_or_else(
        |_| "localhost".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// Listens on an address that this machine may get only later: the pod bridge's, which netd makes (ip(7), IP_FREEBIND).
fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    let listen = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        match address {
            SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
            SocketAddr::V6(_) => socket.set_freebind_v6(true)?,
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(1024)?;
        TcpListener::from_std(socket.into())
    };
    listen().map_err(|source| Error::Io {
        what: format!("listen on {address}"),
        source,
    })
}

/// A component of the control plane.
fn component(name: &str) -> UserInfo {
    UserInfo {
        name: name.to_owned(),
        groups: vec!["system:authenticated".to_owned()],
        ..UserInfo::default()
    }
}

/// The API server itself.
fn apiserver() -> UserInfo {
    UserInfo {
        name: controllers::APISERVER.to_owned(),
        groups: vec!["system:masters".to_owned(), "system:authenticated".to_owned()],
        ..UserInfo::default()
    }
}

/// A controller's service account.
fn controller(name: &str) -> UserInfo {
    let groups = [
        "system:serviceaccounts",
        "system:serviceaccounts:kube-system",
        "system:authenticated",
    ];
    UserInfo {
        name: format!("system:serviceaccount:kube-system:{name}"),
        groups: groups.map(str::to_owned).into(),
        ..UserInfo::default()
    }
}
