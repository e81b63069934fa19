//! All controllers and the scheduler before an API server whose answers trip a bug.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use http_body_util::Full;
use kube::Client;
use serde_json::{Value, json};

use crate::{Config, encryption, scheduler};

/// A server that has nothing, and lists nothing at one path.
fn client(bug: &'static str) -> Client {
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| async move {
        let path = request.uri().path();
        assert!(path != bug, "a bug");
        if request
            .uri()
            .query()
            .is_some_and(|query| query.contains("watch="))
        {
            std::future::pending::<()>().await;
        }
        let body = match path {
            "/apis" => json!({"groups": [{"name": "example.com", "versions": [{"version": "v1"}]}]}),
            "/apis/example.com/v1" => json!({"resources": [
                {"name": "things", "kind": "Thing", "verbs": ["delete", "list", "watch"]}]}),
            _ => json!({"metadata": {"resourceVersion": "1"}, "items": []}),
        };
        let body = Full::new(Bytes::from(Value::to_string(&body)));
        Ok::<_, Infallible>(http::Response::new(body))
    });
    Client::new(service, "default")
}

fn config(dir: &Path) -> Config {
    Config {
        data_dir: dir.join("control"),
        pki_dir: dir.join("pki"),
        listen: ([127, 0, 0, 1], 0).into(),
        advertise: ([127, 0, 0, 1], 6443).into(),
        service_cidrs: vec!["10.43.0.0/16".to_owned()],
        cluster_cidrs: vec!["10.42.0.0/16".to_owned()],
        dns_ip: [10, 43, 0, 10].into(),
        cluster_domain: "cluster.local".to_owned(),
        node_ports: (30000, 32767),
        etcd: None,
        encryption: encryption::Settings::default(),
        admission_control_config_file: None,
        dials_loopback: false,
    }
}

/// A panic ends the process, so that it is started again: nobody else would fill the cache that is filled no more. (If it does
/// not, these wait for ever.)
#[tokio::test]
async fn controllers_end_with_an_informer() {
    let dir = tempfile::tempdir().unwrap();
    // One that is shared, and one of the garbage collector alone.
    for bug in ["/api/v1/pods", "/apis/example.com/v1/things"] {
        let clients: super::Clients = Arc::new(move |_| client(bug));
        let config = config(dir.path());
        let run = AssertUnwindSafe(super::run(clients, &config, std::future::pending()));
        assert!(run.catch_unwind().await.is_err(), "{bug}");
    }
}

#[tokio::test]
async fn the_scheduler_ends_with_an_informer() {
    for bug in ["/api/v1/pods", "/api/v1/nodes", "/api/v1/namespaces"] {
        let run = AssertUnwindSafe(scheduler::run(client(bug), std::future::pending()));
        assert!(run.catch_unwind().await.is_err(), "{bug}");
    }
}
