//! Answering the kubelet.

use tokio::sync::watch;

use crate::cidr::Cidr;
use crate::client::{Request, Response};
use crate::daemon::SharedNetwork;
use crate::ranges::InForce;
use crate::server::Handler;
use crate::{link, network};

/// Answers requests from the socket.
#[derive(Debug, Clone)]
pub(crate) struct Answers {
    network: SharedNetwork,
    loaded: watch::Receiver<bool>,
    cidrs: watch::Receiver<Vec<Cidr>>,
    in_force: watch::Receiver<InForce>,
}

impl Answers {
    /// Answers on behalf of `network`; ready when `loaded` says so and `cidrs` are `in_force`.
    pub(crate) fn new(
        network: SharedNetwork,
        loaded: watch::Receiver<bool>,
        cidrs: watch::Receiver<Vec<Cidr>>,
        in_force: watch::Receiver<InForce>,
    ) -> Self {
        Self {
            network,
            loaded,
            cidrs,
            in_force,
        }
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
            Request::Ready => Ok(ready(
                &self.cidrs.borrow(),
                &self.in_force.borrow(),
                *self.loaded.borrow(),
            )),
        };
        outcome.unwrap_or_else(|error| Response::Error(error.to_string()))
    }
}

/// Whether pods can be connected and reach Services.
fn ready(wanted: &[Cidr], in_force: &InForce, loaded: bool) -> Response {
    if wanted.is_empty() {
        return Response::Error("this node has no pod CIDR yet (Node.spec.podCIDRs is empty)".into());
    }
    match in_force {
        Ok(ranges) if ranges == wanted => {}
        Ok(_) => return Response::Error("the node's pod CIDRs are not in force yet".into()),
        Err(reason) => return Response::Error(format!("the pod network is not up: {reason}")),
    }
    if !loaded {
        return Response::Error("Services are not loaded yet: the API server has not answered".into());
    }
    Response::Done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_force_makes_it_ready() {
        let some = || vec!["10.42.0.0/24".parse().unwrap()];
        let other = || vec!["10.42.1.0/24".parse().unwrap()];
        let failed = || Err("a device is in the way".to_owned());
        for (wanted, in_force, loaded, problem) in [
            (some(), Ok(some()), true, None),
            (vec![], Ok(vec![]), true, Some("no pod CIDR")),
            (some(), Ok(vec![]), true, Some("not in force")),
            (some(), Ok(other()), true, Some("not in force")),
            (some(), failed(), true, Some("a device is in the way")),
            (some(), Ok(some()), false, Some("Services are not loaded")),
        ] {
            match (ready(&wanted, &in_force, loaded), problem) {
                (Response::Done, None) => {}
                (Response::Error(said), Some(problem)) if said.contains(problem) => {}
                (answer, _) => panic!("{wanted:?} {in_force:?} {loaded}: {answer:?}"),
            }
        }
    }
}
