use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use serde_json::json;

use super::*;
use crate::controllers::api::resources;
use crate::controllers::model::{Meta, Pod};

/// Long enough for any machine.
const SOON: Duration = Duration::from_secs(20);

/// A server of two Namespaces that has forgotten every revision by the next request, and the requests that it got.
fn forgetful() -> (Api, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let item = |name: &str| json!({"metadata": {"name": name, "uid": name, "resourceVersion": "1"}});
        let (code, body) = if query.contains("continue=") || query.contains("watch=") {
            (410, json!({"kind": "Status", "code": 410, "reason": "Expired"}))
        } else if query.contains("limit=500") {
            let metadata = json!({"resourceVersion": "1", "continue": "more"});
            (200, json!({"metadata": metadata, "items": [item("gone")]}))
        } else {
            let metadata = json!({"resourceVersion": "2"});
            (
                200,
                json!({"metadata": metadata, "items": [item("a"), item("b")]}),
            )
        };
        log.lock().unwrap().push(query);
        let body = Full::new(Bytes::from(body.to_string()));
        let response = http::Response::builder().status(code).body(body).unwrap();
        std::future::ready(Ok::<_, Infallible>(response))
    });
    (Api::new(kube::Client::new(service, "default")), asked)
}

#[tokio::test]
async fn a_list_whose_pages_expire_is_read_without_pages() {
    let (api, asked) = forgetful();
    let informer = Informer::<Meta>::new(resources::namespaces());
    let running = tokio::spawn(informer.clone().run(api));
    let synced = tokio::time::timeout(SOON, informer.synced()).await;
    synced.expect("it is listed");
    running.abort();
    assert_eq!(informer.store().len(), 2);
    let asked = asked.lock().unwrap();
    assert_eq!(asked[..3], ["limit=500", "limit=500&continue=more", "limit=0"]);
}

#[tokio::test]
async fn lists_that_are_of_no_use_are_not_repeated_in_a_tight_loop() {
    let (api, asked) = forgetful();
    let informer = Informer::<Meta>::new(resources::namespaces());
    let running = tokio::spawn(informer.clone().run(api));
    // What it can do without a pause: hundreds of lists. All tasks share this thread.
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    running.abort();
    let asked = asked.lock().unwrap();
    let lists = asked.iter().filter(|query| *query == "limit=0").count();
    // Ten pauses are of 50 ms, doubling: more than half a minute.
    assert!((1..=10).contains(&lists), "{lists}");
}

#[test]
fn nulls_mean_absent() {
    let text = r#"{"metadata":{"name":"p","labels":null},"spec":{"nodeName":null,"containers":null},
        "status":{"phase":"Running","podIP":null,"conditions":[{"type":"Ready","status":"True","reason":null}]}}"#;
    let informer = Informer::<Pod>::new(crate::controllers::api::resources::pods());
    let pod = decode(&informer, serde_json::from_str(text).unwrap()).unwrap();
    assert!(pod.is_ready() && pod.spec.node_name.is_empty());
    assert!(decode(&informer, serde_json::from_str("[1]").unwrap()).is_none());
}
