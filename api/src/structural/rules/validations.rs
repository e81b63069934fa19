//! `x-kubernetes-validations`: what is around the expressions of rules. The expressions themselves are not read.

use serde_json::Value;

use super::ENOUGH;
use crate::status::FieldError;
use crate::structural::child;
use crate::structural::read::text;

/// What a failed rule is told as.
const REASONS: &[&str] = &[
    "FieldValueDuplicate",
    "FieldValueForbidden",
    "FieldValueInvalid",
    "FieldValueRequired",
];

pub(super) fn check(path: &str, schema: &Value, errors: &mut Vec<FieldError>) {
    let rules = schema["x-kubernetes-validations"].as_array();
    for (index, rule) in rules.into_iter().flatten().enumerate() {
        if errors.len() > ENOUGH {
            return;
        }
        let path = child(path, &format!("x-kubernetes-validations[{index}]"));
        one(&path, rule, errors);
    }
}

fn breaks(text: &str) -> bool {
    text.contains(['\n', '\r'])
}

fn is_blank(text: &str) -> bool {
    !text.is_empty() && text.trim().is_empty()
}

fn one(path: &str, rule: &Value, errors: &mut Vec<FieldError>) {
    let at = |field: &str| child(path, field);
    let (expression, message) = (text(rule, "rule").trim(), text(rule, "message"));
    if expression.is_empty() {
        errors.push(FieldError::required(at("rule"), "rule is not specified"));
    } else if is_blank(message) {
        let why = "message must be non-empty if specified";
        errors.push(FieldError::invalid(at("message"), message, why));
    } else if breaks(message.trim()) {
        let why = "message must not contain line breaks";
        errors.push(FieldError::invalid(at("message"), message, why));
    } else if breaks(expression) && message.is_empty() {
        let why = "message must be specified if rule contains line breaks";
        errors.push(FieldError::required(at("message"), why));
    }
    if is_blank(text(rule, "messageExpression")) {
        let why = "messageExpression must be non-empty if specified";
        errors.push(FieldError::required(at("messageExpression"), why));
    }
    if let Some(reason) = rule["reason"].as_str().filter(|reason| !REASONS.contains(reason)) {
        errors.push(FieldError::not_supported(at("reason"), reason, REASONS));
    }
    let place = text(rule, "fieldPath");
    if is_blank(place) {
        let why = "fieldPath must be non-empty if specified";
        errors.push(FieldError::invalid(at("fieldPath"), place, why));
    }
    if breaks(place) {
        let why = "fieldPath must not contain line breaks";
        errors.push(FieldError::invalid(at("fieldPath"), place, why));
    }
}
