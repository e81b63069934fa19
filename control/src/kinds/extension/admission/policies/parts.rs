//! Parts of an admission policy: its parameters, its messages, its audit annotations, and how its variables are called.

use std::collections::HashSet;

use keelson_api::names;
use keelson_api::status::{FieldError, MOST_ERRORS};
use serde_json::Value;

use crate::kinds::json::{items, text};

/// Of which kind the parameters of a policy are.
pub(super) fn parameters(errors: &mut Vec<FieldError>, of: &Value) {
    let (path, version) = ("spec.paramKind.apiVersion", text(of, "/apiVersion"));
    let mut invalid = |value: &str, detail: &str| errors.push(FieldError::invalid(path, value, detail));
    match version.rsplit_once('/').unwrap_or(("", version)) {
        _ if version.is_empty() => errors.push(FieldError::required(path, "")),
        (group, _) if group.contains('/') => {
            invalid(version, &format!("unexpected GroupVersion string: {version}"));
        }
        (group, short) => {
            let mistakes = names::dns1123_subdomain(group);
            if !group.is_empty() && !mistakes.is_empty() {
                invalid(group, &mistakes.join(","));
            }
            let mistakes = names::dns1035_label(short);
            if short.is_empty() {
                invalid(version, "version must be specified");
            } else if !mistakes.is_empty() {
                invalid(short, &mistakes.join(","));
            }
        }
    }
    let (path, kind) = ("spec.paramKind.kind", text(of, "/kind"));
    let mistakes = names::dns1035_label(&kind.to_lowercase());
    if kind.is_empty() {
        errors.push(FieldError::required(path, ""));
    } else if !mistakes.is_empty() {
        let detail = format!(
            "may have mixed case, but should otherwise match: {}",
            mistakes.join(",")
        );
        errors.push(FieldError::invalid(path, kind, &detail));
    }
}

/// What a validation says when it fails: something, in one line.
pub(super) fn messages(errors: &mut Vec<FieldError>, validation: &Value, path: &str) {
    let expression = text(validation, "/messageExpression");
    if !expression.is_empty() && expression.trim().is_empty() {
        let detail = "must be non-empty if specified";
        errors.push(FieldError::invalid(
            format!("{path}.messageExpression"),
            expression,
            detail,
        ));
    }
    let message = text(validation, "/message");
    let detail = if !message.is_empty() && message.trim().is_empty() {
        "message must be non-empty if specified"
    } else if message.trim().contains(['\n', '\r']) {
        "message must not contain line breaks"
    } else {
        return;
    };
    errors.push(FieldError::invalid(format!("{path}.message"), message, detail));
}

/// Most annotations of a policy, and the longest expression of one, in bytes.
const MOST_ANNOTATIONS: usize = 20;
const LONGEST_EXPRESSION: usize = 5 * 1024;

/// What a policy writes into the audit log, under keys that begin with its name.
pub(super) fn audit_annotations(errors: &mut Vec<FieldError>, policy: &Value) {
    let (annotations, path) = (items(policy, "/spec/auditAnnotations"), "spec.auditAnnotations");
    if annotations.len() > MOST_ANNOTATIONS {
        let detail = format!("must not have more than {MOST_ANNOTATIONS} auditAnnotations");
        errors.push(FieldError::invalid(path, annotations.to_vec(), &detail));
    }
    let name = text(policy, "/metadata/name");
    let mut seen = HashSet::new();
    for (index, annotation) in annotations.iter().enumerate() {
        if errors.len() > MOST_ERRORS {
            return;
        }
        let (key, path) = (text(annotation, "/key"), format!("{path}[{index}]"));
        let at = format!("{path}.key");
        if name.is_empty() {
            let detail = "requires metadata.name be non-empty";
            errors.push(FieldError::invalid(at.as_str(), key, detail));
        } else {
            let whole = format!("{name}/{key}");
            let mistakes = names::qualified_name(&whole);
            errors.extend(FieldError::complaints(&at, whole, mistakes));
        }
        let (expression, path) = (
            text(annotation, "/valueExpression").trim(),
            format!("{path}.valueExpression"),
        );
        if expression.is_empty() {
            errors.push(FieldError::required(path, "valueExpression is not specified"));
        } else if expression.len() > LONGEST_EXPRESSION {
            let detail = format!("must not exceed {LONGEST_EXPRESSION} bytes in length");
            errors.push(FieldError::required(path, &detail));
        }
        if !seen.insert(key) {
            errors.push(FieldError::duplicate(at, key));
        }
    }
}

/// Words that no variable can be called by.
const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// Whether an expression can name something so.
pub(super) fn is_identifier(name: &str) -> bool {
    let of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(of_word)
        && !RESERVED.contains(&name)
}
