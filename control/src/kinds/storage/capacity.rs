//! How much room CSI drivers have.

use keelson_api::names;
use keelson_api::quantity::Quantity;
use keelson_api::status::FieldError;
use serde_json::Value;

use super::GROUP;
use crate::kinds::apps::workload::label_selector;
use crate::kinds::describe::{self, ColumnDef, NAME};
use crate::kinds::json::text;
use crate::kinds::plain::Plain;
use crate::kinds::{Kind, cells, go};

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

const TOPOLOGY: &str = "nodeTopology";

pub(super) fn kind() -> Kind {
    let strategy = Plain {
        validate,
        change: |old, new| {
            let mut errors = Vec::new();
            // What a driver was asked about; the answer is all that may change.
            if old.get(TOPOLOGY) != new.get(TOPOLOGY) {
                let shown = new
                    .get(TOPOLOGY)
                    .map_or_else(|| "null".to_owned(), go::label_selector);
                errors.push(FieldError::invalid_shown(TOPOLOGY, &shown, names::IMMUTABLE));
            }
            let class = text(new, "/storageClassName");
            if text(old, "/storageClassName") != class {
                errors.push(FieldError::invalid("storageClassName", class, names::IMMUTABLE));
            }
            errors
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
    describe::kind(
        GROUP,
        "CSIStorageCapacity",
        "csistoragecapacities",
        CAPACITY,
        strategy,
    )
    .done()
}

fn validate(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let Some(selector) = object.get(TOPOLOGY).filter(|selector| selector.is_object()) {
        label_selector(&mut errors, selector, TOPOLOGY);
    }
    let class = text(object, "/storageClassName");
    errors.extend(FieldError::complaints(
        "storageClassName",
        class,
        names::dns1123_subdomain(class),
    ));
    let capacity = object
        .get("capacity")
        .and_then(|amount| Quantity::from_json(amount).ok());
    if let Some(capacity) = capacity.filter(|capacity| capacity.is_negative()) {
        errors.push(FieldError::invalid(
            "capacity",
            capacity.to_string(),
            names::NON_NEGATIVE,
        ));
    }
    errors
}
