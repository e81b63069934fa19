//! What upstream's server of 1.20, asked the same, refused and we did not: where data are, and what points to what.

use super::*;

/// Complaints about a pod with one volume, which its container does not mount.
pub(super) fn with_volume(source: &Value) -> Vec<String> {
    let mut volume = source.clone();
    volume["name"] = "v".into();
    let container = json!({"name": "c", "image": "i"});
    new(
        "",
        "pods",
        json!({"metadata": {"name": "p"}, "spec": {"containers": [container], "volumes": [volume]}}),
    )
}

/// Complaints about a PersistentVolume of this source.
pub(super) fn volume(source: &str, fields: Value) -> Vec<String> {
    let mut spec = json!({"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "nodeAffinity": {"required":
        {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}}});
    spec[source] = fields;
    new(
        "",
        "persistentvolumes",
        json!({"metadata": {"name": "v"}, "spec": spec}),
    )
}

#[test]
fn sources_of_volumes() {
    let nfs = json!({"path": "x"});
    let complaints = [
        "nfs.server: Required value",
        "nfs.path: Invalid value: \"x\": must be an absolute path",
    ];
    assert_eq!(
        with_volume(&json!({"nfs": nfs})),
        complaints.map(|one| format!("spec.volumes[0].{one}"))
    );
    assert_eq!(volume("nfs", nfs), complaints.map(|one| format!("spec.{one}")));
    assert_eq!(
        volume("iscsi", json!({"targetPortal": "a", "iqn": "x", "lun": 256})),
        [
            "spec.iscsi.iqn: Invalid value: \"x\": must be valid format",
            "spec.iscsi.lun: Invalid value: 256: must be between 0 and 255, inclusive",
        ]
    );
    assert_eq!(
        volume("fc", json!({"targetWWNs": ["a"]})),
        ["spec.fc.lun: Required value: lun is required if targetWWNs is specified"]
    );
    assert_eq!(volume("local", json!({})), ["spec.local.path: Required value"]);
    assert_eq!(
        volume("hostPath", json!({"path": "/a/../b", "type": "x"})),
        [
            "spec.hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
            "spec.hostPath.type: Unsupported value: \"x\": supported values: \"\", \"BlockDevice\", \"CharDevice\", \
             \"Directory\", \"DirectoryOrCreate\", \"File\", \"FileOrCreate\", \"Socket\"",
        ]
    );
    let csi = json!({"driver": "a.b", "volumeHandle": "h", "nodePublishSecretRef": {"name": "s", "namespace": "n"}});
    assert!(volume("csi", csi.clone()).is_empty());
    let mut wrong = csi;
    wrong["driver"] = "-".into();
    wrong["volumeHandle"] = "".into();
    wrong["nodePublishSecretRef"]["namespace"] = "a.b".into();
    let errors = volume("csi", wrong);
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors[0].starts_with("spec.csi.driver: Invalid value: \"-\": a lowercase RFC 1123 subdomain"));
    assert_eq!(errors[1], "spec.csi.volumeHandle: Required value");
    assert!(errors[2].starts_with("spec.csi.nodePublishSecretRef.namespace: Invalid value: \"a.b\""));
}

#[test]
fn files_that_tell_of_the_pod() {
    let item = |path: &str, field: &str| json!({"path": path, "fieldRef": {"fieldPath": field}});
    let good = [
        item("a", "metadata.labels"),
        item("b", "metadata.annotations['x']"),
        item("c", "metadata.uid"),
    ];
    assert!(with_volume(&json!({"downwardAPI": {"items": good}})).is_empty());
    let amount = json!({"path": "d", "resourceFieldRef": {"containerName": "c", "resource": "limits.cpu", "divisor": "2"}});
    let bad = json!({"downwardAPI": {"items": [item("a", "status.podIP"), item("b", "spec.x"), amount]}});
    // Upstream leaves list and index out.
    let path = "spec.volumes[0].downwardAPI";
    assert_eq!(
        with_volume(&bad),
        [
            format!(
                "{path}.fieldRef.fieldPath: Unsupported value: \"status.podIP\": supported values: \"metadata.annotations\", \
                 \"metadata.labels\", \"metadata.name\", \"metadata.namespace\", \"metadata.uid\""
            ),
            format!(
                "{path}.fieldRef.fieldPath: Invalid value: \"spec.x\": error converting fieldPath: field label not \
                 supported: spec.x"
            ),
            format!(
                "{path}.resourceFieldRef.divisor: Invalid value: \"limits.cpu\": only divisor's values 1m and 1 are \
                 supported with the cpu resource"
            ),
        ]
    );
    let twice = json!({"items": [{"key": "k", "path": "p"}], "name": "m"});
    assert_eq!(
        with_volume(&json!({"projected": {"sources": [{"secret": twice}, {"configMap": twice}]}})),
        ["spec.volumes[0].projected: Invalid value: \"m\": conflicting duplicate paths"]
    );
}

#[test]
fn devices_are_claims() {
    let devices = |devices: Value| {
        let volumes = json!([{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}, {"name": "e", "emptyDir": {}}]);
        let container = json!({"name": "c", "image": "i", "volumeDevices": devices});
        let spec = json!({"containers": [container], "volumes": volumes});
        new("", "pods", json!({"metadata": {"name": "p"}, "spec": spec}))
    };
    assert!(devices(json!([{"name": "v", "devicePath": "/dev/x"}])).is_empty());
    let path = "spec.containers[0].volumeDevices";
    assert_eq!(
        devices(json!([{"name": "e", "devicePath": "/dev/x"}, {"name": "z", "devicePath": ""}])),
        [
            format!(
                "{path}[0].name: Invalid value: \"e\": can only use volume source type of PersistentVolumeClaim or Ephemeral \
                 for block mode"
            ),
            format!("{path}[1].name: Not found: \"z\""),
            format!("{path}[1].devicePath: Required value"),
        ]
    );
    // Each once, nowhere above, and not also mounted.
    let device = |name: &str, place: &str| json!({"name": name, "devicePath": place});
    assert_eq!(
        devices(json!([
            device("v", "/dev/x"),
            device("v", "/dev/x"),
            device("", "/dev/../y"),
            device("", "/dev/../y")
        ])),
        [
            format!("{path}[1].name: Invalid value: \"v\": must be unique"),
            format!("{path}[1].devicePath: Invalid value: \"/dev/x\": must be unique"),
            format!("{path}[2].name: Required value"),
            format!("{path}[2].name: Not found: \"\""),
            format!("{path}[2].devicePath: Invalid value: \"/dev/../y\": can not contain backsteps ('..')"),
            format!("{path}[3].name: Required value"),
            format!("{path}[3].name: Not found: \"\""),
            format!("{path}[3].devicePath: Invalid value: \"/dev/../y\": can not contain backsteps ('..')"),
        ]
    );
    let mounts = json!([{"name": "v", "mountPath": "/dev/x"}]);
    let container =
        json!({"name": "c", "image": "i", "volumeDevices": [device("v", "/dev/x")], "volumeMounts": mounts});
    let volumes = json!([{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]);
    let spec = json!({"containers": [container], "volumes": volumes});
    let errors = new("", "pods", json!({"metadata": {"name": "p"}, "spec": spec}));
    for complaint in [
        format!("{path}[0].name: Invalid value: \"v\": must not already exist in volumeMounts"),
        format!(
            "{path}[0].devicePath: Invalid value: \"/dev/x\": must not already exist as a path in volumeMounts"
        ),
    ] {
        assert!(errors.contains(&complaint), "{errors:?}");
    }
}

#[test]
fn storage_knows_its_topology() {
    let class = |terms: Value| {
        let class = json!({"metadata": {"name": "c"}, "provisioner": "a.b/c", "allowedTopologies": terms});
        new("storage.k8s.io", "storageclasses", class)
    };
    assert!(class(json!([{"matchLabelExpressions": [{"key": "a", "values": ["b"]}]}])).is_empty());
    let path = "allowedTopologies[0].matchLabelExpressions[0]";
    assert_eq!(
        class(json!([{"matchLabelExpressions": [{"key": "a", "values": []}]}])),
        [format!("{path}.values: Required value")]
    );
    let term = |values: [&str; 2]| json!({"matchLabelExpressions": [{"key": "a", "values": values}]});
    assert_eq!(
        class(json!([term(["b", "c"]), term(["b", "d"]), term(["c", "b"]), {}])),
        [
            "allowedTopologies[2].matchLabelExpressions: Duplicate value: \"\"",
            "allowedTopologies[3].matchLabelExpressions: Duplicate value: \"\"",
        ]
    );
    let node = json!({"metadata": {"name": "n"}, "spec": {"drivers": [{"name": "d.b", "nodeID": "x", "topologyKeys":
        ["a", "a"], "allocatable": {"count": -1}}]}});
    assert_eq!(
        new("storage.k8s.io", "csinodes", node),
        [
            "spec.drivers[0].allocatable.count: Invalid value: -1: must be greater than or equal to 0",
            "spec.drivers[0]: Duplicate value: \"a\"",
        ]
    );
    let attachment =
        json!({"metadata": {"name": "a"}, "spec": {"attacher": "d.b", "nodeName": "n", "source": {}}});
    assert_eq!(
        new("storage.k8s.io", "volumeattachments", attachment),
        [
            "spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName"
        ]
    );
}

#[test]
fn kinds_and_types_are_known_ones() {
    let range = json!({"metadata": {"name": "r"}, "spec": {"limits": [{"type": "Bad"}]}});
    assert_eq!(
        new("", "limitranges", range),
        ["spec.limits[0].type: Invalid value: \"Bad\": must be a standard limit type or fully qualified"]
    );
    let class = json!({"metadata": {"name": "c"}, "value": 1, "preemptionPolicy": "Bad"});
    assert_eq!(
        new("scheduling.k8s.io", "priorityclasses", class),
        [
            "preemptionPolicy: Unsupported value: \"Bad\": supported values: \"Never\", \"PreemptLowerPriority\""
        ]
    );
    let class = |parameters: Value| {
        let class =
            json!({"metadata": {"name": "c"}, "spec": {"controller": "a.b/c", "parameters": parameters}});
        new("networking.k8s.io", "ingressclasses", class)
    };
    assert!(class(json!({"kind": "K", "name": "n"})).is_empty());
    assert_eq!(
        class(json!({"kind": "K", "name": "a/b", "scope": "Namespace"})),
        [
            "spec.parameters.name: Invalid value: \"a/b\": may not contain '/'",
            "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'",
        ]
    );
    let subset =
        json!({"addresses": [{"ip": "1.2.3.4", "hostname": "a.b"}], "ports": [{"port": 1, "protocol": "X"}]});
    let errors = new(
        "",
        "endpoints",
        json!({"metadata": {"name": "e"}, "subsets": [subset]}),
    );
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].starts_with("subsets[0].addresses[0].hostname: Invalid value: \"a.b\""));
    assert!(errors[1].starts_with("subsets[0].ports[0].protocol: Unsupported value: \"X\""));
    let class = json!({"metadata": {"name": "c"}, "handler": "h", "scheduling": {"tolerations": [{"key": "k", "operator": "x"}]}});
    let errors = new("node.k8s.io", "runtimeclasses", class);
    assert_eq!(errors.len(), 1, "{errors:?}");
    let what = "tolerations[0].operator: Unsupported value: \"x\": supported values: \"Equal\", \"Exists\"";
    assert!(errors[0].ends_with(what), "{errors:?}");
}
