//! ReplicaSets.

use std::collections::BTreeMap;

use keelson_api::status::FieldError;
use serde_json::Value;

use super::workload::{immutable_selector, non_negative, replica_counts, scale, selector_and_template};
use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{int, object_or_new, set_default};
use crate::kinds::{Kind, Strategy, cells, podspec, update};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    ("Desired", "integer", 0, "Replicas is the number of desired pods."),
    (
        "Current",
        "integer",
        0,
        "Replicas is the most recently observed number of non-terminating pods.",
    ),
    (
        "Ready",
        "integer",
        0,
        "The number of non-terminating pods targeted by this ReplicaSet with a Ready Condition.",
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
        "Selector is a label query over pods that should match the replica count.",
    ),
];

pub(super) fn kind() -> Kind {
    describe::kind("apps/v1", "ReplicaSet", "replicasets", COLUMNS, ReplicaSet)
        .short(&["rs"])
        .in_all()
        .status()
        .scale()
        .done()
}

#[derive(Debug)]
struct ReplicaSet;

impl Strategy for ReplicaSet {
    fn default(&self, object: &mut Value) {
        let Some(map) = object.as_object_mut() else { return };
        if let Some(status) = object_or_new(map, "status") {
            set_default(status, "replicas", 0);
        }
        let Some(spec) = object_or_new(map, "spec") else {
            return;
        };
        set_default(spec, "replicas", 1);
        podspec::default_template_in(spec);
    }

    fn prepare_create(&self, new: &mut Value) {
        update::create(new);
        new["status"]["replicas"] = Value::from(0);
    }

    fn prepare_update(&self, subresource: Option<&str>, old: &Value, new: &mut Value) {
        update::update(subresource, old, new);
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        non_negative(&mut errors, object, "spec.replicas");
        non_negative(&mut errors, object, "spec.minReadySeconds");
        selector_and_template(&mut errors, object);
        errors
    }

    fn validate_update(&self, subresource: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
        if subresource == Some("status") {
            return replica_counts(
                new,
                &["fullyLabeledReplicas", "readyReplicas", "availableReplicas"],
            );
        }
        let mut errors = self.validate_create(new);
        immutable_selector(&mut errors, old, new);
        errors
    }

    fn selectable_fields(&self, object: &Value) -> BTreeMap<String, String> {
        let replicas = int(object, "/status/replicas").unwrap_or(0).to_string();
        BTreeMap::from([("status.replicas".to_owned(), replicas)])
    }

    fn selectable_field_names(&self) -> &'static [&'static str] {
        &["status.replicas"]
    }

    fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        let (names, images) = cells::containers(object.pointer("/spec/template/spec"));
        vec![
            cells::name(object),
            cells::number(object, "/spec/replicas"),
            cells::number(object, "/status/replicas"),
            cells::number(object, "/status/readyReplicas"),
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
