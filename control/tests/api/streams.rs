//! log, exec and the proxies, against a kubelet and a pod of the test's own.

mod kubelet;
mod spdy;
mod translated;
mod tunnelled;
mod websocket;

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keelson_control::pki;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;

use self::kubelet::{cluster, serve};
use crate::cluster::Cluster;

pub fn roots(pki_dir: &Path) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in pki::certificates(&pki_dir.join("ca.crt")).unwrap() {
        roots.add(certificate).unwrap();
    }
    Arc::new(roots)
}

/// A connection to the API server, as the administrator.
fn connect(cluster: &Cluster) -> StreamOwned<ClientConnection, std::net::TcpStream> {
    let dir = &cluster.config.pki_dir;
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(dir))
        .with_client_auth_cert(
            pki::certificates(&dir.join("admin.crt")).unwrap(),
            pki::private_key(&dir.join("admin.key")).unwrap(),
        )
        .unwrap();
    let tls = ClientConnection::new(Arc::new(config), "127.0.0.1".try_into().unwrap()).unwrap();
    let socket = std::net::TcpStream::connect(cluster.config.listen).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    StreamOwned::new(tls, socket)
}

/// Asks for an upgrade by hand, sends, and returns the answer's head and what came back.
fn upgrade(cluster: &Cluster, path: &str, send: &[u8]) -> (String, Vec<u8>) {
    let mut stream = connect(cluster);
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\
         Content-Length: 0\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let mut back = vec![0; send.len()];
    if head.starts_with("HTTP/1.1 101") {
        stream.write_all(send).unwrap();
        stream.read_exact(&mut back).unwrap();
    }
    (head, back)
}

#[test]
fn logs_come_from_the_kubelet() {
    let cluster = cluster();
    let logs = |arguments: &[&str]| cluster.kubectl(&[&["logs"], arguments].concat());
    assert_eq!(logs(&["p"]).ok(), "/containerLogs/default/p/c");
    let all = logs(&["p", "--tail=5", "--timestamps", "--previous", "--since=3s", "-f"]).ok();
    assert_eq!(
        all,
        "/containerLogs/default/p/c?follow=true&previous=true&timestamps=true&sinceSeconds=3&tailLines=5"
    );
    let waiting = logs(&["p", "-c", "missing"]).failed();
    assert!(
        waiting.contains("(BadRequest): container \"missing\" in pod \"p\" is waiting to start"),
        "{waiting}"
    );
    let unknown = logs(&["p", "-c", "x"]).failed();
    assert!(
        unknown.contains("container x is not valid for pod p"),
        "{unknown}"
    );
    assert_eq!(logs(&["free"]).ok(), "");
}

#[test]
fn logs_may_come_from_a_kubelet_that_nobody_knows() {
    let cluster = cluster();
    // Another certificate in the place of the authority's: that of kubelets leads nowhere.
    let dir = &cluster.config.pki_dir;
    std::fs::copy(dir.join("admin.crt"), dir.join("ca.crt")).unwrap();
    let refused = cluster.kubectl(&["logs", "p"]).failed();
    assert!(refused.contains("error dialing backend"), "{refused}");
    // The kubelet goes on asking for the certificate of the API server.
    let logs = cluster
        .kubectl(&["logs", "p", "--insecure-skip-tls-verify-backend"])
        .ok();
    assert_eq!(logs, "/containerLogs/default/p/c");
}

#[test]
fn upgraded_streams_pass_through_unchanged() {
    let cluster = cluster();
    let base = "/api/v1/namespaces/default/pods";
    let (head, back) = upgrade(
        &cluster,
        &format!(
            "{base}/p/exec?container=c&command=sh&command=-c&command=a+b&stdin=true&stdout=true&tty=true"
        ),
        b"\x80\x03\x00\x01 anything at all",
    );
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert!(
        head.contains("/exec/default/p/c?input=1&output=1&tty=1&command=sh&command=-c&command=a%20b"),
        "{head}"
    );
    assert_eq!(back, b"\x80\x03\x00\x01 anything at all");
    let large: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
    let (head, back) = upgrade(&cluster, &format!("{base}/p/portforward?ports=80"), &large);
    assert!(head.contains("/portForward/default/p?port=80"), "{head}");
    assert!(back == large);
    let (head, _) = upgrade(&cluster, &format!("{base}/free/exec?command=sh&stdout=true"), b"");
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    let (head, _) = upgrade(&cluster, &format!("{base}/nobody/exec?command=sh"), b"");
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    let (code, status) = cluster.get(&format!("{base}/p/exec?command=sh"));
    assert_eq!(
        (code, status["message"].as_str().unwrap()),
        (400, "Upgrade request required")
    );
}

#[test]
fn proxies_reach_pods_services_and_kubelets() {
    let cluster = cluster();
    let backend = serve(None);
    let status = json!({"status": {"phase": "Running", "podIP": "127.0.0.1"}});
    let pod = "/api/v1/namespaces/default/pods/p";
    assert_eq!(
        cluster
            .patch(&format!("{pod}/status"), "merge-patch+json", &status)
            .0,
        200
    );
    let text = |path: &str| {
        let (code, body) = cluster.raw(http::Method::GET, path, &[], b"");
        (code, String::from_utf8(body).unwrap())
    };
    let port = backend.port();
    assert_eq!(
        text(&format!("{pod}:{port}/proxy/a%20b/c?d=e")),
        (200, "/a%20b/c?d=e".to_owned())
    );
    assert_eq!(text("/api/v1/nodes/node/proxy/pods"), (200, "/pods".to_owned()));
    let page = format!("<a href=\"{pod}:{port}/proxy/page\">a</a>");
    assert_eq!(text(&format!("{pod}:{port}/proxy/page")), (200, page));
    let head = |path: &str| {
        let mut stream = connect(&cluster);
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    };
    let away = head(&format!("{pod}:{port}/proxy/away"));
    assert!(away.starts_with("HTTP/1.1 302"), "{away}");
    assert!(
        away.contains(&format!("location: {pod}:{port}/proxy/page\r\n")),
        "{away}"
    );
    let slash = head(&format!("{pod}:{port}/proxy?a=b"));
    assert!(slash.starts_with("HTTP/1.1 301"), "{slash}");
    assert!(
        slash.contains(&format!("location: {pod}:{port}/proxy/?a=b\r\n")),
        "{slash}"
    );
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
        "spec": {"ports": [{"name": "web", "port": 80, "targetPort": port}]}});
    assert_eq!(
        cluster.post("/api/v1/namespaces/default/services", &service).0,
        201
    );
    let proxy = "/api/v1/namespaces/default/services/s:web/proxy/x";
    assert_eq!(text(proxy).0, 503, "no endpoints yet");
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "s-1", "labels": {"kubernetes.io/service-name": "s"}},
        "ports": [{"name": "web", "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": true}}]});
    let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
    let (code, answer) = cluster.post(slices, &slice);
    if code == 201 {
        assert_eq!(text(proxy).0, 503, "an address is nobody's until it is a pod's");
        let owner = json!({"endpoints": [{
            "addresses": ["127.0.0.1"], "conditions": {"ready": true},
            "targetRef": {"kind": "Pod", "namespace": "default", "name": "p"},
        }]});
        let slice = format!("{slices}/s-1");
        assert_eq!(cluster.patch(&slice, "merge-patch+json", &owner).0, 200);
        assert_eq!(text(proxy), (200, "/x".to_owned()));
    } else {
        // Validation forbids loopback endpoints, as upstream does.
        assert_eq!(code, 422, "{answer}");
    }
}

/// A node that names the API server as its kubelet gets no more of it than a kubelet's API; where loopback addresses are
/// not dialled, it does not get that far.
#[test]
fn a_node_does_not_turn_the_api_server_on_itself() {
    let mut cluster = cluster();
    let point = |cluster: &Cluster| {
        let port = cluster.config.listen.port();
        let status = json!({"status": {"daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}});
        let path = "/api/v1/nodes/node/status";
        assert_eq!(cluster.patch(path, "merge-patch+json", &status).0, 200);
    };
    point(&cluster);
    let secrets = "/api/v1/nodes/node/proxy/api/v1/secrets";
    let (code, answer) = cluster.get(secrets);
    assert_eq!(code, 403, "{answer}");
    assert!(
        answer["message"]
            .as_str()
            .unwrap()
            .contains("User \"kube-apiserver-kubelet-client\" cannot list resource \"secrets\""),
        "{answer}"
    );
    cluster.stop();
    cluster.config.dials_loopback = false;
    cluster.resume();
    for path in [
        secrets,
        "/api/v1/nodes/node:80/proxy/",
        "/api/v1/namespaces/default/pods/p/log",
    ] {
        let (code, answer) = cluster.get(path);
        assert_eq!(
            (code, answer["message"].as_str()),
            (400, Some("address not allowed")),
            "{path}"
        );
    }
    let status =
        json!({"status": {"phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}});
    let pod = "/api/v1/namespaces/default/pods/p";
    assert_eq!(
        cluster
            .patch(&format!("{pod}/status"), "merge-patch+json", &status)
            .0,
        200
    );
    let (code, answer) = cluster.get(&format!("{pod}:80/proxy/"));
    assert_eq!(
        (code, answer["message"].as_str()),
        (400, Some("address not allowed"))
    );
}
