//! PersistentVolumes, and what they share with claims.

use keelson_api::status::FieldError;
use serde_json::{Value, json};

use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{items, object_or_new, set_default, set_zero, text};
use crate::kinds::{Kind, Strategy, cells, update};

const VOLUME: &[ColumnDef] = &[
    NAME,
    (
        "Capacity",
        "string",
        0,
        "capacity is the description of the persistent volume's resources and capacity.",
    ),
    (
        "Access Modes",
        "string",
        0,
        "accessModes contains all ways the volume can be mounted.",
    ),
    (
        "Reclaim Policy",
        "string",
        0,
        "What happens to a persistent volume when released from its claim.",
    ),
    (
        "Status",
        "string",
        0,
        "status represents the current information/status for the persistent volume.",
    ),
    (
        "Claim",
        "string",
        0,
        "claimRef is part of a bi-directional binding.",
    ),
    ("StorageClass", "string", 0, "StorageClass of the pv"),
    (
        "VolumeAttributesClass",
        "string",
        0,
        "VolumeAttributesClass of the pv",
    ),
    (
        "Reason",
        "string",
        0,
        "reason is a brief CamelCase string that describes any failure.",
    ),
    AGE,
    (
        "VolumeMode",
        "string",
        1,
        "volumeMode defines if a volume is intended to be used with a filesystem or as a device.",
    ),
];

const MODES: &[&str] = &[
    "ReadOnlyMany",
    "ReadWriteMany",
    "ReadWriteOnce",
    "ReadWriteOncePod",
];

pub(super) fn kind() -> Kind {
    describe::kind("v1", "PersistentVolume", "persistentvolumes", VOLUME, Volume)
        .cluster()
        .short(&["pv"])
        .status()
        .done()
}

#[derive(Debug)]
struct Volume;

impl Strategy for Volume {
    fn default(&self, object: &mut Value) {
        let Some(map) = object.as_object_mut() else { return };
        if let Some(status) = object_or_new(map, "status") {
            set_zero(status, "phase", "Pending");
        }
        if let Some(spec) = object_or_new(map, "spec") {
            set_zero(spec, "persistentVolumeReclaimPolicy", "Retain");
            set_default(spec, "volumeMode", "Filesystem");
            if let Some(path) = spec.get_mut("hostPath").and_then(Value::as_object_mut) {
                set_default(path, "type", "");
            }
        }
    }

    fn prepare_create(&self, new: &mut Value) {
        new["status"] = json!({"phase": "Pending"});
    }

    fn prepare_update(&self, subresource: Option<&str>, old: &Value, new: &mut Value) {
        update::without_generation(subresource, old, new);
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        access_modes(&mut errors, object);
        let capacity = object.pointer("/spec/capacity").and_then(Value::as_object);
        if capacity.is_none_or(serde_json::Map::is_empty) {
            errors.push(FieldError::required("spec.capacity", ""));
        }
        let sources = [
            "hostPath",
            "local",
            "nfs",
            "csi",
            "iscsi",
            "fc",
            "awsElasticBlockStore",
            "azureDisk",
            "azureFile",
            "cephfs",
            "cinder",
            "flexVolume",
            "flocker",
            "gcePersistentDisk",
            "glusterfs",
            "photonPersistentDisk",
            "portworxVolume",
            "quobyte",
            "rbd",
            "scaleIO",
            "storageos",
            "vsphereVolume",
        ];
        let has = |field: &str| object.pointer("/spec").and_then(|spec| spec.get(field)).is_some();
        match sources.iter().filter(|source| has(source)).count() {
            0 => errors.push(FieldError::required("spec", "must specify a volume type")),
            1 => {}
            _ => errors.push(FieldError::forbidden(
                "spec",
                "may not specify more than 1 volume type",
            )),
        }
        let policy = text(object, "/spec/persistentVolumeReclaimPolicy");
        let allowed = ["Delete", "Recycle", "Retain"];
        if !allowed.contains(&policy) {
            errors.push(FieldError::not_supported(
                "spec.persistentVolumeReclaimPolicy",
                policy,
                &allowed,
            ));
        }
        if has("local") && object.pointer("/spec/nodeAffinity/required").is_none() {
            errors.push(FieldError::required(
                "spec.nodeAffinity",
                "Local volume requires node affinity",
            ));
        }
        errors
    }

    fn validate_update(&self, subresource: Option<&str>, _: &Value, new: &Value) -> Vec<FieldError> {
        if subresource.is_some() {
            return Vec::new();
        }
        self.validate_create(new)
    }

    fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        let claim = object.pointer("/spec/claimRef").filter(|claim| claim.is_object());
        let claim = claim.map_or_else(String::new, |claim| {
            format!("{}/{}", text(claim, "/namespace"), text(claim, "/name"))
        });
        vec![
            cells::name(object),
            Value::from(text(object, "/spec/capacity/storage")),
            Value::from(short_modes(items(object, "/spec/accessModes"))),
            Value::from(text(object, "/spec/persistentVolumeReclaimPolicy")),
            Value::from(phase(object)),
            Value::from(claim),
            Value::from(text(object, "/spec/storageClassName")),
            cells::text_or(object, "/spec/volumeAttributesClassName", "<unset>"),
            Value::from(text(object, "/status/reason")),
            cells::age(object, now),
            cells::text_or(object, "/spec/volumeMode", "<unset>"),
        ]
    }
}

/// The phase, `Terminating` once deleted.
pub(super) fn phase(object: &Value) -> &str {
    if object
        .pointer("/metadata/deletionTimestamp")
        .is_some_and(Value::is_string)
    {
        "Terminating"
    } else {
        text(object, "/status/phase")
    }
}

/// `RWO,ROX`, in upstream's fixed order.
pub(super) fn short_modes(modes: &[Value]) -> String {
    let short: Vec<&str> = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ]
    .into_iter()
    .filter(|(long, _)| modes.iter().any(|mode| mode == long))
    .map(|(_, short)| short)
    .collect();
    short.join(",")
}

/// Checks `spec.accessModes`.
pub(super) fn access_modes(errors: &mut Vec<FieldError>, object: &Value) {
    let modes = items(object, "/spec/accessModes");
    if modes.is_empty() {
        errors.push(FieldError::required(
            "spec.accessModes",
            "at least 1 access mode is required",
        ));
    }
    for mode in modes.iter().filter_map(Value::as_str) {
        if !MODES.contains(&mode) {
            errors.push(FieldError::not_supported("spec.accessModes", mode, MODES));
        }
    }
    if modes.len() > 1 && modes.iter().any(|mode| mode == "ReadWriteOncePod") {
        let detail = "may not use ReadWriteOncePod with other access modes";
        errors.push(FieldError::forbidden("spec.accessModes", detail));
    }
}
