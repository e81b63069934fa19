//! Label selectors.
//!
//! Source: `metav1.LabelSelector`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Values, nullable};

/// A label selector: all requirements must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Selector {
    /// Equality.
    #[serde(deserialize_with = "nullable")]
    pub match_labels: BTreeMap<String, String>,
    /// Set operations.
    #[serde(deserialize_with = "nullable")]
    pub match_expressions: Vec<Requirement>,
}

/// One requirement. Node selectors use two more operators (`Gt`, `Lt`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Requirement {
    /// Label key.
    pub key: String,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt`, `Lt`.
    pub operator: String,
    /// Values.
    #[serde(skip_serializing_if = "Values::is_empty")]
    pub values: Values,
}

impl Requirement {
    /// Whether a label value (or its absence) satisfies this. Unknown operators match nothing.
    pub fn matches(&self, value: Option<&String>) -> bool {
        let number = |text: &String| text.parse::<i64>().ok();
        match (self.operator.as_str(), value) {
            ("In", Some(value)) => self.values.contains(value),
            ("NotIn", value) => value.is_none_or(|value| !self.values.contains(value)),
            ("Exists", value) => value.is_some(),
            ("DoesNotExist", value) => value.is_none(),
            ("Gt" | "Lt", Some(value)) => {
                let (Some(have), Some(bound)) = (number(value), self.values.first().and_then(number)) else {
                    return false;
                };
                if self.operator == "Gt" {
                    have > bound
                } else {
                    have < bound
                }
            }
            _ => false,
        }
    }
}

/// Whether the labels satisfy plain equality, as Services have it.
pub fn has_all(wanted: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

impl Selector {
    /// From plain equality, as ReplicationControllers have it.
    pub fn equality(labels: &BTreeMap<String, String>) -> Self {
        Self {
            match_labels: labels.clone(),
            match_expressions: Vec::new(),
        }
    }

    /// Selects everything.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }

    /// Whether the labels satisfy it.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        has_all(&self.match_labels, labels)
            && self
                .match_expressions
                .iter()
                .all(|requirement| requirement.matches(labels.get(&requirement.key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn matches(selector: serde_json::Value, labels: serde_json::Value) -> bool {
        let selector: Selector = serde_json::from_value(selector).unwrap();
        selector.matches(&serde_json::from_value(labels).unwrap())
    }

    #[test]
    fn operators() {
        let expression = |operator: &str, values: &[&str]| json!({"matchExpressions": [{"key": "a", "operator": operator, "values": values}]});
        assert!(matches(
            json!({"matchLabels": {"a": "1"}}),
            json!({"a": "1", "b": "2"})
        ));
        assert!(!matches(json!({"matchLabels": {"a": "1"}}), json!({"a": "2"})));
        assert!(matches(expression("In", &["1", "2"]), json!({"a": "2"})));
        assert!(!matches(expression("In", &["1"]), json!({})));
        assert!(matches(expression("NotIn", &["1"]), json!({})));
        assert!(!matches(expression("NotIn", &["1"]), json!({"a": "1"})));
        assert!(matches(expression("Exists", &[]), json!({"a": ""})));
        assert!(matches(expression("DoesNotExist", &[]), json!({"b": ""})));
        assert!(matches(expression("Gt", &["3"]), json!({"a": "10"})));
        assert!(!matches(expression("Lt", &["x"]), json!({"a": "10"})));
        assert!(!matches(expression("Like", &["1"]), json!({"a": "1"})));
        assert!(matches(json!({"matchLabels": null}), json!({})));
    }
}
