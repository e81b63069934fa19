//! ResourceQuotas.

use std::collections::BTreeSet;

use keelson_api::names::{self, IMMUTABLE};
use keelson_api::quantity::Quantity;
use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{entries, items, object_or_new, text};
use crate::kinds::{Kind, Strategy, cells, go, resource_names, update};

const QUOTA: &[ColumnDef] = &[
    NAME,
    (
        "Request",
        "string",
        0,
        "Request represents a minimum amount of cpu/memory that a container may consume.",
    ),
    (
        "Limit",
        "string",
        0,
        "Limits control the maximum amount of cpu/memory that a container may use.",
    ),
    AGE,
];

/// Objects that are counted under a short name.
const COUNTS: [&str; 9] = [
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];
/// What pods compute with.
const COMPUTE: [&str; 6] = [
    "cpu",
    "limits.cpu",
    "limits.memory",
    "memory",
    "requests.cpu",
    "requests.memory",
];
/// What else has a short name.
const STORAGE: [&str; 4] = [
    "ephemeral-storage",
    "limits.ephemeral-storage",
    "requests.ephemeral-storage",
    "requests.storage",
];
/// Scopes that are either so or not so.
const PLAIN_SCOPES: [&str; 5] = [
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "Terminating",
];

pub(super) fn kind() -> Kind {
    describe::kind("v1", "ResourceQuota", "resourcequotas", QUOTA, Quota)
        .short(&["quota"])
        .status()
        .done()
}

#[derive(Debug)]
struct Quota;

impl Strategy for Quota {
    fn default(&self, object: &mut Value) {
        if let Some(map) = object.as_object_mut() {
            object_or_new(map, "status");
        }
    }

    fn prepare_create(&self, new: &mut Value) {
        update::clear_status(new);
        self.default(new);
    }

    fn prepare_update(&self, subresource: Option<&str>, old: &Value, new: &mut Value) {
        update::without_generation(subresource, old, new);
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = amounts(object, "/spec/hard", "spec.hard");
        scopes(object, &mut errors);
        selector(object, &mut errors);
        errors
    }

    fn validate_update(&self, subresource: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
        if subresource == Some("status") {
            let mut errors = amounts(new, "/status/hard", "status.hard");
            errors.extend(amounts(new, "/status/used", "status.used"));
            return errors;
        }
        let mut errors = self.validate_create(new);
        let set =
            |quota: &Value| -> BTreeSet<String> { names_of(quota).into_iter().map(str::to_owned).collect() };
        if set(old) != set(new) {
            errors.push(FieldError::invalid("spec.scopes", shown(new), IMMUTABLE));
        }
        errors
    }

    fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        quota_row(object, now)
    }
}

fn names_of(quota: &Value) -> Vec<&str> {
    items(quota, "/spec/scopes")
        .iter()
        .filter_map(Value::as_str)
        .collect()
}

fn shown(quota: &Value) -> Value {
    quota
        .pointer("/spec/scopes")
        .cloned()
        .unwrap_or_else(|| Value::Array(Vec::new()))
}

fn is_standard(resource: &str) -> bool {
    COUNTS.contains(&resource)
        || COMPUTE.contains(&resource)
        || STORAGE.contains(&resource)
        || resource.starts_with("hugepages-")
        || resource.starts_with("requests.hugepages-")
}

/// Whether there are only whole ones of it (`IsIntegerResourceName`): what is named with a domain, such as `count/pods`, is
/// an extended resource, and of what upstream names itself the counts of objects are.
fn is_counted(resource: &str) -> bool {
    let is_native = resource_names::is_native(resource) || resource.starts_with("requests.");
    COUNTS.contains(&resource) || !is_native
}

/// Complaints about an amount: nothing less than nothing, and whole ones of what is counted. Another check complains of what
/// is no amount.
pub(super) fn check_amount(errors: &mut Vec<FieldError>, resource: &str, amount: &Value, path: &str) {
    let Ok(amount) = Quantity::from_json(amount) else {
        return;
    };
    if amount.is_negative() {
        let detail = names::NON_NEGATIVE;
        errors.push(FieldError::invalid(path, amount.to_string(), detail));
    }
    if is_counted(resource) && !amount.is_whole() {
        errors.push(FieldError::invalid(
            path,
            amount.to_string(),
            "must be an integer",
        ));
    }
}

/// Names and amounts of resources.
fn amounts(quota: &Value, pointer: &str, field: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (resource, amount) in entries(quota, pointer) {
        let path = format!("{field}[{resource}]");
        resource_names::check(&mut errors, resource, &path);
        if !resource.contains('/') && !is_standard(resource) {
            let detail = "must be a standard resource for quota";
            errors.push(FieldError::invalid(path.as_str(), resource.as_str(), detail));
        }
        check_amount(&mut errors, resource, amount, &path);
    }
    errors
}

/// Whether a scope, which is about pods, means anything for a resource.
fn applies(scope: &str, resource: &str) -> bool {
    resource == "pods" || (scope != "BestEffort" && COMPUTE.contains(&resource))
}

fn is_scope(scope: &str) -> bool {
    scope == "PriorityClass" || PLAIN_SCOPES.contains(&scope)
}

/// Whether a quota limits something that a scope is not about.
fn misapplied(quota: &Value, scope: &str) -> bool {
    entries(quota, "/spec/hard").any(|(resource, _)| is_standard(resource) && !applies(scope, resource))
}

fn scopes(quota: &Value, errors: &mut Vec<FieldError>) {
    let names = names_of(quota);
    let mut complain = |detail: &str| errors.push(FieldError::invalid("spec.scopes", shown(quota), detail));
    for scope in &names {
        if !is_scope(scope) {
            complain("unsupported scope");
        }
        if misapplied(quota, scope) {
            complain("unsupported scope applied to resource");
        }
    }
    conflicts(quota, &names, "spec.scopes", errors);
}

/// Scopes of which no pod has both.
fn conflicts(quota: &Value, names: &[&str], field: &str, errors: &mut Vec<FieldError>) {
    for pair in [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]] {
        if pair.iter().all(|scope| names.contains(scope)) {
            // Upstream shows the list of scopes in both cases.
            errors.push(FieldError::invalid(field, shown(quota), "conflicting scopes"));
        }
    }
}

fn selector(quota: &Value, errors: &mut Vec<FieldError>) {
    let field = "spec.scopeSelector.matchExpressions";
    for requirement in items(quota, "/spec/scopeSelector/matchExpressions") {
        let (scope, operator) = (text(requirement, "/scopeName"), text(requirement, "/operator"));
        if !is_scope(scope) {
            errors.push(FieldError::invalid(
                format!("{field}.scopeName"),
                scope,
                "unsupported scope",
            ));
        }
        if misapplied(quota, scope) {
            let all = quota.pointer("/spec/scopeSelector").cloned().unwrap_or_default();
            errors.push(FieldError::invalid(
                field,
                all,
                "unsupported scope applied to resource",
            ));
        }
        if PLAIN_SCOPES.contains(&scope) && operator != "Exists" {
            errors.push(FieldError::invalid(
                format!("{field}.operator"),
                operator,
                "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, \
                 ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or \
                 ResourceQuotaScopeCrossNamespacePodAffinity",
            ));
        }
        let values = items(requirement, "/values");
        match operator {
            "In" | "NotIn" if values.is_empty() => errors.push(FieldError::required(
                format!("{field}.values"),
                "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
            )),
            "Exists" | "DoesNotExist" if !values.is_empty() => errors.push(FieldError::invalid_shown(
                format!("{field}.values"),
                &go::list("string", values),
                "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
            )),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => errors.push(FieldError::invalid(
                format!("{field}.operator"),
                operator,
                "not a valid selector operator",
            )),
        }
    }
    let requirements = items(quota, "/spec/scopeSelector/matchExpressions").iter();
    let names: Vec<&str> = requirements
        .map(|requirement| text(requirement, "/scopeName"))
        .collect();
    conflicts(quota, &names, field, errors);
}

fn quota_row(quota: &Value, now: i64) -> Vec<Value> {
    let show = |limits: bool| {
        let shown: Vec<String> = entries(quota, "/status/hard")
            .filter(|(resource, _)| resource.starts_with("limits.") == limits)
            .map(|(resource, hard)| {
                let used = quota.pointer("/status/used").and_then(|used| used.get(resource));
                let plain = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("0").to_owned();
                format!("{resource}: {}/{}", plain(used), plain(Some(hard)))
            })
            .collect();
        Value::from(shown.join(", "))
    };
    vec![
        cells::name(quota),
        show(false),
        show(true),
        cells::age(quota, now),
    ]
}
