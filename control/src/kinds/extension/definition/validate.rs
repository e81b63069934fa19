//! Complaints about definitions (`apiextensions/validation.ValidateCustomResourceDefinition`).

use std::collections::HashSet;

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

use super::{conversion, naming, version};
use crate::kinds::json::{is_true, items, text};

/// Complaints about a definition.
pub(super) fn definition(definition: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    naming::validate(definition, &mut errors);
    let scope = text(definition, "/spec/scope");
    if scope.is_empty() {
        errors.push(FieldError::required("spec.scope", ""));
    } else if !matches!(scope, "Cluster" | "Namespaced") {
        errors.push(FieldError::not_supported(
            "spec.scope",
            scope,
            &["Cluster", "Namespaced"],
        ));
    }
    if is_true(definition, "/spec/preserveUnknownFields") {
        let why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        errors.push(FieldError::invalid("spec.preserveUnknownFields", true, why));
    }
    conversion::check(definition, &mut errors);
    let versions = items(definition, "/spec/versions");
    if versions.is_empty() {
        errors.push(FieldError::required(
            "spec.versions",
            "must have at least one version",
        ));
    }
    let names = versions.iter().map(|version| text(version, "/name"));
    if names.collect::<HashSet<_>>().len() != versions.len() {
        let detail = "must contain unique version names";
        errors.push(FieldError::invalid(
            "spec.versions",
            Value::from(versions.to_vec()),
            detail,
        ));
    }
    let stored = versions
        .iter()
        .filter(|version| is_true(version, "/storage"))
        .count();
    if stored != 1 {
        let detail = "must have exactly one version marked as storage version";
        errors.push(FieldError::invalid(
            "spec.versions",
            Value::from(versions.to_vec()),
            detail,
        ));
    }
    for (index, one) in versions.iter().enumerate() {
        let path = format!("spec.versions[{index}]");
        let name = text(one, "/name");
        errors.extend(FieldError::complaints(
            format_args!("{path}.name"),
            name,
            names::dns1035_label(name),
        ));
        version::validate(&path, one, &mut errors);
    }
    errors
}
