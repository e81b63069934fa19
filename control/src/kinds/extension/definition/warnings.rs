//! Warnings about a definition.

use serde_json::Value;

use crate::kinds::json::{items, text};

/// What is stored, and not acted on.
pub(super) fn of(definition: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    if text(definition, "/spec/conversion/strategy") == "Webhook" {
        warnings.push(
            "spec.conversion.strategy: Webhook is stored, but not carried out yet: objects are converted as with None"
                .to_owned(),
        );
    }
    let any = items(definition, "/spec/versions").iter();
    if any.into_iter().any(|version| has_rules(&version["schema"])) {
        warnings.push("x-kubernetes-validations are stored, but not enforced yet".to_owned());
    }
    warnings
}

fn has_rules(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => {
            map.get("x-kubernetes-validations")
                .and_then(Value::as_array)
                .is_some_and(|rules| !rules.is_empty())
                || map.values().any(has_rules)
        }
        Value::Array(list) => list.iter().any(has_rules),
        _ => false,
    }
}
