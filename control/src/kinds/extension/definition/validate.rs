//! Complaints about definitions (`apiextensions/validation.ValidateCustomResourceDefinition`).

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

use super::{naming, version};
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
    conversion(definition, &mut errors);
    let versions = items(definition, "/spec/versions");
    if versions.is_empty() {
        errors.push(FieldError::required(
            "spec.versions",
            "must have at least one version",
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
        if versions
            .iter()
            .take(index)
            .any(|other| text(other, "/name") == name)
        {
            errors.push(FieldError::invalid(
                format!("{path}.name"),
                name,
                "must contain unique version names",
            ));
        }
        version::validate(&path, one, &mut errors);
    }
    errors
}

fn conversion(definition: &Value, errors: &mut Vec<FieldError>) {
    let strategy = text(definition, "/spec/conversion/strategy");
    let webhook = &definition["spec"]["conversion"]["webhook"];
    match strategy {
        "None" => {
            if !webhook.is_null() {
                errors.push(FieldError::forbidden(
                    "spec.conversion.webhookClientConfig",
                    "should not be set when strategy is not set to Webhook",
                ));
            }
        }
        "Webhook" => {
            if webhook["clientConfig"].is_null() {
                errors.push(FieldError::required(
                    "spec.conversion.webhookClientConfig",
                    "required when strategy is set to Webhook",
                ));
            }
            if items(webhook, "/conversionReviewVersions").is_empty() {
                errors.push(FieldError::required(
                    "spec.conversion.conversionReviewVersions",
                    "",
                ));
            }
        }
        "" => errors.push(FieldError::required("spec.conversion.strategy", "")),
        other => errors.push(FieldError::not_supported(
            "spec.conversion.strategy",
            other,
            &["None", "Webhook"],
        )),
    }
}
