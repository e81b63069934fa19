//! Rules that upstream has got or changed since 1.20, by group.

mod certificates;
mod extensions;

use super::*;

/// Complaints about a status in the place of another.
fn told(group: &str, plural: &str, old: &Value, status: Value) -> Vec<String> {
    let kind = find(group, "v1", plural).unwrap_or_else(|| panic!("{plural}"));
    let mut new = old.clone();
    new["status"] = status;
    let errors = kind.strategy.validate_update(Some("status"), old, &new);
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn annotations_of_services() {
    let ranges = "service.beta.kubernetes.io/load-balancer-source-ranges";
    let (mode, hints) = (
        "service.kubernetes.io/topology-mode",
        "service.kubernetes.io/topology-aware-hints",
    );
    let cidr = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
    let none: Vec<String> = Vec::new();
    for (kind, annotations, spec, expected) in [
        (
            "ClusterIP",
            json!({mode: "Auto", hints: "Auto"}),
            json!({}),
            none.clone(),
        ),
        (
            "ClusterIP",
            json!({mode: "Auto", hints: "Disabled"}),
            json!({}),
            vec![format!(
                "metadata.annotations[{mode}]: Invalid value: \"Auto\": must match annotations[{hints}] when both are specified"
            )],
        ),
        (
            "LoadBalancer",
            json!({ranges: " 10.0.0.0/8, fd00::/64 "}),
            json!({}),
            none.clone(),
        ),
        ("LoadBalancer", json!({ranges: " "}), json!({}), none.clone()),
        (
            "LoadBalancer",
            json!({ranges: "10.0.0.0/8,x"}),
            json!({}),
            vec![format!(
                "metadata.annotations[{ranges}]: Invalid value: \"x\": {cidr}"
            )],
        ),
        // The field takes the annotation's place.
        (
            "LoadBalancer",
            json!({ranges: "x"}),
            json!({"loadBalancerSourceRanges": ["10.0.0.0/8"]}),
            none,
        ),
        (
            "ClusterIP",
            json!({ranges: ""}),
            json!({}),
            vec![format!(
                "metadata.annotations[{ranges}]: Forbidden: may only be used when `type` is 'LoadBalancer'"
            )],
        ),
    ] {
        let mut service = json!({"metadata": {"name": "s", "annotations": annotations}, "spec": {"type": kind, "ports": [{"port": 80}]}});
        for (field, value) in spec.as_object().unwrap() {
            service["spec"][field] = value.clone();
        }
        assert_eq!(new("", "services", service.clone()), expected, "{service}");
    }
}

#[test]
fn names_of_the_outside_have_no_policy() {
    let kind = find("", "v1", "services").unwrap();
    let spec = json!({"type": "ExternalName", "externalName": "a.b", "internalTrafficPolicy": "Cluster"});
    let mut service = json!({"metadata": {"name": "s"}, "spec": spec});
    crate::kinds::default(kind, &mut service);
    assert!(
        service["spec"].get("internalTrafficPolicy").is_none(),
        "{service}"
    );
    // Nor is it reached from outside, whatever addresses it names.
    let spec = json!({"type": "ExternalName", "externalName": "a.b", "externalIPs": ["192.0.2.1"],
        "externalTrafficPolicy": "Local"});
    assert_eq!(
        new("", "services", json!({"metadata": {"name": "s"}, "spec": spec})),
        [
            "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services"
        ]
    );
}

#[test]
fn ports_of_network_policies_end_at_a_port() {
    let path = "spec.ingress[0].ports[0].endPort: Invalid value";
    for (port, expected) in [
        (json!({"port": 80, "endPort": 90}), None),
        (
            json!({"port": 80, "endPort": 79}),
            Some(format!("{path}: 79: must be greater than or equal to `port`")),
        ),
        (
            json!({"port": 80, "endPort": 70000}),
            Some(format!("{path}: 70000: must be between 1 and 65535, inclusive")),
        ),
        (
            json!({"port": "http", "endPort": 90}),
            Some(format!(
                "{path}: 90: may not be specified when `port` is non-numeric"
            )),
        ),
        (
            json!({"endPort": 90}),
            Some(format!(
                "{path}: 90: may not be specified when `port` is not specified"
            )),
        ),
    ] {
        let spec = json!({"podSelector": {}, "ingress": [{"ports": [port]}]});
        let policy = json!({"metadata": {"name": "n"}, "spec": spec});
        let expected: Vec<String> = expected.into_iter().collect();
        assert_eq!(new("networking.k8s.io", "networkpolicies", policy), expected);
    }
}

#[test]
fn the_class_of_an_ingress_may_be_said_twice() {
    let ingress = |class: &str| {
        let annotations = json!({"kubernetes.io/ingress.class": "nginx"});
        let backend = json!({"service": {"name": "s", "port": {"number": 80}}});
        let spec = json!({"ingressClassName": class, "defaultBackend": backend});
        let ingress = json!({"metadata": {"name": "i", "annotations": annotations}, "spec": spec});
        new("networking.k8s.io", "ingresses", ingress)
    };
    assert_eq!(ingress("nginx"), Vec::<String>::new());
    assert_eq!(
        ingress("alb"),
        [
            "annotations.kubernetes.io/ingress.class: Invalid value: \"nginx\": must match `ingressClassName` when both are \
             specified"
        ]
    );
}

#[test]
fn capacities_are_of_one_class_and_place() {
    let group = "storage.k8s.io";
    let capacity = |more: Value| {
        let mut capacity = json!({"metadata": {"name": "c"}, "storageClassName": "fast"});
        for (field, value) in more.as_object().unwrap() {
            capacity[field] = value.clone();
        }
        capacity
    };
    assert_eq!(
        new(
            group,
            "csistoragecapacities",
            capacity(json!({"capacity": "-1Gi", "nodeTopology": {"matchLabels": {"-a": "b"}}}))
        )
        .iter()
        .map(|error| error.split(": ").take(2).collect::<Vec<_>>().join(": "))
        .collect::<Vec<_>>(),
        [
            "nodeTopology.matchLabels: Invalid value",
            "capacity: Invalid value"
        ]
    );
    let old = capacity(json!({"nodeTopology": {"matchLabels": {"a": "b"}}, "capacity": "1Gi"}));
    assert!(
        changed(
            group,
            "csistoragecapacities",
            old.clone(),
            |new| new["capacity"] = "2Gi".into()
        )
        .is_empty()
    );
    assert_eq!(
        changed(group, "csistoragecapacities", old, |new| {
            new["nodeTopology"]["matchLabels"]["a"] = "c".into();
            new["storageClassName"] = "slow".into();
        }),
        [
            "nodeTopology: Invalid value: v1.LabelSelector{MatchLabels:map[string]string{\"a\":\"c\"}, \
             MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: field is immutable",
            "storageClassName: Invalid value: \"slow\": field is immutable",
        ]
    );
}

#[test]
fn what_storage_says_is_not_too_long() {
    let group = "storage.k8s.io";
    let long = |length: usize| "x".repeat(length);
    let attachment = json!({"metadata": {"name": "a"},
        "spec": {"attacher": "a.b", "nodeName": "n", "source": {"persistentVolumeName": "v"}}});
    let status = |status| told(group, "volumeattachments", &attachment, status);
    assert!(status(json!({"attached": true, "attachError": {"message": long(1024)}})).is_empty());
    assert_eq!(
        status(
            json!({"attached": false, "detachError": {"message": long(1025)}, "attachmentMetadata": {"a": long(1 << 18)}})
        ),
        [
            "status.attachmentMetadata: Too long: may not be more than 262144 bytes",
            "status.detachError.message: Too long: may not be more than 262144 bytes",
        ]
    );
    let class = |length: usize| {
        let class =
            json!({"metadata": {"name": "c"}, "provisioner": "a.b/c", "parameters": {"a": long(length)}});
        new(group, "storageclasses", class)
    };
    assert!(class((1 << 18) - 1).is_empty());
    assert_eq!(
        class(1 << 18),
        ["parameters: Too long: may not be more than 262144 bytes"]
    );
    let tokens = json!([{"audience": "a", "expirationSeconds": (1_u64 << 32) + 1}, {"audience": "a", "expirationSeconds": 1}]);
    let driver = json!({"metadata": {"name": "d"}, "spec": {"tokenRequests": tokens}});
    assert_eq!(
        new(group, "csidrivers", driver),
        [
            "spec.tokenRequests[0].expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 \
             seconds",
            "spec.tokenRequests[1].audience: Duplicate value: \"a\"",
        ]
    );
}

#[test]
fn the_status_of_a_claim_says_how_it_grows() {
    let claim = json!({"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"]}});
    let status = |status| told("", "persistentvolumeclaims", &claim, status);
    assert!(
        status(
            json!({"capacity": {"storage": "1Gi"}, "allocatedResources": {"storage": "2Gi", "a.b/c": "1"},
            "allocatedResourceStatuses": {"storage": "NodeResizePending"}})
        )
        .is_empty()
    );
    assert_eq!(
        status(
            json!({"capacity": {"storage": "-1"}, "allocatedResources": {"cpu": "1", "storage": "-1"},
            "allocatedResourceStatuses": {"storage": "x"}})
        ),
        [
            "status.capacity[storage]: Invalid value: -1: must be a valid resource quantity",
            "status.allocatedResourceStatus: Unsupported value: \"storage\": supported values: \
             \"ControllerResizeInProgress\", \"ControllerResizeInfeasible\", \"NodeResizeInProgress\", \
             \"NodeResizeInfeasible\", \"NodeResizePending\"",
            "status.allocatedResources: Unsupported value: \"cpu\": supported values: \"storage\"",
            "status.allocatedResources[storage]: Invalid value: -1: must be a valid resource quantity",
        ]
    );
}

#[test]
fn the_root_of_a_host_is_not_recycled() {
    let volume = |path: &str, policy: &str| {
        let spec = json!({"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": path},
            "persistentVolumeReclaimPolicy": policy});
        new(
            "",
            "persistentvolumes",
            json!({"metadata": {"name": "v"}, "spec": spec}),
        )
    };
    let recycled =
        ["spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'"];
    assert_eq!(volume("/", "Recycle"), recycled);
    assert_eq!(volume("//.", "Recycle"), recycled);
    assert!(volume("/", "Retain").is_empty() && volume("/a", "Recycle").is_empty());
}

#[test]
fn nodes_have_nothing_less_than_nothing() {
    let node = json!({"metadata": {"name": "n"}, "status": {"capacity": {"cpu": "100m", "pods": "1500m"},
        "allocatable": {"memory": "-1", "pods": "1"}}});
    assert_eq!(
        new("", "nodes", node),
        [
            "status.capacity.pods: Invalid value: \"1500m\": must be an integer",
            "status.allocatable.memory: Invalid value: \"-1\": must be greater than or equal to 0",
        ]
    );
    let node = json!({"metadata": {"name": "n"}, "spec": {"externalID": "x"}});
    assert_eq!(
        changed("", "nodes", node, |new| new["spec"]["externalID"] = "y".into()),
        ["spec.externalID: Forbidden: may not be updated"]
    );
}

#[test]
fn who_writes_the_status_of_a_newer_kind_leaves_its_labels() {
    let flow = "flowcontrol.apiserver.k8s.io";
    for (group, plural) in [
        (flow, "flowschemas"),
        (flow, "prioritylevelconfigurations"),
        ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
        ("networking.k8s.io", "servicecidrs"),
        ("storage.k8s.io", "volumeattachments"),
        ("apiregistration.k8s.io", "apiservices"),
    ] {
        let kind = find(group, "v1", plural).unwrap_or_else(|| panic!("{plural}"));
        let old = json!({"metadata": {"name": "n", "labels": {"a": "b"}, "generation": 1}, "spec": {}, "status": {}});
        let mut new = old.clone();
        new["metadata"] =
            json!({"name": "n", "labels": {"a": "c"}, "annotations": {"a": "b"}, "generation": 1});
        new["status"] = json!({"conditions": []});
        kind.strategy.prepare_update(Some("status"), &old, &mut new);
        assert_eq!(new["metadata"], old["metadata"], "{plural}");
        assert_eq!(new["status"], json!({"conditions": []}), "{plural}");
    }
}

#[test]
fn claims_keep_their_mode_and_class_of_attributes() {
    let claim = json!({"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}}, "volumeAttributesClassName": "a"}});
    let fixed = "spec: Forbidden: spec is immutable after creation";
    let errors = changed("", "persistentvolumeclaims", claim.clone(), |new| {
        new["spec"]["volumeMode"] = "Block".into();
    });
    assert!(errors.len() == 2 && errors[0].starts_with(fixed), "{errors:?}");
    assert_eq!(
        errors[1],
        "volumeMode: Invalid value: \"Block\": field is immutable"
    );
    let off = "spec.volumeAttributesClassName: Forbidden: update is forbidden when the VolumeAttributesClass feature gate is \
               disabled";
    let nil = "spec.volumeAttributesClassName: Forbidden: update from non-nil value to nil is forbidden";
    assert_eq!(
        changed("", "persistentvolumeclaims", claim.clone(), |new| {
            new["spec"]["volumeAttributesClassName"] = "b".into();
        }),
        [off]
    );
    assert_eq!(
        changed("", "persistentvolumeclaims", claim, |new| {
            new["spec"]
                .as_object_mut()
                .unwrap()
                .remove("volumeAttributesClassName");
        }),
        [off, nil]
    );
}
