//! A kubelet, a pod and a cluster around them, of the tests' own.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use keelson_control::pki;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use serde_json::json;

use super::{roots, spdy};
use crate::cluster::{Cluster, runtime};

/// Answers like a kubelet: logs are the request's own address, upgraded streams come back as they went, but for what
/// [`spdy`] runs. It knows neither version 5 of the WebSocket channels nor tunnels.
async fn kubelet(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    let uri = request.uri().to_string();
    let mut response = Response::new(Full::default());
    assert!(
        request.headers().get("authorization").is_none(),
        "credentials stay at the API server"
    );
    if uri.starts_with("/containerLogs/default/p/missing") {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        *response.body_mut() =
            "container \"missing\" in pod \"p\" is waiting to start: ContainerCreating".into();
    } else if let Some(answer) = spdy::answer(&mut request) {
        return Ok(answer);
    } else if request.headers().contains_key("upgrade") {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = TokioIo::new(upgrade.await.unwrap());
            let (mut read, mut write) = tokio::io::split(&mut stream);
            let _ = tokio::io::copy(&mut read, &mut write).await;
        });
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert("connection", "Upgrade".parse().unwrap());
        headers.insert("upgrade", request.headers()["upgrade"].clone());
        headers.insert("x-uri", uri.parse().unwrap());
    } else if uri == "/page" {
        response
            .headers_mut()
            .insert("content-type", "text/html".parse().unwrap());
        *response.body_mut() = "<a href=\"/page\">a</a>".into();
    } else if uri == "/away" {
        *response.status_mut() = StatusCode::FOUND;
        response
            .headers_mut()
            .insert("location", "/page".parse().unwrap());
    } else {
        *response.body_mut() = uri.into();
    }
    Ok(response)
}

/// Starts the kubelet; with TLS it demands our certificate.
pub fn serve(pki_dir: Option<&Path>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let tls = pki_dir.map(|dir| {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots(dir), Arc::clone(&provider))
            .build()
            .unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                pki::certificates(&dir.join("kubelet-node-server.crt")).unwrap(),
                pki::private_key(&dir.join("kubelet-node-server.key")).unwrap(),
            )
            .unwrap();
        tokio_rustls::TlsAcceptor::from(Arc::new(config))
    });
    std::thread::spawn(move || {
        runtime().block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let tls = tls.clone();
                tokio::spawn(async move {
                    let http = hyper::server::conn::http1::Builder::new();
                    let service = hyper::service::service_fn(kubelet);
                    let _ = match tls {
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => {
                                http.serve_connection(TokioIo::new(stream), service)
                                    .with_upgrades()
                                    .await
                            }
                            Err(_) => return,
                        },
                        None => {
                            http.serve_connection(TokioIo::new(stream), service)
                                .with_upgrades()
                                .await
                        }
                    };
                });
            }
        });
    });
    address
}

/// A cluster with a node whose kubelet is ours, and the pods `p` on it and `free` on none.
pub fn cluster() -> Cluster {
    let cluster = Cluster::start();
    let kubelet = serve(Some(&cluster.config.pki_dir));
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node"}, "spec": {"unschedulable": true}});
    assert_eq!(cluster.post("/api/v1/nodes", &node).0, 201);
    let status = json!({"status": {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet.port()}},
    }});
    assert_eq!(
        cluster
            .patch("/api/v1/nodes/node/status", "merge-patch+json", &status)
            .0,
        200
    );
    for (name, node) in [("p", json!("node")), ("free", json!(null))] {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {
            "nodeName": node, "containers": [{"name": "c", "image": "i"}],
            "initContainers": [{"name": "missing", "image": "i"}],
        }});
        let (code, answer) = cluster.post("/api/v1/namespaces/default/pods", &pod);
        assert_eq!(code, 201, "{answer}");
    }
    cluster
}
