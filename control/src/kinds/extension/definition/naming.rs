//! Complaints about what a definition is called: its group, its kind, its plural and short names.

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::json::{items, text};

/// What a definition is called by.
const NAMES: [&str; 4] = ["plural", "singular", "kind", "listKind"];

/// Complaints about `metadata.name`, `spec.group` and `spec.names`.
pub(super) fn validate(definition: &Value, errors: &mut Vec<FieldError>) {
    let (group, plural) = (
        text(definition, "/spec/group"),
        text(definition, "/spec/names/plural"),
    );
    let name = text(definition, "/metadata/name");
    if !name.is_empty() && name != format!("{plural}.{group}") {
        let detail = "must be spec.names.plural+\".\"+spec.group";
        errors.push(FieldError::invalid("metadata.name", name, detail));
    }
    if group.is_empty() {
        errors.push(FieldError::required("spec.group", ""));
    } else if !group.contains('.') {
        errors.push(FieldError::invalid(
            "spec.group",
            group,
            "should be a domain with at least one dot",
        ));
    } else {
        errors.extend(FieldError::complaints(
            "spec.group",
            group,
            names::dns1123_subdomain(group),
        ));
    }
    for field in NAMES {
        if text(definition, &format!("/spec/names/{field}")).is_empty() {
            errors.push(FieldError::required(format!("spec.names.{field}"), ""));
        }
    }
    names(definition, "/spec/names", errors);
}

/// Complaints about those of the names at a pointer that are there (`ValidateCustomResourceDefinitionNames`).
pub(super) fn names(definition: &Value, at: &str, errors: &mut Vec<FieldError>) {
    let shown = at.trim_start_matches('/').replace('/', ".");
    for field in NAMES {
        let path = format!("{shown}.{field}");
        let found = text(definition, &format!("{at}/{field}"));
        if found.is_empty() {
            continue;
        }
        // Kinds are compared as names are written in lower case.
        for complaint in names::dns1035_label(&found.to_lowercase()) {
            let complaint = if matches!(field, "kind" | "listKind") {
                format!("may have mixed case, but should otherwise match: {complaint}")
            } else {
                complaint
            };
            errors.push(FieldError::invalid(path.clone(), found, &complaint));
        }
    }
    let (kind, list) = (
        text(definition, &format!("{at}/kind")),
        text(definition, &format!("{at}/listKind")),
    );
    if !kind.is_empty() && kind == list {
        let why = "kind and listKind may not be the same";
        errors.push(FieldError::invalid(format!("{shown}.listKind"), list, why));
    }
    for field in ["shortNames", "categories"] {
        for (index, name) in items(definition, &format!("{at}/{field}")).iter().enumerate() {
            let name = name.as_str().unwrap_or_default();
            errors.extend(FieldError::complaints(
                format_args!("{shown}.{field}[{index}]"),
                name,
                names::dns1035_label(name),
            ));
        }
    }
}
