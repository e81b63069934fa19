//! What is known of all pods here, for the server and for admission.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use keelson_runtime::node::{ContainerState, NodeRuntime};

use crate::Config;
use crate::pod::state::PodState;
use crate::server::PodLookup;
use crate::worker::log_dir;

#[derive(Clone)]
struct Entry {
    pod: Arc<Pod>,
    status: Arc<PodStatus>,
    /// Per container: newest run's id and number, and the id of the run before it.
    runs: HashMap<String, Run>,
}

#[derive(Clone, Default)]
struct Run {
    id: Option<String>,
    number: u32,
    previous: Option<String>,
}

/// The registry; cheap to clone.
#[derive(Clone)]
pub struct Registry {
    pods: Arc<RwLock<HashMap<String, Entry>>>,
    config: Arc<Config>,
    runtime: NodeRuntime,
}

impl Registry {
    /// An empty registry.
    pub fn new(config: Config, runtime: NodeRuntime) -> Self {
        Self {
            pods: Arc::default(),
            config: Arc::new(config),
            runtime,
        }
    }

    /// Records a pod's present state.
    pub fn update(&self, pod: &Arc<Pod>, status: &PodStatus, state: &PodState) {
        let runs = state.containers.iter().map(|(name, record)| {
            let run = Run {
                id: record.current.as_ref().map(|c| c.id.clone()),
                number: record.restart_count,
                previous: record.last.as_ref().map(|l| l.id.clone()),
            };
            (name.clone(), run)
        });
        let entry = Entry {
            pod: pod.clone(),
            status: Arc::new(status.clone()),
            runs: runs.collect(),
        };
        let mut pods = self.pods.write().unwrap_or_else(PoisonError::into_inner);
        pods.insert(pod.metadata.uid.clone().unwrap_or_default(), entry);
    }

    /// Forgets a pod.
    pub fn remove(&self, uid: &str) {
        self.pods
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uid);
    }

    /// Pods that hold resources of the node: all but those that have ended.
    pub fn holding(&self) -> Vec<Arc<Pod>> {
        let pods = self.pods.read().unwrap_or_else(PoisonError::into_inner);
        let ended = |e: &Entry| matches!(e.status.phase.as_deref(), Some("Succeeded" | "Failed"));
        pods.values()
            .filter(|entry| !ended(entry))
            .map(|entry| entry.pod.clone())
            .collect()
    }

    fn entry(&self, uid: &str) -> Option<Entry> {
        self.pods
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(uid)
            .cloned()
    }
}

fn with_status(entry: &Entry) -> Pod {
    Pod {
        status: Some((*entry.status).clone()),
        ..(*entry.pod).clone()
    }
}

impl PodLookup for Registry {
    fn pod(&self, namespace: &str, name: &str) -> Option<Pod> {
        let pods = self.pods.read().unwrap_or_else(PoisonError::into_inner);
        let named = pods.values().filter(|e| {
            e.pod.metadata.namespace.as_deref() == Some(namespace)
                && e.pod.metadata.name.as_deref() == Some(name)
        });
        // A successor of the same name may stand beside a pod that is still being removed.
        named
            .max_by_key(|e| e.pod.metadata.creation_timestamp.clone())
            .map(with_status)
    }

    fn pods(&self) -> Vec<Pod> {
        self.pods
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .map(with_status)
            .collect()
    }

    fn container(&self, pod_uid: &str, container: &str, previous: bool) -> Option<ContainerState> {
        let entry = self.entry(pod_uid)?;
        let run = entry.runs.get(container)?;
        let id = if previous {
            run.previous.as_ref()
        } else {
            run.id.as_ref()
        }?;
        self.runtime.container(id).ok()?
    }

    fn log_path(&self, pod_uid: &str, container: &str, previous: bool) -> Option<PathBuf> {
        let entry = self.entry(pod_uid)?;
        let run = entry.runs.get(container).cloned().unwrap_or_default();
        let number = if previous {
            run.number.checked_sub(1)?
        } else {
            run.number
        };
        Some(
            log_dir(&self.config, &entry.pod)
                .join(container)
                .join(format!("{number}.log")),
        )
    }
}
