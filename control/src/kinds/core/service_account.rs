//! ServiceAccounts.

use serde_json::Value;

use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{items, list};
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
    fn prepare_create(&self, new: &mut Value) {
        names_only(new);
    }

    fn prepare_update(&self, _: Option<&str>, _: &Value, new: &mut Value) {
        names_only(new);
    }

    fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        vec![
            cells::name(object),
            Value::from(items(object, "/secrets").len()),
            cells::age(object, now),
        ]
    }
}

/// Secrets are those of the same namespace: of what a reference may say, its name is all that counts.
fn names_only(account: &mut Value) {
    if let Some(account) = account.as_object_mut() {
        for secret in list(account, "secrets") {
            secret.retain(|field, _| field == "name");
        }
    }
}
