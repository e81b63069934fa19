//! Objects that several API versions share in storage: the stored form is that of whoever wrote last.

use keelson_api::schema::Type;
use serde_json::Value;

use super::registry::api_version;
use crate::kinds::{self, Kind};
use crate::object::Object;

/// Among the fields of a custom object in memory: by which reading of which version of its definition it was written.
/// No field of an object has such a name.
pub const STAMP: &str = "\0";

/// Whether an object is stored in the kind's own version, as this version has it now.
pub fn is_version(kind: &Kind, object: &Object) -> bool {
    if let Some(custom) = &kind.custom {
        // What another version or an older schema has written may lack defaults, or have what is not known any more.
        if object.fields.get(STAMP) != Some(custom.stamp()) {
            return false;
        }
    } else if kind.storage.is_none() && others(kind).next().is_none() {
        return true;
    }
    // The encoder writes apiVersion first; only shared storage can hold another one.
    let head = format!("{{\"apiVersion\":\"{}\"", api_version(&kind.group, &kind.version));
    object.bytes.starts_with(head.as_bytes())
}

/// The object in the kind's version.
pub fn to(kind: &Kind, mut object: Value) -> Value {
    let target = api_version(&kind.group, &kind.version);
    if let Some(custom) = &kind.custom {
        if let Value::Object(fields) = &mut object {
            fields.insert("apiVersion".to_owned(), target.into());
        }
        // What cannot be made to fit is shown as it is: it was written by another schema.
        if let Err(error) = custom.fit(&mut object) {
            tracing::debug!(%error, kind = %kind.kind, "a stored object does not fit its schema");
        }
        return object;
    }
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

/// The type of a kind's objects in one of its versions: those whose objects are stored where its own are.
pub fn object_type<'a>(kind: &'a Kind, version: &str) -> Option<Type<'a>> {
    match &kind.custom {
        Some(custom) => custom.object_type_in(version),
        None => versions(kind)
            .find(|kind| kind.api_version() == version)?
            .object_type(),
    }
}

/// The object in one of the kind's versions.
pub fn to_version(kind: &Kind, object: &Value, version: &str) -> Option<Value> {
    if kind.custom.is_some() {
        object_type(kind, version)?;
        let mut object = object.clone();
        if let Value::Object(fields) = &mut object {
            fields.insert("apiVersion".to_owned(), version.into());
        }
        return Some(object);
    }
    let kind = versions(kind).find(|kind| kind.api_version() == version)?;
    Some(to(kind, object.clone()))
}

fn versions(kind: &Kind) -> impl Iterator<Item = &Kind> {
    let storage = |kind: &Kind| match &kind.storage {
        Some((group, resource)) => (group.to_string(), resource.to_string()),
        None => (kind.group.to_string(), kind.plural.to_string()),
    };
    let own = storage(kind);
    // Most have one version, the request's.
    let others = kinds::builtin()
        .iter()
        .filter(move |&other| !std::ptr::eq(other, kind) && storage(other) == own);
    std::iter::once(kind).chain(others)
}

/// The kinds whose objects are stored among this one's.
fn others(kind: &Kind) -> impl Iterator<Item = &'static Kind> {
    kinds::builtin().iter().filter(|other| {
        let storage = other.storage.as_ref();
        storage.is_some_and(|(group, resource)| *group == kind.group && *resource == kind.plural)
    })
}
