//! `pods/NAME/exec`, `attach` and `portforward`.
//!
//! Clients before kubectl 1.30 speak SPDY, and others version 4 of the WebSocket channels; kubelets understand both, so
//! these streams are passed through. What is younger (KEP-4006) ends here: [`translate`] turns version 5 of the channels
//! into SPDY streams, and [`tunnel`] unpacks the SPDY that port-forwards carry in WebSocket messages.

use http::{Response, StatusCode};
use keelson_api::status::Status;
use keelson_streams::channels::Protocol;
use keelson_streams::upgrade::Upgrade;

use super::kubelet::{locate, refused, request};
use super::target::Target;
use super::transport::{Trust, forwarded, send, wants_upgrade};
use super::upgraded::{Client, pass};
use super::{container, proxy, translate, tunnel};
use crate::server::body::Body;
use crate::server::call::Call;
use crate::server::query::Query;

/// What to ask of which kubelet.
pub struct Errand {
    /// The kubelet.
    pub target: Target,
    /// Its path for this.
    pub path: String,
    /// Its parameters.
    pub query: Vec<(&'static str, String)>,
}

/// Connects the client with the pod.
pub async fn serve(call: &Call, mut parts: http::request::Parts) -> Result<Response<Body>, Status> {
    let errand = errand(call)?;
    if !wants_upgrade(&call.headers) {
        return Err(Status::bad_request("Upgrade request required"));
    }
    let client = Client::of(&mut parts.extensions);
    if let Ok(Upgrade::WebSocket { key, protocols }) = Upgrade::parse(&call.headers) {
        if call.path.subresource == "portforward" {
            let tunnelled = tunnel::protocols(&protocols);
            if !tunnelled.is_empty() {
                return tunnel::serve(call, client, &key, &tunnelled, &errand).await;
            }
        } else if protocols.iter().any(|name| name == Protocol::V5.name) {
            return translate::serve(call, client, &key, errand);
        }
    }
    let Errand { target, path, query } = errand;
    let headers = forwarded(&call.headers, &proxy::authority(&target), true);
    let request = request(&path, &query, &parts.method, headers)?;
    let response = send(&call.api, &target, Trust::Cluster, request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refused(call, response).await);
    }
    Ok(pass(&call.api, client, response))
}

/// What the request means to the kubelet.
fn errand(call: &Call) -> Result<Errand, Status> {
    let pod = call.stored()?.value();
    let subresource = call.path.subresource.as_str();
    let (namespace, name) = (call.namespace(), call.path.name.as_str());
    let (path, query) = if subresource == "portforward" {
        let ports = call.query.all("ports").chain(call.query.all("port"));
        let query = ports.map(|port| ("port", port.to_owned())).collect();
        (format!("/portForward/{namespace}/{name}"), query)
    } else {
        let container = container::choose(&pod, call.query.get("container"))?;
        let phase = pod["status"]["phase"].as_str().unwrap_or_default();
        if subresource == "exec" && matches!(phase, "Succeeded" | "Failed") {
            return Err(Status::bad_request(format!(
                "cannot exec into a container in a completed pod; current phase is {phase}"
            )));
        }
        (
            format!("/{subresource}/{namespace}/{name}/{container}"),
            stream_query(&call.query),
        )
    };
    let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
    if node.is_empty() {
        return Err(Status::bad_request(format!(
            "pod {name} does not have a host assigned"
        )));
    }
    let target = locate(&call.api, node)?;
    Ok(Errand { target, path, query })
}

/// The parameters of exec and attach under the kubelet's names (`pkg/registry/core/pod.streamParams`).
fn stream_query(query: &Query) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    for (ours, kubelets) in [
        ("stdin", "input"),
        ("stdout", "output"),
        ("stderr", "error"),
        ("tty", "tty"),
    ] {
        if query.flag(ours) {
            out.push((kubelets, "1".to_owned()));
        }
    }
    out.extend(
        query
            .all("command")
            .map(|argument| ("command", argument.to_owned())),
    );
    out
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};

    use super::*;

    #[test]
    fn parameters_get_the_kubelets_names() {
        let query = Query::parse(
            "container=c&stdin=true&stdout=1&stderr=false&tty=true&command=sh&command=-c&command=a+b%26",
        );
        let expected = [
            ("input", "1"),
            ("output", "1"),
            ("tty", "1"),
            ("command", "sh"),
            ("command", "-c"),
            ("command", "a b&"),
        ];
        assert_eq!(
            stream_query(&query),
            expected.map(|(name, value)| (name, value.to_owned()))
        );
        let request = request(
            "/exec/a/b/c",
            &stream_query(&query),
            &Method::GET,
            HeaderMap::new(),
        )
        .unwrap();
        assert_eq!(
            request.uri().to_string(),
            "/exec/a/b/c?input=1&output=1&tty=1&command=sh&command=-c&command=a%20b%26"
        );
    }
}
