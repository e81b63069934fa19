//! The daemon: what is shared between its tasks, and answering the kubelet.

use std::sync::{Arc, Mutex, PoisonError};

use crate::client::{Request, Response};
use crate::link;
use crate::network::{self, Network};
use crate::server::Handler;

/// Shared by the tasks of the daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    network: Mutex<Network>,
    /// What is still missing before pods' traffic is as it should be; `None` when ready.
    missing: Mutex<Option<String>>,
}

impl Daemon {
    /// A daemon around `network` that is not ready yet.
    pub(crate) fn new(network: Network) -> Self {
        Self {
            network: Mutex::new(network),
            missing: Mutex::new(Some("starting".into())),
        }
    }

    /// Says what is missing, or that nothing is.
    pub(crate) fn set_missing(&self, missing: Option<String>) {
        *self.missing.lock().unwrap_or_else(PoisonError::into_inner) = missing;
    }

    /// Runs `change` on the network in a blocking thread.
    pub(crate) async fn network<T, F>(self: &Arc<Self>, change: F) -> Result<T, network::Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Network) -> Result<T, network::Error> + Send + 'static,
    {
        let this = Arc::clone(self);
        let task = move || change(&mut this.network.lock().unwrap_or_else(PoisonError::into_inner));
        match tokio::task::spawn_blocking(task).await {
            Ok(outcome) => outcome,
            Err(error) => Err(link::Error::Io { what: "network task".into(), source: error.into() }.into()),
        }
    }

    async fn answer(self: Arc<Self>, request: Request) -> Response {
        let outcome = match request {
            Request::Attach(request) => self.network(move |n| n.attach(&request)).await.map(Response::Attached),
            Request::Detach { pod_uid } => self.detach(pod_uid).await,
            Request::Ready => match self.missing.lock().unwrap_or_else(PoisonError::into_inner).clone() {
                None => Ok(Response::Done),
                Some(missing) => return Response::Error(missing),
            },
        };
        outcome.unwrap_or_else(|error| Response::Error(error.to_string()))
    }

    async fn detach(self: &Arc<Self>, pod_uid: String) -> Result<Response, network::Error> {
        if let Some(interface) = self.network(move |n| n.detach(&pod_uid)).await? {
            // The kernel waits 20 ms for readers when a link goes. Nobody needs to wait with it, and a link that is
            // left by a crash here is removed at the next start.
            tokio::task::spawn_blocking(move || {
                if let Err(error) = link::disconnect(&interface) {
                    tracing::warn!(interface, %error, "could not remove the link of a detached pod");
                }
            });
        }
        Ok(Response::Done)
    }
}

/// Answers the kubelet's requests.
#[derive(Debug, Clone)]
pub(crate) struct Answers(pub(crate) Arc<Daemon>);

impl Handler for Answers {
    async fn handle(&self, request: Request) -> Response {
        Arc::clone(&self.0).answer(request).await
    }
}
