//! The flowcontrol group.

mod level;
mod schema;

use std::collections::HashSet;

use keelson_api::status::{FieldError, MOST_ERRORS};
use serde_json::{Value, json};

use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{int, items, object, object_or_new, set_default, set_zero, text};
use crate::kinds::plain::Plain;
use crate::kinds::{Kind, cells};

const SCHEMA: &[ColumnDef] = &[
    NAME,
    (
        "PriorityLevel",
        "string",
        0,
        "The priority level of its requests.",
    ),
    (
        "MatchingPrecedence",
        "string",
        0,
        "Which schema wins when several match: the lowest number.",
    ),
    (
        "DistinguisherMethod",
        "string",
        0,
        "How requests are told apart into flows.",
    ),
    AGE,
    (
        "MissingPL",
        "string",
        0,
        "references a broken or non-existent PriorityLevelConfiguration",
    ),
];
const LEVEL: &[ColumnDef] = &[
    NAME,
    ("Type", "string", 0, "Whether this level limits its requests."),
    (
        "NominalConcurrencyShares",
        "string",
        0,
        "Its share of the server's concurrency.",
    ),
    ("Queues", "string", 0, "The number of queues."),
    ("HandSize", "string", 0, "How many queues a flow may use."),
    (
        "QueueLengthLimit",
        "string",
        0,
        "How many requests a queue may hold.",
    ),
    AGE,
];

/// Its kinds.
pub(super) fn kinds() -> Vec<Kind> {
    let group = "flowcontrol.apiserver.k8s.io/v1";
    let schema = Plain {
        default: |schema| {
            if let Some(schema) = schema.as_object_mut()
                && let Some(spec) = object_or_new(schema, "spec")
            {
                set_zero(spec, "matchingPrecedence", 1000);
            }
        },
        validate: schema::validate,
        told: conditions,
        labels_with_status: false,
        ..Plain::with_status(schema_row)
    };
    let level = Plain {
        default: default_level,
        validate: level::validate,
        told: conditions,
        labels_with_status: false,
        ..Plain::with_status(level_row)
    };
    vec![
        describe::kind(group, "FlowSchema", "flowschemas", SCHEMA, schema)
            .cluster()
            .status()
            .done(),
        describe::kind(
            group,
            "PriorityLevelConfiguration",
            "prioritylevelconfigurations",
            LEVEL,
            level,
        )
        .cluster()
        .status()
        .done(),
    ]
}

/// Complaints about the conditions in a status: each says what it is about, and no other says it too.
fn conditions(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut seen = HashSet::new();
    for (index, condition) in items(object, "/status/conditions").iter().enumerate() {
        if errors.len() > MOST_ERRORS {
            break;
        }
        let (kind, path) = (
            text(condition, "/type"),
            format!("status.conditions[{index}].type"),
        );
        if !seen.insert(kind) {
            errors.push(FieldError::duplicate(path.as_str(), kind));
        }
        if kind.is_empty() {
            errors.push(FieldError::required(path, "must not be empty"));
        }
    }
    errors
}

fn default_level(level: &mut Value) {
    let Some(spec) = object(level, "spec") else { return };
    if let Some(limited) = spec.get_mut("limited").and_then(Value::as_object_mut) {
        set_default(limited, "nominalConcurrencyShares", 30);
        set_default(limited, "lendablePercent", 0);
        if let Some(response) = object_or_new(limited, "limitResponse")
            && let Some(queuing) = response.get_mut("queuing").and_then(Value::as_object_mut)
        {
            for (field, value) in [("handSize", 8), ("queues", 64), ("queueLengthLimit", 50)] {
                set_zero(queuing, field, value);
            }
        }
    }
    if let Some(exempt) = spec.get_mut("exempt").and_then(Value::as_object_mut) {
        set_default(exempt, "nominalConcurrencyShares", 0);
        set_default(exempt, "lendablePercent", 0);
    }
}

/// Whether a spec, with its defaults, is another than the fixed one. Fields that are null, false or empty are none.
fn is_other(spec: &Value, fixed: &Value) -> bool {
    fn plain(value: &Value) -> Value {
        match value {
            Value::Object(fields) => fields
                .iter()
                .map(|(name, value)| (name.clone(), plain(value)))
                .filter(|(_, value)| !(value.is_null() || *value == false || *value == json!([])))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            Value::Array(items) => items.iter().map(plain).collect(),
            other => other.clone(),
        }
    }
    plain(spec) != plain(fixed)
}

fn schema_row(schema: &Value, now: i64) -> Vec<Value> {
    let dangling = items(schema, "/status/conditions")
        .iter()
        .find(|c| text(c, "/type") == "Dangling");
    vec![
        cells::name(schema),
        Value::from(text(schema, "/spec/priorityLevelConfiguration/name")),
        cells::number(schema, "/spec/matchingPrecedence"),
        cells::text_or(schema, "/spec/distinguisherMethod/type", "<none>"),
        cells::age(schema, now),
        Value::from(dangling.map_or("?", |condition| text(condition, "/status"))),
    ]
}

fn level_row(level: &Value, now: i64) -> Vec<Value> {
    let limited = |field: &str| {
        let found = int(level, &format!("/spec/limited/{field}"));
        Value::from(found.map_or_else(|| "<none>".to_owned(), |number| number.to_string()))
    };
    vec![
        cells::name(level),
        Value::from(text(level, "/spec/type")),
        limited("nominalConcurrencyShares"),
        limited("limitResponse/queuing/queues"),
        limited("limitResponse/queuing/handSize"),
        limited("limitResponse/queuing/queueLengthLimit"),
        cells::age(level, now),
    ]
}
