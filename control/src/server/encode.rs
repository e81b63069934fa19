//! Objects to bytes, with the resourceVersion where the store fills it in.

use bytes::Bytes;
use keelson_api::status::go_json;
use serde_json::Value;

use super::convert::STAMP;
use crate::kinds::Kind;
use crate::object::Object;

/// Serializes an object with `apiVersion`, `kind` and `metadata` first and an empty `metadata.resourceVersion` first
/// inside that, as [`crate::store::Change::Put`] needs it.
pub fn encode(value: &Value) -> Bytes {
    encode_as(value, value.get("apiVersion").unwrap_or(&Value::Null))
}

fn encode_as(value: &Value, version: &Value) -> Bytes {
    let mut out = Vec::with_capacity(1024);
    let none = serde_json::Map::new();
    let object = value.as_object().unwrap_or(&none);
    let metadata = object.get("metadata").and_then(Value::as_object).unwrap_or(&none);
    out.push(b'{');
    member(&mut out, "apiVersion", version);
    out.push(b',');
    member(&mut out, "kind", object.get("kind").unwrap_or(&Value::Null));
    out.push(b',');
    out.extend_from_slice(b"\"metadata\":{\"resourceVersion\":\"\"");
    for (name, value) in metadata {
        if name != "resourceVersion" {
            out.push(b',');
            member(&mut out, name, value);
        }
    }
    out.push(b'}');
    for (name, value) in object {
        if !matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
            out.push(b',');
            member(&mut out, name, value);
        }
    }
    out.push(b'}');
    Bytes::from(out)
}

fn member(out: &mut Vec<u8>, name: &str, value: &Value) {
    // Writing strings and values into memory cannot fail.
    drop(serde_json::to_writer(&mut *out, name));
    out.push(b':');
    drop(serde_json::to_writer(&mut *out, value));
}

/// The object to store.
pub fn object(kind: &Kind, value: &Value) -> Object {
    let fields = kind.strategy.selectable_fields(value).into_iter();
    let Some(custom) = &kind.custom else {
        let mut bytes = encode(value);
        if kind.kind == "ControllerRevision" {
            // Go's controllers compare the bytes of its data with those that they would write.
            bytes = go_json(&bytes).into();
        }
        let mut object = Object::describe(value, bytes);
        object.fields = fields.collect();
        return object;
    };
    let mut object = Object::describe(value, encode_as(value, &custom.storage_version().into()));
    let stamp = (STAMP.to_owned(), custom.stamp().to_owned());
    object.fields = fields.chain([stamp]).collect();
    object
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::splice;

    #[test]
    fn the_revision_is_spliced_in() {
        let value = json!({"kind": "ConfigMap", "apiVersion": "v1", "data": {"\"metadata\":{\"resourceVersion\":\"": "x"},
            "metadata": {"name": "n", "annotations": {"a": "é\u{1}"}, "resourceVersion": "7"}});
        let bytes = encode(&value);
        let mut back: Value = serde_json::from_slice(&splice(&bytes, 42).unwrap()).unwrap();
        assert_eq!(back["metadata"]["resourceVersion"], "42");
        back["metadata"]["resourceVersion"] = json!("7");
        assert_eq!(back, value);
        let once = splice(&bytes, 42).unwrap();
        assert_eq!(splice(&once, 43).unwrap(), splice(&bytes, 43).unwrap());
    }
}
