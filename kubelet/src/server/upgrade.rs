//! Handshakes that turn a request into a stream: WebSocket (RFC 6455) and SPDY (Kubernetes' own negotiation).

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::answer::{Answer, failure, full, whole};

/// Names of protocols over SPDY; the client sends several, the server answers with one.
const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");
const ACCEPTED_PROTOCOLS: HeaderName = HeaderName::from_static("x-accepted-stream-protocol-versions");

/// What a client wants to upgrade to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Upgrade {
    WebSocket { key: String, protocols: Vec<String> },
    Spdy { protocols: Vec<String> },
}

impl Upgrade {
    /// Reads the request's headers; an answer if they ask for nothing that there is.
    pub(super) fn parse(headers: &HeaderMap) -> Result<Self, Answer> {
        let wants =
            |name: HeaderName, word: &str| list(headers, &name).any(|own| own.eq_ignore_ascii_case(word));
        if !wants(header::CONNECTION, "upgrade") {
            return Err(failure(400, "Upgrade request required"));
        }
        if wants(header::UPGRADE, "websocket") {
            let version = headers.get(header::SEC_WEBSOCKET_VERSION);
            let key = headers
                .get(header::SEC_WEBSOCKET_KEY)
                .and_then(|key| key.to_str().ok());
            let (Some(key), true) = (key, version.is_some_and(|version| version == "13")) else {
                return Err(failure(400, "WebSocket handshake without version 13 and key"));
            };
            return Ok(Self::WebSocket {
                key: key.to_owned(),
                protocols: list(headers, &header::SEC_WEBSOCKET_PROTOCOL)
                    .map(str::to_owned)
                    .collect(),
            });
        }
        if wants(header::UPGRADE, "SPDY/3.1") {
            return Ok(Self::Spdy {
                protocols: list(headers, &STREAM_PROTOCOL).map(str::to_owned).collect(),
            });
        }
        Err(failure(400, "Upgrade request required"))
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
pub(super) fn accept_websocket(key: &str, protocol: Option<&'static str>) -> Answer {
    let mut answer = switching("websocket");
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()));
    let (Ok(accept), headers) = (accept, answer.headers_mut()) else {
        return failure(400, "bad key");
    };
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(protocol) = protocol {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    }
    answer
}

/// 101 to a SPDY client.
pub(super) fn accept_spdy(protocol: &'static str) -> Answer {
    let mut answer = switching("SPDY/3.1");
    answer
        .headers_mut()
        .insert(STREAM_PROTOCOL, HeaderValue::from_static(protocol));
    answer
}

/// 403 to a SPDY client that knows none of our protocols.
pub(super) fn refuse_spdy(known: &[&'static str]) -> Answer {
    let mut answer = failure(403, "unable to upgrade: unable to negotiate protocol");
    for protocol in known {
        answer
            .headers_mut()
            .append(ACCEPTED_PROTOCOLS, HeaderValue::from_static(protocol));
    }
    answer
}

fn switching(to: &'static str) -> Answer {
    let mut answer = whole(101, full(""));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.remove(header::CONTENT_TYPE);
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
            ("sec-websocket-protocol", "v5.channel.k8s.io, v4.channel.k8s.io"),
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
            assert_eq!(Upgrade::parse(&bad).unwrap_err().status(), 400);
        }
    }
}
