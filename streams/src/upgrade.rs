//! Handshakes that turn a request into a stream: WebSocket (RFC 6455) and SPDY (Kubernetes' own negotiation).

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Names of protocols over SPDY; the client sends several, the server answers with one.
pub const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");
/// What a server knows, in an answer to a client that knows none of it.
pub const ACCEPTED_PROTOCOLS: HeaderName = HeaderName::from_static("x-accepted-stream-protocol-versions");
/// The name of SPDY in an upgrade.
pub const SPDY: &str = "SPDY/3.1";
/// What stands before the name of a protocol over SPDY over a WebSocket [`tunnel`](crate::tunnel).
pub const TUNNEL: &str = "SPDY/3.1+";
/// A browser's way to send its token: the name of a subprotocol that starts so.
pub const BEARER: &str = "base64url.bearer.authorization.k8s.io";

/// What a client wants to upgrade to.
#[derive(Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// WebSocket, with the handshake's key and the subprotocols that the client offers, best first.
    WebSocket {
        /// `Sec-WebSocket-Key`, as it came.
        key: String,
        /// Without the bearer token, which may travel as one.
        protocols: Vec<String>,
    },
    /// SPDY, with the protocols over it that the client offers, best first.
    Spdy {
        /// `X-Stream-Protocol-Version`.
        protocols: Vec<String>,
    },
}

impl Upgrade {
    /// Reads a request's headers; an error in words, for 400, if they ask for nothing that there is.
    pub fn parse(headers: &HeaderMap) -> Result<Self, &'static str> {
        let wants =
            |name: HeaderName, word: &str| list(headers, &name).any(|own| own.eq_ignore_ascii_case(word));
        if !wants(header::CONNECTION, "upgrade") {
            return Err("Upgrade request required");
        }
        if wants(header::UPGRADE, "websocket") {
            let version = headers.get(header::SEC_WEBSOCKET_VERSION);
            let key = headers
                .get(header::SEC_WEBSOCKET_KEY)
                .and_then(|key| key.to_str().ok());
            let (Some(key), true) = (key, version.is_some_and(|version| version == "13")) else {
                return Err("WebSocket handshake without version 13 and key");
            };
            return Ok(Self::WebSocket {
                key: key.to_owned(),
                protocols: list(headers, &header::SEC_WEBSOCKET_PROTOCOL)
                    .filter(|name| !name.starts_with(BEARER))
                    .map(str::to_owned)
                    .collect(),
            });
        }
        if wants(header::UPGRADE, SPDY) {
            return Ok(Self::Spdy {
                protocols: list(headers, &STREAM_PROTOCOL).map(str::to_owned).collect(),
            });
        }
        Err("Upgrade request required")
    }
}

/// The words of a header that may be repeated and hold several with commas.
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|word| !word.is_empty())
}

/// 101 to a WebSocket client; `protocol` is one that it offered.
pub fn accept_websocket(key: &str, protocol: Option<&str>) -> Response<()> {
    let mut answer = switching("websocket");
    let headers = answer.headers_mut();
    // The key's digest is base64, and the protocol's name came in a header.
    if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(protocol) = protocol.and_then(|protocol| HeaderValue::from_str(protocol).ok()) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    answer
}

/// 101 to a SPDY client.
pub fn accept_spdy(protocol: &'static str) -> Response<()> {
    let mut answer = switching(SPDY);
    answer
        .headers_mut()
        .insert(STREAM_PROTOCOL, HeaderValue::from_static(protocol));
    answer
}

/// The headers of a request for SPDY with these protocols over it.
pub fn request_spdy(protocols: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(SPDY));
    for protocol in protocols {
        if let Ok(protocol) = HeaderValue::from_str(protocol) {
            headers.append(STREAM_PROTOCOL, protocol);
        }
    }
    headers
}

fn switching(to: &'static str) -> Response<()> {
    let mut answer = Response::new(());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(to));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn websocket() {
        let request = headers(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            (
                "sec-websocket-protocol",
                "base64url.bearer.authorization.k8s.io.dG9rZW4, v5.channel.k8s.io, v4.channel.k8s.io",
            ),
        ]);
        let Ok(Upgrade::WebSocket { key, protocols }) = Upgrade::parse(&request) else {
            panic!()
        };
        assert_eq!(protocols, ["v5.channel.k8s.io", "v4.channel.k8s.io"]);
        let answer = accept_websocket(&key, Some("v5.channel.k8s.io"));
        assert_eq!(
            answer.headers()["sec-websocket-accept"],
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn spdy_and_others() {
        let request = headers(&[
            ("connection", "Upgrade"),
            ("upgrade", "SPDY/3.1"),
            ("x-stream-protocol-version", "v4.channel.k8s.io"),
        ]);
        let Ok(Upgrade::Spdy { protocols }) = Upgrade::parse(&request) else {
            panic!()
        };
        assert_eq!(protocols, ["v4.channel.k8s.io"]);
        for bad in [
            headers(&[]),
            headers(&[("connection", "upgrade"), ("upgrade", "h2c")]),
            headers(&[("connection", "upgrade"), ("upgrade", "websocket")]),
        ] {
            assert!(Upgrade::parse(&bad).is_err());
        }
    }
}
