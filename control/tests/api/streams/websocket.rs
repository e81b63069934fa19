//! What clients get over WebSocket: messages of logs and watches.

use rustls::{ClientConnection, StreamOwned};
use serde_json::json;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

use super::connect;
use super::kubelet::cluster;
use crate::cluster::Cluster;

pub type Socket = WebSocket<StreamOwned<ClientConnection, std::net::TcpStream>>;

/// Opens a WebSocket with one of these protocols; an error has the answer's status.
pub fn websocket(cluster: &Cluster, path: &str, protocols: &str) -> Result<Socket, u16> {
    let mut request = format!("wss://127.0.0.1{path}").into_client_request().unwrap();
    if !protocols.is_empty() {
        request
            .headers_mut()
            .insert("sec-websocket-protocol", protocols.parse().unwrap());
    }
    match tungstenite::client(request, connect(cluster)) {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
            Err(answer.status().as_u16())
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn logs_and_watches_over_websocket() {
    let cluster = cluster();
    let log = "/api/v1/namespaces/default/pods/p/log?tailLines=1";
    for (protocol, expected) in [
        ("", Message::binary("/containerLogs/default/p/c?tailLines=1")),
        (
            "x.example, binary.k8s.io",
            Message::binary("/containerLogs/default/p/c?tailLines=1"),
        ),
        (
            "base64.binary.k8s.io",
            Message::text("L2NvbnRhaW5lckxvZ3MvZGVmYXVsdC9wL2M/dGFpbExpbmVzPTE="),
        ),
    ] {
        let mut socket = websocket(&cluster, log, protocol).unwrap();
        assert_eq!(socket.read().unwrap(), expected);
        assert!(matches!(socket.read().unwrap(), Message::Close(_)));
    }
    assert_eq!(websocket(&cluster, log, "x.example").unwrap_err(), 400);
    assert_eq!(
        websocket(&cluster, "/api/v1/namespaces/default/pods/none/log", "").unwrap_err(),
        404
    );

    let maps = "/api/v1/namespaces/default/configmaps";
    let mut socket = websocket(
        &cluster,
        &format!("{maps}?watch=true&fieldSelector=metadata.name%3Dw"),
        "",
    )
    .unwrap();
    for step in ["1", "2"] {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "w"}, "data": {"step": step}});
        let (code, _) = match step {
            "1" => cluster.post(maps, &map),
            _ => cluster.patch(&format!("{maps}/w"), "merge-patch+json", &map),
        };
        assert!(code < 300);
    }
    for (kind, step) in [("ADDED", "1"), ("MODIFIED", "2")] {
        let Message::Text(text) = socket.read().unwrap() else {
            panic!("not text");
        };
        let event: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&event["type"], &event["object"]["data"]["step"]),
            (&json!(kind), &json!(step))
        );
    }
    socket.close(None).unwrap();
}
