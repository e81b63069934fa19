//! A `kube::Client` straight into the handler, for the controllers and the scheduler.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{HeaderValue, USER_AGENT};
use http::{Request, Response};
use http_body_util::BodyExt;

use super::Api;
use super::body::Body;
use super::pipeline::{Peer, handle};
use crate::auth::UserInfo;

/// The door.
#[derive(Debug, Clone)]
struct Door {
    api: Arc<Api>,
    user: UserInfo,
    agent: HeaderValue,
}

/// A client that acts as this user.
pub fn client(api: Arc<Api>, user: UserInfo) -> kube::Client {
    let agent = agent(&user);
    kube::Client::new(Door { api, user, agent }, "default")
}

/// The program that upstream runs this user in: managers of fields are named after it.
fn agent(user: &UserInfo) -> HeaderValue {
    let name = if user.name.starts_with("system:serviceaccount:kube-system:") {
        "kube-controller-manager"
    } else {
        user.name.strip_prefix("system:").unwrap_or(&user.name)
    };
    HeaderValue::from_str(name).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

impl tower::Service<Request<kube::client::Body>> for Door {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        let mut request = request.map(|body| body.map_err(Into::into).boxed_unsync());
        let headers = request.headers_mut();
        headers.entry(USER_AGENT).or_insert_with(|| self.agent.clone());
        let (api, peer) = (Arc::clone(&self.api), Peer::Local(self.user.clone()));
        // A task of its own, so that a slow handler does not hold up the client's other requests.
        async move { Ok(handle(api, request, peer).await) }.boxed()
    }
}
