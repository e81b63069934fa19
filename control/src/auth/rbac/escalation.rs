//! Nobody may hand out rights that they do not have. Source: `pkg/registry/rbac` upstream, and "Privilege escalation
//! prevention and bootstrapping" in the documentation.

use std::collections::BTreeSet;

use keelson_api::status::{Status, go_quote};
use serde::Deserialize;
use serde_json::Value;

use super::rule::{Rule, compact, not_covered};
use super::table::Binding;
use crate::auth::{Attributes, Authorizer, MASTERS, UserInfo};

/// Most of what is not held that is told.
const MOST_TOLD: usize = 100;
const GROUP: &str = "rbac.authorization.k8s.io";

/// Refuses a create or update (`old` given) of a role or binding that would give away more than `user` holds.
/// `resource` is the plural; other resources pass.
pub fn check_escalation(
    authorizer: &Authorizer,
    user: &UserInfo,
    resource: &str,
    namespace: &str,
    name: &str,
    old: Option<&Value>,
    new: &Value,
) -> Result<(), Status> {
    if user.is_in(MASTERS) {
        return Ok(());
    }
    match resource {
        "roles" | "clusterroles" => role(authorizer, user, resource, namespace, name, old, new),
        "rolebindings" | "clusterrolebindings" => {
            binding(authorizer, user, resource, namespace, name, old, new)
        }
        _ => Ok(()),
    }
}

fn role(
    authorizer: &Authorizer,
    user: &UserInfo,
    resource: &str,
    namespace: &str,
    name: &str,
    old: Option<&Value>,
    new: &Value,
) -> Result<(), Status> {
    // As upstream, a change that leaves the rules alone is not checked again.
    if old.is_some_and(|old| old["rules"] == new["rules"] && old["aggregationRule"] == new["aggregationRule"])
    {
        return Ok(());
    }
    let may_escalate = Attributes {
        namespace,
        name,
        ..Attributes::resource(user, "escalate", GROUP, resource)
    };
    if authorizer.authorize(&may_escalate).is_allowed() {
        return Ok(());
    }
    let wanted =
        rules(new).ok_or_else(|| Status::bad_request(format!("{resource} {name:?}: malformed rules")))?;
    held(authorizer, user, resource, namespace, name, &wanted)?;
    // An aggregating role will hold whatever anybody labels for it: only who can do everything may make one.
    if !new["aggregationRule"].is_null() {
        held(authorizer, user, resource, namespace, name, &everything())?;
    }
    Ok(())
}

fn binding(
    authorizer: &Authorizer,
    user: &UserInfo,
    resource: &str,
    namespace: &str,
    name: &str,
    old: Option<&Value>,
    new: &Value,
) -> Result<(), Status> {
    if old.is_some_and(|old| old["roleRef"] == new["roleRef"] && old["subjects"] == new["subjects"]) {
        return Ok(());
    }
    let wanted = Binding::deserialize(new)
        .map_err(|error| Status::bad_request(format!("{resource} {name:?}: {error}")))?
        .role_ref;
    let role_resource = if wanted.kind == "Role" {
        "roles"
    } else {
        "clusterroles"
    };
    let may_bind = Attributes {
        namespace,
        name: &wanted.name,
        ..Attributes::resource(user, "bind", GROUP, role_resource)
    };
    if authorizer.authorize(&may_bind).is_allowed() {
        return Ok(());
    }
    let rules = authorizer
        .rbac()
        .role(&wanted, namespace)
        .ok_or_else(|| Status::not_found(GROUP, role_resource, &wanted.name))?;
    held(authorizer, user, resource, namespace, name, &rules)
}

fn held(
    authorizer: &Authorizer,
    user: &UserInfo,
    resource: &str,
    namespace: &str,
    name: &str,
    wanted: &[Rule],
) -> Result<(), Status> {
    let held = authorizer.rbac().rules(user, namespace);
    let missing: BTreeSet<Rule> = not_covered(&held, wanted).take(MOST_TOLD).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let groups: Vec<String> = user.groups.iter().map(|group| go_quote(group)).collect();
    let lines: Vec<String> = missing.iter().map(compact).collect();
    let why = format!(
        "user {} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
        go_quote(&user.name),
        groups.join(" "),
        lines.join("\n")
    );
    Err(Status::forbidden(GROUP, resource, name, &why))
}

fn rules(role: &Value) -> Option<Vec<Rule>> {
    Option::<Vec<Rule>>::deserialize(&role["rules"])
        .ok()
        .map(Option::unwrap_or_default)
}

fn everything() -> [Rule; 2] {
    let all = || vec!["*".to_owned()];
    [
        Rule {
            verbs: all(),
            api_groups: all(),
            resources: all(),
            ..Rule::default()
        },
        Rule {
            verbs: all(),
            non_resource_urls: all(),
            ..Rule::default()
        },
    ]
}
