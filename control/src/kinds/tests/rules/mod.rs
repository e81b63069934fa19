//! Complaints kind by kind, in upstream's words.

mod addresses;
mod annotations;
mod beside;
mod changes;
mod current;
mod flows;
mod generations;
mod job_statuses;
mod jobs;
mod label_keys;
mod later;
mod networks;
mod newer;
mod pods;
mod references;
mod shown;
mod singles;
mod sources;
mod statuses;
mod stored;
mod zeros;

use serde_json::{Value, json};

use crate::kinds::find;

/// Complaints about a new object, after its defaults.
fn new(group: &str, plural: &str, mut object: Value) -> Vec<String> {
    let kind = find(group, "v1", plural)
        .or_else(|| find(group, "v2", plural))
        .unwrap_or_else(|| panic!("{plural}"));
    crate::kinds::default(kind, &mut object);
    let errors = kind.strategy.validate_create(&object);
    errors.iter().map(ToString::to_string).collect()
}

/// Complaints about a change, after the defaults of both.
fn changed(group: &str, plural: &str, mut old: Value, change: impl Fn(&mut Value)) -> Vec<String> {
    let kind = find(group, "v1", plural).unwrap_or_else(|| panic!("{plural}"));
    crate::kinds::default(kind, &mut old);
    let mut new = old.clone();
    change(&mut new);
    let errors = kind.strategy.validate_update(None, &old, &new);
    errors.iter().map(ToString::to_string).collect()
}
