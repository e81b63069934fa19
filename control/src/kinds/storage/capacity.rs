//! How much room CSI drivers have.

use keelson_api::names;
use keelson_api::quantity::Quantity;
use keelson_api::status::FieldError;
use serde_json::Value;

use super::GROUP;
use crate::kinds::apps::workload::label_selector;
use crate::kinds::describe::{self, ColumnDef, NAME};
use crate::kinds::json::{alike, is_unset, text};
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
            if !is_same_topology(old.get(TOPOLOGY), new.get(TOPOLOGY)) {
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

/// Whether two selectors of nodes are the same to a client with types, which leaves out what is empty in them. None at all
/// is not the same as an empty one, and a label without a value not the same as none.
fn is_same_topology(was: Option<&Value>, is: Option<&Value>) -> bool {
    let (Some(Value::Object(was)), Some(Value::Object(is))) = (was, is) else {
        return was.filter(|was| !was.is_null()) == is.filter(|is| !is.is_null());
    };
    let (labels_were, labels) = (was.get("matchLabels"), is.get("matchLabels"));
    let same_labels = labels_were == labels || (is_unset(labels_were) && is_unset(labels));
    same_labels && alike(was.get("matchExpressions"), is.get("matchExpressions"))
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
