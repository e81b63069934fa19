//! Deployments.

use keelson_api::status::FieldError;
use serde_json::Value;

use super::workload::{
    collisions, count_or_percent, immutable_selector, is_nothing, non_negative, replica_counts, scale,
    selector_and_template,
};
use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{int, is_unset, object_or_new, set_default, set_zero, text};
use crate::kinds::{Kind, Strategy, cells, go, podspec, update};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    ("Ready", "string", 0, "Number of the pod with ready state"),
    (
        "Up-to-date",
        "string",
        0,
        "Total number of non-terminated pods targeted by this deployment that have the desired template spec.",
    ),
    (
        "Available",
        "string",
        0,
        "Total number of available pods (ready for at least minReadySeconds) targeted by this deployment.",
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
    ("Selector", "string", 1, "Label selector for pods."),
];

pub(super) fn kind() -> Kind {
    describe::kind("apps/v1", "Deployment", "deployments", COLUMNS, Deployment)
        .short(&["deploy"])
        .in_all()
        .status()
        .scale()
        .done()
}

#[derive(Debug)]
struct Deployment;

impl Strategy for Deployment {
    fn default(&self, object: &mut Value) {
        let Some(map) = object.as_object_mut() else { return };
        object_or_new(map, "status");
        let Some(spec) = object_or_new(map, "spec") else {
            return;
        };
        set_default(spec, "replicas", 1);
        set_default(spec, "revisionHistoryLimit", 10);
        set_default(spec, "progressDeadlineSeconds", 600);
        if let Some(strategy) = object_or_new(spec, "strategy") {
            set_zero(strategy, "type", "RollingUpdate");
            if strategy.get("type").and_then(Value::as_str) == Some("RollingUpdate")
                && let Some(rolling) = object_or_new(strategy, "rollingUpdate")
            {
                set_default(rolling, "maxUnavailable", "25%");
                set_default(rolling, "maxSurge", "25%");
            }
        }
        podspec::default_template_in(spec);
    }

    fn prepare_create(&self, new: &mut Value) {
        update::create(new);
    }

    fn prepare_update(&self, subresource: Option<&str>, old: &Value, new: &mut Value) {
        update::update(subresource, old, new);
        if subresource == Some("status") {
            update::keep_labels(old, new);
            return;
        }
        // Annotations are copied to the ReplicaSets: that is work to do, too.
        let annotations = |object: &Value| object.pointer("/metadata/annotations").cloned();
        let generation = |object: &Value| int(object, "/metadata/generation");
        let (was, is) = (annotations(old), annotations(new));
        if generation(old) == generation(new)
            && !(is_unset(was.as_ref()) && is_unset(is.as_ref()))
            && was != is
        {
            new["metadata"]["generation"] = Value::from(generation(old).unwrap_or(0) + 1);
        }
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        non_negative(&mut errors, object, "spec.replicas");
        selector_and_template(&mut errors, object);
        strategy(&mut errors, object);
        for field in [
            "spec.minReadySeconds",
            "spec.revisionHistoryLimit",
            "spec.progressDeadlineSeconds",
        ] {
            non_negative(&mut errors, object, field);
        }
        let (ready, deadline) = (
            int(object, "/spec/minReadySeconds"),
            int(object, "/spec/progressDeadlineSeconds"),
        );
        if let Some(deadline) = deadline
            && deadline <= ready.unwrap_or(0)
        {
            let detail = "must be greater than minReadySeconds";
            errors.push(FieldError::invalid(
                "spec.progressDeadlineSeconds",
                deadline,
                detail,
            ));
        }
        errors
    }

    fn validate_update(&self, subresource: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
        if subresource == Some("status") {
            let counts = ["updatedReplicas", "readyReplicas", "availableReplicas"];
            let mut errors = replica_counts(new, &counts);
            non_negative(&mut errors, new, "status.unavailableReplicas");
            collisions(&mut errors, old, new);
            return errors;
        }
        let mut errors = self.validate_create(new);
        immutable_selector(&mut errors, old, new);
        errors
    }

    fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        let desired = int(object, "/spec/replicas").unwrap_or(0);
        let ready = int(object, "/status/readyReplicas").unwrap_or(0);
        let (names, images) = cells::containers(object.pointer("/spec/template/spec"));
        vec![
            cells::name(object),
            Value::from(format!("{ready}/{desired}")),
            cells::number(object, "/status/updatedReplicas"),
            cells::number(object, "/status/availableReplicas"),
            cells::age(object, now),
            names,
            images,
            cells::label_selector(object, "/spec/selector"),
        ]
    }

    fn scale(&self, object: &Value) -> Option<(i64, i64, String)> {
        Some(scale(object))
    }
}

fn strategy(errors: &mut Vec<FieldError>, object: &Value) {
    let rolling = object.pointer("/spec/strategy/rollingUpdate");
    match text(object, "/spec/strategy/type") {
        "Recreate" => {
            if !is_unset(rolling) {
                let detail = "may not be specified when strategy `type` is 'Recreate'";
                errors.push(FieldError::forbidden("spec.strategy.rollingUpdate", detail));
            }
        }
        "RollingUpdate" => {
            let at = |field: &str| rolling.and_then(|rolling| rolling.get(field));
            let path = "spec.strategy.rollingUpdate";
            count_or_percent(errors, at("maxUnavailable"), &format!("{path}.maxUnavailable"));
            count_or_percent(errors, at("maxSurge"), &format!("{path}.maxSurge"));
            if is_nothing(at("maxUnavailable")) && is_nothing(at("maxSurge")) {
                let shown = go::int_or_string(at("maxUnavailable").unwrap_or(&Value::Null));
                let detail = "may not be 0 when `maxSurge` is 0";
                errors.push(FieldError::invalid_shown(
                    format!("{path}.maxUnavailable"),
                    &shown,
                    detail,
                ));
            }
        }
        "" => errors.push(FieldError::required("spec.strategy", "")),
        other => {
            errors.push(FieldError::not_supported(
                "spec.strategy",
                other,
                &["Recreate", "RollingUpdate"],
            ));
        }
    }
}
