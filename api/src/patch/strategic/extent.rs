//! Merging compares every item of a list with every other, as the algorithm is defined. That is nothing for the lists that
//! objects have, and minutes for those that a hostile patch could have.

use serde_json::{Map, Value};

use super::PatchError;

/// Most comparisons that a patch may cost, each some tens of nanoseconds.
const MOST: usize = 25_000_000;

/// How long the longest list is, and how many items all lists have.
#[derive(Debug, Default)]
struct Extent {
    longest: usize,
    items: usize,
}

impl Extent {
    fn add<'a>(&mut self, values: impl Iterator<Item = &'a Value>) {
        let mut open: Vec<&Value> = values.collect();
        while let Some(value) = open.pop() {
            match value {
                Value::Array(items) => {
                    self.longest = self.longest.max(items.len());
                    self.items += items.len();
                    open.extend(items);
                }
                Value::Object(fields) => open.extend(fields.values()),
                _ => {}
            }
        }
    }
}

/// Refuses a patch whose lists, and those of the object, are too long to be merged.
pub(super) fn check(object: &Value, patch: &Map<String, Value>) -> Result<(), PatchError> {
    let mut extent = Extent::default();
    extent.add(std::iter::once(object));
    extent.add(patch.values());
    if extent.longest.saturating_mul(extent.items) > MOST {
        return Err(super::bad(format!(
            "the lists of the patch and of the object are too long to be merged: {} items, {} in one list",
            extent.items, extent.longest
        )));
    }
    Ok(())
}
