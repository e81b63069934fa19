//! ServiceAccounts.

use serde_json::Value;

use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::items;
use crate::kinds::{Kind, Strategy, cells};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    (
        "Secrets",
        "string",
        0,
        "Secrets is a list of the secrets in the same namespace that pods running using this ServiceAccount are \
         allowed to use.",
    ),
    AGE,
];

pub(super) fn kind() -> Kind {
    describe::kind("v1", "ServiceAccount", "serviceaccounts", COLUMNS, ServiceAccount)
        .short(&["sa"])
        .sub(
            "token",
            "authentication.k8s.io/v1",
            "TokenRequest",
            describe::CREATE,
        )
        .done()
}

#[derive(Debug)]
struct ServiceAccount;

impl Strategy for ServiceAccount {
    fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        vec![
            cells::name(object),
            Value::from(items(object, "/secrets").len()),
            cells::age(object, now),
        ]
    }
}
