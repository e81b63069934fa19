//! The flowcontrol group.

use keelson_api::status::FieldError;
use serde_json::Value;

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
            if let Some(spec) = object(schema, "spec") {
                set_zero(spec, "matchingPrecedence", 1000);
            }
        },
        validate: flow_schema,
        ..Plain::with_status(schema_row)
    };
    let level = Plain {
        default: default_level,
        validate: priority_level,
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

/// Precedences of schemas.
const PRECEDENCES: std::ops::RangeInclusive<i64> = 1..=10000;

fn flow_schema(schema: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let precedence = int(schema, "/spec/matchingPrecedence").unwrap_or(0);
    if precedence <= 0 {
        let detail = "must be a positive value";
        errors.push(FieldError::invalid("spec.matchingPrecedence", precedence, detail));
    } else if !PRECEDENCES.contains(&precedence) {
        let detail = format!("must not be greater than {}", PRECEDENCES.end());
        errors.push(FieldError::invalid(
            "spec.matchingPrecedence",
            precedence,
            &detail,
        ));
    }
    if precedence == 1 && text(schema, "/metadata/name") != "exempt" {
        let detail = "only the schema named 'exempt' may have matchingPrecedence 1";
        errors.push(FieldError::invalid("spec.matchingPrecedence", precedence, detail));
    }
    if let Some(method) = schema
        .pointer("/spec/distinguisherMethod")
        .filter(|one| one.is_object())
    {
        let kind = text(method, "/type");
        let allowed = ["ByNamespace", "ByUser"];
        if !allowed.contains(&kind) {
            let path = "spec.distinguisherMethod.type";
            errors.push(FieldError::not_supported(path, kind, &allowed));
        }
    }
    if text(schema, "/spec/priorityLevelConfiguration/name").is_empty() {
        let detail = "must reference a priority level";
        errors.push(FieldError::required(
            "spec.priorityLevelConfiguration.name",
            detail,
        ));
    }
    for (index, rule) in items(schema, "/spec/rules").iter().enumerate() {
        let path = format!("spec.rules[{index}]");
        if items(rule, "/subjects").is_empty() {
            let detail = "subjects must contain at least one value";
            errors.push(FieldError::required(format!("{path}.subjects"), detail));
        }
        for (at, subject) in items(rule, "/subjects").iter().enumerate() {
            let kind = text(subject, "/kind");
            let allowed = ["Group", "ServiceAccount", "User"];
            if !allowed.contains(&kind) {
                let path = format!("{path}.subjects[{at}].kind");
                errors.push(FieldError::not_supported(path, kind, &allowed));
            }
        }
        if items(rule, "/resourceRules").is_empty() && items(rule, "/nonResourceRules").is_empty() {
            let detail = "at least one of resourceRules and nonResourceRules has to be non-empty";
            errors.push(FieldError::required(path, detail));
        }
    }
    errors
}

fn priority_level(level: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let has = |field: &str| {
        level
            .pointer(&format!("/spec/{field}"))
            .is_some_and(Value::is_object)
    };
    match text(level, "/spec/type") {
        "Exempt" => {
            if has("limited") {
                let detail = "must be nil if the type is not Limited";
                errors.push(FieldError::forbidden("spec.limited", detail));
            }
        }
        "Limited" => {
            if has("exempt") {
                let detail = "must be nil if the type is Limited";
                errors.push(FieldError::forbidden("spec.exempt", detail));
            }
            if has("limited") {
                limited(&mut errors, level);
            } else {
                let detail = "must not be empty when type is Limited";
                errors.push(FieldError::required("spec.limited", detail));
            }
        }
        other => {
            errors.push(FieldError::not_supported(
                "spec.type",
                other,
                &["Exempt", "Limited"],
            ));
        }
    }
    errors
}

fn limited(errors: &mut Vec<FieldError>, level: &Value) {
    let path = "spec.limited";
    let number = |field: &str| int(level, &format!("/spec/limited/{field}"));
    let percent = |errors: &mut Vec<FieldError>, field: &str| {
        if let Some(share) = number(field).filter(|share| !(0..=100).contains(share)) {
            let detail = "must be between 0 and 100, inclusive";
            errors.push(FieldError::invalid(format!("{path}.{field}"), share, detail));
        }
    };
    if let Some(shares) = number("nominalConcurrencyShares").filter(|shares| *shares < 0) {
        let detail = "must be a non-negative integer";
        errors.push(FieldError::invalid(
            format!("{path}.nominalConcurrencyShares"),
            shares,
            detail,
        ));
    }
    percent(errors, "lendablePercent");
    let queuing = level
        .pointer("/spec/limited/limitResponse/queuing")
        .filter(|queuing| queuing.is_object());
    let path = "spec.limited.limitResponse";
    match (text(level, "/spec/limited/limitResponse/type"), queuing) {
        ("Reject", Some(_)) => {
            let detail = "must be nil if limited.limitResponse.type is not Limited";
            errors.push(FieldError::forbidden(format!("{path}.queuing"), detail));
        }
        ("Reject", None) => {}
        ("Queue", None) => {
            let detail = "must not be empty if limited.limitResponse.type is Limited";
            errors.push(FieldError::required(format!("{path}.queuing"), detail));
        }
        ("Queue", Some(queuing)) => {
            let of = |field: &str| int(queuing, &format!("/{field}")).unwrap_or(0);
            for field in ["queueLengthLimit", "queues", "handSize"] {
                if of(field) <= 0 {
                    let detail = "must be positive";
                    errors.push(FieldError::invalid(
                        format!("{path}.queuing.{field}"),
                        of(field),
                        detail,
                    ));
                }
            }
            if of("handSize") > of("queues") {
                let detail = format!("should not be greater than queues ({})", of("queues"));
                errors.push(FieldError::invalid(
                    format!("{path}.queuing.handSize"),
                    of("handSize"),
                    &detail,
                ));
            }
        }
        ("", _) => errors.push(FieldError::required(format!("{path}.type"), "")),
        (other, _) => {
            let path = format!("{path}.type");
            errors.push(FieldError::not_supported(path, other, &["Queue", "Reject"]));
        }
    }
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
