//! A client that asks for much and reads none of it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use keelson_control::pki;
use rustls::ClientConfig;
use tokio::sync::oneshot;

use crate::cluster::Cluster;
use crate::streams::roots;

/// Requests of one HTTP/2 connection.
pub const MANY: usize = 200;

/// An HTTP/2 connection of the administrator with many answers that are not read, until it is dropped.
pub struct Unread {
    done: Option<oneshot::Sender<()>>,
    client: Option<JoinHandle<()>>,
}

impl Unread {
    /// Asks for this path again and again, and waits until all answers have begun. Of each, the server may send `window`
    /// bytes.
    pub fn open(cluster: &Cluster, path: &str, accept: &str, window: u32) -> Self {
        let (ready, begun) = mpsc::channel();
        let (done, wait) = oneshot::channel();
        let (pki_dir, listen) = (cluster.config.pki_dir.clone(), cluster.config.listen);
        let (path, accept) = (path.to_owned(), accept.to_owned());
        let client = std::thread::spawn(move || {
            let asked = ask(&pki_dir, listen, (&path, &accept, window), ready, wait);
            crate::cluster::runtime().block_on(asked);
        });
        let codes: Vec<_> = begun.iter().take(MANY).collect();
        assert_eq!(codes, [200; MANY]);
        Self {
            done: Some(done),
            client: Some(client),
        }
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        drop(self.done.take());
        if let Some(client) = self.client.take() {
            let _ = client.join();
        }
    }
}

async fn ask(
    cluster_pki: &Path,
    listen: SocketAddr,
    (path, accept, window): (&str, &str, u32),
    ready: mpsc::Sender<u16>,
    done: oneshot::Receiver<()>,
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
            .initial_stream_window_size(window)
            .initial_connection_window_size(1 << 16)
            .handshake(hyper_util::rt::TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let mut unread = Vec::new();
    for _ in 0..MANY {
        let request = http::Request::get(format!("https://{listen}{path}"))
            .header("accept", accept)
            .body(http_body_util::Empty::<bytes::Bytes>::new())
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        ready.send(response.status().as_u16()).unwrap();
        unread.push(response);
    }
    let _ = done.await;
}
