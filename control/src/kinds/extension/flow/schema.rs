//! What a FlowSchema must say (`flowcontrol/validation.ValidateFlowSchema`).

use keelson_api::names;
use keelson_api::status::{FieldError, MOST_ERRORS};
use serde_json::{Value, json};

use super::is_other;
use crate::kinds::json::{int, is_true, items, text};

/// Precedences of schemas.
const PRECEDENCES: std::ops::RangeInclusive<i64> = 1..=10000;

/// Complaints about a FlowSchema.
pub(super) fn validate(schema: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let precedence = int(schema, "/spec/matchingPrecedence").unwrap_or(0);
    if precedence <= 0 {
        let detail = "must be a positive value";
        errors.push(FieldError::invalid("spec.matchingPrecedence", precedence, detail));
    } else if !PRECEDENCES.contains(&precedence) {
        let detail = format!("must not be greater than {}", PRECEDENCES.end());
        errors.push(FieldError::invalid(
            "spec.matchingPrecedence",
            precedence,
            &detail,
        ));
    }
    if precedence == 1 && text(schema, "/metadata/name") != "exempt" {
        let detail = "only the schema named 'exempt' may have matchingPrecedence 1";
        errors.push(FieldError::invalid("spec.matchingPrecedence", precedence, detail));
    }
    if let Some(method) = schema
        .pointer("/spec/distinguisherMethod")
        .filter(|one| one.is_object())
    {
        let kind = text(method, "/type");
        let allowed = ["ByNamespace", "ByUser"];
        if !allowed.contains(&kind) {
            let path = "spec.distinguisherMethod.type";
            errors.push(FieldError::not_supported(path, kind, &allowed));
        }
    }
    let level = text(schema, "/spec/priorityLevelConfiguration/name");
    let path = "spec.priorityLevelConfiguration.name";
    if level.is_empty() {
        errors.push(FieldError::required(path, "must reference a priority level"));
    } else {
        errors.extend(FieldError::complaints(
            path,
            level,
            names::dns1123_subdomain(level),
        ));
    }
    for (index, rule) in items(schema, "/spec/rules").iter().enumerate() {
        with_subjects(&format!("spec.rules[{index}]"), rule, &mut errors);
    }
    let name = text(schema, "/metadata/name");
    if let Some(fixed) = fixed(name)
        && is_other(&schema["spec"], &fixed)
    {
        let detail = format!("spec of '{name}' must equal the fixed value");
        errors.push(FieldError::invalid("spec", schema["spec"].clone(), &detail));
    }
    errors
}

/// What the schemas that every server has must say.
fn fixed(name: &str) -> Option<Value> {
    let groups = |names: &[&str]| -> Value {
        let subjects = names
            .iter()
            .map(|name| json!({"kind": "Group", "group": {"name": name}}));
        subjects.collect()
    };
    let rules = |subjects: Value| {
        json!([{
            "subjects": subjects,
            "resourceRules": [{
                "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": true,
            }],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        }])
    };
    match name {
        "exempt" => Some(json!({
            "priorityLevelConfiguration": {"name": "exempt"},
            "matchingPrecedence": 1,
            "rules": rules(groups(&["system:masters"])),
        })),
        "catch-all" => Some(json!({
            "priorityLevelConfiguration": {"name": "catch-all"},
            "matchingPrecedence": 10000,
            "distinguisherMethod": {"type": "ByUser"},
            "rules": rules(groups(&["system:unauthenticated", "system:authenticated"])),
        })),
        _ => None,
    }
}

fn with_subjects(path: &str, rule: &Value, errors: &mut Vec<FieldError>) {
    let subjects = items(rule, "/subjects");
    if subjects.is_empty() {
        let detail = "subjects must contain at least one value";
        errors.push(FieldError::required(format!("{path}.subjects"), detail));
    }
    for (index, one) in subjects.iter().enumerate() {
        if errors.len() > MOST_ERRORS {
            break;
        }
        subject(&format!("{path}.subjects[{index}]"), one, errors);
    }
    let (resources, urls) = (items(rule, "/resourceRules"), items(rule, "/nonResourceRules"));
    if resources.is_empty() && urls.is_empty() {
        let detail = "at least one of resourceRules and nonResourceRules has to be non-empty";
        errors.push(FieldError::required(path, detail));
    }
    for (index, rule) in resources.iter().enumerate() {
        if errors.len() > MOST_ERRORS {
            break;
        }
        resource_rule(&format!("{path}.resourceRules[{index}]"), rule, errors);
    }
    for (index, rule) in urls.iter().enumerate() {
        if errors.len() > MOST_ERRORS {
            break;
        }
        let path = format!("{path}.nonResourceRules[{index}]");
        verbs(&path, rule, errors);
        if any_of(
            (&path, "nonResourceURLs", "non-resource URLs"),
            rule,
            "nonResourceURLs must contain at least one value",
            errors,
        ) {
            for (index, url) in items(rule, "/nonResourceURLs").iter().enumerate() {
                if errors.len() > MOST_ERRORS {
                    break;
                }
                let url = url.as_str().unwrap_or_default();
                if let Some(complaint) = url_path(url) {
                    let path = format!("{path}.nonResourceURLs[{index}]");
                    errors.push(FieldError::invalid(path, url, complaint));
                }
            }
        }
    }
}

/// A subject has the part that its kind names, and no other.
fn subject(path: &str, subject: &Value, errors: &mut Vec<FieldError>) {
    const PARTS: [(&str, &str); 3] = [
        ("ServiceAccount", "serviceAccount"),
        ("User", "user"),
        ("Group", "group"),
    ];
    let kind = text(subject, "/kind");
    let Some((_, own)) = PARTS.iter().find(|(name, _)| *name == kind) else {
        let allowed = ["Group", "ServiceAccount", "User"];
        errors.push(FieldError::not_supported(format!("{path}.kind"), kind, &allowed));
        return;
    };
    let (part, at) = (&subject[*own], format!("{path}.{own}"));
    if part.is_object() {
        named(&at, kind, part, errors);
    } else {
        let detail = format!("{own} is required when subject kind is '{kind}'");
        errors.push(FieldError::required(at, &detail));
    }
    for (other, part) in PARTS.iter().filter(|(_, part)| part != own) {
        if subject[*part].is_object() {
            let detail = format!("{part} is forbidden when subject kind is not '{other}'");
            errors.push(FieldError::forbidden(format!("{path}.{part}"), &detail));
        }
    }
}

/// The part of a subject: whom it names.
fn named(path: &str, kind: &str, part: &Value, errors: &mut Vec<FieldError>) {
    let name = text(part, "/name");
    if name.is_empty() {
        errors.push(FieldError::required(format!("{path}.name"), ""));
    } else if kind == "ServiceAccount" && name != "*" {
        errors.extend(FieldError::complaints(
            format_args!("{path}.name"),
            name,
            names::dns1123_subdomain(name),
        ));
    }
    if kind == "ServiceAccount" {
        let (namespace, at) = (text(part, "/namespace"), format!("{path}.namespace"));
        if namespace.is_empty() {
            errors.push(FieldError::required(
                at,
                "must specify namespace for service account",
            ));
        } else {
            errors.extend(FieldError::complaints(
                at,
                namespace,
                names::dns1123_label(namespace),
            ));
        }
    }
}

fn resource_rule(path: &str, rule: &Value, errors: &mut Vec<FieldError>) {
    verbs(path, rule, errors);
    any_of(
        (path, "apiGroups", "api groups"),
        rule,
        "resource rules must supply at least one api group",
        errors,
    );
    any_of(
        (path, "resources", "resources"),
        rule,
        "resource rules must supply at least one resource",
        errors,
    );
    let namespaces = items(rule, "/namespaces");
    if namespaces.is_empty() && is_true(rule, "/clusterScope") {
        return;
    }
    if any_of(
        (path, "namespaces", "namespaces"),
        rule,
        "resource rules that are not cluster scoped must supply at least one namespace",
        errors,
    ) {
        for (index, namespace) in namespaces.iter().enumerate() {
            if errors.len() > MOST_ERRORS {
                break;
            }
            let namespace = namespace.as_str().unwrap_or_default();
            for complaint in names::dns1123_label(namespace) {
                let detail = format!("each member of this list must be '*' or a DNS-1123 label; {complaint}");
                let path = format!("{path}.namespaces[{index}]");
                errors.push(FieldError::invalid(path, namespace, &detail));
            }
        }
    }
}

fn verbs(path: &str, rule: &Value, errors: &mut Vec<FieldError>) {
    const KNOWN: [&str; 9] = [
        "create",
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "proxy",
        "update",
        "watch",
    ];
    let known = |verb: &Value| verb.as_str().is_some_and(|verb| KNOWN.contains(&verb));
    let verbs = items(rule, "/verbs");
    let listed = any_of(
        (path, "verbs", "verbs"),
        rule,
        "verbs must contain at least one value",
        errors,
    );
    if listed && !verbs.iter().all(known) {
        errors.push(FieldError::not_supported(
            format!("{path}.verbs"),
            Value::from(verbs.to_vec()),
            &KNOWN,
        ));
    }
}

/// Whether a list says one by one what it covers; it must cover something, and what covers all stands alone.
fn any_of(
    (path, field, others): (&str, &str, &str),
    rule: &Value,
    required: &str,
    errors: &mut Vec<FieldError>,
) -> bool {
    let list = items(rule, &format!("/{field}"));
    let path = format!("{path}.{field}");
    if list.is_empty() {
        errors.push(FieldError::required(path, required));
        return false;
    }
    if !list.iter().any(|one| one == "*") {
        return true;
    }
    if list.len() > 1 {
        let detail = format!("if '*' is present, must not specify other {others}");
        errors.push(FieldError::invalid(path, Value::from(list.to_vec()), &detail));
    }
    false
}

fn url_path(path: &str) -> Option<&'static str> {
    if path.is_empty() {
        return Some("must not be empty");
    }
    if !path.starts_with('/') {
        return Some("must start with slash");
    }
    if path.contains(' ') {
        return Some("must not contain white-space");
    }
    if path.contains("//") {
        return Some("must not contain double slash");
    }
    let wildcards = path.matches('*').count();
    (wildcards > 1 || (wildcards == 1 && !path.ends_with("/*")))
        .then_some("wildcard can only do suffix matching")
}
