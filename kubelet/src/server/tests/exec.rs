//! Exec and attach, over both protocols.

use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use keelson_streams::spdy::{Connection, Headers, Stream};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::support::{Host, all};

type Socket = WebSocketStream<TlsStream<TcpStream>>;
pub(super) const V4: &str = "v4.channel.k8s.io";

/// Outputs and status of a session that ends by itself.
pub(super) async fn finish(socket: &mut Socket) -> (String, String, Value) {
    let mut channels = [const { Vec::new() }; 4];
    loop {
        match tokio::time::timeout(Duration::from_secs(20), socket.next())
            .await
            .expect("no end")
        {
            Some(Ok(Message::Binary(bytes))) => {
                channels[usize::from(bytes[0])].extend_from_slice(&bytes[1..]);
            }
            Some(Ok(Message::Close(frame))) => {
                assert_eq!(u16::from(frame.unwrap().code), 1000);
                break;
            }
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        text(&channels[1]),
        text(&channels[2]),
        serde_json::from_slice(&channels[3]).unwrap(),
    )
}

pub(super) fn path(query: &str, command: &[&str]) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    let command = command.iter().fold(String::new(), |query, word| {
        let word: String = word.bytes().map(encode).collect();
        format!("{query}&command={word}")
    });
    format!("/exec/default/pod/main?{query}{command}")
}

/// Whether any process on this machine has these words in its command line.
pub(super) fn exists(words: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ").contains(words)
    })
}

pub(super) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never: {what}");
}

#[tokio::test]
async fn outputs_and_exit_codes() {
    let host = Host::new().await;
    host.start("sleep 1000", |_| {});
    let path = path(
        "output=1&error=1",
        &["sh", "-c", "echo out; echo err >&2; exit 7"],
    );
    let mut socket = host.websocket(&path, V4).await.unwrap();
    let (out, err, status) = finish(&mut socket).await;
    assert_eq!((out.as_str(), err.as_str()), ("out\n", "err\n"));
    assert_eq!(status["reason"], "NonZeroExitCode");
    assert_eq!(
        status["details"]["causes"][0],
        serde_json::json!({"reason": "ExitCode", "message": "7"})
    );

    let mut socket = host
        .websocket(&self::path("output=1", &["true"]), V4)
        .await
        .unwrap();
    assert_eq!(finish(&mut socket).await.2["status"], "Success");
    // Version 5 is the API server's to translate.
    let refused = host.websocket(&path, "v5.channel.k8s.io").await.unwrap_err();
    assert_eq!(refused.0, 400);
    let mut socket = host
        .websocket(&self::path("output=1", &["no-such-program"]), V4)
        .await
        .unwrap();
    let status = finish(&mut socket).await.2;
    assert_eq!(status["reason"], "InternalError");
    assert!(
        status["message"]
            .as_str()
            .unwrap()
            .contains("executable file not found in $PATH"),
        "{status}"
    );
}

#[tokio::test]
async fn old_protocols_say_the_end_in_words() {
    let host = Host::new().await;
    host.start("sleep 1000", |_| {});
    let path = |command| self::path("output=1&error=1", &["sh", "-c", command]);
    let mut socket = host
        .websocket(&path("echo out; exit 3"), "channel.k8s.io")
        .await
        .unwrap();
    let mut received = Vec::new();
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Binary(bytes) = message {
            received.push(bytes);
        }
    }
    let words = "\u{3}command terminated with non-zero exit code: exit status 3";
    // The first one says that the session is there.
    assert_eq!(received, ["\u{1}", "\u{1}out\n", words]);

    // A success has none, and base64 has the channel's number as a digit.
    let mut socket = host
        .websocket(&path("echo out"), "base64.channel.k8s.io")
        .await
        .unwrap();
    let mut received = Vec::new();
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Text(text) = message {
            received.push(text);
        }
    }
    assert_eq!(received, ["1", "1b3V0Cg=="]);
}

/// A session over SPDY: its connection, its error stream, and the others that are wanted.
pub(super) async fn spdy<const N: usize>(
    host: &Host,
    path: &str,
    kinds: [&str; N],
) -> (Connection, Stream, [Stream; N]) {
    let mut client = Connection::client(host.spdy(path, V4).await);
    let mut open = async |kind| client.open(Headers::of(&[("streamtype", kind)])).await.unwrap();
    let error = open("error").await;
    let mut streams = Vec::new();
    for kind in kinds {
        streams.push(open(kind).await);
    }
    (client, error, streams.try_into().unwrap())
}

async fn status(error: &mut Stream) -> Value {
    serde_json::from_slice(&all(error).await).unwrap()
}

#[tokio::test]
async fn stdin_ends_and_output_goes_on() {
    let host = Host::new().await;
    host.start("sleep 1000", |_| {});
    let script = path(
        "input=1&output=1&error=1",
        &["sh", "-c", "cat | wc -c; echo done"],
    );
    let (_client, mut error, [stdin, mut stdout, _stderr]) =
        spdy(&host, &script, ["stdin", "stdout", "stderr"]).await;
    for _ in 0..20 {
        stdin.sender.send(vec![b'x'; 30_000].into()).await.unwrap();
    }
    stdin.sender.finish().await.unwrap();
    assert_eq!(all(&mut stdout).await, b"600000\ndone\n");
    assert_eq!(status(&mut error).await["status"], "Success");
}

#[tokio::test]
async fn text_messages_are_input_too() {
    let host = Host::new().await;
    host.start("sleep 1000", |_| {});
    let path = path("input=1&output=1", &["sh", "-c", "read line; echo got $line"]);
    let mut socket = host.websocket(&path, "v4.channel.k8s.io").await.unwrap();
    socket.send(Message::text("\0a line\n")).await.unwrap();
    assert_eq!(finish(&mut socket).await.0, "got a line\n");
}

#[tokio::test]
async fn two_megabytes_through_cat_and_back() {
    let host = Host::new().await;
    host.start("sleep 1000", |_| {});
    let cat = path("input=1&output=1", &["cat"]);
    let (_client, _error, [stdin, mut stdout]) = spdy(&host, &cat, ["stdin", "stdout"]).await;
    let sending = tokio::spawn(async move {
        for n in 0..64u8 {
            stdin.sender.send(vec![n; 32 << 10].into()).await.unwrap();
        }
        stdin.sender.finish().await.unwrap();
        stdin
    });
    let all = all(&mut stdout).await;
    drop(sending.await.unwrap());
    assert_eq!(all.len(), 2 << 20);
    assert!(
        all.chunks(32 << 10)
            .enumerate()
            .all(|(n, piece)| piece.iter().all(|byte| usize::from(*byte) == n))
    );
}

#[tokio::test]
async fn terminals_have_a_size() {
    let host = Host::new().await;
    host.start("sleep 1000", |_| {});
    let path = path("input=1&output=1&tty=1", &["sh", "-c", "read go; stty size"]);
    let mut socket = host.websocket(&path, V4).await.unwrap();
    socket
        .send(Message::Binary(
            [&[4u8][..], br#"{"Width":123,"Height":45}"#].concat().into(),
        ))
        .await
        .unwrap();
    socket
        .send(Message::Binary(b"\0go\n".to_vec().into()))
        .await
        .unwrap();
    let (out, _, status) = finish(&mut socket).await;
    assert!(out.contains("45 123"), "{out:?}");
    assert_eq!(status["status"], "Success");
}

#[tokio::test]
async fn endless_output_to_a_client_that_does_not_read_is_held_back() {
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap()
            .to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let host = Host::new().await;
    host.start("sleep 1000", |_| {});
    let mut sockets = Vec::new();
    let before = resident();
    for _ in 0..4 {
        sockets.push(
            host.websocket(&path("output=1", &["yes", "endless-marker"]), V4)
                .await
                .unwrap(),
        );
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let grown = resident().saturating_sub(before);
    assert!(grown < 20 << 10, "{grown} KiB");
    assert_eq!(host.get("/healthz").await.0, 200);
    drop(sockets);
    until("killed", || !exists("yes endless-marker")).await;
}

#[tokio::test]
async fn refusals_come_before_the_upgrade() {
    let host = Host::new().await;
    let refused = async |path: &str| host.websocket(path, V4).await.err().unwrap();
    assert_eq!(
        refused("/exec/default/nobody/main?output=1&command=ls").await,
        (404, "pod does not exist".to_owned())
    );
    assert_eq!(
        refused("/exec/default/pod/wrong-uid/main?output=1&command=ls")
            .await
            .0,
        404
    );
    assert_eq!(
        refused("/exec/default/pod/main?output=1&command=ls").await,
        (500, "container not found (\"main\")".to_owned())
    );
    host.start("sleep 1000", |_| {});
    assert_eq!(refused("/exec/default/pod/main?command=ls").await.0, 400);
    assert_eq!(refused("/exec/default/pod/main?output=1").await.0, 400);
    let no_upgrade = host.get("/exec/default/pod/main?output=1&command=ls").await;
    assert_eq!(no_upgrade, (400, "Upgrade request required".to_owned()));
}

#[tokio::test]
async fn hostile_frames_drop_only_that_client() {
    let host = Host::new().await;
    host.start("sleep 1000", |_| {});
    let query = path("input=1&output=1", &["sh", "-c", "cat; sleep 4321"]);
    for hostile in [
        vec![0xffu8; 64],
        vec![
            0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0,
        ],
        vec![0x82, 0x05, b'u', b'n', b'm', b's', b'k'],
    ] {
        let mut socket = host.websocket(&query, V4).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(socket.get_mut(), &hostile)
            .await
            .unwrap();
        while let Some(Ok(message)) = tokio::time::timeout(Duration::from_secs(5), socket.next())
            .await
            .unwrap()
        {
            // But for the first, which says that the session is there.
            assert!(!message.is_binary() || message.len() == 1, "{message:?}");
        }
    }
    // Unknown channels and nonsense sizes are ignored.
    let mut socket = host
        .websocket(&path("input=1&output=1", &["cat"]), V4)
        .await
        .unwrap();
    for odd in [&[77u8, 1][..], &[], &[4, b'{'], &[255], &[255, 0], &[3, 3]] {
        socket.send(Message::Binary(odd.to_vec().into())).await.unwrap();
    }
    socket
        .send(Message::Binary(b"\0ok".to_vec().into()))
        .await
        .unwrap();
    for wanted in [&b"\x01"[..], b"\x01ok"] {
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::binary(wanted));
    }
    until("killed", || !exists("cat; sleep 4321")).await;
}

#[tokio::test]
async fn exec_over_spdy() {
    let host = Host::new().await;
    host.start("sleep 1000", |_| {});
    let script = path(
        "input=1&output=1&error=1",
        &["sh", "-c", "cat; echo err >&2; exit 3"],
    );
    let (client, mut error, [stdin, mut stdout, mut stderr]) =
        spdy(&host, &script, ["stdin", "stdout", "stderr"]).await;
    stdin.sender.send(Bytes::from_static(b"hello")).await.unwrap();
    stdin.sender.finish().await.unwrap();
    assert_eq!(all(&mut stdout).await, b"hello");
    assert_eq!(all(&mut stderr).await, b"err\n");
    assert_eq!(status(&mut error).await["details"]["causes"][0]["message"], "3");
    // The kubelet says goodbye itself.
    stdin.sender.closed().await;
    drop(client);
}

#[tokio::test]
async fn the_end_of_input_ends_an_attach_where_stdin_stays_open() {
    let host = Host::new().await;
    host.start("cat; echo closed", |spec| spec.stdin = true);
    let path = "/attach/default/pod/main?input=1&output=1";
    for word in ["one", "two"] {
        let (_client, mut error, [stdin, mut stdout]) = spdy(&host, path, ["stdin", "stdout"]).await;
        let line = format!("{word}\n");
        stdin.sender.send(line.clone().into()).await.unwrap();
        stdin.sender.finish().await.unwrap();
        // The container runs on: `closed` is never printed, and the next client finds it.
        assert_eq!(all(&mut stdout).await, line.as_bytes());
        assert_eq!(status(&mut error).await["status"], "Success");
    }
}

#[tokio::test]
async fn attach_sees_output_and_feeds_stdin() {
    let host = Host::new().await;
    host.start(
        "while read line; do echo got $line; [ $line = end ] && exit 5; done",
        |spec| spec.stdin = true,
    );
    let mut socket = host
        .websocket("/attach/default/pod/main?input=1&output=1&error=1", V4)
        .await
        .unwrap();
    socket
        .send(Message::Binary(b"\0one\nend\n".to_vec().into()))
        .await
        .unwrap();
    let (out, _, status) = finish(&mut socket).await;
    assert_eq!(out, "got one\ngot end\n");
    assert_eq!(status["status"], "Success", "attach reports no exit code");
}

#[tokio::test]
async fn run_returns_output() {
    let host = Host::new().await;
    host.start("sleep 1000", |_| {});
    let run = async |command: &str| {
        let head = format!(
            "POST /run/default/pod/main?cmd={command} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        super::support::request(host.connect().await, &head)
            .await
            .unwrap()
    };
    assert_eq!(run("echo%20hello").await, (200, "hello\n".to_owned()));
    assert_eq!(run("ls%20/nowhere").await.0, 500);
}
