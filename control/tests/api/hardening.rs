//! Clients that are slow, greedy, malformed or without rights get their answer, and the others theirs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};

use crate::cluster::{Cluster, MAPS, config_map};

#[test]
fn large_and_deep_bodies_are_refused() {
    let cluster = Cluster::start();
    let json = [("content-type", "application/json")];
    let large = vec![b' '; 4 << 20];
    let (code, status) = cluster.request(Method::POST, MAPS, &json, &large);
    assert_eq!(
        (code, status["reason"].as_str().unwrap()),
        (413, "RequestEntityTooLarge")
    );
    let deep = "[".repeat(100_000);
    assert_eq!(cluster.request(Method::POST, MAPS, &json, deep.as_bytes()).0, 400);
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n\
                g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: &h [*g,*g,*g,*g,*g,*g,*g,*g,*g]\n";
    let yaml = [("content-type", "application/yaml")];
    assert_eq!(cluster.request(Method::POST, MAPS, &yaml, bomb.as_bytes()).0, 400);
    for body in [
        "",
        "null",
        "7",
        "\"x\"",
        "[]",
        "{",
        "{\"metadata\":7}",
        "{\"metadata\":{\"name\":{}}}",
        "\u{0}",
    ] {
        let (code, status) = cluster.request(Method::POST, MAPS, &json, body.as_bytes());
        assert!((400..500).contains(&code), "{body:?}: {code} {status}");
    }
    assert_eq!(
        cluster.post(MAPS, &config_map("a", "1")).0,
        201,
        "others are served"
    );
}

#[test]
fn clients_that_do_not_finish_are_dropped() {
    let cluster = Cluster::start();
    let began = Instant::now();
    let connect = || {
        let stream = TcpStream::connect(cluster.config.listen).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    };
    let mut silent = connect();
    let mut garbage = connect();
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = garbage.read_to_end(&mut answer);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "not TLS: dropped at once"
    );
    let _ = silent.read_to_end(&mut answer);
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "no handshake: dropped after a while"
    );
    assert_eq!(cluster.get("/readyz").0, 200);
}

#[test]
fn wrong_credentials_and_missing_rights() {
    let cluster = Cluster::start();
    let url = format!("https://{}", cluster.config.listen);
    let path = cluster.dir.path().join("netd.kubeconfig");
    keelson_control::pki::write_kubeconfig(&path, &url, &cluster.config.pki_dir, "netd", "netd").unwrap();
    let kubectl = |arguments: &[&str]| {
        let mut all = vec!["--kubeconfig", path.to_str().unwrap()];
        all.extend(arguments);
        cluster.kubectl(&all)
    };
    let refused = kubectl(&["create", "configmap", "a"]).failed();
    assert!(
        refused.contains(
            "configmaps is forbidden: User \"system:kube-proxy\" cannot create resource \"configmaps\" in API group \"\" in the \
             namespace \"default\""
        ),
        "{refused}"
    );
    kubectl(&["get", "services", "-A"]).ok();
    assert_eq!(cluster.anonymous("/version", None).1["major"], "1");
    let (code, status) = cluster.anonymous("/api/v1/pods", None);
    assert_eq!(code, 403);
    let message = status["message"].as_str().unwrap();
    assert!(
        message.contains("User \"system:anonymous\" cannot list resource \"pods\""),
        "{message}"
    );
    let (code, status) = cluster.anonymous("/api/v1/pods", Some("x.y.z"));
    assert_eq!((code, status["reason"].as_str().unwrap()), (401, "Unauthorized"));
    let whoami = cluster.kubectl(&[
        "auth",
        "whoami",
        "--as=jane",
        "--as-group=devs",
        "-o",
        "jsonpath={.status.userInfo.username}",
    ]);
    assert_eq!(whoami.ok(), "jane");
    assert_eq!(
        cluster
            .kubectl(&["auth", "can-i", "get", "pods", "--as=jane"])
            .out
            .trim(),
        "no"
    );
    assert!(
        kubectl(&[
            "get",
            "pods",
            "--as=kubernetes-admin",
            "--as-group=system:masters"
        ])
        .failed()
        .contains("cannot impersonate")
    );
}

#[test]
fn odd_paths_and_methods_are_answered() {
    let cluster = Cluster::start();
    for path in [
        "/api/v1/..",
        "/api/v1/%2e%2e/x",
        "/api/v1/namespaces//pods",
        "/apis/apps/v9",
        "/apis/%ff",
        "/api/v1/pods/x",
        "/api/v1/namespaces/default/nodes",
        "/api/v1/namespaces/default/pods/x/nothing",
        "/nothing",
    ] {
        assert_eq!(cluster.get(path).0, 404, "{path}");
    }
    assert_eq!(cluster.request(Method::TRACE, MAPS, &[], b"").0, 405);
    assert_eq!(cluster.raw(Method::HEAD, "/healthz", &[], b"").0, 200);
    let (code, text) = cluster.raw(Method::GET, "/metrics", &[], b"");
    assert_eq!(code, 200);
    assert!(
        String::from_utf8(text)
            .unwrap()
            .contains("apiserver_request_total{code=\"200\",component=\"apiserver\",dry_run=\"\"")
    );
    assert_eq!(cluster.get("/readyz/nothing").0, 404);
    let body: Value = json!({"kind": "Status"});
    assert!(cluster.post("/api/v1/nodes", &body).0 >= 400);
}
