//! What objects may be called: as their kind demands, and so that the name can stand in a path.

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

use super::Kind;
use super::json::text;

type Rule = fn(&str) -> names::Complaints;

/// How the names of a kind look; none if its own rules say it, or if it has no rule.
fn rule(kind: &Kind) -> Option<Rule> {
    Some(match (kind.group.as_ref(), kind.plural.as_ref()) {
        ("", "namespaces") => names::dns1123_label,
        ("", "services") => names::dns1035_label,
        // Named after what they are: an APIService ends in the (empty) core group.
        ("rbac.authorization.k8s.io" | "apiregistration.k8s.io", _) => names::path_segment,
        // Addresses are checked as such. The others are not restricted upstream either: requests are called after whom
        // they are for, old events after anything, and nobody looks at the names of budgets.
        ("networking.k8s.io", "ipaddresses")
        | ("certificates.k8s.io", "certificatesigningrequests")
        | ("" | "events.k8s.io", "events")
        | ("policy", "poddisruptionbudgets") => return None,
        _ => names::dns1123_subdomain,
    })
}

/// Complaints about the names of a new object, by the rule of its kind.
pub(super) fn check_new(errors: &mut Vec<FieldError>, kind: &Kind, object: &Value) {
    match rule(kind) {
        Some(rule) => check(errors, object, rule),
        None => check(errors, object, |_| Vec::new()),
    }
}

/// Complaints about the names of a new object that cannot stand in a path.
pub(super) fn check_path(errors: &mut Vec<FieldError>, object: &Value) {
    check(errors, object, names::path_segment);
}

/// Complaints about the names of an object that is changed. What its name begins with can change, and is checked again
/// where the validation of an update is that of a new object, and more.
pub(super) fn check_changed(errors: &mut Vec<FieldError>, kind: &Kind, part: Option<&str>, object: &Value) {
    check_path(errors, object);
    if part.is_some() || !is_checked_whole(kind) {
        return;
    }
    let mut own = Vec::new();
    check_new(&mut own, kind, object);
    own.retain(|error| !errors.contains(error));
    errors.extend(own);
}

fn is_checked_whole(kind: &Kind) -> bool {
    kind.custom.is_none()
        && !matches!(
            (kind.group.as_ref(), kind.plural.as_ref()),
            ("", "podtemplates")
                | ("apps", "deployments")
                | ("apiextensions.k8s.io" | "autoscaling", _)
                | ("batch", "cronjobs")
                | ("coordination.k8s.io", "leases")
                | ("networking.k8s.io", "ingresses" | "servicecidrs")
                | ("scheduling.k8s.io", "priorityclasses")
                | ("storage.k8s.io", "csidrivers")
        )
}

fn check(errors: &mut Vec<FieldError>, object: &Value, rule: Rule) {
    let (name, prefix) = (
        text(object, "/metadata/name"),
        text(object, "/metadata/generateName"),
    );
    if !prefix.is_empty() {
        // Something will follow: the prefix may end in a dash, or be a dot.
        let followed = format!("{}a", prefix.strip_suffix('-').unwrap_or(prefix));
        errors.extend(FieldError::complaints(
            "metadata.generateName",
            prefix,
            rule(&followed),
        ));
    }
    if name.is_empty() {
        errors.push(FieldError::required(
            "metadata.name",
            "name or generateName is required",
        ));
    } else {
        errors.extend(FieldError::complaints("metadata.name", name, rule(name)));
    }
}
