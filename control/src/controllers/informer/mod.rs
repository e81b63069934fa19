//! Shared informers: one list-and-watch per resource into an indexed cache, with handlers that feed work queues.

mod expectations;
mod frames;
mod pace;
mod queue;
mod reflector;
mod store;

use std::sync::{Arc, Mutex, PoisonError};

use serde::de::DeserializeOwned;
use tokio::sync::watch;

pub use expectations::Expectations;
pub use queue::{Next, Queue};
pub use store::{Key, Store};

use super::api::{Api, Resource};
use super::model::Meta;

/// What an informer can hold: a slim view of an API object.
pub trait Object: DeserializeOwned + std::fmt::Debug + Send + Sync + 'static {
    /// Its metadata.
    fn meta(&self) -> &Meta;
    /// Values under which [`Store::by_index`] finds it.
    fn index(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Object for Meta {
    fn meta(&self) -> &Meta {
        self
    }
}

/// Called with the object before and after a change; `None` before an add and after a delete.
pub type Handler<T> = Box<dyn Fn(Option<&Arc<T>>, Option<&Arc<T>>) + Send + Sync>;

/// A cache of one resource that follows the API server.
pub struct Informer<T> {
    resource: Resource,
    field_selector: String,
    metadata_only: bool,
    store: Store<T>,
    handlers: Mutex<Arc<Vec<Handler<T>>>>,
    synced: watch::Sender<bool>,
}

impl<T> std::fmt::Debug for Informer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Informer")
            .field("resource", &self.resource)
            .finish_non_exhaustive()
    }
}

impl<T: Object> Informer<T> {
    /// Of all objects of a resource.
    pub fn new(resource: &Resource) -> Arc<Self> {
        Self::with(resource, "", false)
    }

    /// Of the objects that match a field selector.
    pub fn selecting(resource: &Resource, field_selector: &str) -> Arc<Self> {
        Self::with(resource, field_selector, false)
    }

    /// Of the metadata only; the server sends `PartialObjectMetadata`.
    pub fn metadata(resource: &Resource) -> Arc<Self> {
        Self::with(resource, "", true)
    }

    fn with(resource: &Resource, field_selector: &str, metadata_only: bool) -> Arc<Self> {
        Arc::new(Self {
            resource: resource.clone(),
            field_selector: field_selector.to_owned(),
            metadata_only,
            store: Store::default(),
            handlers: Mutex::default(),
            synced: watch::Sender::new(false),
        })
    }

    /// The resource.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// The cache.
    pub fn store(&self) -> &Store<T> {
        &self.store
    }

    /// Adds a handler. Handlers added after [`Informer::run`] has begun miss what was before.
    pub fn on_change(&self, handler: impl Fn(Option<&Arc<T>>, Option<&Arc<T>>) + Send + Sync + 'static) {
        let mut handlers = self.handlers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(list) = Arc::get_mut(&mut handlers) {
            list.push(Box::new(handler));
        } else {
            tracing::error!(
                resource = self.resource.plural,
                "handler added to a running informer: ignored"
            );
        }
    }

    /// Resolves when the first list is in the cache.
    pub async fn synced(&self) {
        // The sender lives in self, so waiting cannot fail.
        drop(self.synced.subscribe().wait_for(|done| *done).await);
    }

    /// Whether the first list is in the cache.
    pub fn is_synced(&self) -> bool {
        *self.synced.borrow()
    }

    /// Follows the server forever.
    pub async fn run(self: Arc<Self>, api: Api) {
        let handlers = self
            .handlers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        reflector::follow(&self, &api, &handlers).await;
    }

    fn apply(&self, object: T, handlers: &[Handler<T>]) {
        let object = Arc::new(object);
        let old = self.store.put(&object);
        let (mut before, mut same) = (old.as_ref(), false);
        if let Some(old) = &old {
            same = old.meta().resource_version == object.meta().resource_version;
            if old.meta().uid != object.meta().uid {
                // Deleted and made again while we were not looking: two changes, not one.
                for handler in handlers {
                    handler(Some(old), None);
                }
                before = None;
            }
        }
        if !same {
            for handler in handlers {
                handler(before, Some(&object));
            }
        }
    }

    fn remove(&self, key: &Key, handlers: &[Handler<T>]) {
        if let Some(old) = self.store.remove(key) {
            for handler in handlers {
                handler(Some(&old), None);
            }
        }
    }
}
