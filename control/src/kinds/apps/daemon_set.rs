//! DaemonSets.

use keelson_api::status::FieldError;
use serde_json::Value;

use super::template_generation;
use super::workload::{
    collisions, count_or_percent, immutable_selector, is_nothing, non_negative, selector_and_template,
};
use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{object_or_new, set_default, set_zero, text};
use crate::kinds::{Kind, Strategy, cells, podspec, update};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    (
        "Desired",
        "integer",
        0,
        "The total number of nodes that should be running the daemon pod.",
    ),
    (
        "Current",
        "integer",
        0,
        "The number of nodes that are running at least 1 daemon pod and are supposed to run it.",
    ),
    (
        "Ready",
        "integer",
        0,
        "The number of nodes that should be running the daemon pod and have it ready.",
    ),
    (
        "Up-to-date",
        "integer",
        0,
        "The total number of nodes that are running updated daemon pod",
    ),
    (
        "Available",
        "integer",
        0,
        "The number of nodes that should be running the daemon pod and have it available.",
    ),
    (
        "Node Selector",
        "string",
        0,
        "Selector which must match a node's labels for the pod to be scheduled on that node.",
    ),
    AGE,
    (
        "Containers",
        "string",
        1,
        "Names of each container in the template.",
    ),
    (
        "Images",
        "string",
        1,
        "Images referenced by each container in the template.",
    ),
    (
        "Selector",
        "string",
        1,
        "A label query over pods that are managed by the daemon set.",
    ),
];

pub(super) fn kind() -> Kind {
    describe::kind("apps/v1", "DaemonSet", "daemonsets", COLUMNS, DaemonSet)
        .short(&["ds"])
        .in_all()
        .status()
        .done()
}

#[derive(Debug)]
struct DaemonSet;

/// Counts that the status always shows.
const COUNTS: [&str; 4] = [
    "currentNumberScheduled",
    "numberMisscheduled",
    "desiredNumberScheduled",
    "numberReady",
];

impl Strategy for DaemonSet {
    fn default(&self, object: &mut Value) {
        let Some(map) = object.as_object_mut() else { return };
        if let Some(status) = object_or_new(map, "status") {
            for count in COUNTS {
                set_default(status, count, 0);
            }
        }
        let Some(spec) = object_or_new(map, "spec") else {
            return;
        };
        set_default(spec, "revisionHistoryLimit", 10);
        if let Some(strategy) = object_or_new(spec, "updateStrategy") {
            set_zero(strategy, "type", "RollingUpdate");
            let rolls = strategy.get("type").and_then(Value::as_str) == Some("RollingUpdate");
            if (rolls || strategy.get("rollingUpdate").is_some_and(Value::is_object))
                && let Some(rolling) = object_or_new(strategy, "rollingUpdate")
            {
                set_default(rolling, "maxUnavailable", i32::from(rolls));
                set_default(rolling, "maxSurge", 0);
            }
        }
        podspec::default_template_in(spec);
        let generation = template_generation::of(object);
        template_generation::set(object, generation);
    }

    fn undecodable(&self, object: &Value) -> Option<String> {
        template_generation::complaint(object)
    }

    fn prepare_create(&self, new: &mut Value) {
        update::create(new);
        let generation = template_generation::of(new).max(1);
        template_generation::set(new, generation);
        for count in COUNTS {
            new["status"][count] = Value::from(0);
        }
    }

    fn prepare_update(&self, subresource: Option<&str>, old: &Value, new: &mut Value) {
        update::update(subresource, old, new);
        let changed = old.pointer("/spec/template") != new.pointer("/spec/template");
        // Earlier versions stored none.
        let generation = template_generation::of(old).max(1);
        template_generation::set(new, generation.saturating_add(i64::from(changed)));
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        selector_and_template(&mut errors, object);
        non_negative(&mut errors, object, "spec.minReadySeconds");
        non_negative(&mut errors, object, "spec.revisionHistoryLimit");
        match text(object, "/spec/updateStrategy/type") {
            "OnDelete" => {}
            "RollingUpdate" => {
                let path = "spec.updateStrategy.rollingUpdate";
                let at = |field: &str| {
                    object
                        .pointer("/spec/updateStrategy/rollingUpdate")
                        .and_then(|r| r.get(field))
                };
                for field in ["maxUnavailable", "maxSurge"] {
                    count_or_percent(&mut errors, at(field), &format!("{path}.{field}"));
                }
                match (is_nothing(at("maxUnavailable")), is_nothing(at("maxSurge"))) {
                    (true, true) => {
                        let detail = "cannot be 0 when maxSurge is 0";
                        errors.push(FieldError::required(format!("{path}.maxUnavailable"), detail));
                    }
                    (false, false) => {
                        let shown = at("maxSurge").cloned().unwrap_or_default();
                        let detail = "may not be set when maxUnavailable is non-zero";
                        errors.push(FieldError::invalid(format!("{path}.maxSurge"), shown, detail));
                    }
                    _ => {}
                }
            }
            other => {
                let path = "spec.updateStrategy";
                errors.push(FieldError::not_supported(
                    path,
                    other,
                    &["RollingUpdate", "OnDelete"],
                ));
            }
        }
        errors
    }

    fn validate_update(&self, subresource: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
        if subresource == Some("status") {
            let mut errors = Vec::new();
            for field in
                COUNTS
                    .iter()
                    .chain(&["updatedNumberScheduled", "numberAvailable", "numberUnavailable"])
            {
                non_negative(&mut errors, new, &format!("status.{field}"));
            }
            non_negative(&mut errors, new, "status.observedGeneration");
            collisions(&mut errors, old, new);
            return errors;
        }
        let mut errors = self.validate_create(new);
        immutable_selector(&mut errors, old, new);
        errors
    }

    fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        let (names, images) = cells::containers(object.pointer("/spec/template/spec"));
        let count = |field: &str| cells::number(object, &format!("/status/{field}"));
        vec![
            cells::name(object),
            count("desiredNumberScheduled"),
            count("currentNumberScheduled"),
            count("numberReady"),
            count("updatedNumberScheduled"),
            count("numberAvailable"),
            cells::labels(object, "/spec/template/spec/nodeSelector"),
            cells::age(object, now),
            names,
            images,
            cells::label_selector(object, "/spec/selector"),
        ]
    }
}
