//! One request against a resource, with everything that its handler needs.

use std::sync::Arc;

use http::HeaderMap;
use keelson_api::status::Status;

use super::Api;
use super::accept::Accept;
use super::path::ResourcePath;
use super::query::Query;
use super::registry::Served;
use crate::auth::UserInfo;
use crate::kinds::Kind;
use crate::object::{GroupResource, Object};
use crate::store::{StoreError, key_of};

/// A request that has been authenticated, authorized and routed.
#[derive(Debug)]
pub struct Call {
    /// The server.
    pub api: Arc<Api>,
    /// Who asks.
    pub user: UserInfo,
    /// The kind of the (parent) resource.
    pub served: Served,
    /// What the path names.
    pub path: ResourcePath,
    /// The raw query string.
    pub raw_query: String,
    /// Query parameters.
    pub query: Query,
    /// What to answer.
    pub accept: Accept,
    /// Request headers.
    pub headers: HeaderMap,
    /// The caller is in this process: answers need no compression.
    pub local: bool,
}

impl Call {
    /// The descriptor.
    pub fn kind(&self) -> &Kind {
        &self.served.kind
    }

    /// Where the objects are stored.
    pub fn storage(&self) -> &Arc<GroupResource> {
        &self.served.storage
    }

    /// The namespace for storage keys: empty for cluster-scoped kinds, of which namespaces carry one in their path.
    pub fn namespace(&self) -> &str {
        if self.kind().namespaced {
            &self.path.namespace
        } else {
            ""
        }
    }

    /// The namespace to list or watch; `None` is all of them.
    pub fn scope(&self) -> Option<&str> {
        Some(self.namespace()).filter(|namespace| !namespace.is_empty())
    }

    /// The caller does not wait for clients.
    pub fn is_exempt(&self) -> bool {
        self.local || self.user.is_exempt()
    }

    /// Storage key of the named object.
    pub fn key(&self) -> String {
        key_of(self.namespace(), &self.path.name)
    }

    /// The named object.
    pub fn stored(&self) -> Result<Arc<Object>, Status> {
        self.api
            .store
            .get(self.storage(), &self.key())
            .ok_or_else(|| self.absent(&self.key()))
    }

    /// Why an object of that key is not there for the named one: 404, or 500 if it cannot be decrypted.
    pub fn absent(&self, key: &str) -> Status {
        match self.api.store.unreadable(self.storage(), key) {
            Some(error) => self.store_error(&self.path.name, &error),
            None => self.not_found(),
        }
    }

    /// 404 for the named object.
    pub fn not_found(&self) -> Status {
        Status::not_found(&self.kind().group, &self.kind().plural, &self.path.name)
    }

    /// A store error of a write to the object of that name.
    pub fn store_error(&self, name: &str, error: &StoreError) -> Status {
        store_error(self.kind(), name, error)
    }
}

/// A store error in the API's terms.
pub fn store_error(kind: &Kind, name: &str, error: &StoreError) -> Status {
    let (group, resource) = (&kind.group, &kind.plural);
    match error {
        StoreError::Exists => Status::already_exists(group, resource, name),
        StoreError::NotFound => Status::not_found(group, resource, name),
        StoreError::Conflict(_) | StoreError::Overtaken => Status::conflict(group, resource, name),
        StoreError::Compacted(_) => Status::expired("The resourceVersion for the provided list is too old."),
        StoreError::Future(current) => {
            Status::timeout(&format!("Too large resource version, current: {current}"), 1)
        }
        StoreError::TooLarge(_) => Status::failure(413, "RequestEntityTooLarge", error.to_string(), None),
        StoreError::Full(why) => Status::failure(
            507,
            "InternalError",
            format!(
                "Internal error occurred: the disk of the control plane's store is full, nothing was stored: {why}"
            ),
            None,
        ),
        StoreError::Taken(what) => {
            Status::conflict_because(group, resource, name, &format!("{what} is already allocated"))
        }
        StoreError::Unreachable(_) => Status::service_unavailable(error.to_string()),
        StoreError::Failed(_)
        | StoreError::Unreadable(_)
        | StoreError::Unsupported(_)
        | StoreError::Closed => Status::internal(&error.to_string()),
    }
}
