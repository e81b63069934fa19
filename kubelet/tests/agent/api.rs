//! An API server in memory: list, watch, create, patch and delete of any resource, without validation.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

type Body = BoxBody<Bytes, Infallible>;

/// How long a test waits for something that should happen at once.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Objects {
    version: u64,
    /// By collection path and name.
    all: BTreeMap<(String, String), Value>,
}

/// The server's data, which outlives its being up.
#[derive(Clone)]
pub struct Api {
    objects: Arc<Mutex<Objects>>,
    changes: broadcast::Sender<(String, &'static str, Value)>,
    pub address: SocketAddr,
    server: Arc<Mutex<Option<JoinSet<()>>>>,
    /// Paths that end so get no answer for now.
    silent: Arc<watch::Sender<&'static [&'static str]>>,
    /// Of them, those that have been asked for.
    kept: Arc<Mutex<BTreeSet<String>>>,
}

impl Api {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let api = Self {
            objects: Arc::default(),
            changes: broadcast::channel(1024).0,
            address,
            server: Arc::default(),
            silent: Arc::new(watch::channel(&[][..]).0),
            kept: Arc::default(),
        };
        api.serve(listener);
        api
    }

    /// Drops the listener and every connection.
    pub async fn go_away(&self) {
        let server = self.server.lock().unwrap().take();
        if let Some(mut tasks) = server {
            tasks.shutdown().await;
        }
    }

    pub async fn come_back(&self) {
        self.serve(TcpListener::bind(self.address).await.unwrap());
    }

    fn serve(&self, listener: TcpListener) {
        let api = self.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            // Connections die with the accept loop.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let api = api.clone();
                let service = service_fn(move |request| {
                    let api = api.clone();
                    async move { Ok::<_, Infallible>(api.answer(request).await) }
                });
                connections.spawn(async move {
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        *self.server.lock().unwrap() = Some(tasks);
    }

    /// Requests whose path ends so get no answer until something else is said here.
    pub fn keep_silent_about(&self, ends: &'static [&'static str]) {
        self.kept.lock().unwrap().clear();
        self.silent.send_replace(ends);
    }

    /// How many paths have been asked for and got no answer.
    pub fn kept_silent(&self) -> usize {
        self.kept.lock().unwrap().len()
    }

    pub fn get(&self, collection: &str, name: &str) -> Option<Value> {
        let key = (collection.to_owned(), name.to_owned());
        self.objects.lock().unwrap().all.get(&key).cloned()
    }

    /// All objects of a collection.
    pub fn list(&self, collection: &str) -> Vec<Value> {
        let objects = self.objects.lock().unwrap();
        objects
            .all
            .iter()
            .filter(|((c, _), _)| c == collection)
            .map(|(_, o)| o.clone())
            .collect()
    }

    pub fn put(&self, collection: &str, mut object: Value) -> Value {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let mut objects = self.objects.lock().unwrap();
        objects.version += 1;
        let version = objects.version;
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = json!(format!("uid-{version}"));
        }
        let old = objects.all.insert((collection.to_owned(), name), object.clone());
        let kind = if old.is_some() { "MODIFIED" } else { "ADDED" };
        let _ = self.changes.send((collection.to_owned(), kind, object.clone()));
        object
    }

    pub fn remove(&self, collection: &str, name: &str) -> Option<Value> {
        let key = (collection.to_owned(), name.to_owned());
        let old = self.objects.lock().unwrap().all.remove(&key)?;
        let _ = self.changes.send((collection.to_owned(), "DELETED", old.clone()));
        Some(old)
    }

    /// What `kubectl delete pod` does: the pod is marked, its kubelet does the rest.
    pub fn delete_gracefully(&self, name: &str, seconds: u64) {
        let mut pod = self.get(PODS, name).unwrap();
        pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        pod["metadata"]["deletionGracePeriodSeconds"] = json!(seconds);
        self.put(PODS, pod);
    }

    /// Waits until a pod is as wanted (`None`: it is gone) and returns it.
    pub async fn until(&self, name: &str, wanted: impl Fn(Option<&Value>) -> bool) -> Option<Value> {
        let mut changes = self.changes.subscribe();
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let pod = self.get(PODS, name);
                if wanted(pod.as_ref()) {
                    return pod;
                }
                let _ = changes.recv().await;
            }
        });
        match waited.await {
            Ok(pod) => pod,
            Err(tokio::time::error::Elapsed { .. }) => {
                panic!("pod {name} is not as expected: {:#?}", self.get(PODS, name))
            }
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        let answers = |silent: &&[&str]| !silent.iter().any(|end| path.ends_with(end));
        let mut silent = self.silent.subscribe();
        if !answers(&silent.borrow()) {
            self.kept.lock().unwrap().insert(path.clone());
        }
        let _ = silent.wait_for(answers).await;
        let query = request.uri().query().unwrap_or_default().to_owned();
        let body = request
            .into_body()
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let (collection, name, _subresource) = split(&path);
        match (method, name) {
            (Method::GET, None) if query.contains("watch=") => self.watch(collection),
            (Method::GET, None) => {
                let version = self.objects.lock().unwrap().version.to_string();
                let items: Vec<_> = self.matching(&collection, &query);
                let list = json!({"metadata": {"resourceVersion": version}, "items": items});
                reply(200, &list)
            }
            (Method::GET, Some(name)) => found(self.get(&collection, &name)),
            (Method::POST, None) => {
                let name = body["metadata"]["name"].as_str().unwrap_or_default();
                if self.get(&collection, name).is_some() {
                    return reply(409, &status(409, "AlreadyExists"));
                }
                reply(201, &self.put(&collection, body))
            }
            (Method::PATCH, Some(name)) => {
                let Some(mut object) = self.get(&collection, &name) else {
                    return reply(404, &status(404, "NotFound"));
                };
                if !body["metadata"]["uid"].is_null() && body["metadata"]["uid"] != object["metadata"]["uid"]
                {
                    return reply(409, &status(409, "Conflict"));
                }
                merge(&mut object, body);
                reply(200, &self.put(&collection, object))
            }
            (Method::DELETE, Some(name)) => found(self.remove(&collection, &name)),
            _ => reply(405, &status(405, "MethodNotAllowed")),
        }
    }

    fn matching(&self, collection: &str, query: &str) -> Vec<Value> {
        let wanted = query
            .split("metadata.name%3D")
            .nth(1)
            .map(|rest| rest.split('&').next().unwrap());
        let all = self.list(collection).into_iter();
        all.filter(|o| wanted.is_none_or(|name| o["metadata"]["name"] == name))
            .collect()
    }

    fn watch(&self, collection: String) -> Response<Body> {
        let changes = tokio_stream(self.changes.subscribe());
        let lines = changes.filter_map(move |(changed, kind, object)| {
            let line = (changed == collection).then(|| {
                let mut line = json!({"type": kind, "object": object}).to_string();
                line.push('\n');
                Ok(Frame::data(Bytes::from(line)))
            });
            std::future::ready(line)
        });
        Response::new(BodyExt::boxed(StreamBody::new(SyncStream(Box::pin(lines)))))
    }
}

/// Collection of the test's pods: they are created in `default` and watched over all namespaces.
pub const PODS: &str = "pods";

/// Collection without namespace, name and subresource of a path.
fn split(path: &str) -> (String, Option<String>, Option<String>) {
    let mut parts: Vec<&str> = path.split('/').skip(1).collect();
    // /api/v1 or /apis/GROUP/VERSION
    parts.drain(..if parts[0] == "api" { 2 } else { 3 });
    if parts[0] == "namespaces" && parts.len() > 2 {
        parts.drain(..2);
    }
    let at = |n: usize| parts.get(n).map(|p| (*p).to_owned());
    (at(0).unwrap(), at(1), at(2))
}

fn merge(object: &mut Value, patch: Value) {
    match patch {
        Value::Object(fields) => {
            if !object.is_object() {
                *object = json!({});
            }
            for (key, value) in fields {
                if value.is_null() {
                    object.as_object_mut().unwrap().remove(&key);
                } else {
                    merge(&mut object[key], value);
                }
            }
        }
        Value::Array(items) => {
            // Directives; the items the kubelet sends are all there are.
            let items = items.into_iter().filter(|item| item.get("$patch").is_none());
            *object = items
                .map(|item| {
                    let mut clean = Value::Null;
                    merge(&mut clean, item);
                    clean
                })
                .collect();
        }
        plain => *object = plain,
    }
}

fn found(object: Option<Value>) -> Response<Body> {
    object.map_or_else(
        || reply(404, &status(404, "NotFound")),
        |object| reply(200, &object),
    )
}

fn status(code: u16, reason: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": reason,
        "reason": reason, "code": code})
}

fn reply(code: u16, value: &Value) -> Response<Body> {
    let body = Full::new(Bytes::from(value.to_string())).boxed();
    Response::builder()
        .status(code)
        .header("content-type", "application/json")
        .body(body)
        .unwrap()
}

fn tokio_stream<T: Clone>(receiver: broadcast::Receiver<T>) -> impl futures::Stream<Item = T> {
    futures::stream::unfold(receiver, |mut receiver| async move {
        let item = receiver.recv().await.ok()?;
        Some((item, receiver))
    })
}

/// A boxed body must be `Sync`; a stream of a broadcast is only `Send`.
struct SyncStream<S>(S);

impl<S: futures::Stream + Unpin> futures::Stream for SyncStream<S> {
    type Item = S::Item;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<S::Item>> {
        self.0.poll_next_unpin(context)
    }
}
