//! Where data are: sources that only drivers serve now, iSCSI, and volumes that an attachment describes.

use super::references::{volume, with_volume};
use super::*;

/// Complaints about a source, of a pod and of a PersistentVolume, without what leads to it.
fn both(kind: &str, source: Value) -> [Vec<String>; 2] {
    let cut = |errors: Vec<String>, start: &str| -> Vec<String> {
        let cut = |error: String| error.strip_prefix(start).unwrap_or(&error).to_owned();
        errors.into_iter().map(cut).collect()
    };
    let pod = with_volume(&json!({kind: source}));
    [cut(pod, "spec.volumes[0]."), cut(volume(kind, source), "spec.")]
}

#[test]
fn sources_of_drivers_say_what_they_need() {
    for (kind, shown, fields) in [
        ("awsElasticBlockStore", "awsElasticBlockStore", vec!["volumeID"]),
        ("azureFile", "azureFile", vec!["secretName", "shareName"]),
        ("cephfs", "cephfs", vec!["monitors"]),
        ("cinder", "cinder", vec!["volumeID"]),
        ("flexVolume", "flexVolume", vec!["driver"]),
        ("gcePersistentDisk", "persistentDisk", vec!["pdName"]),
        ("glusterfs", "glusterfs", vec!["endpoints", "path"]),
        ("photonPersistentDisk", "photonPersistentDisk", vec!["pdID"]),
        ("portworxVolume", "portworxVolume", vec!["volumeID"]),
        ("rbd", "rbd", vec!["monitors", "image"]),
        ("scaleIO", "scaleIO", vec!["gateway", "system", "volumeName"]),
        ("storageos", "storageos", vec!["volumeName"]),
        ("vsphereVolume", "vsphereVolume", vec!["volumePath"]),
    ] {
        let required: Vec<String> = fields
            .iter()
            .map(|field| format!("{shown}.{field}: Required value"))
            .collect();
        assert_eq!(both(kind, json!({})), [required.clone(), required], "{kind}");
        let mut good = json!({});
        for field in fields {
            good[field] = if field == "monitors" {
                json!(["a"])
            } else {
                "a".into()
            };
        }
        assert_eq!(both(kind, good), [Vec::<String>::new(), Vec::new()], "{kind}");
    }
    assert_eq!(
        with_volume(&json!({"gitRepo": {"directory": "/a/.."}})),
        [
            "spec.volumes[0].gitRepo.repository: Required value",
            "spec.volumes[0].gitRepo.directory: Invalid value: \"/a/..\": must be a relative path",
            "spec.volumes[0].gitRepo.directory: Invalid value: \"/a/..\": must not contain '..'",
        ]
    );
}

#[test]
fn sources_of_drivers_have_rules_of_their_own() {
    let same = |kind: &str, source: Value, complaints: &[&str]| {
        let [of_pod, of_volume] = both(kind, source);
        assert_eq!(of_pod, complaints, "{kind}");
        assert_eq!(of_volume, complaints, "{kind}");
    };
    same(
        "gcePersistentDisk",
        json!({"pdName": "a", "partition": 256}),
        &["persistentDisk.partition: Invalid value: 256: must be between 1 and 255, inclusive"],
    );
    let disk =
        |kind: &str, uri: &str| json!({"diskName": "a", "diskURI": uri, "kind": kind, "cachingMode": "None"});
    same("azureDisk", disk("Managed", "/subscriptions/a"), &[]);
    same("azureDisk", disk("Dedicated", "https://a"), &[]);
    same(
        "azureDisk",
        disk("Managed", "https://a"),
        &[
            "azureDisk.diskURI: Unsupported value: \"https://a\": supported values: \
             \"/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}\"",
        ],
    );
    same(
        "azureDisk",
        json!({"diskName": "a", "diskURI": "/a", "cachingMode": "x"}),
        &[
            "azureDisk.cachingMode: Unsupported value: \"x\": supported values: \"None\", \"ReadOnly\", \"ReadWrite\"",
            "azureDisk.diskURI: Unsupported value: \"/a\": supported values: \
             \"https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd\"",
        ],
    );
    same(
        "flexVolume",
        json!({"driver": "a", "options": {"x.K8S.io/a": "b", "kubernetes.io": "b", "ak8s.io/a": "b"}}),
        &[
            "flexVolume.options[kubernetes.io]: Invalid value: \"kubernetes.io\": kubernetes.io and k8s.io namespaces are \
             reserved",
            "flexVolume.options[x.K8S.io/a]: Invalid value: \"x.K8S.io/a\": kubernetes.io and k8s.io namespaces are reserved",
        ],
    );
    same(
        "flocker",
        json!({"datasetName": "a/b", "datasetUUID": "c"}),
        &[
            "flocker: Invalid value: \"resource\": datasetName and datasetUUID can not be specified simultaneously",
            "flocker.datasetName: Invalid value: \"a/b\": must not contain '/'",
        ],
    );
    same(
        "flocker",
        json!({}),
        &["flocker: Required value: one of datasetName and datasetUUID is required"],
    );
    same("quobyte", json!({"registry": "a:1,[::1]:2", "volume": "v"}), &[]);
    let form = "must be a host:port pair or multiple pairs separated by commas";
    same(
        "quobyte",
        json!({}),
        &[
            &format!("quobyte.registry: Required value: {form}"),
            "quobyte.volume: Required value",
        ],
    );
    for registry in ["a", "a:1,b", "::1:2", "[::1:2", "[::1]2:3"] {
        same(
            "quobyte",
            json!({"registry": registry, "volume": "v"}),
            &[&format!("quobyte.registry: Invalid value: {registry:?}: {form}")],
        );
    }
    let [of_pod, of_volume] = both(
        "storageos",
        json!({"volumeName": "a.b", "secretRef": {"name": "s"}}),
    );
    assert!(
        of_pod[0].starts_with("storageos.volumeName: Invalid value: \"a.b\""),
        "{of_pod:?}"
    );
    assert_eq!(of_pod.len(), 1);
    // The secrets of PersistentVolumes are in a namespace that they say.
    assert_eq!(of_volume[1..], ["storageos.secretRef.namespace: Required value"]);
    let cinder = json!({"volumeID": "a", "secretRef": {}});
    assert_eq!(
        both("cinder", cinder),
        [
            vec!["cinder.secretRef.name: Required value"],
            vec![
                "cinder.secretRef.name: Required value",
                "cinder.secretRef.namespace: Required value"
            ]
        ]
    );
    let azure = json!({"secretName": "a", "shareName": "b", "secretNamespace": ""});
    assert_eq!(
        volume("azureFile", azure),
        ["spec.azureFile.secretNamespace: Required value"]
    );
    let gluster = json!({"endpoints": "a", "path": "b", "endpointsNamespace": ""});
    assert_eq!(
        volume("glusterfs", gluster),
        [
            "spec.glusterfs.endpointsNamespace: Invalid value: \"\": if the endpointnamespace is set, it must be a valid \
             namespace name"
        ]
    );
}

#[test]
fn iscsi_names_are_in_one_of_three_formats() {
    let source = |iqn: &str, initiator: &str| json!({"targetPortal": "a", "iqn": iqn, "initiatorName": initiator, "secretRef": {}, "chapAuthSession": true});
    let good = "iqn.2001-04.com.example:storage";
    assert_eq!(
        both("iscsi", source("iqn", "x")),
        [
            vec![
                "iscsi.iqn: Invalid value: \"iqn\": must be valid format",
                "iscsi.initiatorname: Invalid value: \"x\": must be valid format starting with iqn, eui, or naa",
            ],
            vec![
                "iscsi.iqn: Invalid value: \"iqn\": must be valid format",
                "iscsi.secretRef.name: Required value",
                "iscsi.initiatorname: Invalid value: \"x\": must be valid format",
            ],
        ]
    );
    // The volume is called `v`.
    let mut long = source(good, good);
    long["secretRef"]["name"] = "s".into();
    long["targetPortal"] = "a".repeat(62).into();
    assert_eq!(volume("iscsi", long.clone()), Vec::<String>::new());
    let portal = "a".repeat(63);
    long["targetPortal"] = portal.as_str().into();
    assert_eq!(
        volume("iscsi", long.clone()),
        [format!(
            "spec.iscsi.targetportal: Invalid value: \"{portal}\": Total length of <volume name>:<iscsi.targetPortal> must be \
             under 64 characters if iscsi.initiatorName is specified."
        )]
    );
    long.as_object_mut().unwrap().remove("initiatorName");
    assert_eq!(volume("iscsi", long), Vec::<String>::new());
}

#[test]
fn targets_and_ids_of_fibre_channels_are_either() {
    assert_eq!(
        volume(
            "fc",
            json!({"targetWWNs": ["a", "b"], "wwids": ["c"], "lun": 256})
        ),
        [
            "spec.fc.targetWWNs: Invalid value: []string{\"a\", \"b\"}: targetWWNs and wwids can not be specified \
             simultaneously",
            "spec.fc.lun: Invalid value: 256: must be between 0 and 255, inclusive",
        ]
    );
    assert_eq!(volume("fc", json!({"wwids": ["c"]})), Vec::<String>::new());
}

#[test]
fn attachments_describe_volumes_of_csi_that_are_nobodys() {
    let attachment = |source: Value| {
        let spec = json!({"attacher": "d.b", "nodeName": "n", "source": source});
        new(
            "storage.k8s.io",
            "volumeattachments",
            json!({"metadata": {"name": "a"}, "spec": spec}),
        )
    };
    let path = "spec.source.inlineVolumeSpec";
    let csi = json!({"driver": "d.b", "volumeHandle": "h"});
    let inline = |spec: Value| attachment(json!({"inlineVolumeSpec": spec}));
    assert!(
        inline(json!({"csi": csi, "accessModes": ["ReadWriteOnce"], "volumeMode": "Filesystem"})).is_empty()
    );
    assert_eq!(
        inline(json!({})),
        [
            format!("{path}.csi: Required value: has to be specified in the context of inline volumes"),
            format!("{path}.accessModes: Required value"),
            format!("{path}: Required value: must specify a volume type"),
        ]
    );
    let nothing = "Forbidden: may not be specified in the context of inline volumes";
    assert_eq!(
        inline(
            json!({"csi": {"driver": "d.b"}, "accessModes": ["ReadWriteOnce"], "claimRef": {}, "capacity": {"storage": "1"},
            "persistentVolumeReclaimPolicy": "Delete", "nodeAffinity": {}, "storageClassName": "c", "volumeMode": "Block"})
        ),
        [
            format!("{path}.claimRef: {nothing}"),
            format!("{path}.capacity: {nothing}"),
            format!(
                "{path}.persistentVolumeReclaimPolicy: Forbidden: may only be Retain in the context of inline volumes"
            ),
            format!("{path}.nodeAffinity: {nothing}"),
            format!("{path}.csi.volumeHandle: Required value"),
            format!("{path}.storageClassName: {nothing}"),
            format!(
                "{path}.volumeMode: Forbidden: may not specify volumeMode other than Filesystem in the context of inline volumes"
            ),
        ]
    );
    let errors = attachment(json!({"persistentVolumeName": ""}));
    let required =
        "spec.source.persistentVolumeName: Required value: must specify non empty persistentVolumeName";
    assert_eq!(errors[0], required);
}

#[test]
fn drivers_of_a_node_do_not_change() {
    let driver = |name: &str, id: &str| json!({"name": name, "nodeID": id});
    let node = json!({"metadata": {"name": "n"}, "spec": {"drivers": [driver("a.b", "x")]}});
    let change = |drivers: Value| {
        changed("storage.k8s.io", "csinodes", node.clone(), |new| {
            new["spec"]["drivers"] = drivers.clone();
        })
    };
    assert!(change(json!([driver("c.d", "y"), driver("a.b", "x")])).is_empty());
    assert!(change(json!([])).is_empty());
    assert_eq!(
        change(json!([driver("a.b", "y")])),
        [
            "CSINodeDriver: Invalid value: storage.CSINodeDriver{Name:\"a.b\", NodeID:\"y\", TopologyKeys:[]string(nil), \
             Allocatable:(*storage.VolumeNodeResources)(nil)}: field is immutable"
        ]
    );
}

#[test]
fn of_several_sources_the_first_is_looked_into() {
    let spec = |more: &Value| {
        let mut spec = json!({"capacity": {"storage": "-1"}, "accessModes": ["ReadWriteOnce"], "nfs": {"server": "s", "path": "/a"}});
        for (field, value) in more.as_object().unwrap() {
            spec[field] = value.clone();
        }
        json!({"metadata": {"name": "v"}, "spec": spec})
    };
    let several = json!({"cephfs": {}, "hostPath": {"path": "/a/../b"}, "local": {"path": ""}});
    let more = "Forbidden: may not specify more than 1 volume type";
    assert_eq!(
        new("", "persistentvolumes", spec(&several)),
        [
            "spec.capacity[storage]: Invalid value: -1: must be a valid resource quantity".to_owned(),
            "spec.capacity[storage]: Invalid value: \"-1\": must be greater than zero".to_owned(),
            "spec.hostPath.path: Invalid value: \"/a/../b\": must not contain '..'".to_owned(),
            format!("spec.nfs: {more}"),
            format!("spec.cephFS: {more}"),
            format!("spec.local: {more}"),
        ]
    );
    let of_pod = json!({"nfs": {}, "emptyDir": {"sizeLimit": "-1"}, "cephfs": {}, "configMap": {}});
    assert_eq!(
        with_volume(&of_pod),
        [
            "spec.volumes[0].emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity"
                .to_owned(),
            format!("spec.volumes[0].nfs: {more}"),
            format!("spec.volumes[0].cephFS: {more}"),
            format!("spec.volumes[0].configMap: {more}"),
        ]
    );
    // An empty source is one as well, which was not there.
    let capacity = json!({"capacity": {"storage": "1"}});
    let errors = changed("", "persistentvolumes", spec(&capacity), |new| {
        new["spec"]["fc"] = json!({});
    });
    assert_eq!(errors[0], format!("spec.fc: {more}"));
    assert!(
        errors[1].starts_with("spec.persistentvolumesource: Forbidden: "),
        "{errors:?}"
    );
}
