//! The rules of a custom kind: those of its schema, and what its subresources may change.

use std::collections::BTreeMap;

use keelson_api::status::FieldError;
use serde_json::Value;

use super::Custom;
use super::columns::{self, Printed};
use crate::kinds::json::{object, text};
use crate::kinds::{Strategy, update};

/// Where the numbers of a scale are.
#[derive(Debug)]
struct Scale {
    replicas: Vec<String>,
    observed: Vec<String>,
    selector: Vec<String>,
}

/// The rules of one version.
#[derive(Debug)]
pub(super) struct Rules {
    custom: Custom,
    status: bool,
    scale: Option<Scale>,
    columns: Vec<Printed>,
}

/// `.spec.replicas` as its steps.
fn steps(path: &str) -> Vec<String> {
    let steps = path.split('.').filter(|step| !step.is_empty());
    steps.map(str::to_owned).collect()
}

fn at<'a>(object: &'a Value, steps: &[String]) -> Option<&'a Value> {
    if steps.is_empty() {
        return None;
    }
    steps.iter().try_fold(object, |value, step| value.get(step))
}

impl Rules {
    pub(super) fn new(custom: Custom, version: &Value) -> Self {
        let scale = version
            .pointer("/subresources/scale")
            .filter(|scale| scale.is_object());
        Self {
            custom,
            status: version
                .pointer("/subresources/status")
                .is_some_and(|status| !status.is_null()),
            scale: scale.map(|scale| Scale {
                replicas: steps(text(scale, "/specReplicasPath")),
                observed: steps(text(scale, "/statusReplicasPath")),
                selector: steps(text(scale, "/labelSelectorPath")),
            }),
            columns: columns::printed(version),
        }
    }

    pub(super) fn has_status(&self) -> bool {
        self.status
    }

    pub(super) fn has_scale(&self) -> bool {
        self.scale.is_some()
    }

    /// Whether something besides metadata (and the status, where that is apart) differs.
    fn differs(&self, old: &Value, new: &Value) -> bool {
        let [old, new] = [old, new].map(|object| {
            let fields = object.as_object().into_iter().flatten();
            fields.filter(|(name, _)| *name != "metadata" && !(self.status && *name == "status"))
        });
        !old.eq(new)
    }
}

impl Strategy for Rules {
    fn default(&self, object: &mut Value) {
        // Requests whose defaults are too much were refused when they were read.
        let _ = self.custom.version().schema.default(object);
    }

    fn prepare_create(&self, new: &mut Value) {
        if self.status
            && let Some(fields) = new.as_object_mut()
        {
            fields.remove("status");
        }
        update::start_generation(new);
    }

    fn prepare_update(&self, subresource: Option<&str>, old: &Value, new: &mut Value) {
        if subresource == Some("status") {
            let status = new.get("status").cloned();
            let managers = new.pointer("/metadata/managedFields").cloned();
            let version = new.pointer("/metadata/resourceVersion").cloned();
            *new = old.clone();
            if let Some(fields) = new.as_object_mut() {
                match status {
                    Some(status) => drop(fields.insert("status".to_owned(), status)),
                    None => drop(fields.remove("status")),
                }
            }
            if let Some(metadata) = object(new, "metadata") {
                for (name, value) in [("managedFields", managers), ("resourceVersion", version)] {
                    match value {
                        Some(value) => drop(metadata.insert(name.to_owned(), value)),
                        None => drop(metadata.remove(name)),
                    }
                }
            }
            return;
        }
        if self.status {
            update::keep(old, new, "status");
        }
        if self.differs(old, new) {
            let before = old
                .pointer("/metadata/generation")
                .and_then(Value::as_i64)
                .unwrap_or(0);
            if let Some(metadata) = object(new, "metadata") {
                metadata.insert("generation".to_owned(), Value::from(before + 1));
            }
        }
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = self.custom.version().schema.validate(object);
        errors.extend(self.validate_scale(object));
        errors
    }

    fn validate_update(&self, _: Option<&str>, _: &Value, new: &Value) -> Vec<FieldError> {
        self.validate_create(new)
    }

    fn selectable_fields(&self, object: &Value) -> BTreeMap<String, String> {
        self.custom.selectable(object)
    }

    fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        columns::row(&self.columns, object, now)
    }

    fn scale(&self, object: &Value) -> Option<(i64, i64, String)> {
        let scale = self.scale.as_ref()?;
        let number = |steps: &[String]| at(object, steps).and_then(Value::as_i64);
        let selector = at(object, &scale.selector).and_then(Value::as_str);
        Some((
            number(&scale.replicas)?,
            number(&scale.observed).unwrap_or(0),
            selector.unwrap_or_default().to_owned(),
        ))
    }

    fn replicas_path(&self) -> Vec<&str> {
        let scale = self.scale.as_ref();
        scale.map_or_else(Vec::new, |scale| {
            scale.replicas.iter().map(String::as_str).collect()
        })
    }
}

impl Rules {
    /// Numbers of a scale are not negative.
    fn validate_scale(&self, object: &Value) -> Vec<FieldError> {
        let Some(scale) = &self.scale else {
            return Vec::new();
        };
        [&scale.replicas, &scale.observed]
            .into_iter()
            .filter_map(|steps| {
                let number = at(object, steps)?.as_i64()?;
                let path = format!(".{}", steps.join("."));
                (number < 0).then(|| FieldError::invalid(path, number, "should be a non-negative integer"))
            })
            .collect()
    }
}
