//! RuntimeClasses.

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::text;
use crate::kinds::plain::Plain;
use crate::kinds::{Kind, cells};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    (
        "Handler",
        "string",
        0,
        "handler specifies the underlying runtime and configuration.",
    ),
    AGE,
];

pub(super) fn kind() -> Kind {
    let strategy = Plain {
        validate: |class| {
            let handler = text(class, "/handler");
            let complaints = names::dns1123_label(handler);
            complaints
                .iter()
                .map(|text| FieldError::invalid("handler", handler, text))
                .collect()
        },
        ..Plain::new(|class, now| {
            vec![
                cells::name(class),
                Value::from(text(class, "/handler")),
                cells::age(class, now),
            ]
        })
    };
    describe::kind(
        "node.k8s.io/v1",
        "RuntimeClass",
        "runtimeclasses",
        COLUMNS,
        strategy,
    )
    .cluster()
    .done()
}
