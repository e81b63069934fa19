//! The loop's steps before an API server that does not answer, or whose answer trips a bug.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use serde_json::json;

use super::*;

/// A scheduler, and a pod that waits for a node.
fn scheduler<F>(answer: impl Fn() -> F + Send + 'static) -> Scheduler
where
    F: Future<Output = ()> + Send + 'static,
{
    let service = tower::service_fn(move |_: http::Request<kube::client::Body>| {
        let answered = answer();
        async move {
            answered.await;
            Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from_static(b"{}"))))
        }
    });
    let api = Api::new(kube::Client::new(service, "default"));
    let (recorder, _) = Recorder::new(api.clone(), "default-scheduler");
    let mut scheduler = Scheduler::new(api, recorder);
    scheduler.apply(Change::Node(None, Some(node("n1"))));
    scheduler.apply(Change::Pod(None, Some(pod(&json!({})))));
    scheduler
}

fn pod(labels: &serde_json::Value) -> Arc<PodView> {
    let pod = json!({"metadata": {"name": "p", "namespace": "default", "uid": "p", "labels": labels},
        "spec": {"containers": [{"name": "a"}]}});
    Arc::new(serde_json::from_value(pod).unwrap())
}

fn node(name: &str) -> Arc<NodeView> {
    let node = json!({"metadata": {"name": name}, "status": {"allocatable": {"cpu": "1", "pods": "1"}}});
    Arc::new(serde_json::from_value(node).unwrap())
}

/// A time at which every back-off is over.
fn later() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

#[tokio::test]
async fn a_pod_that_is_being_bound_is_not_tried_again() {
    let mut scheduler = scheduler(std::future::pending);
    let uid = scheduler.queue.pop(Instant::now()).unwrap();
    scheduler.attempt(&uid);
    assert_eq!(scheduler.snapshot.place_of("p"), Some("n1"));
    // Room elsewhere wakes those that found none.
    scheduler.apply(Change::Node(None, Some(node("n2"))));
    assert_eq!(scheduler.queue.pop(later()), None);
}

#[tokio::test]
async fn a_pod_whose_binding_panicked_is_tried_again() {
    let mut scheduler = scheduler(|| async { panic!("a bug") });
    let uid = scheduler.queue.pop(Instant::now()).unwrap();
    scheduler.attempt(&uid);
    let done = scheduler.bindings.join_next().await.unwrap();
    scheduler.bound(done);
    assert_eq!(scheduler.snapshot.place_of("p"), None);
    assert_eq!(scheduler.queue.pop(later()).as_deref(), Some("p"));
}

#[tokio::test]
async fn a_pod_that_changed_while_it_was_bound_is_tried_again_as_it_is() {
    let mut scheduler = scheduler(|| async { panic!("a bug") });
    let uid = scheduler.queue.pop(Instant::now()).unwrap();
    scheduler.attempt(&uid);
    let (old, new) = (pod(&json!({})), pod(&json!({"changed": "yes"})));
    scheduler.apply(Change::Pod(Some(old), Some(new)));
    assert_eq!(scheduler.queue.pop(later()), None, "it is being bound");
    let done = scheduler.bindings.join_next().await.unwrap();
    scheduler.bound(done);
    assert_eq!(scheduler.queue.pop(later()).as_deref(), Some("p"));
    assert_eq!(
        *scheduler.waiting["p"].meta.labels,
        [("changed".to_owned(), "yes".to_owned())].into()
    );
}
