//! Validation of objects, with the texts and paths of `k8s.io/kube-openapi/pkg/validation` as the API server shows them.

mod formats;
mod lists;

use std::fmt::Display;

use serde_json::{Map, Value};

use super::path::Path;
use super::{Additional, Checks, Kind, Structural};
use crate::status::FieldError;

/// Most errors that are told of one object; more help nobody, and an object may have millions.
const MOST: usize = 200;

impl Structural {
    /// Complaints about an object, which has been pruned and defaulted.
    pub fn validate(&self, object: &Value) -> Vec<FieldError> {
        let (mut errors, root) = (Vec::new(), Path::Root(""));
        self.walk(root, object, true, &mut errors);
        self.embedded(root, object, &mut errors);
        self.lists(root, object, &mut errors);
        errors.truncate(MOST);
        errors
    }

    /// Complaints about a value that stands at a path, such as a default of the schema itself.
    pub(super) fn validate_at(&self, path: &str, value: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let path = Path::Root(path);
        self.walk(path, value, false, &mut errors);
        self.lists(path, value, &mut errors);
        errors
    }

    fn walk(&self, path: Path<'_>, value: &Value, root: bool, errors: &mut Vec<FieldError>) {
        if errors.len() >= MOST {
            return;
        }
        let before = errors.len();
        self.type_of(path, value, errors);
        let checks = &self.checks;
        if value.is_null() {
            // Only the list of what is allowed speaks of null.
            if errors.len() == before {
                allowed(checks, path, value, errors);
            }
            return;
        }
        self.junctors(path, value, root, errors);
        match value {
            Value::String(text) => string(checks, path, text, errors),
            Value::Number(_) => number(self, path, value, errors),
            Value::Array(list) => self.items(path, list, errors),
            _ => {}
        }
        allowed(checks, path, value, errors);
        if let Value::Object(map) = value {
            self.fields(path, map, root, errors);
        }
    }

    fn type_of(&self, path: Path<'_>, value: &Value, errors: &mut Vec<FieldError>) {
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
        errors.push(FieldError::type_invalid(path, found, &detail));
    }

    fn junctors(&self, path: Path<'_>, value: &Value, root: bool, errors: &mut Vec<FieldError>) {
        let checks = &self.checks;
        let run = |schema: &Self| {
            let mut errors = Vec::new();
            schema.walk(path, value, root, &mut errors);
            errors
        };
        let quoted = || crate::status::go_quote(&path.to_string());
        // Of those that fail, the one with the fewest errors is told, as it is the likeliest to have been meant.
        if !checks.any_of.is_empty() {
            let mut best: Option<Vec<FieldError>> = None;
            let mut matched = false;
            for schema in &checks.any_of {
                let found = run(schema);
                matched = found.is_empty();
                if matched {
                    break;
                }
                if best.as_ref().is_none_or(|best| found.len() < best.len()) {
                    best = Some(found);
                }
            }
            if !matched {
                let why = format!("{} must validate at least one schema (anyOf)", quoted());
                errors.push(FieldError::invalid(path, "", &why));
                errors.extend(best.unwrap_or_default());
            }
        }
        if !checks.one_of.is_empty() {
            let mut best: Option<Vec<FieldError>> = None;
            let mut matched = 0;
            for schema in &checks.one_of {
                let found = run(schema);
                if found.is_empty() {
                    matched += 1;
                } else if best.as_ref().is_none_or(|best| found.len() < best.len()) {
                    best = Some(found);
                }
            }
            if matched != 1 {
                let why = if matched == 0 {
                    "Found none valid".to_owned()
                } else {
                    format!("Found {matched} valid alternatives")
                };
                let why = format!(
                    "{} must validate one and only one schema (oneOf). {why}",
                    quoted()
                );
                errors.push(FieldError::invalid(path, "", &why));
                if matched == 0 {
                    errors.extend(best.unwrap_or_default());
                }
            }
        }
        if !checks.all_of.is_empty() {
            let found: Vec<_> = checks.all_of.iter().map(run).collect();
            let matched = found.iter().filter(|errors| errors.is_empty()).count();
            if matched != found.len() {
                let none = if matched == 0 { ". None validated" } else { "" };
                let why = format!("{} must validate all the schemas (allOf){none}", quoted());
                errors.extend(found.into_iter().flatten());
                errors.push(FieldError::invalid(path, "", &why));
            }
        }
        if let Some(not) = &checks.not
            && run(not).is_empty()
        {
            let why = format!("{} must not validate the schema (not)", quoted());
            errors.push(FieldError::invalid(path, "", &why));
        }
    }

    fn items(&self, path: Path<'_>, list: &[Value], errors: &mut Vec<FieldError>) {
        let checks = &self.checks;
        if let Some(items) = &self.items {
            for (index, item) in list.iter().enumerate() {
                items.walk(path.item(index), item, false, errors);
            }
        }
        let count = list.len() as u64;
        if let Some(least) = checks.min_items.filter(|least| count < *least) {
            in_body(
                errors,
                path,
                count,
                &format!("should have at least {least} items"),
            );
        }
        if let Some(most) = checks.max_items.filter(|most| count > *most) {
            errors.push(FieldError::too_many(path, list.len(), most as usize));
        }
    }

    fn fields(&self, path: Path<'_>, map: &Map<String, Value>, root: bool, errors: &mut Vec<FieldError>) {
        let checks = &self.checks;
        let count = map.len() as u64;
        if let Some(least) = checks.min_properties.filter(|least| count < *least) {
            in_body(
                errors,
                path,
                count,
                &format!("should have at least {least} properties"),
            );
        }
        if let Some(most) = checks.max_properties.filter(|most| count > *most) {
            errors.push(FieldError::too_many(path, map.len(), most as usize));
        }
        for name in checks.required.iter().filter(|name| !map.contains_key(*name)) {
            errors.push(FieldError::required(path.field(name), ""));
        }
        for (name, value) in map {
            let implied = matches!(name.as_str(), "apiVersion" | "kind" | "metadata");
            if implied && (root || self.embedded) && !self.properties.contains_key(name) {
                continue;
            }
            let property = match (self.properties.get(name), &self.additional) {
                (Some(property), _) => property,
                (None, Additional::Schema(schema)) => schema,
                (None, _) => continue,
            };
            property.walk(path.field(name), value, false, errors);
        }
    }

    /// Embedded resources have a version and a kind.
    fn embedded(&self, path: Path<'_>, value: &Value, errors: &mut Vec<FieldError>) {
        match value {
            Value::Object(map) => {
                if self.embedded {
                    for field in ["apiVersion", "kind"] {
                        if map.get(field).and_then(Value::as_str).is_none_or(str::is_empty) {
                            errors.push(FieldError::required(path.field(field), "must not be empty"));
                        }
                    }
                }
                for (name, value) in map {
                    if let Some(property) = self.property(name) {
                        property.embedded(path.field(name), value, errors);
                    }
                }
            }
            Value::Array(list) => {
                let Some(items) = &self.items else { return };
                for (index, item) in list.iter().enumerate() {
                    items.embedded(path.item(index), item, errors);
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
fn in_body(errors: &mut Vec<FieldError>, path: Path<'_>, value: impl Into<Value>, what: &str) {
    errors.push(FieldError::invalid(
        path,
        value.into(),
        &format!("{path} in body {what}"),
    ));
}

fn allowed(checks: &Checks, path: Path<'_>, value: &Value, errors: &mut Vec<FieldError>) {
    if checks.allowed.is_empty() || checks.allowed.iter().any(|one| same(one, value)) {
        return;
    }
    let shown: Vec<String> = checks
        .allowed
        .iter()
        .map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned))
        .collect();
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    errors.push(FieldError::not_supported(path, value.clone(), &shown));
}

/// Equal, where 1 and 1.0 are the same number.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => one == other,
    }
}

fn string(checks: &Checks, path: Path<'_>, text: &str, errors: &mut Vec<FieldError>) {
    let limited = checks.min_length.is_some() || checks.max_length.is_some();
    let length = if limited { text.chars().count() as u64 } else { 0 };
    if let Some(most) = checks.max_length.filter(|most| length > *most) {
        errors.push(FieldError::too_long(path, most as usize));
    }
    if let Some(least) = checks.min_length.filter(|least| length < *least) {
        in_body(
            errors,
            path,
            text,
            &format!("should be at least {least} chars long"),
        );
    }
    if let Some(pattern) = checks.pattern.as_ref().filter(|pattern| !pattern.matches(text)) {
        in_body(errors, path, text, &format!("should match '{}'", pattern.text()));
    }
    if !formats::is_valid(&checks.format, text) {
        let quoted = crate::status::go_quote(text);
        let detail = format!("{path} in body must be of type {}: {quoted}", checks.format);
        errors.push(FieldError::type_invalid(path, text, &detail));
    }
}

fn number(schema: &Structural, path: Path<'_>, value: &Value, errors: &mut Vec<FieldError>) {
    let checks = &schema.checks;
    // Numbers without a fraction compare as floats, as they do upstream.
    let Some(number) = value.as_f64() else { return };
    let in_range = match checks.format.as_str() {
        "int32" if is_integer(value) => number >= f64::from(i32::MIN) && number <= f64::from(i32::MAX),
        _ => true,
    };
    if !in_range {
        let text = format!("Checked value must be of type integer with format int32 in {path}");
        errors.push(FieldError::invalid(path, "", &text));
    }
    if let Some(factor) = checks.multiple_of
        && (number / factor).fract() != 0.0
    {
        in_body(
            errors,
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
            in_body(errors, path, value.clone(), &what);
        }
    }
    if let Some(least) = checks.minimum {
        let beyond = number < least.at || (least.exclusive && number <= least.at);
        let or_equal = if least.exclusive { "" } else { " or equal to" };
        if beyond {
            let what = format!("should be greater than{or_equal} {}", go_float(least.at));
            in_body(errors, path, value.clone(), &what);
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
