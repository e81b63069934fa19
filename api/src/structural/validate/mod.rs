//! Validation of objects, with the texts and paths of `k8s.io/kube-openapi/pkg/validation` as the API server shows them.

mod formats;
mod junctors;
mod lists;
mod report;
#[cfg(test)]
mod tests;

use std::fmt::Display;

use serde_json::{Map, Value};

use super::path::Path;
use super::{Additional, Checks, Kind, Structural};
use crate::status::FieldError;
use report::Report;
pub(super) use report::STEPS;

/// Longest list of choices that is written for an error, in bytes; errors show the start of it.
const LONGEST_CHOICES: usize = 8192;

impl Structural {
    /// Complaints about an object, which has been pruned and defaulted.
    pub fn validate(&self, object: &Value) -> Vec<FieldError> {
        let (mut report, root) = (Report::new(STEPS), Path::Root(""));
        self.walk(root, object, true, &mut report);
        self.embedded(root, object, &mut report);
        self.lists(root, object, &mut report);
        report.end().0
    }

    /// Complaints about a value that stands at a path, such as a default of the schema itself; `steps` are those that are
    /// left for it and what comes after it.
    pub(super) fn validate_at(&self, path: &str, value: &Value, steps: &mut usize) -> Vec<FieldError> {
        let mut report = Report::new(*steps);
        let path = Path::Root(path);
        self.walk(path, value, false, &mut report);
        self.embedded(path, value, &mut report);
        self.lists(path, value, &mut report);
        let (errors, left) = report.end();
        *steps = left;
        errors
    }

    fn walk(&self, path: Path<'_>, value: &Value, root: bool, report: &mut Report) {
        if report.is_full() || !report.spend(path, self.cost(value)) {
            return;
        }
        let before = report.found();
        self.type_of(path, value, report);
        let checks = &self.checks;
        if value.is_null() {
            // Only the list of what is allowed speaks of null.
            if report.found() == before {
                allowed(checks, path, value, report);
            }
            return;
        }
        self.junctors(path, value, root, report);
        match value {
            Value::String(text) => string(checks, path, text, report),
            Value::Number(_) => number(self, path, value, report),
            Value::Array(list) => self.items(path, list, report),
            _ => {}
        }
        allowed(checks, path, value, report);
        if let Value::Object(map) = value {
            self.fields(path, map, root, report);
        }
    }

    /// The steps that the checks of a value take, without what is below it.
    fn cost(&self, value: &Value) -> usize {
        let checks = &self.checks;
        let choices = checks.allowed.len();
        match value {
            // Which of the texts that are allowed it is, is looked up.
            Value::String(text) => {
                let pattern = checks.pattern.as_ref().map_or(0, |pattern| pattern.cost(text));
                (1 + text.len() / 16).saturating_add(pattern)
            }
            Value::Object(map) => {
                let fields = 1 + map.len();
                fields.saturating_add(choices.saturating_mul(extent(value, choices)))
            }
            Value::Array(_) => 1 + choices.saturating_mul(extent(value, choices)),
            _ => 1 + choices,
        }
    }

    fn type_of(&self, path: Path<'_>, value: &Value, report: &mut Report) {
        let found = type_name(value);
        let wanted = match self.kind {
            None if self.int_or_string => match value {
                Value::String(_) => return,
                Value::Null if self.nullable => return,
                Value::Number(_) if is_integer(value) => return,
                _ => "integer,string",
            },
            None => return,
            Some(kind) => {
                let fits = match (kind, value) {
                    (_, Value::Null) => self.nullable,
                    (Kind::Object, Value::Object(_))
                    | (Kind::Array, Value::Array(_))
                    | (Kind::String, Value::String(_))
                    | (Kind::Number, Value::Number(_))
                    | (Kind::Boolean, Value::Bool(_)) => true,
                    (Kind::Integer, Value::Number(_)) => is_integer(value),
                    _ => false,
                };
                if fits {
                    return;
                }
                kind.name()
            }
        };
        let detail = format!("{path} in body must be of type {wanted}: \"{found}\"");
        report.push(FieldError::type_invalid(path, found, &detail));
    }

    fn items(&self, path: Path<'_>, list: &[Value], report: &mut Report) {
        let checks = &self.checks;
        if let Some(items) = &self.items {
            for (index, item) in list.iter().enumerate() {
                if report.is_full() {
                    return;
                }
                items.walk(path.item(index), item, false, report);
            }
        }
        let count = list.len() as u64;
        if let Some(least) = checks.min_items.filter(|least| count < *least) {
            in_body(
                report,
                path,
                count,
                &format!("should have at least {least} items"),
            );
        }
        if let Some(most) = checks.max_items.filter(|most| count > *most) {
            report.push(FieldError::too_many(path, list.len(), most as usize));
        }
    }

    fn fields(&self, path: Path<'_>, map: &Map<String, Value>, root: bool, report: &mut Report) {
        let checks = &self.checks;
        let count = map.len() as u64;
        if let Some(least) = checks.min_properties.filter(|least| count < *least) {
            in_body(
                report,
                path,
                count,
                &format!("should have at least {least} properties"),
            );
        }
        if let Some(most) = checks.max_properties.filter(|most| count > *most) {
            report.push(FieldError::too_many(path, map.len(), most as usize));
        }
        for name in checks.required.iter().filter(|name| !map.contains_key(*name)) {
            if report.is_full() {
                return;
            }
            report.push(FieldError::required(path.field(name), ""));
        }
        for (name, value) in map {
            if report.is_full() {
                return;
            }
            let implied = matches!(name.as_str(), "apiVersion" | "kind" | "metadata");
            if implied && (root || self.embedded) && !self.properties.contains_key(name) {
                continue;
            }
            let property = match (self.properties.get(name), &self.additional) {
                (Some(property), _) => property,
                (None, Additional::Schema(schema)) => schema,
                (None, _) => continue,
            };
            property.walk(path.field(name), value, false, report);
        }
    }

    /// Embedded resources have a version and a kind.
    fn embedded(&self, path: Path<'_>, value: &Value, report: &mut Report) {
        if report.is_full() {
            return;
        }
        match value {
            Value::Object(map) => {
                if self.embedded {
                    for field in ["apiVersion", "kind"] {
                        if map.get(field).and_then(Value::as_str).is_none_or(str::is_empty) {
                            report.push(FieldError::required(path.field(field), "must not be empty"));
                        }
                    }
                }
                for (name, value) in map {
                    if let Some(property) = self.property(name) {
                        property.embedded(path.field(name), value, report);
                    }
                }
            }
            Value::Array(list) => {
                let Some(items) = &self.items else { return };
                for (index, item) in list.iter().enumerate() {
                    items.embedded(path.item(index), item, report);
                }
            }
            _ => {}
        }
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) if is_integer(value) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

/// `PATH in body WHAT`.
fn in_body(report: &mut Report, path: Path<'_>, value: impl Into<Value>, what: &str) {
    report.push(FieldError::invalid(
        path,
        value.into(),
        &format!("{path} in body {what}"),
    ));
}

fn allowed(checks: &Checks, path: Path<'_>, value: &Value, report: &mut Report) {
    let found = || match value {
        Value::String(text) => checks.allowed_texts.contains(text),
        value => checks.allowed.iter().any(|one| same(one, value)),
    };
    if checks.allowed.is_empty() || found() {
        return;
    }
    let mut bytes = 0;
    let shown: Vec<String> = checks
        .allowed
        .iter()
        .map_while(|one| {
            let one = match one {
                Value::String(text) => text[..text.floor_char_boundary(LONGEST_CHOICES)].to_owned(),
                one => one.to_string(),
            };
            let fits = bytes <= LONGEST_CHOICES;
            bytes += one.len();
            fits.then_some(one)
        })
        .collect();
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    report.push(FieldError::not_supported(path, value.clone(), &shown));
}

/// How many values there are in a value, if there are choices to compare it with.
fn extent(value: &Value, choices: usize) -> usize {
    match value {
        _ if choices == 0 => 0,
        Value::Array(list) => list.iter().map(|value| extent(value, choices)).sum::<usize>() + 1,
        Value::Object(map) => map.values().map(|value| extent(value, choices)).sum::<usize>() + 1,
        Value::String(text) => 1 + text.len() / 16,
        _ => 1,
    }
}

/// Equal, where 1 and 1.0 are the same number.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => one == other,
    }
}

fn string(checks: &Checks, path: Path<'_>, text: &str, report: &mut Report) {
    let limited = checks.min_length.is_some() || checks.max_length.is_some();
    let length = if limited { text.chars().count() as u64 } else { 0 };
    if let Some(most) = checks.max_length.filter(|most| length > *most) {
        report.push(FieldError::too_long(path, most as usize));
    }
    if let Some(least) = checks.min_length.filter(|least| length < *least) {
        in_body(
            report,
            path,
            text,
            &format!("should be at least {least} chars long"),
        );
    }
    if let Some(pattern) = checks.pattern.as_ref().filter(|pattern| !pattern.matches(text)) {
        in_body(report, path, text, &format!("should match '{}'", pattern.text()));
    }
    if !formats::is_valid(&checks.format, text) {
        let quoted = crate::status::go_quote(text);
        let detail = format!("{path} in body must be of type {}: {quoted}", checks.format);
        report.push(FieldError::type_invalid(path, text, &detail));
    }
}

fn number(schema: &Structural, path: Path<'_>, value: &Value, report: &mut Report) {
    let checks = &schema.checks;
    // Numbers without a fraction compare as floats, as they do upstream.
    let Some(number) = value.as_f64() else { return };
    let in_range = match checks.format.as_str() {
        "int32" if is_integer(value) => number >= f64::from(i32::MIN) && number <= f64::from(i32::MAX),
        _ => true,
    };
    if !in_range {
        let text = format!("Checked value must be of type integer with format int32 in {path}");
        report.push(FieldError::invalid(path, "", &text));
    }
    if let Some(factor) = checks.multiple_of
        && (number / factor).fract() != 0.0
    {
        in_body(
            report,
            path,
            value.clone(),
            &format!("should be a multiple of {}", go_float(factor)),
        );
    }
    if let Some(most) = checks.maximum {
        let beyond = number > most.at || (most.exclusive && number >= most.at);
        let or_equal = if most.exclusive { "" } else { " or equal to" };
        if beyond {
            let what = format!("should be less than{or_equal} {}", go_float(most.at));
            in_body(report, path, value.clone(), &what);
        }
    }
    if let Some(least) = checks.minimum {
        let beyond = number < least.at || (least.exclusive && number <= least.at);
        let or_equal = if least.exclusive { "" } else { " or equal to" };
        if beyond {
            let what = format!("should be greater than{or_equal} {}", go_float(least.at));
            in_body(report, path, value.clone(), &what);
        }
    }
}

/// A float as Go prints it with `%v`: with an exponent from 21 digits on.
fn go_float(number: f64) -> impl Display {
    if number != 0.0 && (number.abs() >= 1e21 || number.abs() < 1e-4) {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent
            .strip_prefix('-')
            .map_or(("+", exponent), |rest| ("-", rest));
        format!("{digits}e{sign}{exponent:0>2}")
    } else {
        number.to_string()
    }
}
