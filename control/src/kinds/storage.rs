//! The storage group.

use std::collections::HashSet;

use keelson_api::names;
use keelson_api::status::{FieldError, MOST_ERRORS};
use serde_json::{Map, Value};

use super::describe::{self, AGE, ColumnDef, NAME};
use super::json::{entries, int, is_true, is_unset, items, object, set_default, set_zero, text};
use super::plain::Plain;
use super::podspec::sources::driver_name;
use super::{Kind, Strategy, cells, update};

const CLASS: &[ColumnDef] = &[
    NAME,
    (
        "Provisioner",
        "string",
        0,
        "provisioner indicates the type of the provisioner.",
    ),
    (
        "ReclaimPolicy",
        "string",
        0,
        "reclaimPolicy controls what becomes of dynamically provisioned volumes.",
    ),
    (
        "VolumeBindingMode",
        "string",
        0,
        "volumeBindingMode indicates how volumes should be provisioned and bound.",
    ),
    (
        "AllowVolumeExpansion",
        "string",
        0,
        "allowVolumeExpansion shows whether the storage class allows volume expand.",
    ),
    AGE,
];
const ATTACHMENT: &[ColumnDef] = &[
    NAME,
    (
        "Attacher",
        "string",
        0,
        "attacher indicates the name of the volume driver that MUST handle this request.",
    ),
    (
        "PV",
        "string",
        0,
        "source represents the volume that should be attached.",
    ),
    (
        "Node",
        "string",
        0,
        "nodeName represents the node that the volume should be attached to.",
    ),
    (
        "Attached",
        "boolean",
        0,
        "attached indicates the volume is successfully attached.",
    ),
    AGE,
];
const NODE: &[ColumnDef] = &[
    NAME,
    (
        "Drivers",
        "integer",
        0,
        "drivers is a list of information of all CSI Drivers existing on a node.",
    ),
    AGE,
];
const DRIVER: &[ColumnDef] = &[
    NAME,
    (
        "AttachRequired",
        "boolean",
        0,
        "attachRequired indicates this CSI volume driver requires an attach operation.",
    ),
    (
        "PodInfoOnMount",
        "boolean",
        0,
        "podInfoOnMount indicates this CSI volume driver requires pod information.",
    ),
    (
        "StorageCapacity",
        "boolean",
        0,
        "storageCapacity indicates that the driver publishes its capacity.",
    ),
    (
        "TokenRequests",
        "string",
        0,
        "tokenRequests indicates the CSI driver needs pods' service account tokens.",
    ),
    (
        "RequiresRepublish",
        "boolean",
        0,
        "requiresRepublish indicates that volumes are mounted again periodically.",
    ),
    (
        "Modes",
        "string",
        0,
        "volumeLifecycleModes defines what kind of volumes this CSI volume driver supports.",
    ),
    AGE,
];
const CAPACITY: &[ColumnDef] = &[
    NAME,
    (
        "StorageClassName",
        "string",
        0,
        "storageClassName represents the name of the StorageClass.",
    ),
    (
        "Capacity",
        "string",
        0,
        "capacity is the value reported by the CSI driver.",
    ),
];

/// Its kinds.
pub(super) fn kinds() -> Vec<Kind> {
    let group = "storage.k8s.io/v1";
    let node = Plain {
        validate: |node| {
            let mut errors = Vec::new();
            let mut seen = HashSet::new();
            for (index, driver) in items(node, "/spec/drivers").iter().enumerate() {
                let path = format!("spec.drivers[{index}]");
                let (name, id) = (text(driver, "/name"), text(driver, "/nodeID"));
                driver_name(&mut errors, name, &format!("{path}.name"));
                if id.is_empty() {
                    errors.push(FieldError::required(format!("{path}.nodeID"), ""));
                }
                if id.len() > LONGEST_NODE_ID {
                    let detail = format!("must be {LONGEST_NODE_ID} characters or less");
                    errors.push(FieldError::invalid(format!("{path}.nodeID"), id, &detail));
                }
                if let Some(count) = int(driver, "/allocatable/count").filter(|count| *count < 0) {
                    let path = format!("{path}.allocatable.count");
                    errors.push(FieldError::invalid(path, count, names::NON_NEGATIVE));
                }
                topology_keys(&mut errors, driver, &path);
                if !seen.insert(name) {
                    errors.push(FieldError::duplicate(format!("{path}.name"), name));
                }
            }
            errors
        },
        ..Plain::new(|node, now| {
            let drivers = Value::from(items(node, "/spec/drivers").len());
            vec![cells::name(node), drivers, cells::age(node, now)]
        })
    };
    let capacity = Plain {
        validate: |object| {
            let class = text(object, "/storageClassName");
            let complaints = names::dns1123_subdomain(class);
            complaints
                .iter()
                .map(|text| FieldError::invalid("storageClassName", class, text))
                .collect()
        },
        ..Plain::new(|object, _| {
            let class = Value::from(text(object, "/storageClassName"));
            vec![
                cells::name(object),
                class,
                cells::any_or(object, "/capacity", "<unset>"),
            ]
        })
    };
    vec![
        describe::kind(group, "CSIDriver", "csidrivers", DRIVER, driver())
            .cluster()
            .done(),
        describe::kind(group, "CSINode", "csinodes", NODE, node)
            .cluster()
            .done(),
        describe::kind(
            group,
            "CSIStorageCapacity",
            "csistoragecapacities",
            CAPACITY,
            capacity,
        )
        .done(),
        describe::kind(group, "StorageClass", "storageclasses", CLASS, Class)
            .cluster()
            .short(&["sc"])
            .done(),
        describe::kind(
            group,
            "VolumeAttachment",
            "volumeattachments",
            ATTACHMENT,
            Attachment,
        )
        .cluster()
        .status()
        .done(),
    ]
}

/// Longest name of a node for its driver (`csiNodeIDLongerMaxLength`).
const LONGEST_NODE_ID: usize = 256;

fn topology_keys(errors: &mut Vec<FieldError>, driver: &Value, path: &str) {
    let keys = items(driver, "/topologyKeys");
    let mut seen = HashSet::new();
    for key in keys.iter().filter_map(Value::as_str) {
        if key.is_empty() {
            errors.push(FieldError::required(path, ""));
        }
        if !seen.insert(key) {
            errors.push(FieldError::duplicate(path, key));
        }
        for complaint in names::qualified_name(key) {
            errors.push(FieldError::invalid(path, key, &complaint));
        }
        if errors.len() > MOST_ERRORS {
            return;
        }
    }
}

/// Where volumes of a class may be (`validateAllowedTopologies`).
fn topologies(errors: &mut Vec<FieldError>, class: &Value) {
    for (index, term) in items(class, "/allowedTopologies").iter().enumerate() {
        let mut keys = HashSet::new();
        for (at, requirement) in items(term, "/matchLabelExpressions").iter().enumerate() {
            let path = format!("allowedTopologies[{index}].matchLabelExpressions[{at}]");
            let (key, values) = (text(requirement, "/key"), items(requirement, "/values"));
            if values.is_empty() {
                errors.push(FieldError::required(format!("{path}.values"), ""));
            }
            let mut seen = HashSet::new();
            for (at, value) in values.iter().filter_map(Value::as_str).enumerate() {
                if !seen.insert(value) {
                    errors.push(FieldError::duplicate(format!("{path}.values[{at}]"), value));
                }
            }
            for complaint in names::qualified_name(key) {
                errors.push(FieldError::invalid(format!("{path}.key"), key, &complaint));
            }
            if !keys.insert(key) {
                errors.push(FieldError::duplicate(format!("{path}.key"), key));
            }
        }
    }
}

/// Most parameters of a class.
const MOST_PARAMETERS: usize = 512;

#[derive(Debug)]
struct Class;

const DEFAULT_CLASS: [&str; 2] = [
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
];

impl Strategy for Class {
    fn default(&self, class: &mut Value) {
        if let Some(map) = class.as_object_mut() {
            set_default(map, "reclaimPolicy", "Delete");
            set_default(map, "volumeBindingMode", "Immediate");
        }
    }

    fn validate_create(&self, class: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let provisioner = text(class, "/provisioner");
        if provisioner.is_empty() {
            errors.push(FieldError::required("provisioner", ""));
        } else {
            for complaint in names::qualified_name(&provisioner.to_lowercase()) {
                errors.push(FieldError::invalid("provisioner", provisioner, &complaint));
            }
        }
        if entries(class, "/parameters").count() > MOST_PARAMETERS {
            errors.push(FieldError::too_long("parameters", MOST_PARAMETERS));
        }
        for (key, _) in entries(class, "/parameters").filter(|(key, _)| key.is_empty()) {
            let detail = "field can not be empty.";
            errors.push(FieldError::invalid("parameters", key.as_str(), detail));
        }
        for (field, allowed) in [
            ("reclaimPolicy", ["Delete", "Retain"]),
            ("volumeBindingMode", ["Immediate", "WaitForFirstConsumer"]),
        ] {
            let value = text(class, &format!("/{field}"));
            if !allowed.contains(&value) {
                errors.push(FieldError::not_supported(field, value, &allowed));
            }
        }
        topologies(&mut errors, class);
        errors
    }

    fn validate_update(&self, _: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
        let mut errors = self.validate_create(new);
        for field in ["provisioner", "parameters", "reclaimPolicy"] {
            let (was, is) = (old.get(field), new.get(field));
            if was != is && !(is_unset(was) && is_unset(is)) {
                let detail = format!("updates to {field} are forbidden.");
                errors.push(FieldError::forbidden(field, &detail));
            }
        }
        let mode = text(new, "/volumeBindingMode");
        if text(old, "/volumeBindingMode") != mode {
            errors.push(FieldError::invalid("volumeBindingMode", mode, names::IMMUTABLE));
        }
        errors
    }

    fn row(&self, class: &Value, now: i64) -> Vec<Value> {
        let annotations = class.pointer("/metadata/annotations").and_then(Value::as_object);
        let is = |annotation: &&str| {
            annotations.is_some_and(|all| all.get(*annotation).is_some_and(|v| v == "true"))
        };
        let default = DEFAULT_CLASS.iter().any(is);
        let name = text(class, "/metadata/name");
        vec![
            Value::from(if default {
                format!("{name} (default)")
            } else {
                name.to_owned()
            }),
            Value::from(text(class, "/provisioner")),
            cells::text_or(class, "/reclaimPolicy", "<unset>"),
            cells::text_or(class, "/volumeBindingMode", "<unset>"),
            Value::from(is_true(class, "/allowVolumeExpansion")),
            cells::age(class, now),
        ]
    }
}

fn driver() -> Plain {
    Plain {
        default: |driver| {
            if let Some(spec) = object(driver, "spec") {
                default_driver(spec);
            }
        },
        validate: validate_driver,
        change: |old, new| {
            let mut errors = Vec::new();
            // Upstream's path has another name for the first.
            for (field, shown) in [
                ("attachRequired", "attachedRequired"),
                ("volumeLifecycleModes", "volumeLifecycleModes"),
            ] {
                let at = |driver: &Value| driver.pointer("/spec").and_then(|spec| spec.get(field)).cloned();
                let is = at(new);
                if at(old) != is {
                    let path = format!("spec.{shown}");
                    errors.push(FieldError::invalid(
                        path,
                        is.unwrap_or_default(),
                        names::IMMUTABLE,
                    ));
                }
            }
            errors
        },
        generation: true,
        ..Plain::new(|driver, now| {
            let modes: Vec<&str> = items(driver, "/spec/volumeLifecycleModes")
                .iter()
                .filter_map(Value::as_str)
                .collect();
            let tokens: Vec<&str> = items(driver, "/spec/tokenRequests")
                .iter()
                .map(|request| text(request, "/audience"))
                .collect();
            let flag = |field: &str| Value::from(is_true(driver, &format!("/spec/{field}")));
            vec![
                cells::name(driver),
                flag("attachRequired"),
                flag("podInfoOnMount"),
                flag("storageCapacity"),
                Value::from(if tokens.is_empty() {
                    "<unset>".to_owned()
                } else {
                    tokens.join(",")
                }),
                flag("requiresRepublish"),
                Value::from(cells::joined(modes)),
                cells::age(driver, now),
            ]
        })
    }
}

fn validate_driver(driver: &Value) -> Vec<FieldError> {
    const MODES: [&str; 2] = ["Ephemeral", "Persistent"];
    const POLICIES: [&str; 3] = ["File", "None", "ReadWriteOnceWithFSType"];
    let mut errors = Vec::new();
    let name = text(driver, "/metadata/name");
    if name.len() > 63 {
        errors.push(FieldError::too_long("metadata.name", 63));
    }
    let policy = text(driver, "/spec/fsGroupPolicy");
    if !policy.is_empty() && !POLICIES.contains(&policy) {
        errors.push(FieldError::not_supported("spec.fsGroupPolicy", policy, &POLICIES));
    }
    for mode in items(driver, "/spec/volumeLifecycleModes")
        .iter()
        .filter_map(Value::as_str)
    {
        if !MODES.contains(&mode) {
            errors.push(FieldError::not_supported(
                "spec.volumeLifecycleModes",
                mode,
                &MODES,
            ));
        }
    }
    let mut seen = HashSet::new();
    for (index, request) in items(driver, "/spec/tokenRequests").iter().enumerate() {
        let audience = text(request, "/audience");
        if !seen.insert(audience) {
            let path = format!("spec.tokenRequests[{index}].audience");
            errors.push(FieldError::duplicate(path, audience));
        }
        if let Some(seconds) = request.get("expirationSeconds").and_then(Value::as_i64)
            && seconds < 600
        {
            let path = format!("spec.tokenRequests[{index}].expirationSeconds");
            let detail = "may not specify a duration less than 10 minutes";
            errors.push(FieldError::invalid(path, seconds, detail));
        }
    }
    errors
}

fn default_driver(spec: &mut Map<String, Value>) {
    set_default(spec, "attachRequired", true);
    for field in [
        "podInfoOnMount",
        "storageCapacity",
        "requiresRepublish",
        "seLinuxMount",
    ] {
        set_default(spec, field, false);
    }
    set_zero(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    if super::json::is_unset(spec.get("volumeLifecycleModes")) {
        spec.insert(
            "volumeLifecycleModes".to_owned(),
            serde_json::json!(["Persistent"]),
        );
    }
}

#[derive(Debug)]
struct Attachment;

impl Strategy for Attachment {
    fn prepare_create(&self, new: &mut Value) {
        new["status"] = serde_json::json!({"attached": false});
    }

    fn prepare_update(&self, subresource: Option<&str>, old: &Value, new: &mut Value) {
        update::without_generation(subresource, old, new);
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        driver_name(&mut errors, text(object, "/spec/attacher"), "spec.attacher");
        let (volume, inline) = (
            object.pointer("/spec/source/persistentVolumeName"),
            object.pointer("/spec/source/inlineVolumeSpec"),
        );
        match (
            volume.and_then(Value::as_str),
            inline.is_some_and(Value::is_object),
        ) {
            (None, false) => errors.push(FieldError::required(
                "spec.source",
                "must specify exactly one of inlineVolumeSpec and persistentVolumeName",
            )),
            (Some(_), true) => errors.push(FieldError::forbidden(
                "spec.source",
                "must specify exactly one of inlineVolumeSpec and persistentVolumeName",
            )),
            (Some(name), false) => {
                for complaint in names::dns1123_subdomain(name) {
                    let path = "spec.source.persistentVolumeName";
                    errors.push(FieldError::invalid(path, name, &complaint));
                }
            }
            (None, true) => {}
        }
        let node = text(object, "/spec/nodeName");
        for complaint in names::dns1123_subdomain(node) {
            errors.push(FieldError::invalid("spec.nodeName", node, &complaint));
        }
        errors
    }

    fn validate_update(&self, _: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
        if old.get("spec") == new.get("spec") {
            return Vec::new();
        }
        let spec = new.get("spec").cloned().unwrap_or_default();
        vec![FieldError::invalid("spec", spec, "field is immutable")]
    }

    fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        vec![
            cells::name(object),
            Value::from(text(object, "/spec/attacher")),
            Value::from(text(object, "/spec/source/persistentVolumeName")),
            Value::from(text(object, "/spec/nodeName")),
            Value::from(is_true(object, "/status/attached")),
            cells::age(object, now),
        ]
    }
}
