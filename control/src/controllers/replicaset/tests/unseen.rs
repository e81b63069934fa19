//! A pod that is made, and of which no event ever comes.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::super::Controller;
use crate::controllers::api::{Api, Recorder, resources};
use crate::controllers::informer::{Expectations, Informer, Key, Next, Queue};

/// A server with a ReplicaSet that makes every pod, and forgets it.
fn server() -> Api {
    let service = tower::service_fn(|request: http::Request<kube::client::Body>| async move {
        if request
            .uri()
            .query()
            .is_some_and(|query| query.contains("watch="))
        {
            std::future::pending::<()>().await;
        }
        let set = json!({
            "metadata": {"name": "web", "namespace": "default", "uid": "rs", "resourceVersion": "1"},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "a"}]}}},
        });
        let list = |items: Vec<Value>| json!({"metadata": {"resourceVersion": "1"}, "items": items});
        let body = match request.uri().path() {
            "/apis/apps/v1/replicasets" => list(vec![set]),
            "/api/v1/pods" => list(Vec::new()),
            path if path.contains("/replicasets/") => set,
            _ => json!({"metadata": {"name": "web-1"}}),
        };
        let body = Full::new(Bytes::from(body.to_string()));
        Ok::<_, Infallible>(http::Response::new(body))
    });
    Api::new(kube::Client::new(service, "default"))
}

#[tokio::test]
async fn is_not_waited_for_until_something_else_happens() {
    let api = server();
    let mut tasks = JoinSet::new();
    let (recorder, _) = Recorder::new(api.clone(), "replicaset-controller");
    let controller = Controller {
        recorder,
        resource: resources::replica_sets(),
        sets: Informer::new(resources::replica_sets()),
        pods: Informer::new(resources::pods()),
        expectations: Arc::new(Expectations::default()),
        queue: Queue::new(),
        api: api.clone(),
    };
    tasks.spawn(controller.sets.clone().run(api.clone()));
    tasks.spawn(controller.pods.clone().run(api));
    controller.sets.synced().await;
    controller.pods.synced().await;
    let key = Key::new("default", "web");
    for time in ["made", "waited for"] {
        let next = controller.reconcile(key.clone()).await.unwrap();
        assert!(!controller.expectations.satisfied(&key));
        assert!(matches!(next, Next::After(_)), "{time}");
    }
}
