//! Port-forward, over all three protocols.

use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

use super::support::{Host, UID};
use crate::server::spdy::client::{Client, Got};

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

/// Two connections at once, one to a closed port, then one that ends.
async fn speak<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(mut client: Client<T>) {
    for (request, error, data, port) in [("0", 1, 3, "8080"), ("1", 5, 7, "8080"), ("2", 9, 11, "81")] {
        client
            .open(
                error,
                true,
                &[("streamtype", "error"), ("port", port), ("requestid", request)],
            )
            .await;
        client
            .open(
                data,
                false,
                &[("streamtype", "data"), ("port", port), ("requestid", request)],
            )
            .await;
    }
    client.data(3, b"first", false).await;
    client.data(7, b"second", true).await;
    let (mut outputs, mut ended) = (std::collections::BTreeMap::<u32, Vec<u8>>::new(), Vec::new());
    while ended.len() < 4 || outputs.get(&3).is_none_or(|got| got.len() < 5) {
        let got = tokio::time::timeout(Duration::from_secs(10), client.get())
            .await
            .expect("nothing comes");
        match got {
            Got::Data(id, data, fin) => {
                outputs.entry(id).or_default().extend_from_slice(&data);
                if fin {
                    ended.push(id);
                }
            }
            Got::Reply(_) => {}
            other => panic!("{other:?}"),
        }
    }
    ended.sort_unstable();
    assert_eq!(ended, [5, 7, 9, 11], "the first goes on");
    assert_eq!(
        (&outputs[&3][..], &outputs[&7][..]),
        (&b"first"[..], &b"second"[..])
    );
    let error = String::from_utf8_lossy(&outputs[&9]).into_owned();
    assert!(
        error.starts_with("error forwarding port 81 to pod pod, uid"),
        "{error}"
    );
    assert!(
        error.contains("dial tcp4 127.0.0.1:81: connect: connection refused"),
        "{error}"
    );
    client.data(3, b" again", true).await;
    let mut rest = Vec::new();
    while let Got::Data(3, data, false) = client.get().await {
        rest.extend_from_slice(&data);
    }
    assert_eq!(rest, b" again");
}

#[tokio::test]
async fn spdy() {
    let host = echo().await;
    speak(Client::new(host.spdy(PATH, "portforward.k8s.io").await)).await;
}

#[tokio::test]
async fn spdy_in_websocket() {
    let host = echo().await;
    let socket = host.websocket(PATH, "SPDY/3.1+portforward.k8s.io").await.unwrap();
    let (near, far) = tokio::io::duplex(64 << 10);
    // Any cut of the byte stream into messages must do.
    let carrier = tokio::spawn(async move {
        let (mut sink, mut stream) = socket.split();
        let (mut reader, mut writer) = tokio::io::split(far);
        let up = async {
            let mut piece = [0; 7];
            loop {
                match reader.read(&mut piece).await {
                    Ok(0) | Err(_) => break,
                    Ok(count) => {
                        if sink
                            .send(Message::Binary(Bytes::copy_from_slice(&piece[..count])))
                            .await
                            .is_err()
                        {
                            break;
                        }
                    }
                }
            }
        };
        let down = async {
            while let Some(Ok(message)) = stream.next().await {
                if let Message::Binary(bytes) = message
                    && writer.write_all(&bytes).await.is_err()
                {
                    break;
                }
            }
        };
        tokio::join!(up, down);
    });
    speak(Client::new(near)).await;
    carrier.abort();
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
