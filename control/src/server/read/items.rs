//! The items of a list as JSON: the objects' own bytes, without copying them before they are sent.
//!
//! In a list of a built-in kind the items do not say what they are, as upstream's typed lists do not; items of custom
//! kinds do.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::kinds::Kind;
use crate::object::Object;
use crate::server::{convert, respond};

/// The items of a list.
#[derive(Debug)]
pub struct Items {
    parts: Vec<Part>,
    bytes: usize,
}

/// An item, or what is left of it after its opening brace.
#[derive(Debug)]
struct Part {
    opened: bool,
    bytes: Bytes,
}

impl Items {
    /// Of these objects, in the version that the kind serves.
    pub fn new(kind: &Kind, objects: &[Arc<Object>]) -> Self {
        // The encoder writes these two first.
        let typed = format!(
            "{{\"apiVersion\":\"{}\",\"kind\":\"{}\",",
            kind.api_version(),
            kind.kind
        );
        let part = |object: &Arc<Object>| {
            if kind.custom.is_some() || !convert::is_version(kind, object) {
                let bytes = if kind.custom.is_some() {
                    respond::view(kind, object)
                } else {
                    // Values always serialize.
                    serde_json::to_vec(&untyped(kind, respond::value(kind, object)))
                        .unwrap_or_default()
                        .into()
                };
                return Part { opened: false, bytes };
            }
            let opened = object.bytes.starts_with(typed.as_bytes());
            let cut = if opened { typed.len() } else { 0 };
            Part {
                opened,
                bytes: object.bytes.slice(cut..),
            }
        };
        let parts: Vec<Part> = objects.iter().map(part).collect();
        let items: usize = parts
            .iter()
            .map(|part| usize::from(part.opened) + part.bytes.len())
            .sum();
        Self {
            bytes: items + parts.len().saturating_sub(1),
            parts,
        }
    }

    /// Bytes of all items with the commas between them.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// What is sent, in order.
    pub fn pieces(self) -> impl Iterator<Item = Bytes> + Send + 'static {
        self.parts.into_iter().enumerate().flat_map(|(index, part)| {
            let open = match (index > 0, part.opened) {
                (false, false) => None,
                (false, true) => Some(&b"{"[..]),
                (true, false) => Some(&b","[..]),
                (true, true) => Some(&b",{"[..]),
            };
            open.map(Bytes::from_static).into_iter().chain([part.bytes])
        })
    }
}

/// An object as it stands in a list of its kind.
pub fn untyped(kind: &Kind, mut object: Value) -> Value {
    if kind.custom.is_none()
        && let Some(fields) = object.as_object_mut()
    {
        fields.remove("apiVersion");
        fields.remove("kind");
    }
    object
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds;
    use crate::server::encode;

    fn listed(kind: &Kind, objects: &[Value]) -> Value {
        let objects: Vec<Arc<Object>> = objects
            .iter()
            .map(|object| Arc::new(encode::object(kind, object)))
            .collect();
        let items = Items::new(kind, &objects);
        let length = items.len();
        let text = items.pieces().fold(Vec::new(), |mut all, piece| {
            all.extend_from_slice(&piece);
            all
        });
        assert_eq!(text.len(), length);
        serde_json::from_slice(&[b"[", text.as_slice(), b"]"].concat()).unwrap()
    }

    #[test]
    fn items_do_not_say_what_they_are() {
        let maps = kinds::find("", "v1", "configmaps").unwrap();
        let map = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "v"}});
        assert_eq!(listed(maps, &[]), json!([]));
        let items = listed(maps, &[map("a"), map("b"), map("c")]);
        let item =
            |name: &str| json!({"metadata": {"resourceVersion": "", "name": name}, "data": {"k": "v"}});
        assert_eq!(items, json!([item("a"), item("b"), item("c")]));
        // Stored in another version than the one that is asked for.
        let events = kinds::find("events.k8s.io", "v1", "events").unwrap();
        let stored = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "message": "m"});
        let items = listed(events, &[stored.clone(), stored]);
        assert_eq!(items[1]["note"], "m");
        assert!(items[1].get("kind").is_none() && items[1].get("apiVersion").is_none());
    }
}
