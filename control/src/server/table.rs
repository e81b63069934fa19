//! Tables (`meta.k8s.io/v1`), which `kubectl get` prints, and bare metadata.

use keelson_api::status::{Status, go_quote};
use keelson_api::time;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::query::Query;
use super::respond;
use crate::kinds::{Column, Kind};
use crate::object::Object;

/// What each row carries besides its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Include {
    /// Nothing.
    Nothing,
    /// Metadata: the default.
    Metadata,
    /// The whole object.
    Object,
}

/// The `includeObject` parameter.
pub fn include(query: &Query) -> Include {
    match query.get("includeObject") {
        "None" => Include::Nothing,
        "Object" => Include::Object,
        _ => Include::Metadata,
    }
}

/// Refuses an `includeObject` that is none (`ValidateTableOptions`).
pub fn check(query: &Query) -> Result<(), Status> {
    match query.get("includeObject") {
        "" | "None" | "Metadata" | "Object" => Ok(()),
        other => Err(Status::bad_request(format!(
            "Unable to convert to Table as requested: includeObject: Invalid value: {}: must be 'Metadata', 'Object', 'None', \
             or empty",
            go_quote(other)
        ))),
    }
}

fn version(beta: bool) -> &'static str {
    if beta {
        "meta.k8s.io/v1beta1"
    } else {
        "meta.k8s.io/v1"
    }
}

/// An object of these members, which are moved: `json!` would copy them.
fn members<const N: usize>(members: [(&str, Value); N]) -> Value {
    let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
    Value::Object(members.collect())
}

/// Only the metadata of an object.
pub fn partial(object: &Value, beta: bool) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": version(beta), "metadata": object["metadata"]})
}

/// The same as JSON, from that of the object, which is not decoded.
pub fn partial_json(object: &[u8], beta: bool) -> Vec<u8> {
    #[derive(serde::Deserialize)]
    struct Bare<'a> {
        #[serde(borrow)]
        metadata: &'a RawValue,
    }
    // The object was written by this server.
    let metadata = serde_json::from_slice::<Bare<'_>>(object).map_or("{}", |bare| bare.metadata.get());
    let version = version(beta);
    format!(r#"{{"kind":"PartialObjectMetadata","apiVersion":"{version}","metadata":{metadata}}}"#)
        .into_bytes()
}

/// Column definitions of a kind.
pub fn columns(kind: &Kind) -> Value {
    definitions(&kind.columns)
}

/// Column definitions.
pub fn definitions(columns: &[Column]) -> Value {
    columns
        .iter()
        .map(|column| {
            json!({
                "name": column.name, "type": column.kind, "format": column.format,
                "description": column.description, "priority": column.priority,
            })
        })
        .collect()
}

/// One row.
pub fn row(kind: &Kind, object: &Object, include: Include, beta: bool) -> Value {
    let mut value = respond::value(kind, object);
    kind.strategy.default(&mut value);
    let cells = kind.strategy.row(&value, time::now());
    let conditions = kind.strategy.row_conditions(&value);
    let carried = match include {
        Include::Nothing => Value::Null,
        Include::Metadata => partial(&value, beta),
        Include::Object => value,
    };
    let mut row = members([("cells", cells.into()), ("object", carried)]);
    if let (Some(conditions), Some(row)) = (conditions, row.as_object_mut()) {
        row.insert("conditions".to_owned(), conditions);
    }
    row
}

/// A whole table.
pub fn table(columns: Value, rows: Vec<Value>, metadata: Value, beta: bool) -> Value {
    members([
        ("kind", "Table".into()),
        ("apiVersion", version(beta).into()),
        ("metadata", metadata),
        ("columnDefinitions", columns),
        ("rows", rows.into()),
    ])
}

/// A table of one object.
pub fn single(kind: &Kind, object: &Object, include: Include, beta: bool) -> Value {
    table(
        columns(kind),
        vec![row(kind, object, include, beta)],
        match object.resource_version {
            // Of a dry run that would have created it.
            0 => json!({}),
            revision => json!({"resourceVersion": revision.to_string()}),
        },
        beta,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_row_can_carry() {
        for good in ["", "includeObject=", "includeObject=None", "includeObject=Object"] {
            assert_eq!(check(&Query::parse(good)), Ok(()), "{good}");
        }
        let refused = check(&Query::parse("includeObject=x")).unwrap_err();
        assert_eq!(
            (refused.code, refused.message.as_str()),
            (
                400,
                "Unable to convert to Table as requested: includeObject: Invalid value: \"x\": must be 'Metadata', 'Object', \
                 'None', or empty"
            )
        );
    }
}
