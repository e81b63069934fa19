//! Lists that are sets or maps have no item twice.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::Report;
use crate::status::FieldError;
use crate::structural::path::Path;
use crate::structural::{List, Structural};

impl Structural {
    pub(super) fn lists(&self, path: Path<'_>, value: &Value, report: &mut Report) {
        if report.is_full() {
            return;
        }
        match value {
            Value::Object(map) => {
                for (name, value) in map {
                    if let Some(property) = self.property(name) {
                        property.lists(path.field(name), value, report);
                    }
                }
            }
            Value::Array(list) => {
                self.duplicates(path, list, report);
                let Some(items) = &self.items else { return };
                for (index, item) in list.iter().enumerate() {
                    items.lists(path.item(index), item, report);
                }
            }
            _ => {}
        }
    }

    fn duplicates(&self, path: Path<'_>, list: &[Value], report: &mut Report) {
        let mut seen = HashSet::new();
        for (index, item) in list.iter().enumerate() {
            if report.is_full() {
                return;
            }
            let key = match &self.list {
                List::Atomic => return,
                List::Set => item.clone(),
                List::Map(keys) => {
                    let Value::Object(item) = item else { continue };
                    let keys = keys
                        .iter()
                        .filter_map(|key| Some((key.clone(), item.get(key)?.clone())));
                    Value::Object(keys.collect::<Map<_, _>>())
                }
            };
            // Their text tells values apart, and is quick to compare; serde_json keeps keys in order.
            if !seen.insert(key.to_string()) {
                report.push(FieldError::duplicate(path.item(index), key));
            }
        }
    }
}
