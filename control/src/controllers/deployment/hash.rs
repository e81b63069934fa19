//! The pod-template-hash: names ReplicaSets and tells their pods apart.
//!
//! Source: `ComputeHash` in `k8s.io/kubernetes/pkg/controller`, but over canonical JSON instead of Go's printed
//! structures. Any stable function serves: an existing ReplicaSet is found by comparing templates, not hashes.

use serde_json::Value;

use crate::kinds::{drop_from_pod_spec, drop_zeros};

/// The label that carries the hash.
pub const LABEL: &str = "pod-template-hash";

/// No vowels, no easily confused characters: hashes never spell words (`k8s.io/apimachinery/pkg/util/rand`).
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Hash of a template; `collisions` varies it when a name was taken.
pub fn template_hash(template: &Value, collisions: Option<i64>) -> String {
    let mut hash = Fnv::new();
    feed(&mut hash, &normalized(template));
    if let Some(count) = collisions {
        hash.write(&count.to_le_bytes());
    }
    let digits = hash.0.to_string();
    digits
        .bytes()
        .map(|digit| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()]))
        .collect()
}

/// Whether two templates are the same, the hash label aside.
pub fn same_template(a: &Value, b: &Value) -> bool {
    normalized(a) == normalized(b)
}

/// Without the hash label, and without what means nothing: nulls, empty maps and lists.
fn normalized(template: &Value) -> Value {
    let mut copy = template.clone();
    // Earlier versions stored them, and fields of gates that are off.
    drop_zeros(&mut copy);
    if let Some(spec) = copy.get_mut("spec") {
        drop_from_pod_spec(spec);
    }
    if let Some(labels) = copy["metadata"]["labels"].as_object_mut() {
        labels.remove(LABEL);
    }
    prune(&mut copy);
    copy
}

fn prune(value: &mut Value) {
    match value {
        Value::Object(map) => {
            // Fields whose presence alone says something, even when empty, are all below volumes and probes.
            map.retain(|key, value| {
                prune(value);
                key == "emptyDir" || key == "securityContext" || !is_nothing(value)
            });
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        // Selectors and the like mean something when empty; plain metadata maps do not.
        Value::Object(_) | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// FNV-1a, 32 bits.
struct Fnv(u32);

impl Fnv {
    fn new() -> Self {
        Self(0x811c_9dc5)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    }
}

/// Feeds a value with keys in order, whatever order the map keeps.
fn feed(hash: &mut Fnv, value: &Value) {
    match value {
        Value::Object(map) => {
            hash.write(b"{");
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            for (key, value) in entries {
                hash.write(key.as_bytes());
                hash.write(b":");
                feed(hash, value);
            }
            hash.write(b"}");
        }
        Value::Array(items) => {
            hash.write(b"[");
            for item in items {
                feed(hash, item);
                hash.write(b",");
            }
            hash.write(b"]");
        }
        scalar => hash.write(scalar.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn stable_and_safe() {
        let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"a": 1, "b": [1, 2]}});
        let hash = template_hash(&template, None);
        assert_eq!(hash, template_hash(&template, None));
        assert!(
            hash.bytes().all(|byte| ALPHABET.contains(&byte)) && !hash.is_empty(),
            "{hash}"
        );
        assert_ne!(hash, template_hash(&template, Some(1)));
        let mut labelled = template.clone();
        labelled["metadata"]["labels"][LABEL] = hash.clone().into();
        labelled["metadata"]["creationTimestamp"] = Value::Null;
        assert_eq!(hash, template_hash(&labelled, None));
        assert!(same_template(&template, &labelled));
        let mut wordy = template.clone();
        wordy["spec"]["hostNetwork"] = false.into();
        wordy["spec"]["nodeSelector"] = json!({});
        assert!(same_template(&template, &wordy), "as earlier versions stored it");
        assert!(!same_template(
            &template,
            &json!({"metadata": {"labels": {"app": "web"}}, "spec": {"a": 2}})
        ));
    }
}
