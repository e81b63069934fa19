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
/// The classes of the system, none of which is the default of pods, and their values.
const SYSTEM: [(&str, i64); 2] = [
    ("system-node-critical", 2 * HIGHEST + 1000),
    ("system-cluster-critical", 2 * HIGHEST),
];

/// Why a class with such a name is none of the system's (upstream: `IsKnownSystemPriorityClass`).
fn not_of_system(name: &str, value: i64, is_default: bool) -> Option<String> {
    match SYSTEM.iter().find(|(known, _)| *known == name) {
        None => Some(format!("{name} is not a known system priority class")),
        Some((_, known)) if *known != value => Some(format!("value of {name} PriorityClass must be {known}")),
        Some(_) if is_default => Some(format!("globalDefault of {name} PriorityClass must be false")),
        Some(_) => None,
    }
}

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
            // Required in the schema, and so a client may insist on it.
            set_default(map, "value", 0);
        }
    }

    fn prepare_create(&self, new: &mut Value) {
        update::start_generation(new);
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let name = text(object, "/metadata/name");
        let value = int(object, "/value").unwrap_or(0);
        if name.starts_with("system-") {
            if let Some(why) = not_of_system(name, value, is_true(object, "/globalDefault")) {
                let detail = format!(
                    "priority class names with 'system-' prefix are reserved for system use only. error: {why}"
                );
                errors.push(FieldError::forbidden("metadata.name", &detail));
            }
        } else if value > HIGHEST {
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
