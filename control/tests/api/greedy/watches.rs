//! Watches whose clients do not read.

use std::io::Write;
use std::sync::Arc;

use keelson_control::pki;
use rustls::ClientConfig;
use serde_json::json;

use super::{Stream, code, connect, others_are_served, resident};
use crate::cluster::{Cluster, MAPS, config_map};
use crate::streams::roots;

#[test]
fn watches_that_do_not_read() {
    let cluster = Cluster::start();
    let mut idle: Vec<Stream> = (0..200).map(|_| connect(&cluster, true)).collect();
    for stream in &mut idle {
        let head = format!("GET {MAPS}?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
    }
    others_are_served(&cluster);
    let before = resident();
    let large = "x".repeat(100_000);
    let map = config_map("large", "0");
    assert_eq!(cluster.post(MAPS, &map).0, 201);
    // 30 MB for each of them, which none takes.
    for n in 0..300 {
        let patch = json!({"data": {"large": large, "n": n.to_string()}});
        assert_eq!(
            cluster
                .patch(&format!("{MAPS}/large"), "merge-patch+json", &patch)
                .0,
            200
        );
    }
    let grown = resident().saturating_sub(before);
    // The store keeps the last versions, which is the same for any number of watches.
    assert!(grown < 200 << 10, "{grown} KiB");
    others_are_served(&cluster);
    // One that begins to read after all gets what happened, or is told to list again.
    let mut late = idle.swap_remove(0);
    assert_eq!(code(&mut late), 200);
}

/// Opens many watches on one HTTP/2 connection, reads none of them, and keeps them until `done` is dropped.
async fn watches(
    cluster_pki: &std::path::Path,
    listen: std::net::SocketAddr,
    ready: std::sync::mpsc::Sender<u16>,
    done: tokio::sync::oneshot::Receiver<()>,
) {
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(cluster_pki))
        .with_client_auth_cert(
            pki::certificates(&cluster_pki.join("admin.crt")).unwrap(),
            pki::private_key(&cluster_pki.join("admin.key")).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let socket = tokio::net::TcpStream::connect(listen).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector
        .connect("127.0.0.1".try_into().unwrap(), socket)
        .await
        .unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new())
            .initial_stream_window_size(1 << 10)
            .initial_connection_window_size(1 << 16)
            .handshake(hyper_util::rt::TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let mut unread = Vec::new();
    for _ in 0..200 {
        let request = http::Request::get(format!("https://{listen}{MAPS}?watch=1"))
            .body(http_body_util::Empty::<bytes::Bytes>::new())
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        ready.send(response.status().as_u16()).unwrap();
        unread.push(response);
    }
    let _ = done.await;
}

#[test]
fn watches_of_one_connection_that_do_not_read() {
    let cluster = Cluster::start();
    let (ready, opened) = std::sync::mpsc::channel();
    let (done, wait) = tokio::sync::oneshot::channel();
    let (pki_dir, listen) = (cluster.config.pki_dir.clone(), cluster.config.listen);
    let client = std::thread::spawn(move || {
        crate::cluster::runtime().block_on(watches(&pki_dir, listen, ready, wait));
    });
    assert!(opened.iter().take(200).all(|code| code == 200));
    let before = resident();
    assert_eq!(cluster.post(MAPS, &config_map("large", "0")).0, 201);
    for n in 0..300 {
        let patch = json!({"data": {"large": "x".repeat(100_000), "n": n.to_string()}});
        assert_eq!(
            cluster
                .patch(&format!("{MAPS}/large"), "merge-patch+json", &patch)
                .0,
            200
        );
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 200 << 10, "{grown} KiB");
    others_are_served(&cluster);
    drop(done);
    client.join().unwrap();
}
