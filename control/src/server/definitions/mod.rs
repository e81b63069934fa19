//! Definitions at work: from stored CustomResourceDefinitions to served kinds.
//!
//! A task follows the definitions: it decides on their names and conditions ([`conditions`], pure), puts a new registry
//! in the place of the old one, and empties what is being deleted ([`cleanup`]). Several API servers on one store each do
//! this for themselves, and come to the same result.

mod cleanup;
pub mod conditions;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::select_all;
use http::HeaderMap;
use http::header::{HeaderValue, USER_AGENT};
use keelson_api::status::Status;
use serde_json::Value;

use super::accept::Accept;
use super::call::Call;
use super::path::ResourcePath;
use super::query::Query;
use super::registry::{KindRef, Registry, Served};
use super::write::managed::Managers;
use super::write::update::{Edit, apply};
use super::{Api, PAUSE, Server};
use crate::auth::UserInfo;
use crate::kinds::{approval, custom};
use crate::object::{GroupResource, Object};
use crate::store::Range;

pub use cleanup::FINALIZER as CLEANUP;
use cleanup::Left;

/// What was made of a definition.
#[derive(Debug, Clone)]
struct Made {
    /// The revision of the definition that was last looked at.
    revision: u64,
    /// Digest of the parts of it that matter.
    from: Vec<u8>,
    /// All of its versions, also those that are not served.
    kinds: Vec<Served>,
}

/// What was made of each definition, by its name. Kept, so that a change of one leaves the others' kinds as they are, and
/// with them what is known of their objects.
#[derive(Debug, Default)]
pub struct Definitions {
    made: Mutex<HashMap<String, Made>>,
    /// Definitions without their schemas, by name. Definitions are large, and all are looked at when one changes.
    slim: Mutex<HashMap<String, Slim>>,
}

/// A definition without its schemas, and its revision.
type Slim = (u64, Arc<Value>);

/// Where definitions are stored.
pub(super) fn resource() -> Arc<GroupResource> {
    Arc::new(GroupResource::new(
        "apiextensions.k8s.io",
        "customresourcedefinitions",
    ))
}

/// All definitions.
fn stored(api: &Api) -> Result<Vec<Arc<Object>>, Status> {
    let page = api.store.range(&resource(), &Range::all(None));
    let page = page.map_err(|error| Status::internal(&error.to_string()))?;
    Ok(page.objects)
}

/// All definitions, of their versions only what is served, which are decoded only if they have changed.
pub(super) fn slim(api: &Api) -> Result<Vec<Arc<Value>>, Status> {
    let objects = stored(api)?;
    let mut known = api
        .definitions
        .slim
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let mut old = std::mem::take(&mut *known);
    let mut all = Vec::new();
    for object in objects {
        let kept = old
            .remove(&object.name)
            .filter(|(revision, _)| *revision == object.resource_version);
        let (revision, value) = kept.unwrap_or_else(|| {
            let mut value = object.value();
            for version in value["spec"]["versions"].as_array_mut().into_iter().flatten() {
                *version = serde_json::json!({"name": version["name"], "served": version["served"]});
            }
            if let Some(metadata) = value["metadata"].as_object_mut() {
                metadata.remove("managedFields");
                if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
                    annotations.retain(|name, _| name == approval::ANNOTATION);
                }
            }
            (object.resource_version, Arc::new(value))
        });
        all.push(Arc::clone(&value));
        known.insert(object.name.clone(), (revision, value));
    }
    Ok(all)
}

fn digest(object: &Object, definition: &Value) -> Vec<u8> {
    let parts = serde_json::json!([
        definition["spec"],
        definition["status"]["acceptedNames"],
        definition["metadata"]["deletionTimestamp"],
        object.uid,
    ]);
    let digest = ring::digest::digest(&ring::digest::SHA256, parts.to_string().as_bytes());
    digest.as_ref().to_vec()
}

impl Definitions {
    /// Serves what is established; false, and what is served stays, if that cannot be read.
    pub(super) fn load(&self, api: &Api) -> bool {
        let objects = match stored(api) {
            Ok(objects) => objects,
            Err(error) => {
                tracing::warn!(error = error.message, "the definitions cannot be read");
                return false;
            }
        };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let mut old = std::mem::take(&mut *made);
        let mut changed = false;
        for object in objects {
            let revision = object.resource_version;
            let kept = old.remove(&object.name);
            if let Some(kept) = kept.as_ref().filter(|made| made.revision == revision) {
                made.insert(object.name.clone(), kept.clone());
                continue;
            }
            let definition = object.value();
            if !conditions::is_established(&definition) {
                changed |= kept.is_some();
                continue;
            }
            let from = digest(&object, &definition);
            let kept = kept.filter(|made| made.from == from).map(|made| made.kinds);
            changed |= kept.is_none();
            let new = Made {
                revision,
                kinds: kept.unwrap_or_else(|| served(&definition)),
                from,
            };
            made.insert(object.name.clone(), new);
        }
        if changed || !old.is_empty() {
            let kinds = made.values().flat_map(|made| made.kinds.iter().cloned());
            let registry = Arc::new(Registry::with(kinds));
            api.registry.send_replace(registry);
        }
        true
    }

    /// The kind in whose version a definition's objects are stored.
    fn storage_kind(&self, name: &str) -> Option<Served> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let kinds = &made.get(name)?.kinds;
        kinds
            .iter()
            .find(|served| custom::is_storage(&served.kind))
            .cloned()
    }
}

fn served(definition: &Value) -> Vec<Served> {
    let kinds = custom::kinds(definition);
    let storage = kinds
        .first()
        .map(|kind| Arc::new(GroupResource::new(&kind.group, &kind.plural)));
    let Some(storage) = storage else {
        return Vec::new();
    };
    kinds
        .into_iter()
        .map(|kind| Served {
            kind: KindRef::Custom(Arc::new(kind)),
            storage: Arc::clone(&storage),
        })
        .collect()
}

impl Server {
    /// Follows the definitions until the server stops.
    pub async fn follow_definitions(&self) {
        // Beside each other: the objects of one that is deleted may be many.
        tokio::select! {
            () = establish(&self.api) => {}
            () = clean_up(&self.api) => {}
            () = self.api.stopping() => {}
        }
    }
}

/// Decides on definitions, and serves those that are established.
async fn establish(api: &Arc<Api>) {
    let mut changes = api.store.subscribe(&resource());
    loop {
        changes.borrow_and_update();
        let settled = settle(api).await;
        let done = api.definitions.load(api) && settled;
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(PAUSE), if !done => {}
        }
    }
}

/// Empties what is being deleted.
async fn clean_up(api: &Arc<Api>) {
    let mut changes = api.store.subscribe(&resource());
    loop {
        changes.borrow_and_update();
        let (mut waits, mut done) = (Vec::new(), true);
        // One that has been established is known before it is looked at: it may have objects.
        let left = if api.definitions.load(api) {
            cleanup::run(api).await
        } else {
            vec![Left::Refused]
        };
        for left in left {
            match left {
                Left::Nothing => {}
                Left::Objects(changes) => waits.push(changes),
                Left::Refused => done = false,
            }
        }
        let emptied = async {
            if waits.is_empty() {
                std::future::pending::<()>().await;
            }
            let waits = waits.into_iter().map(|mut change| {
                Box::pin(async move {
                    drop(change.changed().await);
                })
            });
            select_all(waits).await;
        };
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = emptied => {}
            () = tokio::time::sleep(PAUSE), if !done => {}
        }
    }
}

/// Writes the conditions that are not what they should be; false if one of them could not be.
async fn settle(api: &Arc<Api>) -> bool {
    // Who loads them says why they cannot be read.
    let Ok(all) = slim(api) else { return false };
    let mut done = true;
    for definition in &all {
        let Some(status) = conditions::decide(definition, &all) else {
            continue;
        };
        let name = definition["metadata"]["name"].as_str().unwrap_or_default();
        let written = write(api, name, Some("status"), |new| {
            new["status"]["acceptedNames"] = status["acceptedNames"].clone();
            new["status"]["conditions"] = status["conditions"].clone();
        });
        if let Err(error) = written.await {
            done = false;
            tracing::warn!(
                name,
                error = error.message,
                "the conditions of a definition cannot be written"
            );
        }
    }
    done
}

/// Who acts here.
fn ourselves() -> UserInfo {
    UserInfo {
        name: "system:apiserver".to_owned(),
        groups: vec!["system:masters".to_owned(), "system:authenticated".to_owned()],
        ..UserInfo::default()
    }
}

/// A call of our own.
pub(super) fn call(api: &Arc<Api>, served: Served, name: &str) -> Call {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static("kube-apiserver"));
    Call {
        api: Arc::clone(api),
        user: ourselves(),
        path: ResourcePath {
            group: served.kind.group.to_string(),
            version: served.kind.version.to_string(),
            resource: served.kind.plural.to_string(),
            name: name.to_owned(),
            ..ResourcePath::default()
        },
        served,
        raw_query: String::new(),
        query: Query::default(),
        accept: Accept::any(),
        headers,
        local: true,
    }
}

/// Changes a definition.
async fn write(
    api: &Arc<Api>,
    name: &str,
    subresource: Option<&'static str>,
    change: impl Fn(&mut Value),
) -> Result<(), Status> {
    let registry = api.registry();
    let Some(served) = registry.find("apiextensions.k8s.io", "v1", "customresourcedefinitions") else {
        return Ok(());
    };
    let call = call(api, served.clone(), name);
    let edit = Edit {
        subresource,
        dry_run: false,
        checked: false,
        managers: Managers::Track,
    };
    let changed = apply(&call, &edit, |old| {
        let mut new = old.clone();
        change(&mut new);
        if let Some(metadata) = new["metadata"].as_object_mut() {
            metadata.remove("resourceVersion");
        }
        Ok(new)
    });
    changed.await.map(drop)
}
