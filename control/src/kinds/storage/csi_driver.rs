//! CSI drivers.

use std::collections::HashSet;

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::{Map, Value, json};

use super::GROUP;
use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{int, is_true, is_unset, items, object, set_default, text};
use crate::kinds::plain::Plain;
use crate::kinds::{Kind, cells};

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

pub(super) fn kind() -> Kind {
    describe::kind(GROUP, "CSIDriver", "csidrivers", DRIVER, strategy())
        .cluster()
        .done()
}

fn strategy() -> Plain {
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
        generation: Some("spec"),
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
    let policy = driver.pointer("/spec/fsGroupPolicy").and_then(Value::as_str);
    if let Some(policy) = policy.filter(|policy| !POLICIES.contains(policy)) {
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
            continue;
        }
        let seconds = int(request, "/expirationSeconds");
        let detail = match seconds {
            Some(..600) => "may not specify a duration less than 10 minutes",
            Some(seconds) if seconds > 1 << 32 => "may not specify a duration larger than 2^32 seconds",
            _ => continue,
        };
        let path = format!("spec.tokenRequests[{index}].expirationSeconds");
        errors.push(FieldError::invalid(path, seconds, detail));
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
    set_default(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    if is_unset(spec.get("volumeLifecycleModes")) {
        spec.insert("volumeLifecycleModes".to_owned(), json!(["Persistent"]));
    }
}
