//! Which names of a definition are accepted, and its conditions (`apiextensions/controller/status.NamingConditionController`
//! and `establish`). Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use keelson_api::status::go_quote;
use keelson_api::time;
use serde_json::{Value, json};

use crate::kinds;
use crate::kinds::approval::{self, Approval};

/// A condition, but for its time.
#[derive(Debug, Clone, Copy)]
pub struct Condition<'a> {
    /// Type.
    pub kind: &'a str,
    /// `True` or `False`.
    pub status: &'a str,
    /// Reason.
    pub reason: &'a str,
    /// Message.
    pub message: &'a str,
}

/// Whether a definition is served.
pub fn is_established(definition: &Value) -> bool {
    is_true(&definition["status"]["conditions"], "Established")
}

fn is_true(conditions: &Value, kind: &str) -> bool {
    let mut all = conditions.as_array().into_iter().flatten();
    all.any(|one| one["type"] == kind && one["status"] == "True")
}

/// The conditions with this one in them; `None` if it is there already.
pub fn with(conditions: &Value, new: &Condition<'_>) -> Option<Value> {
    let mut all = conditions.as_array().cloned().unwrap_or_default();
    let old = all.iter_mut().find(|one| one["type"] == new.kind);
    let mut made = json!({
        "type": new.kind, "status": new.status, "lastTransitionTime": time::now_rfc3339(), "reason": new.reason,
        "message": new.message,
    });
    match old {
        Some(old)
            if old["status"] == new.status
                && old["reason"] == new.reason
                && old["message"] == new.message =>
        {
            return None;
        }
        Some(old) => {
            if old["status"] == new.status {
                made["lastTransitionTime"] = old["lastTransitionTime"].clone();
            }
            *old = made;
        }
        None => all.push(made),
    }
    Some(all.into())
}

/// The names that other definitions and built-in kinds of the same group have: resources and short names, and kinds.
fn taken(definition: &Value, all: &[Arc<Value>]) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut resources, mut kinds) = (BTreeSet::new(), BTreeSet::new());
    let group = definition["spec"]["group"].as_str().unwrap_or_default();
    let others = all.iter().filter(|other| {
        other["spec"]["group"] == group && other["metadata"]["name"] != definition["metadata"]["name"]
    });
    for other in others {
        let names = &other["status"]["acceptedNames"];
        for field in ["plural", "singular"] {
            resources.extend(names[field].as_str().map(str::to_owned));
        }
        let short = names["shortNames"].as_array().into_iter().flatten();
        resources.extend(short.filter_map(Value::as_str).map(str::to_owned));
        for field in ["kind", "listKind"] {
            kinds.extend(names[field].as_str().map(str::to_owned));
        }
    }
    for kind in kinds::builtin().iter().filter(|kind| kind.group == group) {
        resources.extend([kind.plural.to_string(), kind.singular.to_string()]);
        resources.extend(kind.short_names.iter().map(ToString::to_string));
        kinds.extend([kind.kind.to_string(), format!("{}List", kind.kind)]);
    }
    // Empty is no name.
    resources.remove("");
    kinds.remove("");
    (resources, kinds)
}

/// The status that a definition should have (names and conditions), if it differs from the one it has.
pub fn decide(definition: &Value, all: &[Arc<Value>]) -> Option<Value> {
    let (resources, kinds) = taken(definition, all);
    let (wanted, status) = (&definition["spec"]["names"], &definition["status"]);
    let mut accepted = status["acceptedNames"].clone();
    if !accepted.is_object() {
        accepted = json!({});
    }
    let mut conflict: Option<(&str, String)> = None;
    let mut found = |reason, name: &str| {
        if conflict.is_none() {
            conflict = Some((reason, format!("{} is already in use", go_quote(name))));
        }
    };
    for (field, taken, reason) in [
        ("plural", &resources, "PluralConflict"),
        ("singular", &resources, "SingularConflict"),
        ("kind", &kinds, "KindConflict"),
        ("listKind", &kinds, "ListKindConflict"),
    ] {
        match wanted[field].as_str() {
            Some(name) if taken.contains(name) => found(reason, name),
            _ => copy(&mut accepted, wanted, field),
        }
    }
    let short = wanted["shortNames"].as_array().into_iter().flatten();
    let used: Vec<&str> = short
        .filter_map(Value::as_str)
        .filter(|name| resources.contains(*name))
        .collect();
    match used.first() {
        Some(name) => found("ShortNamesConflict", name),
        None => copy(&mut accepted, wanted, "shortNames"),
    }
    copy(&mut accepted, wanted, "categories");

    let names = match &conflict {
        None => Condition {
            kind: "NamesAccepted",
            status: "True",
            reason: "NoConflicts",
            message: "no conflicts found",
        },
        Some((reason, message)) => Condition {
            kind: "NamesAccepted",
            status: "False",
            reason,
            message,
        },
    };
    let before = &status["conditions"];
    let mut conditions = before.clone();
    if let Some((approval, message)) = approval::of(definition)
        && let Some(all) = with(&conditions, &conformant(approval, &message))
    {
        conditions = all;
    }
    if let Some(all) = with(&conditions, &names) {
        conditions = all;
    }
    // Once established, it stays: a later conflict only keeps new names from being accepted.
    if !is_true(&conditions, "Established") {
        let established = if conflict.is_none() {
            Condition {
                kind: "Established",
                status: "True",
                reason: "InitialNamesAccepted",
                message: "the initial names have been accepted",
            }
        } else {
            Condition {
                kind: "Established",
                status: "False",
                reason: "NotAccepted",
                message: "not all names are accepted",
            }
        };
        if let Some(all) = with(&conditions, &established) {
            conditions = all;
        }
    }
    let same = accepted == status["acceptedNames"] && conditions == *before;
    (!same).then(|| json!({"acceptedNames": accepted, "conditions": conditions}))
}

/// Whether a definition in a group of the Kubernetes community was approved.
fn conformant(approval: Approval, message: &str) -> Condition<'_> {
    let (status, reason) = match approval {
        Approval::Invalid => ("False", "InvalidAnnotation"),
        Approval::Missing => ("False", "MissingAnnotation"),
        Approval::Bypassed => ("False", "UnapprovedAnnotation"),
        Approval::Approved => ("True", "ApprovedAnnotation"),
    };
    Condition {
        kind: "KubernetesAPIApprovalPolicyConformant",
        status,
        reason,
        message,
    }
}

fn copy(accepted: &mut Value, wanted: &Value, field: &str) {
    let Some(accepted) = accepted.as_object_mut() else {
        return;
    };
    match wanted.get(field).filter(|value| !value.is_null()) {
        Some(value) => drop(accepted.insert(field.to_owned(), value.clone())),
        None => drop(accepted.remove(field)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(plural: &str, kind: &str, short: &str) -> Value {
        let names = json!({"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List"),
            "shortNames": [short]});
        json!({"metadata": {"name": format!("{plural}.example.com")}, "spec": {"group": "example.com", "names": names},
            "status": {}})
    }

    fn decided(definition: &Value, others: &[&Value]) -> Option<Value> {
        let all: Vec<Arc<Value>> = others.iter().map(|other| Arc::new(Value::clone(other))).collect();
        decide(definition, &all)
    }

    fn said(status: &Value) -> Vec<String> {
        let all = status["conditions"].as_array().unwrap().iter();
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        all.map(|one| {
            format!(
                "{}={} {}: {}",
                word(&one["type"]),
                word(&one["status"]),
                word(&one["reason"]),
                word(&one["message"])
            )
        })
        .collect()
    }

    #[test]
    fn approval_is_told_in_the_communitys_groups() {
        let mut one = definition("foos", "Foo", "f");
        one["spec"]["group"] = "example.k8s.io".into();
        for (annotation, told) in [
            (
                "https://a.b/c",
                "KubernetesAPIApprovalPolicyConformant=True ApprovedAnnotation: approved in https://a.b/c",
            ),
            (
                "unapproved, a test",
                "KubernetesAPIApprovalPolicyConformant=False UnapprovedAnnotation: not approved: \"unapproved, a test\"",
            ),
        ] {
            one["metadata"]["annotations"] = json!({approval::ANNOTATION: annotation});
            one["status"] = decided(&one, &[&one]).unwrap();
            assert_eq!(said(&one["status"])[0], told);
            assert_eq!(said(&one["status"]).len(), 3);
            assert_eq!(decided(&one, &[&one]), None, "settled");
        }
    }

    #[test]
    fn names_are_accepted_once() {
        let mut first = definition("foos", "Foo", "f");
        let status = decided(&first, &[&first]).unwrap();
        assert_eq!(status["acceptedNames"]["plural"], "foos");
        assert_eq!(
            said(&status),
            [
                "NamesAccepted=True NoConflicts: no conflicts found",
                "Established=True InitialNamesAccepted: the initial names have been accepted",
            ]
        );
        first["status"] = status;
        assert_eq!(decided(&first, &[&first]), None, "settled");
        let second = definition("bars", "Bar", "f");
        let status = decided(&second, &[&first, &second]).unwrap();
        assert_eq!(
            said(&status),
            [
                "NamesAccepted=False ShortNamesConflict: \"f\" is already in use",
                "Established=False NotAccepted: not all names are accepted",
            ]
        );
        assert_eq!(status["acceptedNames"]["plural"], "bars");
        assert!(status["acceptedNames"]["shortNames"].is_null());
        // An established one that wants a taken name goes on with the names that it has.
        let mut third = definition("bazs", "Baz", "b");
        third["status"] = decided(&third, &[&first, &third]).unwrap();
        third["spec"]["names"]["shortNames"] = json!(["f"]);
        let status = decided(&third, &[&first, &third]).unwrap();
        assert_eq!(status["acceptedNames"]["shortNames"], json!(["b"]));
        assert_eq!(
            said(&status),
            [
                "NamesAccepted=False ShortNamesConflict: \"f\" is already in use",
                "Established=True InitialNamesAccepted: the initial names have been accepted",
            ]
        );
    }
}
