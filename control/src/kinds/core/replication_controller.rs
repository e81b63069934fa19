//! ReplicationControllers, the forerunners of ReplicaSets.

use std::collections::BTreeMap;

use keelson_api::selector::Selector;
use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::apps::workload::{always_restarts, non_negative, replica_counts};
use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{int, is_unset, object_or_new, set_default};
use crate::kinds::{Kind, Strategy, cells, go, podspec, update};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    (
        "Desired",
        "integer",
        0,
        "Replicas is the number of desired replicas.",
    ),
    (
        "Current",
        "integer",
        0,
        "Replicas is the most recently observed number of replicas.",
    ),
    (
        "Ready",
        "integer",
        0,
        "The number of ready replicas for this replication controller.",
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
        "Selector is a label query over pods that should match the Replicas count.",
    ),
];

pub(super) fn kind() -> Kind {
    let (name, plural) = ("ReplicationController", "replicationcontrollers");
    describe::kind("v1", name, plural, COLUMNS, ReplicationController)
        .short(&["rc"])
        .in_all()
        .status()
        .scale()
        .done()
}

#[derive(Debug)]
struct ReplicationController;

impl Strategy for ReplicationController {
    fn default(&self, object: &mut Value) {
        let labels = object
            .pointer("/spec/template/metadata/labels")
            .filter(|labels| !is_unset(Some(labels)))
            .cloned();
        let Some(map) = object.as_object_mut() else { return };
        if let Some(labels) = &labels
            && let Some(metadata) = object_or_new(map, "metadata")
            && is_unset(metadata.get("labels"))
        {
            metadata.insert("labels".to_owned(), labels.clone());
        }
        if let Some(status) = object_or_new(map, "status") {
            set_default(status, "replicas", 0);
        }
        let Some(spec) = object_or_new(map, "spec") else {
            return;
        };
        set_default(spec, "replicas", 1);
        if let Some(labels) = labels
            && is_unset(spec.get("selector"))
        {
            spec.insert("selector".to_owned(), labels);
        }
        if let Some(template) = spec.get_mut("template") {
            podspec::default_template(template);
        }
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
        let selector = object.pointer("/spec/selector").unwrap_or(&Value::Null);
        if is_unset(Some(selector)) {
            errors.push(FieldError::required("spec.selector", ""));
        }
        match object.pointer("/spec/template") {
            None => errors.push(FieldError::required("spec.template", "")),
            Some(template) => {
                let labels = template.pointer("/metadata/labels").unwrap_or(&Value::Null);
                if !Selector::from_map(selector).matches_value(labels) {
                    let detail = "`selector` does not match template `labels`";
                    errors.push(FieldError::invalid_shown(
                        "spec.template.metadata.labels",
                        &go::map(labels),
                        detail,
                    ));
                }
                errors.extend(podspec::validate_template(template, "spec.template"));
                always_restarts(&mut errors, object);
            }
        }
        errors
    }

    fn validate_update(&self, subresource: Option<&str>, _: &Value, new: &Value) -> Vec<FieldError> {
        if subresource == Some("status") {
            return replica_counts(
                new,
                &["fullyLabeledReplicas", "readyReplicas", "availableReplicas"],
            );
        }
        self.validate_create(new)
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
            cells::labels(object, "/spec/selector"),
        ]
    }

    fn scale(&self, object: &Value) -> Option<(i64, i64, String)> {
        let selector = Selector::from_map(object.pointer("/spec/selector").unwrap_or(&Value::Null));
        Some((
            int(object, "/spec/replicas").unwrap_or(0),
            int(object, "/status/replicas").unwrap_or(0),
            selector.to_string(),
        ))
    }
}
