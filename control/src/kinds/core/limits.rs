//! LimitRanges and ResourceQuotas.

use std::collections::HashSet;

use keelson_api::names;
use keelson_api::quantity::Quantity;
use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::describe::{self, AGE, CREATED_AT, ColumnDef, NAME};
use crate::kinds::json::{entries, items, list, object, object_or_new, text};
use crate::kinds::plain::Plain;
use crate::kinds::{Kind, cells};

const QUOTA: &[ColumnDef] = &[
    NAME,
    (
        "Request",
        "string",
        0,
        "Request represents a minimum amount of cpu/memory that a container may consume.",
    ),
    (
        "Limit",
        "string",
        0,
        "Limits control the maximum amount of cpu/memory that a container may use.",
    ),
    AGE,
];

pub(super) fn limit_range() -> Kind {
    let strategy = Plain {
        default: default_range,
        validate: validate_range,
        ..Plain::new(|object, _| vec![cells::name(object), cells::created_at(object)])
    };
    describe::kind("v1", "LimitRange", "limitranges", &[NAME, CREATED_AT], strategy)
        .short(&["limits"])
        .done()
}

pub(super) fn resource_quota() -> Kind {
    let strategy = Plain {
        default: |object| {
            if let Some(map) = object.as_object_mut() {
                object_or_new(map, "status");
            }
        },
        validate: validate_quota,
        generation: false,
        ..Plain::with_status(quota_row)
    };
    describe::kind("v1", "ResourceQuota", "resourcequotas", QUOTA, strategy)
        .short(&["quota"])
        .status()
        .done()
}

/// For containers, limits are the default of defaults, and those of default requests.
fn default_range(range: &mut Value) {
    let Some(spec) = object(range, "spec") else { return };
    for limit in list(spec, "limits") {
        if limit.get("type").and_then(Value::as_str) != Some("Container") {
            continue;
        }
        for (from, to) in [
            ("max", "default"),
            ("default", "defaultRequest"),
            ("min", "defaultRequest"),
        ] {
            let Some(amounts) = limit.get(from).and_then(Value::as_object).cloned() else {
                continue;
            };
            if let Some(target) = object_or_new(limit, to) {
                for (resource, amount) in amounts {
                    target.entry(resource).or_insert(amount);
                }
            }
        }
    }
}

fn validate_range(range: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut seen = HashSet::new();
    for (index, limit) in items(range, "/spec/limits").iter().enumerate() {
        let path = format!("spec.limits[{index}]");
        let kind = text(limit, "/type");
        if !seen.insert(kind) {
            errors.push(FieldError::duplicate(format!("{path}.type"), kind));
        }
        let amount = |list: &str, resource: &str| {
            limit
                .get(list)
                .and_then(|list| list.get(resource))
                .and_then(|amount| Quantity::from_json(amount).ok())
        };
        let order = ["min", "defaultRequest", "default", "max"];
        for (at, low) in order.iter().enumerate() {
            for (resource, _) in entries(limit, &format!("/{low}")) {
                for high in &order[at + 1..] {
                    if let (Some(small), Some(big)) = (amount(low, resource), amount(high, resource))
                        && small > big
                    {
                        let (path, detail) = (
                            format!("{path}.{low}[{resource}]"),
                            format!("{low} value {small} is greater than {high} value {big}"),
                        );
                        errors.push(FieldError::invalid(path, small.to_string(), &detail));
                    }
                }
            }
        }
    }
    errors
}

fn validate_quota(quota: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (resource, amount) in entries(quota, "/spec/hard") {
        let path = format!("spec.hard[{resource}]");
        for complaint in names::qualified_name(resource) {
            errors.push(FieldError::invalid(path.as_str(), resource.as_str(), &complaint));
        }
        if let Ok(amount) = Quantity::from_json(amount)
            && amount.is_negative()
        {
            errors.push(FieldError::invalid(path, amount.to_string(), names::NON_NEGATIVE));
        }
    }
    errors
}

fn quota_row(quota: &Value, now: i64) -> Vec<Value> {
    let show = |limits: bool| {
        let shown: Vec<String> = entries(quota, "/status/hard")
            .filter(|(resource, _)| resource.starts_with("limits.") == limits)
            .map(|(resource, hard)| {
                let used = quota.pointer("/status/used").and_then(|used| used.get(resource));
                let plain = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("0").to_owned();
                format!("{resource}: {}/{}", plain(used), plain(Some(hard)))
            })
            .collect();
        Value::from(shown.join(", "))
    };
    vec![
        cells::name(quota),
        show(false),
        show(true),
        cells::age(quota, now),
    ]
}
