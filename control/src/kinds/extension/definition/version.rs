//! Complaints about one version of a definition: its schema, deprecation, columns, selectable fields and scale.

use keelson_api::jsonpath::Path;
use keelson_api::status::FieldError;
use keelson_api::structural;
use serde_json::Value;

use crate::kinds::go;
use crate::kinds::json::{is_true, is_unset, items, text};

/// Most fields of a version that can be selected by.
const MOST_SELECTABLE: usize = 8;
/// Most columns of a version: each is looked up in each object of a Table. Upstream has no limit.
const MOST_COLUMNS: usize = 100;

/// Complaints about a version, at a path.
pub(super) fn validate(path: &str, version: &Value, errors: &mut Vec<FieldError>) {
    match version
        .pointer("/schema/openAPIV3Schema")
        .filter(|schema| schema.is_object())
    {
        Some(schema) => {
            let path = format!("{path}.schema.openAPIV3Schema");
            if version["subresources"]["status"].is_object() {
                errors.extend(root(&path, schema));
            }
            errors.extend(structural::check(&path, schema));
        }
        None => errors.push(FieldError::required(
            format!("{path}.schema.openAPIV3Schema"),
            "schemas are required",
        )),
    }
    if let Some(warning) = version.get("deprecationWarning").and_then(Value::as_str) {
        let field = || format!("{path}.deprecationWarning");
        let mistakes = deprecation_warning(is_true(version, "/deprecated"), warning);
        errors.extend(
            mistakes
                .iter()
                .map(|why| FieldError::invalid(field(), warning, why)),
        );
    }
    let columns = items(version, "/additionalPrinterColumns");
    if columns.len() > MOST_COLUMNS {
        errors.push(FieldError::too_many(
            format!("{path}.additionalPrinterColumns"),
            columns.len(),
            MOST_COLUMNS,
        ));
    }
    for (index, column) in columns.iter().enumerate().take(MOST_COLUMNS) {
        printer_column(
            &format!("{path}.additionalPrinterColumns[{index}]"),
            column,
            errors,
        );
    }
    let fields = items(version, "/selectableFields");
    if fields.len() > MOST_SELECTABLE {
        errors.push(FieldError::too_many(
            format!("{path}.selectableFields"),
            fields.len(),
            MOST_SELECTABLE,
        ));
    }
    for (index, field) in fields.iter().enumerate().take(MOST_SELECTABLE) {
        let at = format!("{path}.selectableFields[{index}].jsonPath");
        let found = text(field, "/jsonPath");
        selectable(&at, found, version, errors);
        let before = &fields[..index];
        if !found.is_empty() && before.iter().any(|other| text(other, "/jsonPath") == found) {
            errors.push(FieldError::duplicate(at, found));
        }
    }
    scale(path, &version["subresources"]["scale"], errors);
}

/// What else the root of a schema may not say where the status is checked on its own: what is said of both would be lost.
fn root(path: &str, schema: &Value) -> Option<FieldError> {
    const BARRED: [&str; 21] = [
        "$ref",
        "$schema",
        "additionalItems",
        "additionalProperties",
        "allOf",
        "anyOf",
        "default",
        "definitions",
        "dependencies",
        "enum",
        "id",
        "maxProperties",
        "minProperties",
        "not",
        "nullable",
        "oneOf",
        "patternProperties",
        "x-kubernetes-embedded-resource",
        "x-kubernetes-int-or-string",
        "x-kubernetes-list-type",
        "x-kubernetes-map-type",
    ];
    // Upstream names the fields of its Go type.
    const WHY: &str = "only [Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength \
                       MinLength Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs \
                       Example XPreserveUnknownFields XValidations] fields are allowed at the root of the schema if the \
                       status subresource is enabled";
    BARRED
        .iter()
        .any(|field| !is_unset(schema.get(*field)) && schema[*field] != false)
        .then(|| FieldError::invalid(path, schema.clone(), WHY))
}

/// What is wrong with a text that comes with every answer, in a header.
fn deprecation_warning(deprecated: bool, warning: &str) -> Vec<String> {
    const MOST: usize = 256;
    if !deprecated {
        return vec!["can only be set for deprecated versions".to_owned()];
    }
    let mut mistakes = Vec::new();
    if warning.len() > MOST {
        mistakes.push(format!("must be <= {MOST} characters long"));
    }
    if warning.is_empty() {
        mistakes.push("must not be an empty string".to_owned());
    }
    if let Some((at, _)) = warning.char_indices().find(|(_, c)| !go::is_printable(*c)) {
        mistakes.push(format!(
            "must only contain printable UTF-8 characters; non-printable character found at index {at}"
        ));
    }
    mistakes
}

/// Where the numbers of a scale are.
fn scale(path: &str, scale: &Value, errors: &mut Vec<FieldError>) {
    if scale.is_object() {
        for (field, root, needed) in [
            ("specReplicasPath", ".spec.", true),
            ("statusReplicasPath", ".status.", true),
            ("labelSelectorPath", "", false),
        ] {
            let at = format!("{path}.subresources.scale.{field}");
            let found = scale[field].as_str().unwrap_or_default();
            if found.is_empty() {
                if needed {
                    errors.push(FieldError::required(at, ""));
                }
            } else if !found.starts_with('.') {
                let why = "must be a simple json path starting with .";
                errors.push(FieldError::invalid(at, found, why));
            } else if !is_plain(found) {
                errors.push(FieldError::invalid(
                    at,
                    found,
                    "should be a simple json path without array notation",
                ));
            } else if !root.is_empty() && !found.starts_with(root) {
                let why = format!("should be a json path under {}", root.trim_end_matches('.'));
                errors.push(FieldError::invalid(at, found, &why));
            } else if root.is_empty() && !found.starts_with(".spec.") && !found.starts_with(".status.") {
                errors.push(FieldError::invalid(
                    at,
                    found,
                    "should be a json path under either .status or .spec",
                ));
            }
        }
    }
}

/// A path of plain fields.
fn is_plain(path: &str) -> bool {
    path.starts_with('.')
        && Path::parse(path).is_ok_and(|path| path.fields().is_some_and(|steps| !steps.is_empty()))
}

fn printer_column(path: &str, column: &Value, errors: &mut Vec<FieldError>) {
    const TYPES: &[&str] = &["boolean", "date", "integer", "number", "string"];
    const FORMATS: &[&str] = &[
        "byte",
        "date",
        "date-time",
        "double",
        "float",
        "int32",
        "int64",
        "password",
    ];
    if text(column, "/name").is_empty() {
        errors.push(FieldError::required(format!("{path}.name"), ""));
    }
    let kind = text(column, "/type");
    if kind.is_empty() {
        errors.push(FieldError::required(
            format!("{path}.type"),
            &format!("must be one of {}", TYPES.join(",")),
        ));
    } else if !TYPES.contains(&kind) {
        let why = format!("must be one of {}", TYPES.join(","));
        errors.push(FieldError::invalid(format!("{path}.type"), kind, &why));
    }
    let format = text(column, "/format");
    if !format.is_empty() && !FORMATS.contains(&format) {
        let why = format!("must be one of {}", FORMATS.join(","));
        errors.push(FieldError::invalid(format!("{path}.format"), format, &why));
    }
    let found = text(column, "/jsonPath");
    if found.is_empty() {
        // Upstream names the field of its Go type.
        errors.push(FieldError::required(format!("{path}.JSONPath"), ""));
    } else if !found.starts_with('.') {
        let why = "must be a simple json path starting with .";
        errors.push(FieldError::invalid(format!("{path}.JSONPath"), found, why));
    } else if let Err(error) = Path::parse(found) {
        errors.push(FieldError::invalid(
            format!("{path}.JSONPath"),
            found,
            &error.to_string(),
        ));
    }
}

/// A field that can be selected by is a plain value that the schema knows.
fn selectable(path: &str, found: &str, version: &Value, errors: &mut Vec<FieldError>) {
    if found.is_empty() {
        errors.push(FieldError::required(path, ""));
        return;
    }
    let steps = Path::parse(found).ok().filter(|_| is_plain(found));
    let Some(steps) = steps.as_ref().and_then(Path::fields) else {
        let why = "must be a simple json path without array notation";
        errors.push(FieldError::invalid(path, found, why));
        return;
    };
    if steps.first() == Some(&"metadata") {
        errors.push(FieldError::invalid(
            path,
            found,
            "must not point to fields in metadata",
        ));
        return;
    }
    let schema = version.pointer("/schema/openAPIV3Schema");
    let schema = steps
        .iter()
        .try_fold(schema.unwrap_or(&Value::Null), |schema, step| {
            schema["properties"].get(step)
        });
    match schema.map(|schema| text(schema, "/type")) {
        None => errors.push(FieldError::invalid(path, found, "must point to a field in the schema")),
        Some("string" | "boolean" | "integer") => {}
        Some(_) => errors.push(FieldError::invalid(
            path,
            found,
            "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_few() {
        let complaints = |count: usize| {
            let column = json!({"name": "C", "type": "string", "jsonPath": ".spec.c"});
            let written = json!({
                "schema": {"openAPIV3Schema": {"type": "object"}}, "additionalPrinterColumns": vec![column; count],
            });
            let mut errors = Vec::new();
            validate("spec.versions[0]", &written, &mut errors);
            errors.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(complaints(100), Vec::<String>::new());
        assert_eq!(
            complaints(50_000),
            ["spec.versions[0].additionalPrinterColumns: Too many: 50000: must have at most 100 items"]
        );
    }
}
