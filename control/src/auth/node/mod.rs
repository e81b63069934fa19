//! What a kubelet may do: the static rules of nodes, and of objects that belong to pods only those of its own pods.
//!
//! Source: "Using Node Authorization" in the documentation and `plugin/pkg/auth/authorizer/node` upstream, with
//! `AuthorizeNodeWithSelectors` (a node reads its own Node object and its own pods only).

mod references;
#[cfg(test)]
mod tests;
mod volumes;

use std::sync::Arc;

use keelson_api::selector::FieldSelector;

use self::references::Graph;
pub use self::references::targets;
use super::rbac::Rule;
use super::{Attributes, Decision, UserInfo};
use crate::object::Reader;

/// Group of all kubelets.
const NODES: &str = "system:nodes";
/// Prefix of their user names.
const PREFIX: &str = "system:node:";
/// Where the leases of nodes live.
const LEASE_NAMESPACE: &str = "kube-node-lease";

/// The node that the user is, if it is one; `Some("")` for one that does not say which.
pub fn node_name(user: &UserInfo) -> Option<&str> {
    if !user.is_in(NODES) {
        return None;
    }
    user.name.strip_prefix(PREFIX)
}

/// The node authorizer.
#[derive(Debug)]
pub struct NodeRules {
    graph: Graph,
    rules: Vec<Rule>,
}

/// What a pod can refer to, and what it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// A Secret.
    Secret,
    /// A ConfigMap.
    ConfigMap,
    /// A PersistentVolumeClaim.
    Claim,
    /// A PersistentVolume.
    Volume,
    /// A ServiceAccount.
    ServiceAccount,
    /// The pod itself.
    Pod,
    /// A VolumeAttachment, which names the node itself.
    Attachment,
}

impl NodeRules {
    /// Over the pods in `reader`.
    pub fn new(reader: Arc<dyn Reader>) -> Self {
        Self {
            graph: Graph::new(reader),
            rules: crate::bootstrap::node_rules(),
        }
    }

    /// Allows what a node may do; never denies for good, so that a role can give a node more.
    pub fn authorize(&self, attributes: &Attributes<'_>) -> Decision {
        let node = match node_name(attributes.user) {
            None => return Decision::NoOpinion(String::new()),
            Some("") => {
                return Decision::NoOpinion(format!("unknown node for user {:?}", attributes.user.name));
            }
            Some(node) => node,
        };
        match self.decide(node, attributes) {
            Ok(()) => Decision::Allow(String::new()),
            Err(reason) => Decision::NoOpinion(reason),
        }
    }

    fn decide(&self, node: &str, attributes: &Attributes<'_>) -> Result<(), String> {
        match (attributes.group, attributes.resource) {
            ("", "secrets") => self.read(node, Target::Secret, attributes),
            ("", "configmaps") => self.read(node, Target::ConfigMap, attributes),
            ("", "persistentvolumeclaims") if attributes.subresource == "status" => match attributes.verb {
                "update" | "patch" => self.related(node, Target::Claim, attributes),
                _ => Err("can only get/update/patch this type".to_owned()),
            },
            ("", "persistentvolumeclaims") => self.get(node, Target::Claim, attributes),
            ("", "persistentvolumes") => self.get(node, Target::Volume, attributes),
            ("", "serviceaccounts") => self.token(node, attributes),
            ("", "nodes") => own_node(node, attributes),
            ("", "pods") => self.pod(node, attributes),
            ("coordination.k8s.io", "leases") => {
                if attributes.namespace != LEASE_NAMESPACE {
                    return Err(format!(
                        "can only access leases in the {LEASE_NAMESPACE:?} system namespace"
                    ));
                }
                same_name(node, attributes, "a node lease", "node lease")
            }
            ("storage.k8s.io", "csinodes") if attributes.subresource.is_empty() => {
                same_name(node, attributes, "a CSINode", "CSINode")
            }
            ("storage.k8s.io", "csinodes") => Err("cannot authorize CSINode subresources".to_owned()),
            ("storage.k8s.io", "volumeattachments") => self.get(node, Target::Attachment, attributes),
            // Nothing here hands out devices, so no such object belongs to a node yet.
            ("resource.k8s.io", "resourceclaims" | "resourceslices") => Err(no_relation(node)),
            _ if self.rules.iter().any(|rule| rule.allows(attributes)) => Ok(()),
            _ => Err(String::new()),
        }
    }

    fn read(&self, node: &str, target: Target, attributes: &Attributes<'_>) -> Result<(), String> {
        if !matches!(attributes.verb, "get" | "list" | "watch") {
            return Err("can only read resources of this type".to_owned());
        }
        if !attributes.subresource.is_empty() {
            return Err("cannot read subresource".to_owned());
        }
        if attributes.namespace.is_empty() {
            return Err("can only read namespaced object of this type".to_owned());
        }
        self.related(node, target, attributes)
    }

    fn get(&self, node: &str, target: Target, attributes: &Attributes<'_>) -> Result<(), String> {
        if attributes.verb != "get" {
            return Err("can only get individual resources of this type".to_owned());
        }
        if !attributes.subresource.is_empty() {
            return Err("cannot get subresource".to_owned());
        }
        self.related(node, target, attributes)
    }

    fn token(&self, node: &str, attributes: &Attributes<'_>) -> Result<(), String> {
        if attributes.verb != "create" || attributes.name.is_empty() {
            return Err("can only create tokens for individual service accounts".to_owned());
        }
        if attributes.subresource != "token" {
            return Err("can only create token subresource of serviceaccount".to_owned());
        }
        self.related(node, Target::ServiceAccount, attributes)
    }

    fn pod(&self, node: &str, attributes: &Attributes<'_>) -> Result<(), String> {
        match (attributes.subresource, attributes.verb) {
            ("", "get") => self.get(node, Target::Pod, attributes),
            ("", "list" | "watch") => {
                let selector = FieldSelector::parse(attributes.field_selector).unwrap_or_default();
                if selector.exact("spec.nodeName") == Some(node) {
                    return Ok(());
                }
                if !attributes.name.is_empty() {
                    return self.related(node, Target::Pod, attributes);
                }
                Err("can only list/watch pods with spec.nodeName field selector".to_owned())
            }
            // Which pods: the NodeRestriction admission plug-in sees the object and decides.
            ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create") => Ok(()),
            _ => Err(String::new()),
        }
    }

    fn related(&self, node: &str, target: Target, attributes: &Attributes<'_>) -> Result<(), String> {
        if attributes.name.is_empty() {
            return Err("No Object name found".to_owned());
        }
        if self
            .graph
            .leads_to(node, target, attributes.namespace, attributes.name)
        {
            return Ok(());
        }
        Err(no_relation(node))
    }
}

fn no_relation(node: &str) -> String {
    format!("no relationship found between node '{node}' and this object")
}

fn own_node(node: &str, attributes: &Attributes<'_>) -> Result<(), String> {
    match (attributes.subresource, attributes.verb) {
        // Which node: NodeRestriction.
        ("", "create" | "update" | "patch") | ("status", "update" | "patch") => Ok(()),
        ("", "get" | "list" | "watch") => match attributes.name {
            name if name == node => Ok(()),
            "" => Err(format!(
                "node '{node}' cannot read all nodes, only its own Node object"
            )),
            other => Err(format!(
                "node '{node}' cannot read '{other}', only its own Node object"
            )),
        },
        _ => Err(String::new()),
    }
}

/// Objects that carry the node's name. On create the name is not known yet: NodeRestriction.
fn same_name(node: &str, attributes: &Attributes<'_>, one: &str, short: &str) -> Result<(), String> {
    if !matches!(attributes.verb, "get" | "create" | "update" | "patch" | "delete") {
        return Err(format!("can only get, create, update, patch, or delete {one}"));
    }
    if attributes.verb != "create" && attributes.name != node {
        return Err(format!(
            "can only access {short} with the same name as the requesting node"
        ));
    }
    Ok(())
}
