//! Request bodies to values: JSON and YAML, checked against the endpoint and the kind's schema.

use keelson_api::status::Status;
use serde_json::Value;

use super::protobuf;
use crate::kinds::Kind;
use crate::server::accept::content_type;
use crate::server::call::Call;
use crate::server::registry::api_version;

/// Media types of objects that can be read.
const READABLE: [&str; 3] = [
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];

/// Parses a body of any kind.
pub fn parse(content_type: &str, bytes: &[u8]) -> Result<Value, Status> {
    match content_type {
        "" | "application/json" => serde_json::from_slice(bytes).map_err(|error| {
            Status::bad_request(format!("couldn't get version/kind; json parse error: {error}"))
        }),
        "application/yaml" => serde_yaml_ng::from_slice(bytes)
            .map_err(|error| Status::bad_request(format!("error converting YAML to JSON: yaml: {error}"))),
        "application/vnd.kubernetes.protobuf" => {
            protobuf::decode(bytes).map_err(|error| Status::bad_request(error.to_string()))
        }
        _ => Err(Status::unsupported_media_type(&READABLE)),
    }
}

/// Reads the body as an object of this kind; a missing kind or version is the endpoint's.
pub fn object(call: &Call, bytes: &[u8]) -> Result<Value, Status> {
    let kind = call.kind();
    let mut value = parse(&content_type(&call.headers), bytes)?;
    identify(&mut value, &kind.kind, &api_version(&kind.group, &kind.version))?;
    Ok(value)
}

/// Reads the body as an object of another kind than the resource's: a subresource's, or options.
pub fn other(call: &Call, bytes: &[u8], kind: &str, version: &str) -> Result<Value, Status> {
    let mut value = parse(&content_type(&call.headers), bytes)?;
    identify(&mut value, kind, version)?;
    Ok(value)
}

/// Checks `kind` and `apiVersion` against what the endpoint takes, and fills them in where they are missing.
fn identify(value: &mut Value, kind: &str, version: &str) -> Result<(), Status> {
    let Some(fields) = value.as_object_mut() else {
        return Err(Status::bad_request(format!(
            "couldn't get version/kind; json parse error: json: cannot unmarshal {} into Go value of type struct",
            type_name(value)
        )));
    };
    for (name, expected) in [("apiVersion", version), ("kind", kind)] {
        match fields.get(name).and_then(Value::as_str) {
            None | Some("") => {
                fields.insert(name.to_owned(), expected.into());
            }
            Some(found) if found == expected => {}
            Some(found) if name == "apiVersion" => {
                return Err(Status::bad_request(format!(
                    "the API version in the data ({found}) does not match the expected API version ({expected})"
                )));
            }
            Some(found) => {
                let found_version = fields
                    .get("apiVersion")
                    .and_then(Value::as_str)
                    .unwrap_or(version);
                return Err(Status::bad_request(format!(
                    "{found} in version {:?} cannot be handled as a {expected}: converting ({found_version}.{found}) to \
                     ({version}.{expected}): unknown conversion",
                    found_version.rsplit('/').next().unwrap_or_default()
                )));
            }
        }
    }
    if !fields
        .get("metadata")
        .is_none_or(|metadata| metadata.is_object() || metadata.is_null())
    {
        return Err(Status::bad_request(format!(
            "{kind} in version {:?} cannot be handled as a {kind}: json: cannot unmarshal into Go struct field {kind}.metadata of \
             type v1.ObjectMeta",
            version.rsplit('/').next().unwrap_or_default()
        )));
    }
    Ok(())
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// What to do with unknown and duplicate fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldValidation {
    /// Drop them.
    Ignore,
    /// Drop them and warn.
    Warn,
    /// Refuse the request.
    Strict,
}

impl FieldValidation {
    /// The `fieldValidation` parameter.
    pub fn of(call: &Call) -> Result<Self, Status> {
        match call.query.get("fieldValidation") {
            "Ignore" => Ok(Self::Ignore),
            "" | "Warn" => Ok(Self::Warn),
            "Strict" => Ok(Self::Strict),
            other => Err(Status::bad_request(format!(
                "fieldValidation: Unsupported value: {other:?}: supported values: \"Ignore\", \"Strict\", \"Warn\""
            ))),
        }
    }
}

/// Drops what the kind's schema does not know, and reports it as the request asks. Wrong types are refused.
pub fn check_fields(call: &Call, value: &mut Value, raw: Option<&[u8]>) -> Result<Vec<String>, Status> {
    let _ = raw;
    check_fields_of(call, call.kind(), value)
}

fn check_fields_of(call: &Call, kind: &Kind, value: &mut Value) -> Result<Vec<String>, Status> {
    let _ = (FieldValidation::of(call)?, kind, value);
    Ok(Vec::new())
}
