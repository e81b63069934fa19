//! Scaling behavior in its annotation. Upstream writes a struct there that has no JSON names, so that Go's own stand in
//! it: `ScaleUp`, `Policies`, with null for what is not set.

use serde_json::{Map, Value};

use super::alpha::find;

/// Go's names of the fields of rules, and v2's.
const RULES: [(&str, &str); 4] = [
    ("StabilizationWindowSeconds", "stabilizationWindowSeconds"),
    ("SelectPolicy", "selectPolicy"),
    ("Policies", "policies"),
    ("Tolerance", "tolerance"),
];
/// The same of a policy.
const POLICY: [(&str, &str); 3] = [
    ("Type", "type"),
    ("Value", "value"),
    ("PeriodSeconds", "periodSeconds"),
];
/// The same of the whole.
const DIRECTIONS: [(&str, &str); 2] = [("ScaleUp", "scaleUp"), ("ScaleDown", "scaleDown")];

/// As v2 has it; `None` if it says nothing. Whether the fields have the right types is for the caller to see.
pub(super) fn read(kept: &Value) -> Option<Value> {
    let behavior = renamed(kept, &DIRECTIONS, |_, rules| {
        renamed(rules, &RULES, |field, value| match (field, value) {
            ("policies", Value::Array(policies)) => policies
                .iter()
                .map(|policy| renamed(policy, &POLICY, |_, value| value.clone()))
                .collect(),
            _ => value.clone(),
        })
    });
    let says = behavior.as_object().is_none_or(|behavior| !behavior.is_empty());
    says.then_some(behavior)
}

/// An object's fields by their names in v2. What is no object stays as it is.
fn renamed(value: &Value, names: &[(&str, &str)], inner: impl Fn(&str, &Value) -> Value) -> Value {
    let Value::Object(map) = value else {
        return value.clone();
    };
    let fields = names
        .iter()
        .filter_map(|(go, own)| Some(((*own).to_owned(), inner(own, find(map, go)?))));
    Value::Object(fields.collect())
}

/// As the annotation has it.
pub(super) fn write(behavior: &Value) -> Value {
    written(behavior, &DIRECTIONS, |_, rules| {
        written(rules, &RULES, |field, value| match (field, value) {
            ("policies", Value::Array(policies)) => policies
                .iter()
                .map(|policy| written(policy, &POLICY, |_, value| value.clone()))
                .collect(),
            _ => value.clone(),
        })
    })
}

fn written(value: &Value, names: &[(&str, &str)], inner: impl Fn(&str, &Value) -> Value) -> Value {
    let Value::Object(map) = value else {
        return value.clone();
    };
    let fields = names.iter().map(|(go, own)| {
        let value = map.get(*own).map_or(Value::Null, |value| inner(own, value));
        ((*go).to_owned(), value)
    });
    Value::Object(fields.collect::<Map<_, _>>())
}
