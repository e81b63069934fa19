//! What may change of a definition, and what its status says of versions that are stored.

use std::collections::HashSet;

use keelson_api::names;
use keelson_api::status::{FieldError, MOST_ERRORS};
use keelson_api::structural::ATOMIC_ITEMS;
use serde_json::Value;

use crate::kinds::extension::webhook::UNKNOWN_VERSIONS;
use crate::kinds::go;
use crate::kinds::json::{items, text};

/// Complaints about a change.
pub(super) fn check(old: &Value, new: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let established = items(old, "/status/conditions")
        .iter()
        .any(|condition| condition["type"] == "Established" && condition["status"] == "True");
    let mut fixed = vec![
        ("/spec/group", "spec.group"),
        ("/spec/names/plural", "spec.names.plural"),
    ];
    if established {
        // Stored objects depend on these.
        fixed.extend([
            ("/spec/scope", "spec.scope"),
            ("/spec/names/kind", "spec.names.kind"),
        ]);
    }
    for (pointer, path) in fixed {
        if text(old, pointer) != text(new, pointer) {
            errors.push(FieldError::invalid(path, text(new, pointer), names::IMMUTABLE));
        }
    }
    stored(new, &mut errors);
    errors
}

/// Drops complaints of rules that are younger than the definition: one that breaks such a rule anywhere may go on to
/// (upstream's `requireAtomicSetType` and `requireRecognizedConversionReviewVersion`).
pub(super) fn forgive(old: &Value, errors: &mut Vec<FieldError>) {
    for rule in [ATOMIC_ITEMS, UNKNOWN_VERSIONS] {
        let is_young = |error: &FieldError| error.message.ends_with(rule);
        if errors.iter().any(is_young) && super::validate::definition(old).iter().any(is_young) {
            errors.retain(|error| !is_young(error));
        }
    }
}

fn stored(definition: &Value, errors: &mut Vec<FieldError>) {
    let stored = items(definition, "/status/storedVersions");
    let versions = items(definition, "/spec/versions").iter();
    let names: HashSet<&Value> = versions.map(|version| &version["name"]).collect();
    let path = "status.storedVersions";
    if stored.is_empty() {
        let why = "must have at least one stored version";
        errors.push(FieldError::invalid_shown(path, &go::list("string", stored), why));
        return;
    }
    for (index, name) in stored.iter().enumerate() {
        if errors.len() > MOST_ERRORS {
            return;
        }
        if !names.contains(name) {
            let version = name.as_str().unwrap_or_default();
            let why = format!(
                "missing from spec.versions; {version} was previously a storage version, and must remain in spec.versions \
                 until a storage migration ensures no data remains persisted in {version} and removes {version} from \
                 status.storedVersions"
            );
            errors.push(FieldError::invalid(
                format!("{path}[{index}]"),
                name.clone(),
                &why,
            ));
        }
    }
    let storage = super::storage(definition);
    if !storage.is_empty() && !stored.iter().any(|name| name == storage) {
        let why = format!("must have the storage version {storage}");
        errors.push(FieldError::invalid_shown(path, &go::list("string", stored), &why));
    }
}
