//! What objects may be called: as their kind demands, and so that the name can stand in a path.

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

use super::Kind;
use super::json::text;

/// How names look.
#[derive(Clone, Copy)]
enum Rule {
    /// As a name of DNS does, say.
    Name(fn(&str) -> names::Complaints),
    /// As part of a path.
    Path,
}

impl Rule {
    fn complaints(self, name: &str) -> names::Complaints {
        match self {
            Self::Name(rule) => rule(name),
            Self::Path => names::path_segment(name),
        }
    }

    /// Complaints about what a name begins with.
    fn of_prefix(self, prefix: &str) -> names::Complaints {
        match self {
            Self::Name(rule) => rule(&without_dash(prefix)),
            // Something will follow: it may be a dot.
            Self::Path => names::path_segment(&format!("{prefix}a")),
        }
    }
}

/// A prefix whose dash at the end is no name's end (`maskTrailingDash`).
fn without_dash(prefix: &str) -> String {
    // What is no ASCII is no name, with or without its last byte.
    let start = prefix
        .strip_suffix('-')
        .filter(|start| start.ends_with(|last: char| last.is_ascii()));
    let Some(start) = start else {
        return prefix.to_owned();
    };
    let mut masked = start.to_owned();
    masked.pop();
    masked.push('a');
    masked
}

/// How the names of a kind look; none if its own rules say it, or if it has no rule.
fn rule(kind: &Kind) -> Option<Rule> {
    Some(match (kind.group.as_ref(), kind.plural.as_ref()) {
        ("", "namespaces") => Rule::Name(names::dns1123_label),
        ("", "services") => Rule::Name(names::dns1035_label),
        // Named after what they are: an APIService ends in the (empty) core group.
        ("rbac.authorization.k8s.io" | "apiregistration.k8s.io", _) => Rule::Path,
        // Addresses are checked as such. The others are not restricted upstream either: requests are called after whom
        // they are for, old events after anything, and nobody looks at the names of budgets.
        ("networking.k8s.io", "ipaddresses")
        | ("certificates.k8s.io", "certificatesigningrequests")
        | ("" | "events.k8s.io", "events")
        | ("policy", "poddisruptionbudgets") => return None,
        _ => Rule::Name(names::dns1123_subdomain),
    })
}

/// Complaints about the names of a new object, by the rule of its kind.
pub(super) fn check_new(errors: &mut Vec<FieldError>, kind: &Kind, object: &Value) {
    match rule(kind) {
        Some(rule) => check(errors, object, rule),
        None => check(errors, object, Rule::Name(|_| Vec::new())),
    }
}

/// Complaints about the names of a new object that cannot stand in a path.
pub(super) fn check_path(errors: &mut Vec<FieldError>, object: &Value) {
    check(errors, object, Rule::Path);
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
        errors.extend(FieldError::complaints(
            "metadata.generateName",
            prefix,
            rule.of_prefix(prefix),
        ));
    }
    if name.is_empty() {
        errors.push(FieldError::required(
            "metadata.name",
            "name or generateName is required",
        ));
    } else {
        errors.extend(FieldError::complaints(
            "metadata.name",
            name,
            rule.complaints(name),
        ));
    }
}

#[cfg(test)]
mod tests {
    use keelson_api::names;
    use serde_json::json;

    use super::*;

    #[test]
    fn prefixes_are_checked_as_upstream_checks_them() {
        let found = |rule: Rule, prefix: &str| {
            let mut errors = Vec::new();
            let object = json!({"metadata": {"name": "n", "generateName": prefix}});
            check(&mut errors, &object, rule);
            errors.len()
        };
        let name = Rule::Name(names::dns1123_subdomain);
        let long = "a".repeat(252);
        for good in [
            "a",
            "a-",
            "a.b-",
            &format!("{long}a"),
            &format!("{long}a-"),
            &format!("{long}-"),
        ] {
            assert_eq!(found(name, good), 0, "{good}");
        }
        for bad in ["-", "a.", "A", "é-", &format!("{long}aa"), &format!("{long}aaa-")] {
            assert_ne!(found(name, bad), 0, "{bad}");
        }
        assert_eq!(found(Rule::Path, "."), 0);
        assert_ne!(found(Rule::Path, "a/"), 0);
    }
}
