//! Port-forwards that carry SPDY in WebSocket messages, as kubectl since 1.31: the messages end here, and what is in them
//! goes to the kubelet, which knows SPDY only (KEP-4006; upstream's `TunnelingHandler`).

use std::sync::Arc;

use bytes::Bytes;
use http::header::UPGRADE;
use http::{HeaderMap, Method, Response, StatusCode};
use hyper_util::rt::TokioIo;
use keelson_api::status::Status;
use keelson_streams::tunnel::Tunnel;
use keelson_streams::upgrade::{self, SPDY, STREAM_PROTOCOL, TUNNEL};

use super::kubelet::{refused, request};
use super::stream::Errand;
use super::transport::{Trust, send};
use super::upgraded::{Client, carry, no_upgrade};
use crate::server::body::{Body, full};
use crate::server::call::Call;
use crate::server::metrics::Translation;

/// Of the protocols that a client offers, those that are tunnelled, without what says so.
pub fn protocols(offered: &[String]) -> Vec<&str> {
    offered
        .iter()
        .filter_map(|name| name.strip_prefix(TUNNEL))
        .filter(|name| name.ends_with(".k8s.io"))
        .collect()
}

/// Connects the client, whose handshake has this key, with the kubelet.
pub async fn serve(
    call: &Call,
    client: Option<Client>,
    key: &str,
    offered: &[&str],
    errand: &Errand,
) -> Result<Response<Body>, Status> {
    let client = client.ok_or_else(no_upgrade)?;
    let connected = connect(call, offered, errand).await;
    let code = connected.as_ref().map_or_else(|status| status.code, |_| 101);
    call.api.metrics.translated(Translation::Tunnel, code);
    let (server, chosen) = connected?;
    let api = Arc::clone(&call.api);
    tokio::spawn(async move {
        let (client, server) = match tokio::try_join!(client.switched(), server) {
            Ok(both) => both,
            Err(error) => return tracing::debug!(%error, "upgrade"),
        };
        let tunnel = Tunnel::new(client).await;
        tokio::select! {
            () = carry(tunnel, TokioIo::new(server)) => {}
            () = api.stopping() => {}
        }
    });
    let protocol = chosen.map(|chosen| format!("{TUNNEL}{chosen}"));
    Ok(upgrade::accept_websocket(key, protocol.as_deref()).map(|()| full(Bytes::new())))
}

/// The kubelet's stream, and which of the protocols it has chosen.
async fn connect(
    call: &Call,
    offered: &[&str],
    errand: &Errand,
) -> Result<(hyper::upgrade::OnUpgrade, Option<String>), Status> {
    let Errand { target, path, query } = errand;
    let request = request(path, query, &Method::POST, upgrade::request_spdy(offered))?;
    let mut response = send(&call.api, target, Trust::Cluster, request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refused(call, response).await);
    }
    if !speaks_spdy(response.headers()) {
        let words = "unable to upgrade: missing upgrade headers in response";
        return Err(Status::internal(words));
    }
    let chosen = response.headers().get(STREAM_PROTOCOL);
    let chosen = chosen
        .and_then(|name| name.to_str().ok())
        .filter(|name| offered.contains(name))
        .map(str::to_owned);
    Ok((hyper::upgrade::on(&mut response), chosen))
}

/// Whether an answer that switches protocols switches to SPDY.
pub fn speaks_spdy(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(UPGRADE);
    upgrade.is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(SPDY.as_bytes()))
}
