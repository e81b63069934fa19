//! Which worker gets what.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::jiff::Timestamp;
use keelson_runtime::node::{ContainerState, SandboxState};
use kube::Api;
use tokio::sync::mpsc;

use crate::cache::Changed;
use crate::event::{Kind, pod_reference};
use crate::pod::admission::admit;
use crate::pod::adopt::{Adopted, adopt};
use crate::pod::state::Step;
use crate::volume::PodDir;
use crate::worker::{Context, Inbox, Message, Worker, read_message};

/// How long the API is given to say the node's labels.
const LABELS: Duration = Duration::from_secs(2);

/// What the runtime knew when the agent started, by pod UID.
#[derive(Default)]
pub(super) struct Found {
    pub sandboxes: HashMap<String, SandboxState>,
    pub containers: HashMap<String, Vec<ContainerState>>,
}

/// Routes messages to workers; cheap to clone.
#[derive(Clone)]
pub(super) struct Dispatcher {
    pub context: Arc<Context>,
    workers: Arc<Mutex<HashMap<String, Inbox>>>,
    found: Arc<Mutex<Found>>,
}

impl Dispatcher {
    pub fn new(context: Arc<Context>) -> Self {
        Self {
            context,
            workers: Arc::default(),
            found: Arc::default(),
        }
    }

    /// Remembers what is to be adopted.
    pub fn set_found(&self, found: Found) {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }

    /// What nobody has adopted.
    pub fn take_found(&self) -> Found {
        std::mem::take(&mut self.found.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether something of the pod was here when the agent started.
    pub fn is_found(&self, uid: &str) -> bool {
        self.found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .sandboxes
            .contains_key(uid)
    }

    pub fn send(&self, uid: &str, message: Message) {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inbox) = workers.get(uid) {
            // A worker that has ended needs no messages.
            let _ = inbox.send(message);
        }
    }

    /// UIDs that have a worker.
    pub fn known(&self) -> HashSet<String> {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.retain(|_, inbox| !inbox.is_closed());
        workers.keys().cloned().collect()
    }

    /// Before [`Dispatcher::upsert`]: reads the node's labels if one of the pods is new here and asks for some. Whoever
    /// labels a node may create the pod a moment later.
    pub async fn know_labels(&self, pods: &[Pod]) {
        if !pods.iter().any(|pod| self.is_picky(pod)) {
            return;
        }
        let node = &self.context.node;
        let api: Api<Node> = Api::all(self.context.client.clone());
        // Without an answer, what was last known decides.
        match tokio::time::timeout(LABELS, api.get_metadata(&node.name)).await {
            Ok(Ok(fresh)) => node.set_labels(fresh.metadata.labels),
            Ok(Err(error)) => tracing::debug!(%error, "labels of the node"),
            Err(_) => tracing::debug!("no labels of the node in time"),
        }
    }

    /// Whether it asks for labels and has yet to be admitted: what ran here before is not asked again whether it may.
    fn is_picky(&self, pod: &Pod) -> bool {
        let wanted = pod.spec.as_ref().and_then(|spec| spec.node_selector.as_ref());
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        wanted.is_some_and(|wanted| !wanted.is_empty()) && !self.has_worker(uid) && !self.is_found(uid)
    }

    fn has_worker(&self, uid: &str) -> bool {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.get(uid).is_some_and(|inbox| !inbox.is_closed())
    }

    /// A pod as the API has it: to its worker, or to a new one.
    pub fn upsert(&self, pod: Pod) {
        let pod = Arc::new(pod);
        let Some(uid) = pod.metadata.uid.clone() else {
            return;
        };
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inbox) = workers.get(&uid)
            && !inbox.is_closed()
        {
            let _ = inbox.send(Message::Pod(pod));
            return;
        }
        workers.retain(|_, inbox| !inbox.is_closed());
        let adopted = self.adopt(&pod, &uid);
        self.context
            .registry
            .update(&pod, &pod.status.clone().unwrap_or_default(), &adopted.state);
        workers.insert(uid, Worker::spawn(self.context.clone(), pod, adopted));
    }

    fn adopt(&self, pod: &Arc<Pod>, uid: &str) -> Adopted {
        let (sandbox, containers) = {
            let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            (
                found.sandboxes.remove(uid),
                found.containers.remove(uid).unwrap_or_default(),
            )
        };
        let fresh = sandbox.is_none() && containers.is_empty();
        let mut adopted = adopt(pod, sandbox.as_ref(), containers, read_message);
        let state = &mut adopted.state;
        let dir = PodDir::new(&self.context.config.root_dir, uid);
        if fresh && !dir.path().exists() {
            if state.api_terminal {
                state.teardown = Step::Done;
            } else if pod.metadata.deletion_timestamp.is_none() && state.start_time.is_none() {
                self.admit(pod, &mut adopted);
            }
        }
        let state = &mut adopted.state;
        if state.failure.is_none() && state.start_time.is_none() {
            state.start_time = Some(Timestamp::now());
        }
        adopted
    }

    fn admit(&self, pod: &Arc<Pod>, adopted: &mut Adopted) {
        let others = self.context.registry.holding();
        let others: Vec<&Pod> = others
            .iter()
            .map(AsRef::as_ref)
            .filter(|p| p.metadata.uid != pod.metadata.uid)
            .collect();
        if let Err(failure) = admit(pod, &others, &self.context.node.capacity()) {
            let about = pod_reference(pod, None);
            self.context
                .events
                .record(about, Kind::Warning, &failure.reason, failure.message.clone());
            adopted.state.failure = Some(failure);
        }
    }

    /// Passes on which pods refer to objects that have changed.
    pub async fn follow_objects(self, mut changed: mpsc::UnboundedReceiver<Changed>) {
        while let Some(uids) = changed.recv().await {
            for uid in uids {
                self.send(&uid, Message::ObjectsChanged);
            }
        }
        std::future::pending::<()>().await;
    }
}
