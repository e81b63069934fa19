//! Fields that wait for a feature gate which is off in 1.33 (`DropDisabledFields` of upstream's strategies).
//!
//! They are dropped without a word from what is new, and stay where they have been, so that an object that another version
//! has made can still be changed. The next version of Kubernetes is a change of the table.

use serde_json::Value;

use super::Kind;
use super::json::is_unset;

/// Names of all lists of containers in a path.
const CONTAINERS: [&str; 3] = ["containers[]", "initContainers[]", "ephemeralContainers[]"];

/// Where a gate has fields.
enum Where {
    /// In every spec of a pod, also in templates.
    PodSpecs,
    /// In every container of every spec of a pod.
    Containers,
    /// In the objects of a group and resource.
    Of(&'static str, &'static str),
}
use Where::{Containers, Of, PodSpecs};

/// Gate, where, and its fields there. `[]` stands for each item of a list; what ends in `?` goes with its last field.
/// An old object that uses one of the fields of a line keeps all of them.
const OFF: &[(&str, Where, &[&str])] = &[
    ("PodLevelResources", PodSpecs, &["resources"]),
    ("DynamicResourceAllocation", PodSpecs, &["resourceClaims"]),
    ("DynamicResourceAllocation", Containers, &["resources.claims"]),
    (
        "DynamicResourceAllocation",
        Of("", "pods"),
        &["status.resourceClaimStatuses"],
    ),
    ("ImageVolume", PodSpecs, &["volumes[].image"]),
    ("ContainerStopSignals", Containers, &["lifecycle?.stopSignal"]),
    (
        "ClusterTrustBundleProjection",
        PodSpecs,
        &["volumes[].projected.sources[].clusterTrustBundle"],
    ),
    (
        "VolumeAttributesClass",
        PodSpecs,
        &["volumes[].ephemeral.volumeClaimTemplate.spec.volumeAttributesClassName"],
    ),
    (
        "VolumeAttributesClass",
        Of("", "persistentvolumes"),
        &["spec.volumeAttributesClassName"],
    ),
    (
        "VolumeAttributesClass",
        Of("", "persistentvolumeclaims"),
        &["spec.volumeAttributesClassName"],
    ),
    (
        "VolumeAttributesClass",
        Of("", "persistentvolumeclaims"),
        &["status.currentVolumeAttributesClassName"],
    ),
    (
        "VolumeAttributesClass",
        Of("", "persistentvolumeclaims"),
        &["status.modifyVolumeStatus"],
    ),
    (
        "ResourceHealthStatus",
        Of("", "pods"),
        &[
            "status.containerStatuses[].allocatedResourcesStatus",
            "status.initContainerStatuses[].allocatedResourcesStatus",
            "status.ephemeralContainerStatuses[].allocatedResourcesStatus",
        ],
    ),
    (
        "PodObservedGenerationTracking",
        Of("", "pods"),
        &[
            "status.observedGeneration",
            "status.conditions[].observedGeneration",
        ],
    ),
    (
        "DeploymentReplicaSetTerminatingReplicas",
        Of("apps", "deployments"),
        &["status.terminatingReplicas"],
    ),
    (
        "DeploymentReplicaSetTerminatingReplicas",
        Of("apps", "replicasets"),
        &["status.terminatingReplicas"],
    ),
    (
        "MaxUnavailableStatefulSet",
        Of("apps", "statefulsets"),
        &["spec.updateStrategy.rollingUpdate.maxUnavailable"],
    ),
    (
        "HPAConfigurableTolerance",
        Of("autoscaling", "horizontalpodautoscalers"),
        &[
            "spec.behavior.scaleUp.tolerance",
            "spec.behavior.scaleDown.tolerance",
        ],
    ),
    // Whose feature is gone, with its gate.
    ("DynamicKubeletConfig", Of("", "nodes"), &["spec.configSource"]),
    ("DynamicKubeletConfig", Of("", "nodes"), &["status.config"]),
    (
        "CoordinatedLeaderElection",
        Of("coordination.k8s.io", "leases"),
        &["spec.strategy"],
    ),
    (
        "CoordinatedLeaderElection",
        Of("coordination.k8s.io", "leases"),
        &["spec.preferredHolder"],
    ),
    (
        "PreferSameTrafficDistribution",
        Of("discovery.k8s.io", "endpointslices"),
        &["endpoints[].hints.forNodes"],
    ),
    (
        "MutableCSINodeAllocatableCount",
        Of("storage.k8s.io", "csidrivers"),
        &["spec.nodeAllocatableUpdatePeriodSeconds"],
    ),
    (
        "MutableCSINodeAllocatableCount",
        Of("storage.k8s.io", "volumeattachments"),
        &["status.attachError.errorCode", "status.detachError.errorCode"],
    ),
];

/// Where objects of a kind have the spec of a pod.
fn pod_spec(kind: &Kind) -> Option<&'static str> {
    match (&*kind.group, &*kind.plural) {
        ("", "pods") => Some("/spec"),
        ("", "podtemplates") => Some("/template/spec"),
        ("", "replicationcontrollers")
        | ("apps", "daemonsets" | "deployments" | "replicasets" | "statefulsets")
        | ("batch", "jobs") => Some("/spec/template/spec"),
        ("batch", "cronjobs") => Some("/spec/jobTemplate/spec/template/spec"),
        _ => None,
    }
}

/// Drops the fields of gates that are off from `new`, but for those that `old` uses.
pub fn drop_disabled(kind: &Kind, old: Option<&Value>, new: &mut Value) {
    if kind.custom.is_some() {
        return;
    }
    let pod_spec = pod_spec(kind);
    for (_, place, paths) in OFF {
        let (root, lists) = match (place, pod_spec) {
            (PodSpecs, Some(root)) => (root, &[""][..]),
            (Containers, Some(root)) => (root, &CONTAINERS[..]),
            (Of(group, plural), _) if *group == kind.group && *plural == kind.plural => ("", &[""][..]),
            _ => continue,
        };
        let all = || {
            lists
                .iter()
                .flat_map(|list| paths.iter().map(move |path| (*list, *path)))
        };
        let old = old.and_then(|old| old.pointer(root));
        if old.is_some_and(|old| all().any(|(list, path)| uses_below(old, list, path))) {
            continue;
        }
        let Some(new) = new.pointer_mut(root) else {
            continue;
        };
        for (list, path) in all() {
            match list {
                "" => drop(new, path),
                list => each(new, list, &|item| drop(item, path)),
            }
        }
    }
}

/// Drops them from the spec of a pod, to compare it with one that came later.
pub fn drop_from_pod_spec(spec: &mut Value) {
    for (_, place, paths) in OFF {
        let lists = match place {
            PodSpecs => &[""][..],
            Containers => &CONTAINERS[..],
            Of(..) => continue,
        };
        for (list, path) in lists
            .iter()
            .flat_map(|list| paths.iter().map(move |path| (*list, *path)))
        {
            match list {
                "" => drop(spec, path),
                list => each(spec, list, &|item| drop(item, path)),
            }
        }
    }
}

fn uses_below(value: &Value, list: &str, path: &str) -> bool {
    let Some(name) = list.strip_suffix("[]") else {
        return uses(value, path);
    };
    let items = value.get(name).and_then(Value::as_array);
    items.into_iter().flatten().any(|item| uses(item, path))
}

fn uses(value: &Value, path: &str) -> bool {
    let Some((part, rest)) = path.split_once('.') else {
        return !is_unset(value.get(path));
    };
    if part.ends_with("[]") {
        return uses_below(value, part, rest);
    }
    value
        .get(part.trim_end_matches('?'))
        .is_some_and(|inside| uses(inside, rest))
}

fn drop(value: &mut Value, path: &str) {
    let Some((part, rest)) = path.split_once('.') else {
        if let Some(map) = value.as_object_mut() {
            map.remove(path);
        }
        return;
    };
    if part.ends_with("[]") {
        each(value, part, &|item| drop(item, rest));
        return;
    }
    let name = part.trim_end_matches('?');
    let Some(inside) = value.get_mut(name) else {
        return;
    };
    let used = uses(inside, rest);
    drop(inside, rest);
    if used && part != name && is_unset(Some(inside)) {
        drop(value, name);
    }
}

fn each(value: &mut Value, list: &str, change: &dyn Fn(&mut Value)) {
    let name = list.trim_end_matches("[]");
    let items = value.get_mut(name).and_then(Value::as_array_mut);
    items.into_iter().flatten().for_each(change);
}

#[cfg(test)]
mod tests;
