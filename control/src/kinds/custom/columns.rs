//! Columns of Tables (`additionalPrinterColumns`).

use std::borrow::Cow;

use keelson_api::jsonpath::Path;
use keelson_api::time;
use serde_json::Value;

use crate::kinds::describe::NAME;
use crate::kinds::json::{items, text};
use crate::kinds::{Column, cells};

/// A column that a definition asks for.
#[derive(Debug)]
pub(super) struct Printed {
    kind: String,
    path: Option<Path>,
}

/// What is printed if nothing is asked for.
fn age() -> Value {
    serde_json::json!({
        "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp",
        "description": "CreationTimestamp is a timestamp representing the server time when this object was created. It is not \
                        guaranteed to be set in happens-before order across separate operations. Clients may not set this \
                        value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null \
                        for lists. More info: \
                        https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata",
    })
}

fn asked(version: &Value) -> Vec<Value> {
    match items(version, "/additionalPrinterColumns") {
        [] => vec![age()],
        columns => columns.to_vec(),
    }
}

/// The columns of a version, the name first.
pub(super) fn described(version: &Value) -> Vec<Column> {
    let (name, kind, priority, description) = NAME;
    let first = Column {
        name: Cow::Borrowed(name),
        kind: Cow::Borrowed(kind),
        format: Cow::Borrowed("name"),
        description: Cow::Borrowed(description),
        priority,
    };
    let others = asked(version).into_iter().map(|column| {
        let owned = |pointer: &str| Cow::Owned(text(&column, pointer).to_owned());
        let description = match text(&column, "/description") {
            "" => {
                let path = text(&column, "/jsonPath");
                format!("Custom resource definition column (in JSONPath format): {path}")
            }
            text => text.to_owned(),
        };
        Column {
            name: owned("/name"),
            kind: owned("/type"),
            format: owned("/format"),
            description: Cow::Owned(description),
            priority: column["priority"].as_i64().unwrap_or(0) as i32,
        }
    });
    std::iter::once(first).chain(others).collect()
}

/// How the cells of a version are made.
pub(super) fn printed(version: &Value) -> Vec<Printed> {
    asked(version)
        .iter()
        .map(|column| Printed {
            kind: text(column, "/type").to_owned(),
            path: Path::parse(text(column, "/jsonPath")).ok(),
        })
        .collect()
}

/// The cells of an object, its name first.
pub(super) fn row(columns: &[Printed], object: &Value, now: i64) -> Vec<Value> {
    let others = columns.iter().map(|column| {
        let path = column.path.as_ref();
        let found = path.and_then(|path| path.find(object).first().copied());
        found.map_or(Value::Null, |found| cell(&column.kind, found, now))
    });
    std::iter::once(cells::name(object)).chain(others).collect()
}

fn cell(kind: &str, value: &Value, now: i64) -> Value {
    match (kind, value) {
        (_, Value::Null) => Value::Null,
        ("string", Value::String(_)) | ("boolean", Value::Bool(_)) | ("number", Value::Number(_)) => {
            value.clone()
        }
        // Whatever it is, it can be printed.
        ("string", value) => value.to_string().into(),
        ("integer", Value::Number(number)) => number
            .as_i64()
            .or_else(|| number.as_f64().map(|number| number as i64))
            .into(),
        ("date", Value::String(text)) => match time::parse(text) {
            Some(_) => time::age(Some(text), now).into(),
            None => "<invalid>".into(),
        },
        _ => Value::Null,
    }
}
