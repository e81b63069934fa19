//! Pruning: fields that the schema does not know go, and are reported.

use serde_json::{Map, Value};

use super::path::Path;
use super::{Additional, Structural};
use crate::schema::{Schema, TypeError};
use crate::status::start_of;

/// Upstream stops listing after this many.
const MOST: usize = 100;
/// The type of `metadata`.
const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// What was taken away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Upstream's texts, e.g. `unknown field "spec.foo"`.
    pub unknown: Vec<String>,
}

impl Structural {
    /// Takes away what the schema does not know, and makes `metadata` fit its type, here and in embedded resources.
    pub fn prune(&self, object: &mut Value) -> Result<Pruned, TypeError> {
        let mut walk = Walk { unknown: Vec::new() };
        walk.value(self, object, Path::Root(""), true)?;
        walk.unknown.sort();
        Ok(Pruned {
            unknown: walk.unknown,
        })
    }
}

impl Structural {
    /// As [`Structural::prune`], for a part of an object.
    pub(super) fn prune_value(&self, value: &mut Value) -> Result<(), TypeError> {
        let mut walk = Walk { unknown: Vec::new() };
        walk.value(self, value, Path::Root(""), false)
    }
}

struct Walk {
    unknown: Vec<String>,
}

impl Walk {
    fn value(
        &mut self,
        schema: &Structural,
        value: &mut Value,
        path: Path<'_>,
        resource: bool,
    ) -> Result<(), TypeError> {
        match value {
            Value::Object(map) => self.object(schema, map, path, resource || schema.embedded),
            Value::Array(list) => {
                let Some(items) = &schema.items else {
                    // Values of a wrong type are for validation to refuse.
                    return Ok(());
                };
                for (index, item) in list.iter_mut().enumerate() {
                    self.value(items, item, path.item(index), false)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn object(
        &mut self,
        schema: &Structural,
        map: &mut Map<String, Value>,
        path: Path<'_>,
        resource: bool,
    ) -> Result<(), TypeError> {
        let mut unknown = Vec::new();
        for (name, value) in map.iter_mut() {
            if resource && matches!(name.as_str(), "apiVersion" | "kind") {
                continue;
            }
            if resource && name == "metadata" {
                self.metadata(value, path.field(name))?;
                continue;
            }
            match schema.property(name) {
                Some(property) => self.value(property, value, path.field(name), false)?,
                None if schema.preserve || matches!(schema.additional, Additional::Any) => {}
                None => unknown.push(name.clone()),
            }
        }
        for name in unknown {
            if self.unknown.len() < MOST {
                let field = start_of(path.field(&name));
                self.unknown.push(format!("unknown field \"{field}\""));
            }
            map.remove(&name);
        }
        Ok(())
    }

    fn metadata(&mut self, value: &mut Value, path: Path<'_>) -> Result<(), TypeError> {
        let Some(kind) = Schema::builtin().named(META) else {
            return Ok(());
        };
        if !value.is_object() {
            return Ok(());
        }
        let conformed = kind.conform(value)?;
        for text in conformed.unknown {
            if self.unknown.len() < MOST {
                let at = format!("unknown field \"{}.", start_of(path));
                self.unknown.push(text.replacen("unknown field \"", &at, 1));
            }
        }
        Ok(())
    }
}
