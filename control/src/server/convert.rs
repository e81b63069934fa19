//! Objects that several API versions share in storage: the stored form is that of whoever wrote last.
//!
//! Two kinds share storage today: core and `events.k8s.io` Events, which name the same facts differently. Every other
//! pair of versions would differ in `apiVersion` only.

use serde_json::{Map, Value};

use super::registry::api_version;
use crate::kinds::Kind;

/// Core name and `events.k8s.io/v1` name of each renamed field of an Event (`pkg/apis/events/v1/conversion.go`).
const EVENT_FIELDS: [(&str, &str); 6] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];
/// The reporting controller, whose name differs as well.
const REPORTER: (&str, &str) = ("reportingComponent", "reportingController");

/// Whether encoded bytes are of the kind's own version.
pub fn is_version(kind: &Kind, bytes: &[u8]) -> bool {
    // The encoder writes apiVersion first; only shared storage can hold another one.
    if kind.storage.is_none() && kind.kind != "Event" {
        return true;
    }
    let head = format!("{{\"apiVersion\":\"{}\"", api_version(&kind.group, &kind.version));
    bytes.starts_with(head.as_bytes())
}

/// The object in the kind's version.
pub fn to(kind: &Kind, mut object: Value) -> Value {
    let target = api_version(&kind.group, &kind.version);
    if let Value::Object(fields) = &mut object {
        if kind.kind == "Event" && fields.get("apiVersion").and_then(Value::as_str) != Some(&target) {
            let to_core = kind.group.is_empty();
            for (core, new) in EVENT_FIELDS.into_iter().chain([REPORTER]) {
                let (from, to) = if to_core { (new, core) } else { (core, new) };
                rename(fields, from, to);
            }
        }
        fields.insert("apiVersion".to_owned(), target.into());
    }
    object
}

fn rename(fields: &mut Map<String, Value>, from: &str, to: &str) {
    if let Some(value) = fields.remove(from) {
        fields.insert(to.to_owned(), value);
    }
}
