//! LimitRanges.

use std::collections::{BTreeSet, HashSet};

use keelson_api::names;
use keelson_api::quantity::Quantity;
use keelson_api::status::FieldError;
use serde_json::{Map, Value};

use crate::kinds::describe::{self, CREATED_AT, NAME};
use crate::kinds::json::{entries, items, list, object, object_or_new, set_default, text};
use crate::kinds::plain::Plain;
use crate::kinds::{Kind, cells, podspec, resource_names};

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

/// For containers, limits are the default of defaults, and those of default requests.
fn default_range(range: &mut Value) {
    let Some(spec) = object(range, "spec") else { return };
    // Upstream's type writes `null` for none, which some clients do not take.
    set_default(spec, "limits", Vec::<Value>::new());
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
        let complaints = names::qualified_name(kind);
        for complaint in &complaints {
            errors.push(FieldError::invalid(format!("{path}.type"), kind, complaint));
        }
        if complaints.is_empty()
            && !kind.contains('/')
            && !matches!(kind, "Pod" | "Container" | "PersistentVolumeClaim")
        {
            let detail = "must be a standard limit type or fully qualified";
            errors.push(FieldError::invalid(format!("{path}.type"), kind, detail));
        }
        if !seen.insert(kind) {
            errors.push(FieldError::duplicate(format!("{path}.type"), kind));
        }
        if kind == "Pod" {
            for list in ["default", "defaultRequest"] {
                if entries(limit, &format!("/{list}")).next().is_some() {
                    let detail = "may not be specified when `type` is 'Pod'";
                    errors.push(FieldError::forbidden(format!("{path}.{list}"), detail));
                }
            }
        }
        let has_storage = |list: &str| amount(limit, list, "storage").is_some();
        if kind == "PersistentVolumeClaim" && !has_storage("min") && !has_storage("max") {
            let detail = "either minimum or maximum storage value is required, but neither was provided";
            errors.push(FieldError::required(format!("{path}.limits"), detail));
        }
        let lists = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];
        let resources: BTreeSet<&String> = lists
            .iter()
            .filter_map(|list| limit.get(*list)?.as_object())
            .flat_map(Map::keys)
            .collect();
        for list in lists {
            if kind == "Pod" && list.starts_with("default") {
                continue;
            }
            for (resource, _) in entries(limit, &format!("/{list}")) {
                let path = format!("{path}.{list}[{resource}]");
                match kind {
                    "Pod" | "Container" => resource_names::check_of_container(&mut errors, resource, &path),
                    _ => resource_names::check(&mut errors, resource, &path),
                }
            }
        }
        for resource in resources {
            check_order(limit, resource, &path, &mut errors);
            check_ratio(limit, resource, &path, &mut errors);
            check_whole(limit, resource, &path, &mut errors);
        }
    }
    errors
}

fn amount(limit: &Value, list: &str, resource: &str) -> Option<Quantity> {
    Quantity::from_json(limit.get(list)?.get(resource)?).ok()
}

/// What must not be greater than what: the two lists, whose fault it is and with which amount, and their names.
const ORDER: [(&str, &str, &str, &str, &str, &str); 6] = [
    ("min", "max", "min", "min", "min value", "max value"),
    (
        "min",
        "defaultRequest",
        "defaultRequest",
        "defaultRequest",
        "min value",
        "default request value",
    ),
    (
        "defaultRequest",
        "max",
        "defaultRequest",
        "defaultRequest",
        "default request value",
        "max value",
    ),
    (
        "defaultRequest",
        "default",
        "defaultRequest",
        "defaultRequest",
        "default request value",
        "default limit value",
    ),
    ("min", "default", "default", "min", "min value", "default value"),
    ("default", "max", "default", "max", "default value", "max value"),
];

fn check_order(limit: &Value, resource: &str, path: &str, errors: &mut Vec<FieldError>) {
    for (low, high, field, shown, low_name, high_name) in ORDER {
        let of = |list: &str| amount(limit, list, resource);
        if let (Some(small), Some(big), Some(shown)) = (of(low), of(high), of(shown))
            && small > big
        {
            errors.push(FieldError::invalid(
                format!("{path}.{field}[{resource}]"),
                shown.to_string(),
                &format!("{low_name} {small} is greater than {high_name} {big}"),
            ));
        }
    }
}

/// Of what is handed out whole, containers get what they ask for.
fn check_whole(limit: &Value, resource: &str, path: &str, errors: &mut Vec<FieldError>) {
    let of = |list: &str| amount(limit, list, resource);
    if podspec::overcommits(resource) || text(limit, "/type") == "Pod" {
        return;
    }
    if let (Some(limit), Some(request)) = (of("default"), of("defaultRequest"))
        && limit != request
    {
        let detail =
            format!("default value {limit} must equal to defaultRequest value {request} in {resource}");
        errors.push(FieldError::invalid(
            format!("{path}.defaultRequest[{resource}]"),
            request.to_string(),
            &detail,
        ));
    }
}

fn check_ratio(limit: &Value, resource: &str, path: &str, errors: &mut Vec<FieldError>) {
    let of = |list: &str| amount(limit, list, resource);
    let Some(ratio) = of("maxLimitRequestRatio") else {
        return;
    };
    let mut complain = |detail: &str| {
        let field = format!("{path}.maxLimitRequestRatio[{resource}]");
        errors.push(FieldError::invalid(field, ratio.to_string(), detail));
    };
    if ratio.as_f64() < 1.0 {
        complain(&format!("ratio {ratio} is less than 1"));
    }
    if let (Some(min), Some(max)) = (of("min"), of("max"))
        && !min.is_zero()
    {
        let most = max.as_f64() / min.as_f64();
        if ratio.as_f64() > most {
            complain(&format!("ratio {ratio} is greater than max/min = {most:.6}"));
        }
    }
}
