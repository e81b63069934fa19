//! Answering the kubelet.

use tokio::sync::watch;

use crate::cidr::Cidr;
use crate::client::{Request, Response};
use crate::daemon::SharedNetwork;
use crate::server::Handler;
use crate::{link, network};

/// Answers requests from the socket.
#[derive(Debug, Clone)]
pub(crate) struct Answers {
    network: SharedNetwork,
    loaded: watch::Receiver<bool>,
    cidrs: watch::Receiver<Vec<Cidr>>,
}

impl Answers {
    /// Answers on behalf of `network`; ready when `loaded` and `cidrs` say so.
    pub(crate) fn new(
        network: SharedNetwork,
        loaded: watch::Receiver<bool>,
        cidrs: watch::Receiver<Vec<Cidr>>,
    ) -> Self {
        Self {
            network,
            loaded,
            cidrs,
        }
    }

    fn ready(&self) -> Response {
        if self.cidrs.borrow().is_empty() {
            return Response::Error("this node has no pod CIDR yet (Node.spec.podCIDRs is empty)".into());
        }
        if !*self.loaded.borrow() {
            return Response::Error("Services are not loaded yet: the API server has not answered".into());
        }
        Response::Done
    }

    async fn detach(&self, pod_uid: String) -> Result<Response, network::Error> {
        if let Some(interface) = self.network.run(move |n| n.detach(&pod_uid)).await? {
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

impl Handler for Answers {
    async fn handle(&self, request: Request) -> Response {
        let outcome = match request {
            Request::Attach(request) => self
                .network
                .run(move |n| n.attach(&request))
                .await
                .map(Response::Attached),
            Request::Detach { pod_uid } => self.detach(pod_uid).await,
            Request::Ready => Ok(self.ready()),
        };
        outcome.unwrap_or_else(|error| Response::Error(error.to_string()))
    }
}
