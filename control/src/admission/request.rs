//! What a plug-in is asked about.

use keelson_api::status::Status;
use serde_json::Value;

use super::fields::text;
use crate::auth::UserInfo;
use crate::kinds::Kind;

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

impl Request<'_> {
    /// Whether this is about the main resource `group/plural`, not about a subresource.
    pub fn is(&self, group: &str, plural: &str) -> bool {
        self.subresource.is_empty() && self.kind.group == group && self.kind.plural == plural
    }

    /// Whether a new object of that resource is being made.
    pub fn creates(&self, group: &str, plural: &str) -> bool {
        self.operation == Operation::Create && self.is(group, plural)
    }

    /// The new object, to read.
    pub fn object(&self) -> &Value {
        self.object.as_deref().unwrap_or(&Value::Null)
    }

    /// The stored object, to read.
    pub fn stored(&self) -> &Value {
        self.old.unwrap_or(&Value::Null)
    }

    /// A 403 about this object: `pods "x" is forbidden: why`.
    pub fn forbidden(&self, why: &str) -> Status {
        let name = [
            self.name,
            text(self.object(), "/metadata/name"),
            text(self.object(), "/metadata/generateName"),
        ]
        .into_iter()
        .find(|name| !name.is_empty())
        .unwrap_or("Unknown");
        Status::forbidden(&self.kind.group, &self.kind.plural, name, why)
    }
}
