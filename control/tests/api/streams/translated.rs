//! Exec over version 5 of the WebSocket channels, with a kubelet that knows SPDY only.

use std::io::Write;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use super::kubelet::cluster;
use super::spdy::{DEAF_MAY_END, GONE, HEARD};
use super::websocket::{Socket, websocket};
use crate::cluster::Cluster;

/// kubectl's list.
const PROTOCOLS: &str =
    "v5.channel.k8s.io, v4.channel.k8s.io, v3.channel.k8s.io, v2.channel.k8s.io, channel.k8s.io";

fn exec(cluster: &Cluster, streams: &str, what: &str) -> Socket {
    let base = "/api/v1/namespaces/default/pods/p/exec?container=c";
    let path = format!("{base}&{streams}&command=spdy&command={what}");
    websocket(cluster, &path, PROTOCOLS).unwrap()
}

/// Outputs and status, up to the goodbye.
fn finish(socket: &mut Socket) -> (String, String, Value) {
    let mut channels = [const { Vec::new() }; 4];
    loop {
        match socket.read().unwrap() {
            Message::Binary(bytes) => channels[usize::from(bytes[0])].extend_from_slice(&bytes[1..]),
            Message::Close(goodbye) => {
                assert_eq!(u16::from(goodbye.unwrap().code), 1000);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    let text = |channel: usize| String::from_utf8(channels[channel].clone()).unwrap();
    (text(1), text(2), serde_json::from_slice(&channels[3]).unwrap())
}

#[test]
fn version_5_becomes_spdy() {
    let cluster = cluster();
    let mut socket = exec(&cluster, "stdin=true&stdout=true&stderr=true", "cat");
    let piece = [&[0][..], &vec![b'x'; 50_000]].concat();
    socket.send(Message::binary(piece)).unwrap();
    // Odd ones are ignored, as upstream ignores them.
    for odd in [&[77, 1][..], &[2, 2], &[255], &[255, 1]] {
        socket.send(Message::binary(odd.to_vec())).unwrap();
    }
    socket.send(Message::binary([255, 0].to_vec())).unwrap();
    let (out, err, status) = finish(&mut socket);
    assert_eq!(out, "x".repeat(50_000) + "end of input");
    assert_eq!(err, "said aside");
    assert_eq!(status["reason"], "NonZeroExitCode");
    assert_eq!(status["details"]["causes"][0]["message"], "3");

    let mut socket = exec(&cluster, "stdin=true&stdout=true&stderr=true&tty=true", "size");
    socket
        .send(Message::binary(
            br#".{"Width":80,"Height":24}"#.map(|byte| if byte == b'.' { 4 } else { byte }).to_vec(),
        ))
        .unwrap();
    let (out, _, status) = finish(&mut socket);
    assert_eq!(out, r#"{"Width":80,"Height":24}"#);
    assert_eq!(status["status"], "Success");

    let (code, metrics) = cluster.raw(http::Method::GET, "/metrics", &[], b"");
    assert_eq!(code, 200);
    let metrics = String::from_utf8(metrics).unwrap();
    assert!(
        metrics.contains("\napiserver_stream_translator_requests_total{code=\"200\"} 2\n"),
        "{metrics}"
    );
}

#[test]
fn a_kubelets_failures_reach_the_client() {
    let cluster = cluster();
    for (what, words) in [
        ("fail", "Internal error occurred: no such program"),
        (
            "refuse",
            "Internal error occurred: unable to upgrade connection: container not found (\"c\")",
        ),
        (
            "odd",
            "Internal error occurred: unable to upgrade connection: the kubelet speaks something else",
        ),
        (
            "vanish",
            "Internal error occurred: error reading from error stream: the connection to the kubelet was lost",
        ),
        (
            "garbage",
            "Internal error occurred: error stream protocol error: expected ident at line 1 column 2 in \"nothing that was ever a status\"",
        ),
    ] {
        let status = finish(&mut exec(&cluster, "stdout=true", what)).2;
        assert_eq!(
            (status["message"].as_str(), status["reason"].as_str()),
            (Some(words), Some("InternalError")),
            "{what}"
        );
    }
    // What the API server knows by itself is said before the upgrade.
    let refused = |path: &str| websocket(&cluster, path, PROTOCOLS).unwrap_err();
    assert_eq!(
        refused("/api/v1/namespaces/default/pods/p/exec?container=x&command=a&stdout=1"),
        400
    );
    assert_eq!(
        refused("/api/v1/namespaces/default/pods/none/exec?command=a&stdout=1"),
        404
    );
    assert_eq!(
        refused("/api/v1/namespaces/default/pods/free/exec?command=a&stdout=1"),
        400
    );
}

/// A session that has said that it is there, and then that it runs.
fn running(cluster: &Cluster, what: &str) -> Socket {
    let mut socket = exec(cluster, "stdin=true&stdout=true", what);
    for message in [&b"\x01"[..], b"\x01running"] {
        assert_eq!(socket.read().unwrap(), Message::binary(message));
    }
    socket
}

#[test]
fn a_server_that_stops_says_no_success() {
    let mut cluster = cluster();
    let mut socket = running(&cluster, "hang");
    cluster.stop();
    // A goodbye without a status would be a success to kubectl.
    let end = socket.read();
    assert!(!matches!(end, Ok(Message::Close(_))), "{end:?}");
    assert!(end.is_err(), "{end:?}");
}

/// Nobody reads what the client sends: that holds the input back, but not the output, nor the end.
#[test]
fn input_that_nobody_reads_holds_only_the_input_back() {
    let cluster = cluster();
    let mut socket = running(&cluster, "deaf");
    let timeout = Some(Duration::from_millis(300));
    socket.get_mut().get_mut().set_write_timeout(timeout).unwrap();
    let piece = Message::binary([&[0][..], &vec![b'x'; 900_000]].concat());
    let mut sent = 0;
    while socket.send(piece.clone()).is_ok() {
        sent += 1;
        assert!(sent < 60, "somebody takes it all");
    }
    DEAF_MAY_END.store(true, SeqCst);
    let (out, _, status) = finish(&mut socket);
    assert_eq!(out, "heard nothing");
    assert_eq!(status["status"], "Success");
}

#[test]
fn a_client_that_goes_away_ends_its_session_at_the_kubelet() {
    let cluster = cluster();
    let ends: [fn(Socket); 3] = [
        drop,
        |mut socket| socket.close(None).unwrap(),
        // No frame at all.
        |mut socket| {
            socket.get_mut().write_all(&[0xff; 64]).unwrap();
            while socket.read().is_ok() {}
        },
    ];
    for (number, end) in ends.into_iter().enumerate() {
        let socket = running(&cluster, "hang");
        assert_eq!(GONE.load(SeqCst), number);
        end(socket);
        for _ in 0..500 {
            if GONE.load(SeqCst) > number {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(GONE.load(SeqCst), number + 1, "the kubelet's session goes on");
    }
}

/// What a client had sent before it went away reaches the kubelet, then the end of the input.
#[test]
fn a_client_that_hangs_up_when_all_is_said_is_heard() {
    const SIZE: usize = 900_000;
    let cluster = cluster();
    let mut socket = exec(&cluster, "stdin=true&stdout=true", "listen");
    let piece = Message::binary([&[0][..], &vec![b'x'; SIZE]].concat());
    socket.send(piece).unwrap();
    socket.close(None).unwrap();
    // As clients do: of a socket that is closed with something unread, the kernel throws away what it had sent.
    while socket.read().is_ok() {}
    cluster.eventually("heard", |_| HEARD.load(SeqCst) != 0);
    assert_eq!(HEARD.load(SeqCst), SIZE);
}
