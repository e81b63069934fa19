//! Which objects an owner manages: adoption of matching orphans, release of what matches no longer.
//!
//! Source: `k8s.io/kubernetes/pkg/controller` `ControllerRefManager`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::api::{Api, Error, Patch, Resource};
use super::informer::{Object, Store};
use super::model::{Meta, Selector, controller_reference, index_orphans, index_owned};

/// The sorted lots.
#[derive(Debug)]
pub struct Claims<T> {
    /// Owned and matching.
    pub kept: Vec<Arc<T>>,
    /// Orphans to adopt.
    pub adopt: Vec<Arc<T>>,
    /// Owned, but matching no longer.
    pub release: Vec<Arc<T>>,
}

/// Decides from the cache. An owner that is being deleted neither adopts nor releases.
pub fn classify<T: Object>(owner: &Meta, selector: &Selector, store: &Store<T>) -> Claims<T> {
    let owned = store.by_index(&index_owned(&owner.uid));
    let (kept, release): (Vec<_>, Vec<_>) = owned
        .into_iter()
        .partition(|object| owner.deleted.is_some() || selector.matches(&object.meta().labels));
    let release = release
        .into_iter()
        .filter(|object| object.meta().deleted.is_none())
        .collect();
    let adopt = if owner.deleted.is_some() || selector.is_empty() {
        Vec::new()
    } else {
        let orphans = store.by_index(&index_orphans(&owner.namespace)).into_iter();
        orphans
            .filter(|o| o.meta().deleted.is_none() && selector.matches(&o.meta().labels))
            .collect()
    };
    Claims { kept, adopt, release }
}

/// Carries adoption and release out, and returns what is managed now.
///
/// Before the first adoption the owner is read afresh: one that was deleted, or deleted and made again, must not
/// adopt by a stale cache. What is managed carries `finalizer`, if there is one.
pub async fn claim<T: Object>(
    api: &Api,
    (owner_resource, owner): (&Resource, &Meta),
    resource: &Resource,
    claims: Claims<T>,
    finalizer: Option<&str>,
) -> Result<Vec<Arc<T>>, Error> {
    let mut managed = claims.kept;
    for object in claims.release {
        let mut patch = json!({"metadata": {
            "uid": object.meta().uid,
            "ownerReferences": [{"$patch": "delete", "uid": owner.uid}],
        }});
        if let Some(finalizer) = finalizer {
            patch["metadata"]["$deleteFromPrimitiveList/finalizers"] = json!([finalizer]);
        }
        accept_gone(change_owners(api, resource, object.meta(), &patch).await)?;
    }
    if !claims.adopt.is_empty() {
        let fresh = api.get(owner_resource, &owner.namespace, &owner.name).await?;
        let same = fresh.as_ref().is_some_and(|fresh| {
            fresh["metadata"]["uid"].as_str() == Some(&owner.uid)
                && fresh["metadata"]["deletionTimestamp"].is_null()
        });
        if !same {
            return Ok(managed);
        }
    }
    for object in claims.adopt {
        let mut patch = json!({"metadata": {
            "uid": object.meta().uid,
            "ownerReferences": [controller_reference(owner, owner_resource)],
        }});
        if let Some(finalizer) = finalizer {
            patch["metadata"]["finalizers"] = json!([finalizer]);
        }
        if accept_gone(change_owners(api, resource, object.meta(), &patch).await)? {
            managed.push(object);
        }
    }
    Ok(managed)
}

async fn change_owners(api: &Api, resource: &Resource, object: &Meta, patch: &Value) -> Result<Value, Error> {
    api.patch(
        resource,
        &object.namespace,
        &object.name,
        "",
        Patch::Strategic,
        patch,
    )
    .await
}

/// An object that went away meanwhile, or was replaced by another of its name (409 or 422), needs no change.
fn accept_gone(result: Result<Value, Error>) -> Result<bool, Error> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() || error.is_conflict() || error.code() == Some(422) => Ok(false),
        Err(error) => Err(error),
    }
}
