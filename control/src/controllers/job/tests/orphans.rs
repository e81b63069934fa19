//! Whose finalizer goes: that of pods whose Job is gone, and of no others.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::super::controller;
use super::pod::TRACKING;
use crate::controllers::api::{Api, resources};
use crate::controllers::informer::{Informer, Object};

/// How far the server has come with its Jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Jobs {
    Unlisted,
    Listed,
    Deleted,
}

/// A server with a Job and its pod.
struct Server {
    jobs: watch::Sender<Jobs>,
    /// Patches of pods.
    patches: Arc<Mutex<Vec<Value>>>,
}

fn job() -> Value {
    // Without a selector nothing but its pods' finalizers is looked at.
    json!({"metadata": {"name": "j", "namespace": "default", "uid": "job", "resourceVersion": "1"}, "spec": {}})
}

fn pod() -> Value {
    json!({"metadata": {"name": "j-1", "namespace": "default", "uid": "pod", "resourceVersion": "1",
        "finalizers": [TRACKING], "ownerReferences": [
            {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "job", "controller": true}]},
        "status": {"phase": "Running"}})
}

/// What is sent when the Jobs have come that far, and nothing more.
fn once(jobs: &watch::Sender<Jobs>, at: Jobs, text: String) -> impl Stream<Item = String> + Send + use<> {
    let mut jobs = jobs.subscribe();
    futures::stream::once(async move {
        drop(jobs.wait_for(|jobs| *jobs >= at).await);
        text
    })
}

impl Server {
    fn new() -> Self {
        Self {
            jobs: watch::Sender::new(Jobs::Unlisted),
            patches: Arc::default(),
        }
    }

    fn api(&self) -> Api {
        let (jobs, patches) = (self.jobs.clone(), self.patches.clone());
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let (jobs, patches) = (jobs.clone(), patches.clone());
            async move {
                let (parts, body) = request.into_parts();
                let (path, is_get) = (parts.uri.path().to_owned(), parts.method == http::Method::GET);
                let is_watch = parts.uri.query().is_some_and(|query| query.contains("watch="));
                let list =
                    |item: Value| json!({"metadata": {"resourceVersion": "1"}, "items": [item]}).to_string();
                let sent = match path.as_str() {
                    "/apis/batch/v1/jobs" if is_watch => {
                        let deleted = json!({"type": "DELETED", "object": job()});
                        let event = once(&jobs, Jobs::Deleted, format!("{deleted}\n"));
                        event.chain(futures::stream::pending()).boxed()
                    }
                    "/apis/batch/v1/jobs" => once(&jobs, Jobs::Listed, list(job())).boxed(),
                    _ if is_watch => futures::stream::pending().boxed(),
                    "/api/v1/pods" => once(&jobs, Jobs::Unlisted, list(pod())).boxed(),
                    "/api/v1/namespaces/default/pods/j-1" if !is_get => {
                        let patch = body.collect_bytes().await.unwrap();
                        patches
                            .lock()
                            .unwrap()
                            .push(serde_json::from_slice(&patch).unwrap());
                        once(&jobs, Jobs::Unlisted, pod().to_string()).boxed()
                    }
                    other => panic!("{} {other}", parts.method),
                };
                let frames = sent.map(|text| Ok::<_, Infallible>(Frame::data(Bytes::from(text))));
                Ok::<_, Infallible>(http::Response::new(StreamBody::new(frames)))
            }
        });
        Api::new(kube::Client::new(service, "default"))
    }

    fn patches(&self) -> Vec<Value> {
        self.patches.lock().unwrap().clone()
    }
}

fn follow<T: Object>(informer: &Arc<Informer<T>>, server: &Server, tasks: &mut JoinSet<()>) {
    tasks.spawn(informer.clone().run(server.api()));
}

/// Lets all tasks do what they can. They share a thread, and wait for no clock.
async fn settle() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_pod_is_let_go_when_its_job_is_gone_and_not_while_jobs_are_unknown() {
    let server = Server::new();
    let (jobs, pods) = (Informer::new(resources::jobs()), Informer::new(resources::pods()));
    let mut tasks = JoinSet::new();
    controller::follow((server.api(), server.api()), (&jobs, &pods), &mut tasks);
    follow(&jobs, &server, &mut tasks);
    follow(&pods, &server, &mut tasks);
    settle().await;
    assert!(pods.is_synced() && !jobs.is_synced());
    assert_eq!(
        server.patches(),
        [Value::Null; 0],
        "the list of Jobs may name its Job yet"
    );
    server.jobs.send_replace(Jobs::Listed);
    settle().await;
    assert!(jobs.is_synced());
    assert_eq!(server.patches(), [Value::Null; 0], "its Job counts it");
    server.jobs.send_replace(Jobs::Deleted);
    settle().await;
    assert!(jobs.store().is_empty());
    let release = json!({"metadata": {"uid": "pod", "resourceVersion": "1",
        "$deleteFromPrimitiveList/finalizers": [TRACKING]}});
    assert_eq!(server.patches(), [release]);
}
