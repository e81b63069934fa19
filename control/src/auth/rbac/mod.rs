//! Role-based access control over the roles and bindings in the store.
//!
//! A decision looks up the caller's name and groups in a compiled [`table::Table`] and walks the rules found there:
//! microseconds, however many roles there are. The table is compiled again when one of its four resources has
//! changed, by whoever asks next.

mod escalation;
mod reconcile;
mod rule;
mod table;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use keelson_api::status::go_quote;

pub use escalation::check_escalation;
pub use reconcile::reconciled;
pub use rule::{Rule, compact, not_covered};
pub use table::{Binding, RoleRef};
use table::{Grant, Table};

use super::{Attributes, Decision, UserInfo};
use crate::object::Reader;

/// The RBAC authorizer.
#[derive(Debug)]
pub struct Rbac {
    reader: Arc<dyn Reader>,
    table: RwLock<Arc<Table>>,
}

impl Rbac {
    /// Over the roles and bindings in `reader`.
    pub fn new(reader: Arc<dyn Reader>) -> Self {
        let table = RwLock::new(Arc::new(Table::compile(reader.as_ref(), &Table::default())));
        Self { reader, table }
    }

    fn table(&self) -> Arc<Table> {
        // The lock guards a single pointer, which a panic cannot leave half written.
        let known = self.table.read().unwrap_or_else(PoisonError::into_inner).clone();
        if known.versions == table::versions(self.reader.as_ref()) {
            return known;
        }
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have compiled it while this one waited.
        if table.versions != table::versions(self.reader.as_ref()) {
            *table = Arc::new(Table::compile(self.reader.as_ref(), &table));
        }
        table.clone()
    }

    /// Whether a rule that is granted to the caller allows the request.
    pub fn authorize(&self, attributes: &Attributes<'_>) -> Decision {
        let table = self.table();
        let mut missing: Vec<String> = Vec::new();
        for grant in table.grants(attributes.user, attributes.namespace) {
            let Some(rules) = &grant.rules else {
                missing.push(not_found(grant));
                continue;
            };
            if rules.iter().any(|rule| rule.allows(attributes)) {
                let (kind, binding) = if grant.namespace.is_empty() {
                    ("ClusterRoleBinding", go_quote(&grant.binding))
                } else {
                    (
                        "RoleBinding",
                        go_quote(&format!("{}/{}", grant.binding, grant.namespace)),
                    )
                };
                let (role_kind, role, subject) = (&grant.role_kind, go_quote(&grant.role), &grant.subject);
                return Decision::Allow(format!(
                    "RBAC: allowed by {kind} {binding} of {role_kind} {role} to {subject}"
                ));
            }
        }
        missing.sort();
        missing.dedup();
        match missing.as_slice() {
            [] => Decision::NoOpinion(String::new()),
            [one] => Decision::NoOpinion(format!("RBAC: {one}")),
            many => Decision::NoOpinion(format!("RBAC: [{}]", many.join(", "))),
        }
    }

    /// All rules that apply to `user` in the cluster and in `namespace` (unless empty).
    pub fn rules(&self, user: &UserInfo, namespace: &str) -> Vec<Rule> {
        let table = self.table();
        let granted = table.grants(user, namespace);
        let rules = granted.flat_map(|grant| grant.rules.iter().flat_map(|rules| rules.iter()));
        let mut seen = HashSet::new();
        rules.filter(|rule| seen.insert(*rule)).cloned().collect()
    }

    /// The roles that bindings grant to `user` and that are not there, as upstream tells them.
    pub fn missing(&self, user: &UserInfo, namespace: &str) -> Vec<String> {
        let table = self.table();
        let granted = table.grants(user, namespace);
        let mut missing: Vec<String> = granted
            .filter(|grant| grant.rules.is_none())
            .map(not_found)
            .collect();
        missing.sort();
        missing.dedup();
        missing
    }

    /// The rules of a role as a binding in `namespace` refers to it.
    pub fn role(&self, role: &RoleRef, namespace: &str) -> Option<Arc<[Rule]>> {
        self.table().role(role, namespace)
    }
}

/// What is told of a binding to a role that is not there.
fn not_found(grant: &Grant) -> String {
    let kind = if grant.role_kind == "Role" {
        "role"
    } else {
        "clusterrole"
    };
    format!(
        "{kind}.rbac.authorization.k8s.io {} not found",
        go_quote(&grant.role)
    )
}
