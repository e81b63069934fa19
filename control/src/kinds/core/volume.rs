//! PersistentVolumes, and what they share with claims.

mod inline;
mod place;

use keelson_api::names;
use keelson_api::quantity::Quantity;
use keelson_api::status::FieldError;
use keelson_api::time;
use serde_json::{Value, json};

use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{
    alike, entries, items, object as object_in, object_or_new, set_default, set_zero, text,
};
use crate::kinds::{Kind, Strategy, cells, podspec, update};

pub(in crate::kinds) use inline::check as inline;

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

/// Fields of the spec that say where the data are, in the order in which upstream looks at them.
const SOURCES: [&str; 22] = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
];

/// When the phase has last changed. Whoever changes it may tell; else it is now.
const TRANSITION: &str = "lastPhaseTransitionTime";

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
            podspec::default_source(spec);
        }
    }

    fn prepare_create(&self, new: &mut Value) {
        new["status"] = json!({"phase": "Pending", TRANSITION: time::now_rfc3339()});
    }

    fn prepare_update(&self, subresource: Option<&str>, old: &Value, new: &mut Value) {
        update::without_generation(subresource, old, new);
        let at =
            |volume: &Value, field: &str| volume["status"].get(field).filter(|it| !it.is_null()).cloned();
        let told = at(new, TRANSITION);
        let untold = told.is_none() || told == at(old, TRANSITION);
        if at(old, "phase") != at(new, "phase")
            && untold
            && let Some(status) = object_in(new, "status")
        {
            status.insert(TRANSITION.to_owned(), time::now_rfc3339().into());
        }
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = object.get("spec").unwrap_or(&Value::Null);
        check_modes(&mut errors, spec, "spec.accessModes", "");
        let capacity = object.pointer("/spec/capacity").and_then(Value::as_object);
        if capacity.is_none_or(serde_json::Map::is_empty) {
            errors.push(FieldError::required("spec.capacity", ""));
            errors.push(FieldError::not_supported_shown(
                "spec.capacity",
                "core.ResourceList(nil)",
                &["storage"],
            ));
        }
        for (resource, amount) in entries(object, "/spec/capacity") {
            let path = format!("spec.capacity[{resource}]");
            let amount = Quantity::from_json(amount).unwrap_or_default();
            if resource != "storage" {
                errors.push(FieldError::not_supported(
                    "spec.capacity",
                    resource.as_str(),
                    &["storage"],
                ));
                continue;
            }
            if amount.is_negative() {
                let detail = "must be a valid resource quantity";
                errors.push(FieldError::invalid(path.as_str(), amount.value(), detail));
            }
            if amount.is_zero() || amount.is_negative() {
                let detail = "must be greater than zero";
                errors.push(FieldError::invalid(path, amount.to_string(), detail));
            }
        }
        storage_fields(&mut errors, spec, "spec");
        let affinity = object
            .pointer("/spec/nodeAffinity")
            .filter(|affinity| affinity.is_object());
        match affinity.map(|affinity| affinity.get("required").filter(|required| required.is_object())) {
            Some(Some(required)) => {
                podspec::node_selector(&mut errors, required, format_args!("spec.nodeAffinity.required"));
            }
            Some(None) => errors.push(FieldError::required(
                "spec.nodeAffinity.required",
                "must specify required node constraints",
            )),
            None => {}
        }
        let source = sources(&mut errors, spec, "spec", text(object, "/metadata/name"));
        let policy = text(object, "/spec/persistentVolumeReclaimPolicy");
        let allowed = ["Delete", "Recycle", "Retain"];
        if !allowed.contains(&policy) {
            errors.push(FieldError::not_supported(
                "spec.persistentVolumeReclaimPolicy",
                policy,
                &allowed,
            ));
        }
        let place = text(object, "/spec/hostPath/path");
        if object["spec"]["hostPath"].is_object() && policy == "Recycle" && is_root(place) {
            let detail = "may not be 'recycle' for a hostPath mount of '/'";
            errors.push(FieldError::forbidden(
                "spec.persistentVolumeReclaimPolicy",
                detail,
            ));
        }
        if source == Some("local") && affinity.is_none() {
            errors.push(FieldError::required(
                "spec.nodeAffinity",
                "Local volume requires node affinity",
            ));
        }
        errors
    }

    fn validate_update(&self, subresource: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
        if subresource.is_some() {
            return Vec::new();
        }
        let mut errors = self.validate_create(new);
        // The secret for expansion may be said later.
        let late = |object: &Value| object.pointer("/spec/csi/controllerExpandSecretRef").cloned();
        let mut now = new.clone();
        if let (None, Some(csi)) = (
            late(old),
            now.pointer_mut("/spec/csi").and_then(Value::as_object_mut),
        ) {
            csi.remove("controllerExpandSecretRef");
        }
        let source =
            |object: &Value, source: &str| object.pointer("/spec").and_then(|spec| spec.get(source)).cloned();
        // A source without anything in it is one.
        if SOURCES.iter().any(|name| {
            let (was, is) = (source(old, name), source(&now, name));
            was.is_some() != is.is_some() || !alike(was.as_ref(), is.as_ref())
        }) {
            let detail = "spec.persistentvolumesource is immutable after creation\n";
            errors.push(FieldError::forbidden("spec.persistentvolumesource", detail));
        }
        let (was, is) = (source(old, "volumeMode"), source(new, "volumeMode"));
        if was != is {
            errors.push(FieldError::invalid(
                "volumeMode",
                is.unwrap_or_default(),
                names::IMMUTABLE,
            ));
        }
        errors.extend(place::changed(old, new));
        errors.extend(attributes_changed(old, new));
        errors
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

/// Complaints about another class of attributes, of a volume or a claim: its gate, VolumeAttributesClass, is off in 1.33.
pub(super) fn attributes_changed(old: &Value, new: &Value) -> Vec<FieldError> {
    let class = |object: &Value| {
        object["spec"]["volumeAttributesClassName"]
            .as_str()
            .map(str::to_owned)
    };
    let (was, is) = (class(old), class(new));
    let mut errors = Vec::new();
    if was != is {
        let mut forbid = |detail: &str| {
            errors.push(FieldError::forbidden("spec.volumeAttributesClassName", detail));
        };
        forbid("update is forbidden when the VolumeAttributesClass feature gate is disabled");
        if was.is_some() && is.is_none() {
            forbid("update from non-nil value to nil is forbidden");
        }
    }
    errors
}

/// Whether a path leads to the root, by its text alone.
fn is_root(path: &str) -> bool {
    let mut depth = 0_usize;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => depth = depth.saturating_sub(1),
            _ => depth += 1,
        }
    }
    path.starts_with('/') && depth == 0
}

/// Checks the source of the volume of this name, and returns which it is. Of several it is the first, and the others are
/// not looked into.
fn sources(errors: &mut Vec<FieldError>, spec: &Value, path: &str, name: &str) -> Option<&'static str> {
    let mut given = SOURCES.into_iter().filter(|source| spec[*source].is_object());
    let Some(first) = given.next() else {
        errors.push(FieldError::required(path, "must specify a volume type"));
        return None;
    };
    podspec::sources::check_volume(errors, &spec[first], first, format_args!("{path}.{first}"), name);
    for more in given {
        let field = if more == "cephfs" { "cephFS" } else { more };
        errors.push(FieldError::forbidden(
            format!("{path}.{field}"),
            "may not specify more than 1 volume type",
        ));
    }
    Some(first)
}

/// Checks what the specs of volumes and claims share: the name of the class, and the mode.
pub(super) fn storage_fields(errors: &mut Vec<FieldError>, spec: &Value, path: &str) {
    let class = text(spec, "/storageClassName");
    if !class.is_empty() {
        errors.extend(FieldError::complaints(
            format_args!("{path}.storageClassName"),
            class,
            names::dns1123_subdomain(class),
        ));
    }
    let mode = spec.get("volumeMode").and_then(Value::as_str);
    if let Some(mode) = mode.filter(|mode| !matches!(*mode, "Block" | "Filesystem")) {
        errors.push(FieldError::not_supported(
            format!("{path}.volumeMode"),
            mode,
            &["Block", "Filesystem"],
        ));
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

/// Checks the `accessModes` of a spec, which are at `path`; `missing` is what is said if there are none.
pub(super) fn check_modes(errors: &mut Vec<FieldError>, spec: &Value, path: &str, missing: &str) {
    let modes = items(spec, "/accessModes");
    if modes.is_empty() {
        errors.push(FieldError::required(path, missing));
    }
    for mode in modes.iter().filter_map(Value::as_str) {
        if !MODES.contains(&mode) {
            errors.push(FieldError::not_supported(path, mode, MODES));
        }
    }
    if modes.len() > 1 && modes.iter().any(|mode| mode == "ReadWriteOncePod") {
        let detail = "may not use ReadWriteOncePod with other access modes";
        errors.push(FieldError::forbidden(path, detail));
    }
}
