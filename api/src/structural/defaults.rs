//! Defaulting: what is left out and has a default gets it; null where no null may be counts as left out.

use serde_json::Value;

use super::Structural;

/// Most bytes, about, that defaults may add to one object: a long list of empty items could otherwise become anything.
pub(super) const MOST: usize = 4 << 20;

/// Defaults would make an object too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("defaults add more than {MOST} bytes to the object")]
pub struct TooLarge;

impl Structural {
    /// Fills in defaults. `metadata` has none; the schema cannot give it any.
    pub fn default(&self, object: &mut Value) -> Result<(), TooLarge> {
        let mut left = MOST;
        self.default_within(object, &mut left)
    }

    /// As [`Structural::default`], with so many bytes left for it and what comes after it.
    pub(super) fn default_within(&self, object: &mut Value, left: &mut usize) -> Result<(), TooLarge> {
        let filled = self.fill(object, left);
        self.drop_nulls(object);
        filled
    }

    /// Whether it has defaults at all.
    pub fn has_defaults(&self) -> bool {
        let below = self.properties.values().chain(self.items.as_deref());
        let below = below.chain(self.additional.schema());
        self.default.is_some() || below.into_iter().any(Self::has_defaults)
    }

    fn fill(&self, value: &mut Value, left: &mut usize) -> Result<(), TooLarge> {
        match value {
            Value::Object(map) => {
                // Most properties have none, and lists may have many items without anything in them.
                for name in &self.defaulted {
                    let Some(property) = self.properties.get(name) else {
                        continue;
                    };
                    let Some(default) = &property.default else {
                        continue;
                    };
                    let missing = map.get(name).is_none_or(|found| property.is_no_value(found));
                    if missing {
                        map.insert(name.clone(), copy(default, left)?);
                    }
                }
                for (name, value) in map.iter_mut() {
                    let Some(property) = self.property(name) else {
                        continue;
                    };
                    if property.is_no_value(value)
                        && let Some(default) = &property.default
                    {
                        *value = copy(default, left)?;
                    }
                    property.fill(value, left)?;
                }
            }
            Value::Array(list) => {
                let Some(items) = &self.items else {
                    return Ok(());
                };
                for item in list {
                    if items.is_no_value(item)
                        && let Some(default) = &items.default
                    {
                        *item = copy(default, left)?;
                    }
                    items.fill(item, left)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn is_no_value(&self, value: &Value) -> bool {
        value.is_null() && self.forbids_null()
    }

    /// Takes nulls away that no schema allows and no default has replaced.
    fn drop_nulls(&self, value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.retain(|name, value| {
                    !self
                        .property(name)
                        .is_some_and(|property| property.is_no_value(value))
                });
                for (name, value) in map.iter_mut() {
                    if let Some(property) = self.property(name) {
                        property.drop_nulls(value);
                    }
                }
            }
            Value::Array(list) => {
                if let Some(items) = &self.items {
                    for item in list {
                        items.drop_nulls(item);
                    }
                }
            }
            _ => {}
        }
    }
}

fn copy(default: &Value, left: &mut usize) -> Result<Value, TooLarge> {
    *left = left.checked_sub(size(default)).ok_or(TooLarge)?;
    Ok(default.clone())
}

/// About how many bytes a value takes.
fn size(value: &Value) -> usize {
    16 + match value {
        Value::String(text) => text.len(),
        Value::Array(list) => list.iter().map(size).sum(),
        Value::Object(map) => map.iter().map(|(name, value)| name.len() + size(value)).sum(),
        _ => 0,
    }
}
