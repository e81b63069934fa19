//! The feed before an API server that cannot list everything.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::controllers::api::{Api, resources};
use crate::controllers::gc::feed::{Feed, Sink};
use crate::controllers::informer::{Informer, Queue};
use crate::controllers::resource_quota::Interest;

/// Long enough for any machine.
const SOON: Duration = Duration::from_secs(20);

/// A server with two resources, of which Secrets are listed only when that is set.
fn server(lists_secrets: Arc<AtomicBool>) -> Api {
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let lists_secrets = lists_secrets.load(Ordering::SeqCst);
        let resource = |plural: &str, kind: &str| json!({"name": plural, "kind": kind, "namespaced": true, "verbs": ["delete", "list", "watch"]});
        let empty = json!({"metadata": {"resourceVersion": "1"}, "items": []});
        let failed = json!({"kind": "Status", "code": 500, "message": "unable to transform key"});
        let is_watch = request
            .uri()
            .query()
            .is_some_and(|query| query.contains("watch="));
        let (code, body) = match request.uri().path() {
            "/api/v1" => (
                200,
                json!({"resources": [resource("secrets", "Secret"), resource("configmaps", "ConfigMap")]}),
            ),
            "/apis" => (200, json!({"groups": []})),
            "/api/v1/secrets" if !lists_secrets => (500, failed),
            _ => (200, empty),
        };
        async move {
            if is_watch {
                std::future::pending::<()>().await;
            }
            let body = Full::new(Bytes::from(Value::to_string(&body)));
            Ok::<_, Infallible>(http::Response::builder().status(code).body(body).unwrap())
        }
    });
    Api::new(kube::Client::new(service, "default"))
}

#[tokio::test]
async fn a_resource_that_cannot_be_listed_does_not_hold_up_the_others() {
    let lists_secrets = Arc::new(AtomicBool::new(false));
    let sink = Sink {
        graph: Arc::default(),
        queue: Queue::new(),
        quotas: Arc::new(Interest::new(Informer::new(resources::resource_quotas()))),
    };
    let mut feed =
        Feed::new(server(lists_secrets.clone()), sink, Vec::new()).waiting(Duration::from_millis(300));
    let mut tasks = JoinSet::new();
    for _ in 0..2 {
        let done = timeout(SOON, feed.refresh(&mut tasks, |_| {})).await;
        done.expect("it goes on without").unwrap();
    }
    // Its objects may be what others have been waiting for: the feed tells when they are there.
    let changed = feed.changed();
    assert!(
        timeout(Duration::from_millis(300), changed.notified())
            .await
            .is_err()
    );
    lists_secrets.store(true, Ordering::SeqCst);
    timeout(SOON, changed.notified()).await.expect("it tells");
}
