//! Bringing a default role or binding of an older version up to date at the start: what is missing is added, what
//! somebody added stays. Source: `pkg/registry/rbac/reconciliation` upstream.

use std::collections::BTreeSet;

use serde::Deserialize as _;
use serde_json::{Map, Value};

use super::Rule;
use super::rule::not_covered;

/// Who sets this annotation to `false` looks after the object himself.
const PROTECTED: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// The stored object with what it lacks of the expected one; `None` if it lacks nothing, or is protected.
pub fn reconciled(stored: &Value, expected: &Value) -> Option<Value> {
    if stored["metadata"]["annotations"][PROTECTED] == "false" {
        return None;
    }
    let mut new = stored.clone();
    for field in ["labels", "annotations"] {
        let wanted = expected["metadata"][field].as_object();
        for (key, value) in wanted.into_iter().flatten() {
            let slot = &mut new["metadata"][field];
            if !slot.is_object() {
                *slot = Value::Object(Map::new());
            }
            // Somebody's own value stays.
            if slot[key].is_null() {
                slot[key] = value.clone();
            }
        }
    }
    if !expected["aggregationRule"].is_null() {
        // Its rules are the aggregation's.
        if new["aggregationRule"].is_null() {
            new["aggregationRule"] = expected["aggregationRule"].clone();
        }
    } else if expected["kind"]
        .as_str()
        .is_some_and(|kind| kind.ends_with("Role"))
    {
        let rules = |role: &Value| Vec::<Rule>::deserialize(&role["rules"]).unwrap_or_default();
        let (stored_rules, expected_rules) = (rules(stored), rules(expected));
        let missing: BTreeSet<Rule> = not_covered(&stored_rules, &expected_rules).collect();
        extend(
            &mut new["rules"],
            missing.iter().map(|rule| serde_json::json!(rule)),
        );
    } else {
        let held = stored["subjects"].as_array().map_or(&[][..], Vec::as_slice);
        let wanted = expected["subjects"].as_array().into_iter().flatten();
        let same = |one: &Value, other: &Value| {
            ["kind", "name", "namespace"]
                .iter()
                .all(|key| one[key] == other[key])
        };
        let missing: Vec<Value> = wanted
            .filter(|subject| !held.iter().any(|own| same(own, subject)))
            .cloned()
            .collect();
        extend(&mut new["subjects"], missing.into_iter());
    }
    (new != *stored).then_some(new)
}

fn extend(list: &mut Value, more: impl ExactSizeIterator<Item = Value>) {
    if more.len() == 0 {
        return;
    }
    if !list.is_array() {
        *list = Value::Array(Vec::new());
    }
    if let Some(list) = list.as_array_mut() {
        list.extend(more);
    }
}
