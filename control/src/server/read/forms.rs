//! Lists in other forms than the stored bytes: written item by item, so that none is ever there as a whole.

use std::sync::Arc;

use http::{Response, StatusCode};
use keelson_api::status::Status;
use serde_json::{Map, Value, json};

use super::items::untyped;
use crate::kinds::Kind;
use crate::object::Object;
use crate::server::accept::{Encoding, Form};
use crate::server::body::Body;
use crate::server::call::Call;
use crate::server::later::Later;
use crate::server::registry::api_version;
use crate::server::respond;
use crate::server::table::{self, Include};
use crate::server::yaml_size::yaml_size;

/// The list as YAML, a Table or bare metadata.
pub fn list(
    call: &Call,
    metadata: &Map<String, Value>,
    objects: Vec<Arc<Object>>,
) -> Result<Response<Body>, Status> {
    let (form, yaml) = (call.accept.form, call.accept.encoding == Encoding::Yaml);
    let (around, items) = around(call.kind(), form, metadata);
    let (head, tail) = if yaml {
        yaml_ends(&around, items, objects.is_empty())
    } else {
        json_ends(&around, items)
    };
    let (kind, include) = (call.served.kind.clone(), table::include(&call.query));
    let write = move |out: &mut Vec<u8>, index: usize, object: &Object| {
        if yaml {
            // Writing into memory cannot fail. A list of one is an item of the whole.
            let items = [value(&kind, form, include, object)];
            let _ = serde_yaml_ng::to_writer(out, &items);
            return Ok(());
        }
        if index > 0 {
            out.push(b',');
        }
        match form {
            Form::Partial { beta } => out.extend_from_slice(&table::partial_json(&object.bytes, beta)),
            // Values always serialize.
            _ => drop(serde_json::to_writer(out, &value(&kind, form, include, object))),
        }
        Ok(())
    };
    let later = Later {
        head,
        objects,
        write: Box::new(write),
        size: if yaml { yaml_size } else { <[u8]>::len },
        tail,
    };
    let media = if yaml {
        "application/yaml"
    } else {
        "application/json"
    };
    later.answer(call, StatusCode::OK, media)
}

/// The list without its items, and what these are called.
fn around(kind: &Kind, form: Form, metadata: &Map<String, Value>) -> (Map<String, Value>, &'static str) {
    let meta = |beta: bool| {
        if beta {
            "meta.k8s.io/v1beta1"
        } else {
            "meta.k8s.io/v1"
        }
    };
    let (list, items) = match form {
        Form::Object => {
            let version = api_version(&kind.group, &kind.version);
            (
                json!({"kind": format!("{}List", kind.kind), "apiVersion": version, "metadata": metadata}),
                "items",
            )
        }
        Form::Partial { beta } => (
            json!({"kind": "PartialObjectMetadataList", "apiVersion": meta(beta), "metadata": metadata}),
            "items",
        ),
        Form::Table { beta } => {
            let columns = table::columns(kind);
            (
                json!({"kind": "Table", "apiVersion": meta(beta), "metadata": metadata, "columnDefinitions": columns}),
                "rows",
            )
        }
    };
    match list {
        Value::Object(list) => (list, items),
        _ => (Map::new(), items),
    }
}

/// What becomes of an object.
fn value(kind: &Kind, form: Form, include: Include, object: &Object) -> Value {
    match form {
        Form::Object => untyped(kind, respond::value(kind, object)),
        Form::Partial { beta } => table::partial(&object.value(), beta),
        Form::Table { beta } => table::row(kind, object, include, beta),
    }
}

fn json_ends(around: &Map<String, Value>, items: &str) -> (Vec<u8>, Vec<u8>) {
    // Maps always serialize; this one is not empty.
    let mut head = serde_json::to_vec(around).unwrap_or_default();
    head.pop();
    head.extend_from_slice(format!(",\"{items}\":[").as_bytes());
    (head, b"]}\n".to_vec())
}

/// Members stand in the order of their names, as Go writes them.
fn yaml_ends(around: &Map<String, Value>, items: &str, empty: bool) -> (Vec<u8>, Vec<u8>) {
    let text = |members: Map<String, Value>| {
        if members.is_empty() {
            return Vec::new();
        }
        // Maps always serialize.
        serde_yaml_ng::to_string(&members)
            .unwrap_or_default()
            .into_bytes()
    };
    let (before, after): (Map<_, _>, Map<_, _>) = around
        .clone()
        .into_iter()
        .partition(|(name, _)| name.as_str() < items);
    let mut head = text(before);
    head.extend_from_slice(items.as_bytes());
    head.extend_from_slice(if empty { b": []\n" } else { b":\n" });
    (head, text(after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(around: &Map<String, Value>, items: &str, all: &[Value]) -> Value {
        let mut whole = around.clone();
        whole.insert(items.to_owned(), all.into());
        whole.into()
    }

    fn joined((head, tail): (Vec<u8>, Vec<u8>), all: impl Iterator<Item = String>) -> String {
        let middle: String = all.collect();
        String::from_utf8(head).unwrap() + &middle + &String::from_utf8(tail).unwrap()
    }

    fn items() -> impl Strategy<Value = Vec<Value>> {
        let leaf = prop_oneof![
            ".*".prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            Just(Value::Null),
            Just(json!("a\nb\n\n  c\n")),
            Just(json!("- x")),
        ];
        let item = leaf.prop_recursive(4, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".*", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        });
        prop::collection::vec(item, 0..4)
    }

    proptest! {
        #[test]
        fn item_by_item_it_is_the_same_text(all in items(), form in 0_usize..3) {
            let form = [Form::Object, Form::Table { beta: false }, Form::Partial { beta: true }][form];
            let kind = crate::kinds::find("", "v1", "configmaps").unwrap();
            let metadata = Map::from_iter([("resourceVersion".to_owned(), Value::from("7"))]);
            let (around, name) = around(kind, form, &metadata);
            let whole = whole(&around, name, &all);
            let yaml = all.iter().map(|item| serde_yaml_ng::to_string(&[item]).unwrap());
            prop_assert_eq!(
                joined(yaml_ends(&around, name, all.is_empty()), yaml),
                serde_yaml_ng::to_string(&whole).unwrap()
            );
            let json = all.iter().enumerate().map(|(n, item)| format!("{}{item}", if n > 0 { "," } else { "" }));
            let json = joined(json_ends(&around, name), json);
            prop_assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), whole);
        }
    }
}
