//! What a pod asks for altogether, as scheduler, quota and limits count it.
//!
//! Source: `k8s.io/component-helpers/resource`: containers and sidecars add up; an init container runs alone beside
//! the sidecars that were started before it.

use std::collections::BTreeMap;

use keelson_api::quantity::Quantity;
use serde_json::Value;

use super::fields::{items, text};

/// Amounts by resource name.
pub type Amounts = BTreeMap<String, Quantity>;

/// The quantities of a JSON object; what is none is left out (validation refuses it).
pub fn amounts(value: &Value) -> Amounts {
    let entries = value.as_object().into_iter().flatten();
    entries
        .filter_map(|(name, value)| Some((name.clone(), Quantity::from_json(value).ok()?)))
        .collect()
}

/// Adds `more` to `sum`.
pub fn add(sum: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let total = sum.entry(name.clone()).or_default();
        *total = total.plus(*amount);
    }
}

fn raise(most: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        let value = most.entry(name.clone()).or_insert(*amount);
        if *value < *amount {
            *value = *amount;
        }
    }
}

/// The pod's total `requests` or `limits` (`which`), without its overhead.
pub fn total(pod: &Value, which: &str) -> Amounts {
    let of = |container: &Value| amounts(&container["resources"][which]);
    let mut sum = Amounts::new();
    for container in items(pod, "/spec/containers") {
        add(&mut sum, &of(container));
    }
    let (mut sidecars, mut most) = (Amounts::new(), Amounts::new());
    for container in items(pod, "/spec/initContainers") {
        if text(container, "/restartPolicy") == "Always" {
            add(&mut sidecars, &of(container));
            raise(&mut most, &sidecars);
        } else {
            let mut alone = sidecars.clone();
            add(&mut alone, &of(container));
            raise(&mut most, &alone);
        }
    }
    add(&mut sum, &sidecars);
    raise(&mut sum, &most);
    sum
}
