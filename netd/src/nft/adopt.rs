//! Taking over a table that is loaded already, by changing only elements.
//!
//! Replacing a table is one transaction, but not one instant: a packet that is between two of its rules when the
//! transaction commits finds the old maps empty and is refused or not translated. A daemon that restarts must not
//! cause that, so it compares what is there with what should be. Whether the rules themselves are right is told by the
//! name of an empty chain that is made from everything they depend on.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::batch::{Batch, ElementValue, Error};
use super::family::Family;
use super::listing;

/// Changes with every change of the rules in this crate.
const VERSION: u32 = 1;

/// Where an element is: set and key.
pub(super) type Place = (&'static str, Vec<u8>);

/// Elements of several sets.
pub(super) type Elements = BTreeMap<Place, Vec<u8>>;

/// Name of the chain that says which rules a table has: those made from `settings`.
pub(super) fn marker(settings: &impl Debug) -> String {
    let mut hasher = DefaultHasher::new();
    (VERSION, format!("{settings:?}")).hash(&mut hasher);
    format!("rules-{:016x}", hasher.finish())
}

/// Whether a table is there with the rules that `marker` stands for.
pub(super) fn has_rules(table: &str, family: Family, marker: &str) -> Result<bool, Error> {
    Ok(listing::chains(table, family)?.iter().any(|c| c == marker))
}

/// The elements of `sets` as the kernel has them.
pub(super) fn present(table: &str, family: Family, sets: &[&'static str]) -> Result<Elements, Error> {
    let mut all = Elements::new();
    for set in sets {
        let listed = listing::elements(table, family, set)?;
        all.extend(listed.into_iter().map(|e| ((*set, e.key), e.value)));
    }
    Ok(all)
}

/// Deletes and adds what makes `wanted` of `present`.
pub(super) fn difference(batch: &mut Batch, present: &Elements, wanted: &Elements) {
    for (place, value) in present {
        if wanted.get(place) != Some(value) {
            batch.delete(place.0, &place.1);
        }
    }
    for (place, value) in wanted {
        if present.get(place) != Some(value) {
            let value = if value.is_empty() {
                ElementValue::None
            } else {
                ElementValue::Data(value)
            };
            batch.add(place.0, &place.1, &value);
        }
    }
}
