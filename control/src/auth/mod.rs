//! Who is asking, and whether they may.
//!
//! [`Authenticator`] turns a certificate or a token into a [`UserInfo`]; [`Authorizer`] answers [`Attributes`] with a
//! [`Decision`], from upstream's chain in upstream's order: the group `system:masters`, then the node rules, then
//! RBAC. Everything is read through [`crate::object::Reader`], straight from memory, so neither ever waits.
//!
//! - [`tokens`]: service-account tokens, issued and checked; [`jws`] is the signature format below them.
//! - [`bootstrap_token`]: tokens of machines that have no certificate yet.
//! - [`front_proxy`]: callers whom an authenticating proxy names.
//! - [`rbac`]: roles compiled to tables; what a rule covers; the check against privilege escalation.
//! - [`impersonate`](fn@impersonate) and [`reviews`]: the other two ways to ask.

mod authenticator;
mod authorizer;
pub mod bootstrap_token;
mod certificate;
pub mod front_proxy;
mod impersonation;
pub(crate) mod jws;
#[cfg(test)]
pub(crate) mod memory;
mod node;
pub mod rbac;
pub(crate) mod resources;
pub mod reviews;
mod service_account;
mod tenant;
#[cfg(test)]
mod tests;
pub mod tokens;

use std::collections::BTreeMap;

use keelson_api::status::{Status, go_quote};

pub use authenticator::Authenticator;
pub use authorizer::Authorizer;
pub use certificate::Presented;
pub use impersonation::impersonate;
pub use node::{Target, node_name, targets};

/// Group of everybody who has proved who they are.
pub const AUTHENTICATED: &str = "system:authenticated";
/// Group of everybody else.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// Name of everybody else.
pub const ANONYMOUS: &str = "system:anonymous";
/// The group that may do everything, whatever the roles say.
pub const MASTERS: &str = "system:masters";

/// The authenticated caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserInfo {
    /// User name.
    pub name: String,
    /// UID, if the authenticator knows one.
    pub uid: String,
    /// Groups, `system:authenticated` included.
    pub groups: Vec<String>,
    /// Extra attributes.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl UserInfo {
    /// The caller without credentials.
    pub fn anonymous() -> Self {
        Self {
            name: ANONYMOUS.to_owned(),
            groups: vec![UNAUTHENTICATED.to_owned()],
            ..Self::default()
        }
    }

    /// Whether the caller is in `group`.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }
}

/// What is asked, in the authorizer's terms.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    /// The caller.
    pub user: &'a UserInfo,
    /// Verb: get, list, watch, create, update, patch, delete, deletecollection, or the HTTP verb for paths.
    pub verb: &'a str,
    /// API group.
    pub group: &'a str,
    /// API version.
    pub version: &'a str,
    /// Plural resource; empty for a non-resource request.
    pub resource: &'a str,
    /// Subresource or empty.
    pub subresource: &'a str,
    /// Namespace or empty.
    pub namespace: &'a str,
    /// Object name or empty. On list and watch the name that the field selector `metadata.name=` asks for.
    pub name: &'a str,
    /// Field selector of a list, watch or deletecollection as the client wrote it, or empty: a node may list only the
    /// pods that are bound to it.
    pub field_selector: &'a str,
    /// Path of a non-resource request.
    pub path: &'a str,
}

impl<'a> Attributes<'a> {
    /// A request for a resource, with every other field empty.
    pub fn resource(user: &'a UserInfo, verb: &'a str, group: &'a str, resource: &'a str) -> Self {
        Self {
            user,
            verb,
            group,
            version: "",
            resource,
            subresource: "",
            namespace: "",
            name: "",
            field_selector: "",
            path: "",
        }
    }

    /// A request for a path.
    pub fn path(user: &'a UserInfo, verb: &'a str, path: &'a str) -> Self {
        Self {
            path,
            ..Self::resource(user, verb, "", "")
        }
    }
}

/// The authorizer's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Allowed, with the rule that did it.
    Allow(String),
    /// Forbidden for good.
    Deny(String),
    /// Nobody allowed it, which forbids it too.
    NoOpinion(String),
}

impl Decision {
    /// Whether the request may go on.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allow(_))
    }

    /// Why, possibly empty.
    pub fn reason(&self) -> &str {
        match self {
            Self::Allow(reason) | Self::Deny(reason) | Self::NoOpinion(reason) => reason,
        }
    }
}

/// The 403 for a request that was not allowed, in upstream's words.
pub fn forbidden(attributes: &Attributes<'_>, reason: &str) -> Status {
    let user = go_quote(&attributes.user.name);
    let verb = attributes.verb;
    let mut message = if attributes.resource.is_empty() {
        format!("User {user} cannot {verb} path {}", go_quote(attributes.path))
    } else {
        let resource = if attributes.subresource.is_empty() {
            go_quote(attributes.resource)
        } else {
            go_quote(&format!("{}/{}", attributes.resource, attributes.subresource))
        };
        let place = if attributes.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace {}", go_quote(attributes.namespace))
        };
        format!(
            "User {user} cannot {verb} resource {resource} in API group {} {place}",
            go_quote(attributes.group)
        )
    };
    if !reason.is_empty() {
        message.push_str(": ");
        message.push_str(reason);
    }
    Status::forbidden(attributes.group, attributes.resource, attributes.name, &message)
}
