//! The chain of authorizers.

use std::sync::Arc;

use super::node::NodeRules;
use super::rbac::Rbac;
use super::{Attributes, Decision, MASTERS};
use crate::object::Reader;

/// Decides by RBAC (and, for nodes, by the node rules).
#[derive(Debug)]
pub struct Authorizer {
    node: NodeRules,
    rbac: Rbac,
}

impl Authorizer {
    /// An authorizer over the roles and bindings in `reader`.
    pub fn new(reader: Arc<dyn Reader>) -> Self {
        Self {
            node: NodeRules::new(reader.clone()),
            rbac: Rbac::new(reader),
        }
    }

    /// The decision. The first authorizer with an opinion has the last word; the reasons of those without are joined.
    pub fn authorize(&self, attributes: &Attributes<'_>) -> Decision {
        if attributes.user.is_in(MASTERS) {
            return Decision::Allow(String::new());
        }
        let node = match self.node.authorize(attributes) {
            Decision::NoOpinion(reason) => reason,
            decided => return decided,
        };
        match self.rbac.authorize(attributes) {
            Decision::NoOpinion(rbac) if node.is_empty() => Decision::NoOpinion(rbac),
            Decision::NoOpinion(rbac) if rbac.is_empty() => Decision::NoOpinion(node),
            Decision::NoOpinion(rbac) => Decision::NoOpinion(format!("{node}\n{rbac}")),
            decided => decided,
        }
    }

    /// The RBAC part, for escalation checks and rule reviews.
    pub fn rbac(&self) -> &Rbac {
        &self.rbac
    }
}
