//! Defaults of volumes (`SetDefaults_Volume` and its kin).

use serde_json::{Map, Value, json};

use super::defaults::default_refs;
use crate::kinds::json::{list, object_or_new, set_default, set_zero};

/// 0644.
const FILE_MODE: i32 = 0o644;

/// Fills one volume.
pub(super) fn default_volume(volume: &mut Map<String, Value>) {
    let has_source = volume
        .iter()
        .any(|(key, value)| key != "name" && !value.is_null());
    if !has_source {
        volume.insert("emptyDir".to_owned(), json!({}));
    }
    for source in ["configMap", "secret"] {
        if let Some(source) = volume.get_mut(source).and_then(Value::as_object_mut) {
            set_default(source, "defaultMode", FILE_MODE);
        }
    }
    if let Some(downward) = volume.get_mut("downwardAPI").and_then(Value::as_object_mut) {
        set_default(downward, "defaultMode", FILE_MODE);
        downward_items(downward);
    }
    default_source(volume);
    if let Some(projected) = volume.get_mut("projected").and_then(Value::as_object_mut) {
        set_default(projected, "defaultMode", FILE_MODE);
        for source in list(projected, "sources") {
            if let Some(token) = source
                .get_mut("serviceAccountToken")
                .and_then(Value::as_object_mut)
            {
                set_default(token, "expirationSeconds", 3600);
            }
            if let Some(downward) = source.get_mut("downwardAPI").and_then(Value::as_object_mut) {
                downward_items(downward);
            }
        }
    }
    if let Some(image) = volume.get_mut("image").and_then(Value::as_object_mut) {
        set_zero(image, "pullPolicy", "IfNotPresent");
    }
    if let Some(ephemeral) = volume.get_mut("ephemeral").and_then(Value::as_object_mut)
        && let Some(template) = ephemeral
            .get_mut("volumeClaimTemplate")
            .and_then(Value::as_object_mut)
        && let Some(spec) = object_or_new(template, "spec")
    {
        set_default(spec, "volumeMode", "Filesystem");
    }
}

/// Defaults of the sources that pods and PersistentVolumes have alike.
pub(in crate::kinds) fn default_source(volume: &mut Map<String, Value>) {
    const TEXTS: [(&str, &[(&str, &str)]); 3] = [
        ("iscsi", &[("iscsiInterface", "default")]),
        (
            "rbd",
            &[
                ("keyring", "/etc/ceph/keyring"),
                ("pool", "rbd"),
                ("user", "admin"),
            ],
        ),
        (
            "scaleIO",
            &[("fsType", "xfs"), ("storageMode", "ThinProvisioned")],
        ),
    ];
    if let Some(path) = volume.get_mut("hostPath").and_then(Value::as_object_mut) {
        set_default(path, "type", "");
    }
    for (source, fields) in TEXTS {
        if let Some(source) = volume.get_mut(source).and_then(Value::as_object_mut) {
            for (field, value) in fields {
                set_zero(source, field, *value);
            }
        }
    }
    if let Some(disk) = volume.get_mut("azureDisk").and_then(Value::as_object_mut) {
        set_default(disk, "cachingMode", "ReadWrite");
        set_default(disk, "fsType", "ext4");
        set_default(disk, "kind", "Shared");
        set_default(disk, "readOnly", false);
    }
}

fn downward_items(source: &mut Map<String, Value>) {
    for item in list(source, "items") {
        default_refs(item);
    }
}
