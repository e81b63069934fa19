//! Clients that go away.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

use super::exec::{V4, exists, finish, path, spdy, until};
use super::support::Host;

#[tokio::test]
async fn a_client_that_goes_away_leaves_no_process() {
    let host = Host::new().await;
    host.start("sleep 1000", |_| {});
    for round in 0..4 {
        let marker = format!("sleep 98765{round}");
        let path = path("input=1&output=1", &["sh", "-c", &format!("{marker}; true")]);
        if round % 2 == 0 {
            let socket = host.websocket(&path, V4).await.unwrap();
            until("started", || exists(&marker)).await;
            drop(socket);
        } else {
            let session = spdy(&host, &path, ["stdin", "stdout"]).await;
            until("started", || exists(&marker)).await;
            drop(session);
        }
        until("killed", || !exists(&format!("{marker}; true"))).await;
    }
}

#[tokio::test]
async fn hundreds_of_aborts_leave_nothing() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let host = Host::new().await;
    host.start("while read line; do echo $line; done; sleep 1000", |spec| {
        spec.stdin = true;
    });
    let exec = path("input=1&output=1&error=1", &["sh", "-c", "yes; sleep 24680"]);
    let paths = [
        exec.as_str(),
        "/attach/default/pod/main?input=1&output=1&error=1",
        "/containerLogs/default/pod/main?follow=1",
    ];
    let abort = async |n: usize| match n % 4 {
        3 => {
            let path = paths[n / 4 % 2];
            let kinds = ["stdin", "stdout", "stderr"];
            let (_client, _error, [stdin, mut stdout, _]) = spdy(&host, path, kinds).await;
            let _ = stdin.sender.send(vec![b'x'; n * 500].into()).await;
            let some = stdout.incoming.recv();
            let _ = tokio::time::timeout(Duration::from_millis(n as u64 % 7), some).await;
        }
        2 => {
            let mut stream = host.connect().await;
            let head = format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", paths[2]);
            tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes())
                .await
                .unwrap();
            tokio::time::sleep(Duration::from_millis(n as u64 % 7)).await;
        }
        kind => {
            let mut socket = host.websocket(paths[kind], V4).await.unwrap();
            // At different moments, in the middle of what is going on.
            let _ = tokio::time::timeout(Duration::from_millis(n as u64 % 7), socket.next()).await;
        }
    };
    for n in 0..4 {
        abort(n).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = descriptors();
    for n in 0..300 {
        abort(n).await;
    }
    until("closed", || descriptors() <= before).await;
    until("killed", || !exists("sleep 24680")).await;
}

/// Clients of version 4 end stdin by hanging up: the official Python client, and Ansible's copies to pods.
#[tokio::test]
async fn what_was_sent_before_a_goodbye_reaches_the_process() {
    let host = Host::new().await;
    host.start("sleep 1000", |_| {});
    // More than all buffers on the way hold, and so little that the client is gone before the process is there.
    for (round, size) in [900_000, 1, 900_000, 1].into_iter().enumerate() {
        let command = format!("cat > /tmp/part; mv /tmp/part /tmp/whole{round}; echo said to nobody");
        let path = path("input=1&output=1", &["sh", "-c", &command]);
        let mut socket = host.websocket(&path, V4).await.unwrap();
        for piece in vec![b'x'; size].chunks(300_000) {
            let message = Message::binary([&b"\0"[..], piece].concat());
            socket.send(message).await.unwrap();
        }
        socket.close(None).await.unwrap();
        // As clients do: of a socket that is closed with something unread, the kernel throws away what it had sent.
        while let Some(Ok(_)) = socket.next().await {}
        assert_eq!(written(&host, round).await, size.to_string());
    }
}

/// The size of the file of a round, once it is whole.
async fn written(host: &Host, round: usize) -> String {
    let file = format!("/tmp/whole{round}");
    let command =
        format!("for i in $(seq 500); do test -e {file} && break; sleep 0.02; done; stat -c %s {file}");
    let path = path("output=1&error=1", &["sh", "-c", &command]);
    let (out, err, _) = finish(&mut host.websocket(&path, V4).await.unwrap()).await;
    assert_eq!(err, "");
    out.trim().to_owned()
}
