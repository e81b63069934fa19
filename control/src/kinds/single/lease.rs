//! Leases.

use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{int, text};
use crate::kinds::{Kind, Strategy, cells};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    (
        "Holder",
        "string",
        0,
        "holderIdentity contains the identity of the holder of a current lease.",
    ),
    AGE,
];

pub(super) fn kind() -> Kind {
    describe::kind("coordination.k8s.io/v1", "Lease", "leases", COLUMNS, Lease).done()
}

#[derive(Debug)]
struct Lease;

impl Strategy for Lease {
    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if let Some(seconds) = int(object, "/spec/leaseDurationSeconds")
            && seconds <= 0
        {
            errors.push(FieldError::invalid(
                "spec.leaseDurationSeconds",
                seconds,
                "must be greater than 0",
            ));
        }
        if let Some(count) = int(object, "/spec/leaseTransitions")
            && count < 0
        {
            errors.push(FieldError::invalid(
                "spec.leaseTransitions",
                count,
                "must be greater than or equal to 0",
            ));
        }
        errors
    }

    fn validate_update(&self, _: Option<&str>, _: &Value, new: &Value) -> Vec<FieldError> {
        self.validate_create(new)
    }

    fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        vec![
            cells::name(object),
            Value::from(text(object, "/spec/holderIdentity")),
            cells::age(object, now),
        ]
    }
}
