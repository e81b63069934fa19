//! Objects that several API versions share in storage: the stored form is that of whoever wrote last.

use serde_json::Value;

use super::registry::api_version;
use crate::kinds::{self, Kind};

/// Whether encoded bytes are of the kind's own version.
pub fn is_version(kind: &Kind, bytes: &[u8]) -> bool {
    // The encoder writes apiVersion first; only shared storage can hold another one.
    if kind.storage.is_none() && others(kind).next().is_none() {
        return true;
    }
    let head = format!("{{\"apiVersion\":\"{}\"", api_version(&kind.group, &kind.version));
    bytes.starts_with(head.as_bytes())
}

/// The object in the kind's version.
pub fn to(kind: &Kind, mut object: Value) -> Value {
    let target = api_version(&kind.group, &kind.version);
    let stored = object
        .get("apiVersion")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if stored == target {
        return object;
    }
    if kind.storage.is_some() {
        kind.strategy.from_storage(&mut object);
    } else if let Some(other) = others(kind).find(|other| other.api_version() == stored) {
        other.strategy.to_storage(&mut object);
    }
    if let Value::Object(fields) = &mut object {
        fields.insert("apiVersion".to_owned(), target.into());
    }
    object
}

/// The versions of a kind: those whose objects are stored where its own are.
pub fn versions(kind: &'static Kind) -> impl Iterator<Item = &'static Kind> {
    let storage = |kind: &'static Kind| match &kind.storage {
        Some((group, resource)) => (group.as_ref(), resource.as_ref()),
        None => (kind.group.as_ref(), kind.plural.as_ref()),
    };
    // Most have one version, the request's.
    let others = kinds::builtin()
        .iter()
        .filter(move |&other| !std::ptr::eq(other, kind) && storage(other) == storage(kind));
    std::iter::once(kind).chain(others)
}

/// The kinds whose objects are stored among this one's.
fn others(kind: &Kind) -> impl Iterator<Item = &'static Kind> {
    kinds::builtin().iter().filter(|other| {
        let storage = other.storage.as_ref();
        storage.is_some_and(|(group, resource)| *group == kind.group && *resource == kind.plural)
    })
}
