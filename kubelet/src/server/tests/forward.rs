//! Port-forward, over both protocols.

use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use keelson_streams::spdy::{Connection, Headers, Stream};
use tokio_tungstenite::tungstenite::Message;

use super::support::{Host, UID, all};

const PATH: &str = "/portForward/default/pod";

/// A pod in which port 8080 sends everything back.
async fn echo() -> Host {
    let host = Host::new().await;
    host.start("nc -ll -p 8080 -e /bin/cat", |_| {});
    let netns = host.runtime.sandbox(UID).unwrap().unwrap().netns.unwrap();
    let up = Command::new("nsenter")
        .arg(format!("--net={}", netns.display()))
        .args(["ip", "link", "set", "lo", "up"])
        .status();
    assert!(up.unwrap().success());
    for _ in 0..100 {
        let listening = Command::new("nsenter")
            .arg(format!("--net={}", netns.display()))
            .args(["cat", "/proc/net/tcp", "/proc/net/tcp6"])
            .output()
            .unwrap();
        if String::from_utf8_lossy(&listening.stdout).contains(":1F90") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    host
}

/// Two connections at once and one to a closed port; one ends, and the other goes on.
#[tokio::test]
async fn spdy() {
    let host = echo().await;
    let mut client = Connection::client(host.spdy(PATH, "portforward.k8s.io").await);
    let mut pairs = Vec::new();
    for (request, port) in [("0", "8080"), ("1", "8080"), ("2", "81")] {
        let mut pair = Vec::new();
        for kind in ["error", "data"] {
            let headers = [("streamtype", kind), ("port", port), ("requestid", request)];
            pair.push(client.open(Headers::of(&headers)).await.unwrap());
        }
        // As kubectl does.
        pair[0].sender.finish().await.unwrap();
        pairs.push(<[Stream; 2]>::try_from(pair).unwrap());
    }
    let [[first_error, first], [second_error, second], [third_error, third]] = &mut pairs[..] else {
        panic!();
    };
    first.sender.send(Bytes::from_static(b"first")).await.unwrap();
    assert_eq!(first.incoming.recv().await.unwrap(), "first");
    second.sender.send(Bytes::from_static(b"second")).await.unwrap();
    second.sender.finish().await.unwrap();
    assert_eq!(all(second).await, b"second");
    assert_eq!(all(second_error).await, b"");
    assert_eq!(all(third).await, b"");
    let error = String::from_utf8(all(third_error).await).unwrap();
    assert!(
        error.starts_with("error forwarding port 81 to pod pod, uid"),
        "{error}"
    );
    assert!(
        error.contains("dial tcp4 127.0.0.1:81: connect: connection refused"),
        "{error}"
    );
    first.sender.send(Bytes::from_static(b" again")).await.unwrap();
    first.sender.finish().await.unwrap();
    assert_eq!(all(first).await, b" again");
    assert_eq!(all(first_error).await, b"");
}

#[tokio::test]
async fn plain_websocket() {
    let host = echo().await;
    let mut socket = host
        .websocket(&format!("{PATH}?port=8080&port=81"), "v4.channel.k8s.io")
        .await
        .unwrap();
    socket
        .send(Message::Binary(b"\0hello".to_vec().into()))
        .await
        .unwrap();
    let mut channels = [const { Vec::new() }; 4];
    while channels[0].len() < 7 || channels[3].len() < 40 {
        let message = tokio::time::timeout(Duration::from_secs(10), socket.next())
            .await
            .expect("nothing comes");
        if let Some(Ok(Message::Binary(bytes))) = message {
            channels[usize::from(bytes[0])].extend_from_slice(&bytes[1..]);
        }
    }
    assert_eq!(channels[0], [&8080u16.to_le_bytes()[..], b"hello"].concat());
    assert_eq!(channels[1], 8080u16.to_le_bytes());
    assert!(String::from_utf8_lossy(&channels[3][2..]).contains("error forwarding port 81"));
    assert_eq!(
        host.websocket(PATH, "v4.channel.k8s.io").await.unwrap_err().0,
        400
    );
    assert_eq!(
        host.websocket("/portForward/default/nobody", "v4.channel.k8s.io")
            .await
            .unwrap_err()
            .0,
        404
    );
}
