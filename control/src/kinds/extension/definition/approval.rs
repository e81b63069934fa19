//! Definitions in groups of the Kubernetes community say who has approved them (`apihelpers.GetAPIApprovalState`).

use keelson_api::status::{FieldError, go_quote};
use serde_json::Value;

use crate::kinds::json::text;

/// The annotation that says so.
pub const ANNOTATION: &str = "api-approved.kubernetes.io";
const WHY: &str = "https://github.com/kubernetes/enhancements/pull/1111";

/// What a definition says of its approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// Something that cannot be understood.
    Invalid,
    /// Where it was approved.
    Approved,
    /// That it was not, and why it is made all the same.
    Bypassed,
    /// Nothing.
    Missing,
}

/// Whether a group belongs to the community.
fn is_protected(group: &str) -> bool {
    let within = |domain: &str| group.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    ["k8s.io", "kubernetes.io"]
        .iter()
        .any(|domain| group == *domain || within(domain))
}

/// What a definition says, in words too; `None` outside of the community's groups.
pub fn of(definition: &Value) -> Option<(Approval, String)> {
    if !is_protected(text(definition, "/spec/group")) {
        return None;
    }
    let said = definition["metadata"]["annotations"][ANNOTATION]
        .as_str()
        .unwrap_or_default();
    let needed = format!("protected groups must have approval annotation \"{ANNOTATION}\"");
    Some(if said.is_empty() {
        (Approval::Missing, format!("{needed}, see {WHY}"))
    } else if said.starts_with("unapproved") {
        (Approval::Bypassed, format!("not approved: {}", go_quote(said)))
    } else if is_url(said) {
        (Approval::Approved, format!("approved in {said}"))
    } else {
        let told = format!("{needed} with either a URL or a reason starting with \"unapproved\", see {WHY}");
        (Approval::Invalid, told)
    })
}

fn is_url(text: &str) -> bool {
    let url: Result<http::Uri, _> = text.parse();
    url.is_ok_and(|url| url.scheme().is_some() && url.host().is_some_and(|host| !host.is_empty()))
}

/// Complaints about a new definition, or about one whose approval is other than before.
pub(super) fn check(old: Option<&Value>, new: &Value) -> Option<FieldError> {
    let (approval, told) = of(new)?;
    if old.and_then(of).is_some_and(|(before, _)| before == approval) {
        return None;
    }
    let path = format!("metadata.annotations[{ANNOTATION}]");
    match approval {
        Approval::Invalid => {
            let said = new["metadata"]["annotations"][ANNOTATION].clone();
            Some(FieldError::invalid(path, said, &told))
        }
        Approval::Missing => Some(FieldError::required(path, &told)),
        Approval::Approved | Approval::Bypassed => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn definition(group: &str, said: &str) -> Value {
        json!({"metadata": {"annotations": {ANNOTATION: said}}, "spec": {"group": group}})
    }

    #[test]
    fn the_communitys_groups_need_an_approval() {
        let said = |said: &str| of(&definition("a.k8s.io", said)).unwrap().0;
        assert_eq!(said(""), Approval::Missing);
        assert_eq!(
            said("https://github.com/kubernetes/kubernetes/pull/78458"),
            Approval::Approved
        );
        assert_eq!(said("unapproved, experimental-only"), Approval::Bypassed);
        for wrong in ["yes", "/pull/1", "github.com/x", "https://", "see https://a.b"] {
            assert_eq!(said(wrong), Approval::Invalid, "{wrong}");
        }
        for other in ["example.com", "notk8s.io", "k8s.io.example.com"] {
            assert_eq!(of(&definition(other, "")), None, "{other}");
        }
        for own in ["k8s.io", "x.kubernetes.io"] {
            assert!(of(&definition(own, "")).is_some(), "{own}");
        }
    }

    #[test]
    fn what_was_accepted_may_stay() {
        let check = |old: Option<&str>, new: &str| {
            let old = old.map(|said| definition("a.k8s.io", said));
            check(old.as_ref(), &definition("a.k8s.io", new)).map(|error| error.to_string())
        };
        let path = "metadata.annotations[api-approved.kubernetes.io]";
        assert!(
            check(None, "")
                .unwrap()
                .starts_with(&format!("{path}: Required value: protected groups must"))
        );
        let told = check(None, "yes").unwrap();
        assert!(
            told.starts_with(&format!("{path}: Invalid value: \"yes\": protected groups must"))
                && told.contains("with either a URL or a reason starting with \"unapproved\""),
            "{told}"
        );
        for (old, new, good) in [
            (None, "unapproved", true),
            (Some("yes"), "no", true),
            (Some("unapproved"), "no", false),
            (Some(""), "", true),
            (Some("https://a.b/c"), "", false),
        ] {
            assert_eq!(check(old, new).is_none(), good, "{old:?} {new}");
        }
    }
}
