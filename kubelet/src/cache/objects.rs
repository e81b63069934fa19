//! Watches of single ConfigMaps and Secrets, shared by the pods that refer to them.
//!
//! A node may read only the objects its pods name, one by one; so does upstream's watch-based manager.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::runtime::watcher::watch_object;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::{Kind, Object};

/// How long a pod waits for the first answer about an object before it reports a failure (and tries again).
const FIRST_ANSWER: Duration = Duration::from_secs(10);

type Key = (Kind, String, String);

/// UIDs of the pods that refer to an object which has changed.
pub type Changed = Vec<String>;

#[derive(Debug, Clone)]
enum State {
    Loading,
    Failed(String),
    Missing,
    Present(Arc<Object>),
}

struct Entry {
    users: HashSet<String>,
    state: watch::Receiver<State>,
    task: AbortHandle,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Default)]
struct Shared {
    /// Pods that may ask. What still runs for a pod that is gone must not begin a watch that nobody would end.
    pods: HashSet<String>,
    entries: HashMap<Key, Entry>,
}

/// The cache; cheap to clone.
#[derive(Clone)]
pub struct ObjectCache {
    client: Client,
    shared: Arc<Mutex<Shared>>,
    changed: mpsc::UnboundedSender<Changed>,
}

impl ObjectCache {
    /// An empty cache, and the stream that names the pods to look again.
    pub fn new(client: Client) -> (Self, mpsc::UnboundedReceiver<Changed>) {
        let (changed, receiver) = mpsc::unbounded_channel();
        (
            Self {
                client,
                shared: Arc::default(),
                changed,
            },
            receiver,
        )
    }

    /// Lets a pod ask, until [`ObjectCache::release`].
    pub fn admit(&self, pod_uid: &str) {
        self.lock().pods.insert(pod_uid.to_owned());
    }

    /// The object, `None` if the API has none of that name. The first use by any pod starts a watch, which lasts until
    /// [`ObjectCache::release`] by all of them.
    pub async fn get(
        &self,
        pod_uid: &str,
        kind: Kind,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Object>>, String> {
        let key = (kind, namespace.to_owned(), name.to_owned());
        let Some(mut state) = self.subscribe(pod_uid, key) else {
            return Err(format!(
                "failed to get {} {namespace}/{name}: the pod is gone",
                kind.lower()
            ));
        };
        let mut last_failure = None;
        let settled = async {
            loop {
                match state.borrow_and_update().clone() {
                    State::Loading => {}
                    // It goes on trying; forbidden at first may be a binding that comes a moment later.
                    State::Failed(error) => last_failure = Some(error),
                    State::Missing => return Ok(None),
                    State::Present(object) => return Ok(Some(object)),
                }
                if last_failure.is_some() || state.changed().await.is_err() {
                    return Err(());
                }
            }
        };
        match tokio::time::timeout(FIRST_ANSWER, settled).await {
            Ok(Ok(object)) => Ok(object),
            Ok(Err(())) | Err(_) => Err(format!(
                "failed to get {} {namespace}/{name}: {}",
                kind.lower(),
                last_failure.unwrap_or_else(|| "timed out waiting for the condition".into())
            )),
        }
    }

    /// Ends a pod's interest in everything it referred to.
    pub fn release(&self, pod_uid: &str) {
        let mut shared = self.lock();
        shared.pods.remove(pod_uid);
        shared.entries.retain(|_, entry| {
            entry.users.remove(pod_uid);
            !entry.users.is_empty()
        });
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of the object, from now on; `None` for a pod that may not ask.
    fn subscribe(&self, pod_uid: &str, key: Key) -> Option<watch::Receiver<State>> {
        let mut shared = self.lock();
        if !shared.pods.contains(pod_uid) {
            return None;
        }
        let entry = shared.entries.entry(key.clone()).or_insert_with(|| {
            let (sender, state) = watch::channel(State::Loading);
            let cache = self.clone();
            let task = tokio::spawn(async move { cache.follow(key, sender).await }).abort_handle();
            Entry {
                users: HashSet::new(),
                state,
                task,
            }
        });
        entry.users.insert(pod_uid.to_owned());
        Some(entry.state.clone())
    }

    async fn follow(&self, key: Key, sender: watch::Sender<State>) {
        let (kind, namespace, name) = &key;
        match kind {
            Kind::ConfigMap => self.watch::<ConfigMap>(&key, namespace, name, &sender).await,
            Kind::Secret => self.watch::<Secret>(&key, namespace, name, &sender).await,
        }
    }

    async fn watch<K>(&self, key: &Key, namespace: &str, name: &str, sender: &watch::Sender<State>)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + Into<Object>
            + 'static,
    {
        let stream = watch_object(Api::<K>::namespaced(self.client.clone(), namespace), name);
        pin_mut!(stream);
        let mut delay = Duration::from_millis(200);
        while let Some(item) = stream.next().await {
            match item {
                Ok(found) => {
                    delay = Duration::from_millis(200);
                    let new = found.map(|object| Arc::new(object.into()));
                    self.publish(key, new, sender);
                }
                Err(error) => {
                    sender.send_if_modified(|state| {
                        let no_value = matches!(state, State::Loading | State::Failed(_));
                        if no_value {
                            *state = State::Failed(error.to_string());
                        }
                        no_value
                    });
                    // The API is away or refuses: ask again, more and more slowly.
                    tokio::time::sleep(delay).await;
                    delay = (delay * 2).min(Duration::from_secs(10));
                }
            }
        }
    }

    fn publish(&self, key: &Key, new: Option<Arc<Object>>, sender: &watch::Sender<State>) {
        let mut first = false;
        let differs = sender.send_if_modified(|state| {
            first = matches!(state, State::Loading);
            let next = new.map_or(State::Missing, State::Present);
            let same = match (&*state, &next) {
                (State::Present(old), State::Present(new)) => old == new,
                (State::Missing, State::Missing) => true,
                _ => false,
            };
            *state = next;
            !same
        });
        if differs && !first {
            let shared = self.lock();
            if let Some(entry) = shared.entries.get(key) {
                // The receiver goes only when the agent ends.
                let _ = self.changed.send(entry.users.iter().cloned().collect());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_pods_that_are_here_begin_watches() {
        let config = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let (cache, _changed) = ObjectCache::new(Client::try_from(config).unwrap());
        let watches = || cache.lock().entries.len();
        cache.admit("a");
        cache.admit("b");
        for pod in ["a", "b"] {
            let answer = cache.get(pod, Kind::ConfigMap, "default", "m").await;
            assert!(answer.is_err(), "nobody listens there");
        }
        assert_eq!(watches(), 1);
        cache.release("a");
        assert_eq!(watches(), 1);
        cache.release("b");
        assert_eq!(watches(), 0);
        // A mount that was under way when the pod went.
        let late = cache.get("b", Kind::ConfigMap, "default", "m").await;
        assert!(late.unwrap_err().ends_with("the pod is gone"));
        assert_eq!(watches(), 0);
    }
}
