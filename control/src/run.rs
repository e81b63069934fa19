//! Starting and stopping: store, bootstrap objects, HTTPS, controllers, scheduler.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::auth::UserInfo;
use crate::server::{self, Server, Tls};
use crate::store::{Embedded, Options, Store};
use crate::{Config, Error, bootstrap, controllers, scheduler};

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
    let store = Arc::new(Embedded::open(
        &config.data_dir,
        &Options::new(server::selectable_fields),
    )?);
    let failed = store.failed();
    let server = Server::new(&config, store)?;
    let objects = bootstrap::objects(&config);
    server.bootstrap(objects.clone()).await?;
    server.ready("bootstrap");
    let stop = watch::Sender::new(false);
    let stopped = || {
        let mut stop = stop.subscribe();
        async move {
            // An error means that the sender is gone, which is a stop as well.
            drop(stop.wait_for(|stop| *stop).await);
        }
    };
    let clients: controllers::Clients = {
        let server = server.clone();
        Arc::new(move |name: &str| server.client(controller(name)))
    };
    let serve = async {
        match for_pods {
            Some(second) => {
                tokio::join!(server.serve(listener, tls.clone()), server.serve(second, tls));
            }
            None => server.serve(listener, tls).await,
        }
    };
    let controllers = controllers::run(clients, &config, stopped());
    let scheduler = scheduler::run(server.client(component("system:kube-scheduler")), stopped());
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
    let work = async {
        tokio::join!(
            serve,
            controllers,
            scheduler,
            keep,
            server.follow_definitions(),
            end
        );
    };
    tokio::select! {
        () = work => Ok(()),
        // At once, not in order: what was being written is lost or not, and only the next start can tell.
        why = failed => Err(Error::Store(why)),
    }
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
