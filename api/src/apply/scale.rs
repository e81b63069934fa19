//! Managers between an object and its `scale`: the one field that both have.

use super::entry::Entry;
use super::set::Set;

/// Version and field of a Scale.
const VERSION: &str = "autoscaling/v1";
const REPLICAS: [&str; 2] = ["spec", "replicas"];

/// The managers that a Scale of the object has: those of the replicas.
pub fn to_scale(managers: &[Entry], path: &[&str]) -> Vec<Entry> {
    managers
        .iter()
        .filter(|entry| entry.fields.has_field(path))
        .map(|entry| Entry {
            version: VERSION.to_owned(),
            fields: Set::of_field(&REPLICAS),
            ..entry.clone()
        })
        .collect()
}

/// The object's managers after its Scale has come to have these. `version` is the object's.
pub fn from_scale(managers: Vec<Entry>, mut scale: Vec<Entry>, path: &[&str], version: &str) -> Vec<Entry> {
    let field = Set::of_field(path);
    let mut out = Vec::new();
    for mut entry in managers {
        if entry.fields.has_field(path) {
            // An updater of the object is known to the Scale under the Scale's version.
            let same = |other: &Entry| {
                other.manager == entry.manager
                    && other.operation == entry.operation
                    && other.subresource == entry.subresource
            };
            match scale.iter().position(same) {
                Some(at) => {
                    entry.time = scale.remove(at).time;
                }
                None => entry.fields.subtract(&field),
            }
        }
        if !entry.fields.is_empty() {
            out.push(entry);
        }
    }
    for entry in scale.into_iter().filter(|entry| !entry.fields.is_empty()) {
        let entry = Entry {
            version: version.to_owned(),
            fields: field.clone(),
            ..entry
        };
        match out.iter_mut().find(|other| other.is(&entry)) {
            Some(other) => other.fields.extend(entry.fields),
            None => out.push(entry),
        }
    }
    out
}
