//! On which terms objects are taken: whether PUT must say which version it replaces, whether what is not there is made, and
//! whether new ones need a name (`AllowUnconditionalUpdate` and `AllowCreateOnUpdate` of upstream's strategies). Pure.

use crate::kinds::Kind;

/// Groups and resources that are only replaced in a version that is named.
const VERSIONED: [(&str, &str); 13] = [
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
    (
        "admissionregistration.k8s.io",
        "validatingadmissionpolicybindings",
    ),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
    ("apiextensions.k8s.io", "customresourcedefinitions"),
    ("apiregistration.k8s.io", "apiservices"),
    ("coordination.k8s.io", "leases"),
    ("node.k8s.io", "runtimeclasses"),
    ("policy", "poddisruptionbudgets"),
    ("storage.k8s.io", "csidrivers"),
    ("storage.k8s.io", "csinodes"),
    ("storage.k8s.io", "csistoragecapacities"),
    ("storage.k8s.io", "volumeattachments"),
];

/// Groups and resources that a PUT may create.
const CREATED: [(&str, &str); 11] = [
    ("", "endpoints"),
    ("", "events"),
    ("", "limitranges"),
    ("", "services"),
    ("coordination.k8s.io", "leases"),
    ("events.k8s.io", "events"),
    ("node.k8s.io", "runtimeclasses"),
    ("rbac.authorization.k8s.io", "clusterrolebindings"),
    ("rbac.authorization.k8s.io", "clusterroles"),
    ("rbac.authorization.k8s.io", "rolebindings"),
    ("rbac.authorization.k8s.io", "roles"),
];

fn is_among(kind: &Kind, list: &[(&str, &str)]) -> bool {
    list.iter()
        .any(|(group, plural)| kind.group == *group && kind.plural == *plural)
}

/// Whether an update must name the resourceVersion that it replaces. Custom resources always do.
pub fn needs_version(kind: &Kind) -> bool {
    kind.custom.is_some() || is_among(kind, &VERSIONED)
}

/// Whether an update of what is not there creates it.
pub fn creates(kind: &Kind) -> bool {
    kind.custom.is_none() && is_among(kind, &CREATED)
}

/// Whether a new object without a name gets one: upstream does this for LimitRanges.
pub fn names_itself(kind: &Kind) -> bool {
    is_among(kind, &[("", "limitranges")])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::find;

    #[test]
    fn every_name_is_that_of_a_kind() {
        for (group, plural) in VERSIONED.iter().chain(&CREATED) {
            assert!(find(group, "v1", plural).is_some(), "{group}/{plural}");
        }
        let kind = |group, plural| find(group, "v1", plural).unwrap();
        assert!(needs_version(kind("policy", "poddisruptionbudgets")));
        assert!(!needs_version(kind("", "configmaps")) && !creates(kind("", "configmaps")));
        assert!(creates(kind("", "services")));
    }
}
