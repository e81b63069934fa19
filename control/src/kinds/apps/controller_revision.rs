//! ControllerRevisions: snapshots of templates.

use keelson_api::names::{IMMUTABLE, NON_NEGATIVE};
use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{int, items, set_default, text};
use crate::kinds::{Kind, Strategy, cells};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    ("Controller", "string", 0, "Controller of the object"),
    (
        "Revision",
        "string",
        0,
        "Revision indicates the revision of the state represented by Data.",
    ),
    AGE,
];

pub(super) fn kind() -> Kind {
    describe::kind(
        "apps/v1",
        "ControllerRevision",
        "controllerrevisions",
        COLUMNS,
        ControllerRevision,
    )
    .done()
}

#[derive(Debug)]
struct ControllerRevision;

impl Strategy for ControllerRevision {
    fn default(&self, object: &mut Value) {
        if let Some(map) = object.as_object_mut() {
            // Required in the schema, and so a client may insist on it.
            set_default(map, "revision", 0);
        }
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let revision = int(object, "/revision").unwrap_or(0);
        if revision < 0 {
            return vec![FieldError::invalid("revision", revision, NON_NEGATIVE)];
        }
        if object.get("data").is_none_or(Value::is_null) {
            return vec![FieldError::required("data", "data is mandatory")];
        }
        Vec::new()
    }

    fn validate_update(&self, _: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
        let mut errors = self.validate_create(new);
        if old.get("data") != new.get("data") {
            let data = new.get("data").cloned().unwrap_or_default();
            errors.push(FieldError::invalid("data", data, IMMUTABLE));
        }
        errors
    }

    fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        let owner = items(object, "/metadata/ownerReferences")
            .iter()
            .find(|owner| owner.get("controller") == Some(&Value::Bool(true)));
        let owner = owner.map_or_else(
            || "<none>".to_owned(),
            |owner| {
                let group = text(owner, "/apiVersion")
                    .split_once('/')
                    .map_or("", |(group, _)| group);
                let kind = text(owner, "/kind").to_lowercase();
                let dot = if group.is_empty() { "" } else { "." };
                format!("{kind}{dot}{group}/{}", text(owner, "/name"))
            },
        );
        vec![
            cells::name(object),
            Value::from(owner),
            cells::number(object, "/revision"),
            cells::age(object, now),
        ]
    }
}
