//! Decoded objects that nearly every request looks at: its namespace, its service account, classes, limit ranges.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::object::Object;

/// Most objects that are kept decoded; then all are forgotten. Decoded ones are about ten times their bytes.
const MOST: usize = 256;
/// Longest objects that are kept, in bytes.
const LONGEST: usize = 4 << 10;

/// Keeps objects decoded until they change.
#[derive(Debug, Default)]
pub struct Decoded {
    /// By UID, with the revision that was decoded.
    values: Mutex<HashMap<String, (u64, Arc<Value>)>>,
}

impl Decoded {
    /// The decoded object.
    pub fn of(&self, object: &Object) -> Arc<Value> {
        if object.bytes.len() > LONGEST || object.uid.is_empty() {
            return Arc::new(object.value());
        }
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((revision, value)) = values.get(&object.uid)
            && *revision == object.resource_version
        {
            return Arc::clone(value);
        }
        if values.len() >= MOST {
            values.clear();
        }
        let value = Arc::new(object.value());
        values.insert(object.uid.clone(), (object.resource_version, Arc::clone(&value)));
        value
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(uid: &str, revision: u64, color: &str) -> Object {
        let value =
            json!({"metadata": {"uid": uid, "resourceVersion": revision.to_string()}, "color": color});
        Object::describe(&value, serde_json::to_vec(&value).unwrap().into())
    }

    #[test]
    fn a_change_is_seen_and_the_number_is_bounded() {
        let decoded = Decoded::default();
        assert_eq!(decoded.of(&object("a", 1, "red"))["color"], "red");
        assert_eq!(decoded.of(&object("a", 2, "blue"))["color"], "blue");
        // Somebody who read earlier still gets what they read.
        assert_eq!(decoded.of(&object("a", 1, "red"))["color"], "red");
        for number in 0..3 * MOST {
            decoded.of(&object(&format!("u{number}"), 1, "x"));
        }
        assert!(decoded.values.lock().unwrap().len() <= MOST);
        let same = object("b", 1, "green");
        assert!(Arc::ptr_eq(&decoded.of(&same), &decoded.of(&same)));
    }
}
