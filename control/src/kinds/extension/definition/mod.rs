//! CustomResourceDefinitions and APIServices.

pub mod approval;
mod change;
mod conversion;
mod naming;
mod service;
mod validate;
mod version;
mod warnings;

use keelson_api::status::FieldError;
use serde_json::{Value, json};

use crate::kinds::describe::{self, CREATED_AT, NAME};
use crate::kinds::json::{items, object_or_new, set_default, set_zero, text};
use crate::kinds::{Kind, Strategy, cells, update};

/// Its kinds.
pub(super) fn kinds() -> Vec<Kind> {
    let (name, plural) = ("CustomResourceDefinition", "customresourcedefinitions");
    vec![
        describe::kind(
            "apiextensions.k8s.io/v1",
            name,
            plural,
            &[NAME, CREATED_AT],
            Definition,
        )
        .cluster()
        .short(&["crd", "crds"])
        .extension()
        .status()
        .done(),
        service::kind(),
    ]
}

/// CustomResourceDefinitions. What they say is carried out by `kinds::custom`, their conditions are written by
/// `server::definitions`.
#[derive(Debug)]
struct Definition;

impl Strategy for Definition {
    fn default(&self, object: &mut Value) {
        default_definition(object);
    }

    fn prepare_create(&self, object: &mut Value) {
        let stored = storage(object).to_owned();
        object["status"] = json!({
            "conditions": [], "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": [stored],
        });
        update::start_generation(object);
    }

    fn prepare_update(&self, subresource: Option<&str>, old: &Value, new: &mut Value) {
        update::without_generation(subresource, old, new);
        update::generation(old, new);
        if subresource == Some("status") {
            return;
        }
        let stored = Value::from(storage(new));
        let status = new.as_object_mut().and_then(|new| object_or_new(new, "status"));
        let Some(status) = status.filter(|_| stored != "") else {
            return;
        };
        // Whoever has written the status may have left none.
        set_default(status, "storedVersions", Vec::<Value>::new());
        if let Some(versions) = status.get_mut("storedVersions").and_then(Value::as_array_mut)
            && !versions.contains(&stored)
        {
            versions.push(stored);
        }
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = validate::definition(object);
        errors.extend(approval::check(None, object));
        errors
    }

    fn validate_update(&self, subresource: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if subresource == Some("status") {
            // Which versions are stored is for whoever has migrated the objects to say.
            naming::names(new, "/status/acceptedNames", &mut errors);
            return errors;
        }
        if old["spec"] != new["spec"] {
            // What was accepted once is not looked at again as long as it stays.
            errors = validate::definition(new);
            change::forgive(old, &mut errors);
        }
        errors.extend(approval::check(Some(old), new));
        errors.extend(change::check(old, new));
        errors
    }

    fn warnings(&self, object: &Value) -> Vec<String> {
        warnings::of(object)
    }

    fn row(&self, object: &Value, _: i64) -> Vec<Value> {
        vec![cells::name(object), cells::created_at(object)]
    }
}

/// The version in which objects are stored.
fn storage(definition: &Value) -> &str {
    let versions = items(definition, "/spec/versions").iter();
    let mut stored = versions.filter(|version| version["storage"] == true);
    stored.next().map_or("", |version| text(version, "/name"))
}

fn default_definition(definition: &mut Value) {
    let Some(definition) = definition.as_object_mut() else {
        return;
    };
    let Some(spec) = object_or_new(definition, "spec") else {
        return;
    };
    // A conversion that does not say how is an error.
    set_default(spec, "conversion", json!({"strategy": "None"}));
    if let Some(names) = spec.get_mut("names").and_then(Value::as_object_mut) {
        let kind = names
            .get("kind")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        if !kind.is_empty() {
            set_zero(names, "singular", kind.to_lowercase());
            set_zero(names, "listKind", format!("{kind}List"));
        }
    }
}
