//! PriorityClasses.

use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{int, is_true, set_default, text};
use crate::kinds::{Kind, Strategy, cells, update};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    (
        "Value",
        "integer",
        0,
        "value represents the integer value of this priority class.",
    ),
    (
        "Global-Default",
        "boolean",
        0,
        "globalDefault specifies whether this class is the default for pods without one.",
    ),
    AGE,
    (
        "PreemptionPolicy",
        "string",
        0,
        "preemptionPolicy is the policy for preempting pods with lower priority.",
    ),
];

/// User classes end where those of the system begin.
const HIGHEST: i64 = 1_000_000_000;

pub(super) fn kind() -> Kind {
    describe::kind(
        "scheduling.k8s.io/v1",
        "PriorityClass",
        "priorityclasses",
        COLUMNS,
        PriorityClass,
    )
    .cluster()
    .short(&["pc"])
    .done()
}

#[derive(Debug)]
struct PriorityClass;

impl Strategy for PriorityClass {
    fn default(&self, object: &mut Value) {
        if let Some(map) = object.as_object_mut() {
            set_default(map, "preemptionPolicy", "PreemptLowerPriority");
        }
    }

    fn prepare_create(&self, new: &mut Value) {
        update::start_generation(new);
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let name = text(object, "/metadata/name");
        let value = int(object, "/value").unwrap_or(0);
        let system = matches!(name, "system-cluster-critical" | "system-node-critical");
        if name.starts_with("system-") && !system {
            let detail = "priority class names with 'system-' prefix are reserved for system use only. error: \
                          priority class is not a known system class";
            errors.push(FieldError::forbidden("metadata.name", detail));
        } else if value > HIGHEST && !system {
            let detail = format!("maximum allowed value of a user defined priority is {HIGHEST}");
            errors.push(FieldError::forbidden("value", &detail));
        }
        let policy = text(object, "/preemptionPolicy");
        let allowed = ["Never", "PreemptLowerPriority"];
        if policy.is_empty() {
            errors.push(FieldError::required("preemptionPolicy", ""));
        } else if !allowed.contains(&policy) {
            errors.push(FieldError::not_supported("preemptionPolicy", policy, &allowed));
        }
        errors
    }

    fn validate_update(&self, _: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if int(old, "/value").unwrap_or(0) != int(new, "/value").unwrap_or(0) {
            errors.push(FieldError::forbidden("value", "may not be changed in an update."));
        }
        if old.get("preemptionPolicy") != new.get("preemptionPolicy") {
            let policy = text(new, "/preemptionPolicy");
            errors.push(FieldError::invalid(
                "preemptionPolicy",
                policy,
                keelson_api::names::IMMUTABLE,
            ));
        }
        errors
    }

    fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        vec![
            cells::name(object),
            cells::number(object, "/value"),
            Value::from(is_true(object, "/globalDefault")),
            cells::age(object, now),
            Value::from(text(object, "/preemptionPolicy")),
        ]
    }
}
