//! `ObjectMeta` on writes: what the server fills in, what clients may not change, and names out of `generateName`.

use std::collections::HashSet;

use keelson_api::status::Status;
use keelson_api::time;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::kinds::Kind;
use crate::server::Api;
use crate::server::call::Call;

/// Longest base of a generated name: 63 less the random part (`apiserver/pkg/storage/names`).
const MOST_OF_BASE: usize = 58;
/// Letters of the random part: no vowels, nothing easily confused (`apimachinery/pkg/util/rand`).
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// Metadata that belongs to the server: an update keeps the stored values.
const KEPT: [&str; 5] = [
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
];

/// Of these, what only a delete sets.
const DELETION: [&str; 2] = ["deletionTimestamp", "deletionGracePeriodSeconds"];

/// The object's metadata, made if it is missing.
pub fn of(value: &mut Value) -> &mut Map<String, Value> {
    if !value["metadata"].is_object() {
        value["metadata"] = Value::Object(Map::new());
    }
    match &mut value["metadata"] {
        Value::Object(metadata) => metadata,
        // Just made an object.
        _ => unreachable!(),
    }
}

/// Text of a metadata field.
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value["metadata"][field].as_str().unwrap_or_default()
}

/// Whether a stored object is being deleted. It is not decoded for that.
pub fn is_deleted(object: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Bare {
        metadata: Meta,
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Meta {
        deletion_timestamp: Option<IgnoredAny>,
    }
    serde_json::from_slice::<Bare>(object).is_ok_and(|bare| bare.metadata.deletion_timestamp.is_some())
}

/// A name out of `generateName`.
pub fn generate(api: &Api, base: &str) -> String {
    let mut end = base.len().min(MOST_OF_BASE);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    let random = (0..5).map(|_| LETTERS[api.random_below(LETTERS.len() as u32) as usize] as char);
    base[..end].chars().chain(random).collect()
}

/// The object's namespace must be the path's; a missing one is filled in (`rest.EnsureObjectNamespaceMatchesRequestNamespace`).
pub fn place(call: &Call, value: &mut Value) -> Result<(), Status> {
    place_in(call.kind(), &call.path.namespace, value)
}

/// The same, for the namespace of the path or of the stored object.
pub fn place_in(kind: &Kind, wanted: &str, value: &mut Value) -> Result<(), Status> {
    let metadata = of(value);
    if !kind.namespaced {
        // Upstream clears it too.
        metadata.remove("namespace");
        return Ok(());
    }
    match metadata.get("namespace").and_then(Value::as_str) {
        None | Some("") => {
            metadata.insert("namespace".to_owned(), wanted.into());
            Ok(())
        }
        Some(found) if found == wanted => Ok(()),
        Some(_) => Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        )),
    }
}

/// Fills in a new object's metadata (`rest.FillObjectMetaSystemFields`); the name must have been set.
pub fn fill(api: &Api, value: &mut Value) {
    let metadata = of(value);
    for field in [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "resourceVersion",
    ] {
        metadata.remove(field);
    }
    metadata.insert("uid".to_owned(), api.uid().into());
    metadata.insert("creationTimestamp".to_owned(), time::now_rfc3339().into());
    tidy(metadata);
}

/// Drops empty maps, lists and nulls, which Go's `omitempty` never writes.
fn tidy(metadata: &mut Map<String, Value>) {
    metadata.retain(|name, value| {
        let empty = match value {
            Value::Null => true,
            Value::Object(map) => map.is_empty(),
            Value::Array(list) => list.is_empty(),
            Value::String(text) => text.is_empty() && name != "resourceVersion",
            _ => false,
        };
        !empty
    });
}

/// Drops owners that are there twice, rather than have two controllers in one, and what to say of it. Upstream looks at
/// what was sent with a create or a replacement, and again at everything after admission.
pub fn drop_equal_owners(value: &mut Value, after_admission: bool) -> Option<String> {
    let owners = value
        .pointer_mut("/metadata/ownerReferences")
        .and_then(Value::as_array_mut)?;
    let mut seen = HashSet::with_capacity(owners.len());
    let mut twice = Vec::new();
    owners.retain(|owner| {
        let first = seen.insert(owner.to_string());
        if !first {
            twice.push(owner["uid"].as_str().unwrap_or_default().to_owned());
        }
        first
    });
    if twice.is_empty() {
        return None;
    }
    let when = if after_admission {
        " after mutating admission happens"
    } else {
        ""
    };
    Some(format!(
        ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and may \
         reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
        twice.join(", ")
    ))
}

/// Restores what an update may not change. The client's `uid`, if it names one, must be the stored one.
pub fn keep(kind: &Kind, name: &str, old: &Value, new: &mut Value) -> Result<(), Status> {
    let stored = text(old, "uid").to_owned();
    let metadata = of(new);
    match metadata.get("uid").and_then(Value::as_str) {
        None | Some("") => {}
        Some(uid) if uid == stored => {}
        Some(uid) => {
            return Err(Status::conflict_because(
                &kind.group,
                &kind.plural,
                name,
                &format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {stored}"),
            ));
        }
    }
    for field in KEPT {
        match old["metadata"].get(field) {
            Some(value) => drop(metadata.insert(field.to_owned(), value.clone())),
            // Who says that the object is deleted is told that he may not.
            None if DELETION.contains(&field) => {}
            None => drop(metadata.remove(field)),
        }
    }
    if kind.namespaced {
        metadata.insert("namespace".to_owned(), old["metadata"]["namespace"].clone());
    }
    metadata.remove("selfLink");
    tidy(metadata);
    Ok(())
}

/// The finalizers of an object.
pub fn finalizers(value: &Value) -> Vec<&str> {
    value["metadata"]["finalizers"]
        .as_array()
        .map(|list| list.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}
