//! What CSI drivers say of the nodes they run on.

use std::collections::{HashMap, HashSet};

use keelson_api::names;
use keelson_api::status::{FieldError, MOST_ERRORS};
use serde_json::Value;

use super::GROUP;
use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{alike, int, items, object, set_default, text};
use crate::kinds::plain::Plain;
use crate::kinds::podspec::sources::driver_name;
use crate::kinds::{Kind, cells, go};

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

pub(super) fn kind() -> Kind {
    let strategy = Plain {
        default: |node| {
            // Upstream's type writes `null` for none, which some clients do not take.
            if let Some(spec) = object(node, "spec") {
                set_default(spec, "drivers", Vec::<Value>::new());
            }
        },
        validate: |node| {
            let mut errors = Vec::new();
            let mut seen = HashSet::new();
            for (index, driver) in items(node, "/spec/drivers").iter().enumerate() {
                let path = format!("spec.drivers[{index}]");
                let (name, id) = (text(driver, "/name"), text(driver, "/nodeID"));
                driver_name(&mut errors, name, format_args!("{path}.name"));
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
        change: |old, new| {
            let known: HashMap<&str, &Value> = items(old, "/spec/drivers")
                .iter()
                .map(|driver| (text(driver, "/name"), driver))
                .collect();
            let changed = items(new, "/spec/drivers").iter().filter(|driver| {
                known
                    .get(text(driver, "/name"))
                    .is_some_and(|old| !alike(Some(old), Some(driver)))
            });
            let changed = changed.take(MOST_ERRORS);
            changed
                .map(|driver| {
                    FieldError::invalid_shown("CSINodeDriver", &go::csi_driver(driver), names::IMMUTABLE)
                })
                .collect()
        },
        ..Plain::new(|node, now| {
            let drivers = Value::from(items(node, "/spec/drivers").len());
            vec![cells::name(node), drivers, cells::age(node, now)]
        })
    };
    describe::kind(GROUP, "CSINode", "csinodes", NODE, strategy)
        .cluster()
        .done()
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
        errors.extend(FieldError::complaints(path, key, names::qualified_name(key)));
        if errors.len() > MOST_ERRORS {
            return;
        }
    }
}
