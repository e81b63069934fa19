//! How much room CSI drivers have.

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

use super::GROUP;
use crate::kinds::describe::{self, ColumnDef, NAME};
use crate::kinds::json::text;
use crate::kinds::plain::Plain;
use crate::kinds::{Kind, cells};

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

pub(super) fn kind() -> Kind {
    let strategy = Plain {
        validate: |object| {
            let class = text(object, "/storageClassName");
            let complaints = names::dns1123_subdomain(class);
            FieldError::complaints("storageClassName", class, complaints).collect()
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
