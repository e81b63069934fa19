//! How a Scale, a subresource of several kinds, is printed (`printScale` of upstream's `pkg/printers/internalversion`).

use serde_json::Value;

use super::describe::{AGE, ColumnDef, NAME, column};
use super::{Column, cells};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    (
        "Desired",
        "integer",
        0,
        "replicas is the desired number of instances for the scaled object.",
    ),
    (
        "Available",
        "integer",
        0,
        "replicas is the actual number of observed instances of the scaled object.",
    ),
    AGE,
];

/// Its columns.
pub fn columns() -> Vec<Column> {
    COLUMNS.iter().map(column).collect()
}

/// The cells of one.
pub fn row(scale: &Value, now: i64) -> Vec<Value> {
    vec![
        cells::name(scale),
        cells::number(scale, "/spec/replicas"),
        cells::number(scale, "/status/replicas"),
        cells::age(scale, now),
    ]
}
