//! Port-forwards in WebSocket messages, with a kubelet that knows SPDY only.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use tokio_tungstenite::tungstenite::Message;

use super::kubelet::cluster;
use super::spdy::PORTS_ENDED;
use super::websocket::{Socket, websocket};

const PROTOCOL: &str = "SPDY/3.1+portforward.k8s.io";
const PATH: &str = "/api/v1/namespaces/default/pods/p/portforward";

/// The next bytes, however many messages they come in.
fn read(socket: &mut Socket, length: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < length {
        match socket.read().unwrap() {
            Message::Binary(bytes) => all.extend_from_slice(&bytes),
            other => panic!("{other:?}"),
        }
    }
    all
}

#[test]
fn a_tunnel_ends_at_the_api_server() {
    let cluster = cluster();
    // The kubelet echoes what comes after its 101, and says what it was asked first.
    let mut socket = websocket(&cluster, PATH, PROTOCOL).unwrap();
    let asked = "POST /portForward/default/p [\"portforward.k8s.io\"]\n";
    assert_eq!(read(&mut socket, asked.len()), asked.as_bytes());
    let sent: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
    for piece in sent.chunks(7_001) {
        socket.send(Message::binary(piece.to_vec())).unwrap();
    }
    assert!(read(&mut socket, sent.len()) == sent);
    socket.close(None).unwrap();
    while let Ok(message) = socket.read() {
        assert!(matches!(message, Message::Close(_)), "{message:?}");
    }
    for _ in 0..500 {
        if PORTS_ENDED.load(SeqCst) == 1 {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(
        PORTS_ENDED.load(SeqCst),
        1,
        "the client's goodbye does not reach the kubelet"
    );
    let metrics = cluster.raw(http::Method::GET, "/metrics", &[], b"").1;
    let metrics = String::from_utf8(metrics).unwrap();
    assert!(
        metrics.contains("\napiserver_stream_tunnel_requests_total{code=\"101\"} 1\n"),
        "{metrics}"
    );
}

#[test]
fn refusals_come_before_the_upgrade() {
    let cluster = cluster();
    let refused = |path: &str, protocol: &str| websocket(&cluster, path, protocol).unwrap_err();
    assert_eq!(refused(&format!("{PATH}?ports=81"), PROTOCOL), 403);
    assert_eq!(refused(&format!("{PATH}?ports=82"), PROTOCOL), 500);
    // What is not Kubernetes' is no tunnel, and a WebSocket that the kubelet is asked for.
    assert_eq!(refused(PATH, "SPDY/3.1+portforward.example.com"), 400);
    let nobody = PATH.replace("/p/", "/nobody/");
    assert_eq!(refused(&nobody, PROTOCOL), 404);
}
