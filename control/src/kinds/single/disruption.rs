//! PodDisruptionBudgets.

use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::apps::workload::{count_or_percent, label_selector, non_negative};
use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{object_or_new, set_default};
use crate::kinds::{Kind, Strategy, cells, conditions, update};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    (
        "Min Available",
        "string",
        0,
        "The minimum number of pods that must be available.",
    ),
    (
        "Max Unavailable",
        "string",
        0,
        "The maximum number of pods that may be unavailable.",
    ),
    (
        "Allowed Disruptions",
        "integer",
        0,
        "Calculated number of pods that may be disrupted at this time.",
    ),
    AGE,
];

pub(super) fn kind() -> Kind {
    describe::kind(
        "policy/v1",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        COLUMNS,
        Budget,
    )
    .short(&["pdb"])
    .status()
    .done()
}

#[derive(Debug)]
struct Budget;

const COUNTS: [&str; 4] = [
    "disruptionsAllowed",
    "currentHealthy",
    "desiredHealthy",
    "expectedPods",
];

impl Strategy for Budget {
    fn default(&self, object: &mut Value) {
        if let Some(map) = object.as_object_mut()
            && let Some(status) = object_or_new(map, "status")
        {
            for count in COUNTS {
                set_default(status, count, 0);
            }
        }
    }

    fn prepare_create(&self, new: &mut Value) {
        update::create(new);
        for count in COUNTS {
            new["status"][count] = Value::from(0);
        }
    }

    fn prepare_update(&self, subresource: Option<&str>, old: &Value, new: &mut Value) {
        update::update(subresource, old, new);
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = object.get("spec").unwrap_or(&Value::Null);
        let (least, most) = (spec.get("minAvailable"), spec.get("maxUnavailable"));
        if least.is_some() && most.is_some() {
            let detail = "minAvailable and maxUnavailable cannot be both set";
            errors.push(FieldError::invalid("spec", spec.clone(), detail));
        }
        count_or_percent(&mut errors, least, "spec.minAvailable");
        count_or_percent(&mut errors, most, "spec.maxUnavailable");
        let policy = spec.get("unhealthyPodEvictionPolicy").and_then(Value::as_str);
        let allowed = ["AlwaysAllow", "IfHealthyBudget"];
        if let Some(policy) = policy.filter(|policy| !allowed.contains(policy)) {
            errors.push(FieldError::not_supported(
                "spec.unhealthyPodEvictionPolicy",
                policy,
                &allowed,
            ));
        }
        if let Some(selector) = spec.get("selector") {
            label_selector(&mut errors, selector, "spec.selector");
        }
        errors
    }

    fn validate_update(&self, subresource: Option<&str>, _: &Value, new: &Value) -> Vec<FieldError> {
        if subresource != Some("status") {
            return self.validate_create(new);
        }
        let mut errors = Vec::new();
        conditions::check(&mut errors, new);
        for count in COUNTS {
            non_negative(&mut errors, new, &format!("status.{count}"));
        }
        errors
    }

    fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        vec![
            cells::name(object),
            cells::any_or(object, "/spec/minAvailable", "N/A"),
            cells::any_or(object, "/spec/maxUnavailable", "N/A"),
            cells::number(object, "/status/disruptionsAllowed"),
            cells::age(object, now),
        ]
    }
}
