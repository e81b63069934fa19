//! All built-in kinds, in the order of upstream's discovery.

use std::sync::LazyLock;

use super::{Kind, apps, autoscaling, batch, core, extension, networking, rbac, reviews, single, storage};

static TABLE: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    let mut kinds = core::kinds();
    kinds.push(core::events());
    for group in [
        apps::kinds,
        autoscaling::kinds,
        batch::kinds,
        extension::kinds,
        networking::kinds,
        rbac::kinds,
        reviews::kinds,
        single::kinds,
        storage::kinds,
    ] {
        kinds.extend(group());
    }
    kinds.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.plural.cmp(&b.plural)));
    kinds
});

/// Groups in the order in which kube-apiserver lists them: its priorities decide which group a bare resource name
/// (`events`) means. Within a group, the preferred version comes first.
const GROUPS: &[&str] = &[
    "",
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "flowcontrol.apiserver.k8s.io",
];

fn rank(kind: &Kind) -> (usize, bool) {
    let group = GROUPS
        .iter()
        .position(|group| *group == kind.group)
        .unwrap_or(GROUPS.len());
    (group, kind.group == "autoscaling" && kind.version == "v1")
}

/// All built-in kinds; preferred versions of a group first.
pub fn builtin() -> &'static [Kind] {
    &TABLE
}

/// The built-in kind of a resource.
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
    builtin()
        .iter()
        .find(|kind| kind.group == group && kind.version == version && kind.plural == plural)
}
