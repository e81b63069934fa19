//! StatefulSets.

use keelson_api::status::FieldError;
use serde_json::Value;

use super::workload::{collisions, non_negative, replica_counts, scale, selector_and_template};
use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{int, list, object_or_new, set_default, set_zero, text};
use crate::kinds::{Kind, Strategy, cells, podspec, update};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    ("Ready", "string", 0, "Number of the pod with ready state"),
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
];

pub(super) fn kind() -> Kind {
    describe::kind("apps/v1", "StatefulSet", "statefulsets", COLUMNS, StatefulSet)
        .short(&["sts"])
        .in_all()
        .status()
        .scale()
        .done()
}

#[derive(Debug)]
struct StatefulSet;

impl Strategy for StatefulSet {
    fn default(&self, object: &mut Value) {
        let Some(map) = object.as_object_mut() else { return };
        if let Some(status) = object_or_new(map, "status") {
            set_default(status, "replicas", 0);
            set_default(status, "availableReplicas", 0);
        }
        let Some(spec) = object_or_new(map, "spec") else {
            return;
        };
        set_default(spec, "replicas", 1);
        set_default(spec, "revisionHistoryLimit", 10);
        set_zero(spec, "podManagementPolicy", "OrderedReady");
        if let Some(strategy) = object_or_new(spec, "updateStrategy") {
            set_zero(strategy, "type", "RollingUpdate");
            if strategy.get("type").and_then(Value::as_str) == Some("RollingUpdate")
                && let Some(rolling) = object_or_new(strategy, "rollingUpdate")
            {
                set_default(rolling, "partition", 0);
            }
        }
        if let Some(retention) = object_or_new(spec, "persistentVolumeClaimRetentionPolicy") {
            set_zero(retention, "whenDeleted", "Retain");
            set_zero(retention, "whenScaled", "Retain");
        }
        for claim in list(spec, "volumeClaimTemplates") {
            claim.insert("apiVersion".to_owned(), Value::from("v1"));
            claim.insert("kind".to_owned(), Value::from("PersistentVolumeClaim"));
            if let Some(spec) = object_or_new(claim, "spec") {
                set_default(spec, "volumeMode", "Filesystem");
            }
            if let Some(status) = object_or_new(claim, "status") {
                set_zero(status, "phase", "Pending");
            }
        }
        podspec::default_template_in(spec);
    }

    fn prepare_create(&self, new: &mut Value) {
        update::create(new);
        new["status"]["replicas"] = Value::from(0);
        new["status"]["availableReplicas"] = Value::from(0);
    }

    fn prepare_update(&self, subresource: Option<&str>, old: &Value, new: &mut Value) {
        update::update(subresource, old, new);
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let policy = text(object, "/spec/podManagementPolicy");
        if !matches!(policy, "OrderedReady" | "Parallel") {
            let detail = "must be 'OrderedReady' or 'Parallel'";
            errors.push(FieldError::invalid("spec.podManagementPolicy", policy, detail));
        }
        let strategy = text(object, "/spec/updateStrategy/type");
        if !matches!(strategy, "RollingUpdate" | "OnDelete") {
            let detail = "must be 'RollingUpdate' or 'OnDelete'";
            errors.push(FieldError::invalid("spec.updateStrategy", strategy, detail));
        }
        let rolling = object.pointer("/spec/updateStrategy/rollingUpdate");
        if let Some(rolling) = rolling.filter(|rolling| strategy == "OnDelete" && rolling.is_object()) {
            let detail = "only allowed for updateStrategy 'RollingUpdate'";
            errors.push(FieldError::invalid(
                "spec.updateStrategy.rollingUpdate",
                rolling.clone(),
                detail,
            ));
        }
        non_negative(&mut errors, object, "spec.updateStrategy.rollingUpdate.partition");
        non_negative(&mut errors, object, "spec.replicas");
        non_negative(&mut errors, object, "spec.minReadySeconds");
        // A negative limit of revisions keeps all of them, which a warning tells.
        non_negative(&mut errors, object, "spec.ordinals.start");
        let policy = object.pointer("/spec/persistentVolumeClaimRetentionPolicy");
        for field in ["whenDeleted", "whenScaled"] {
            let value = policy.map_or("Retain", |policy| text(policy, &format!("/{field}")));
            if !matches!(value, "Delete" | "Retain") {
                let path = format!("spec.persistentVolumeClaimRetentionPolicy.{field}");
                errors.push(FieldError::not_supported(path, value, &["Delete", "Retain"]));
            }
        }
        selector_and_template(&mut errors, object);
        errors
    }

    fn validate_update(&self, subresource: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
        if subresource == Some("status") {
            let counts = [
                "readyReplicas",
                "currentReplicas",
                "updatedReplicas",
                "availableReplicas",
            ];
            let mut errors = replica_counts(new, &counts);
            collisions(&mut errors, old, new);
            return errors;
        }
        let mut errors = self.validate_create(new);
        let mut comparable = new.get("spec").cloned().unwrap_or_default();
        for field in [
            "replicas",
            "ordinals",
            "template",
            "updateStrategy",
            "revisionHistoryLimit",
            "persistentVolumeClaimRetentionPolicy",
            "minReadySeconds",
        ] {
            if let Some(map) = comparable.as_object_mut() {
                match old.pointer("/spec").and_then(|spec| spec.get(field)) {
                    Some(value) => drop(map.insert(field.to_owned(), value.clone())),
                    None => drop(map.remove(field)),
                }
            }
        }
        if old.get("spec") != Some(&comparable) {
            let detail = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                          'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                          'minReadySeconds' are forbidden";
            errors.push(FieldError::forbidden("spec", detail));
        }
        errors
    }

    fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        let desired = int(object, "/spec/replicas").unwrap_or(0);
        let ready = int(object, "/status/readyReplicas").unwrap_or(0);
        let (names, images) = cells::containers(object.pointer("/spec/template/spec"));
        vec![
            cells::name(object),
            Value::from(format!("{ready}/{desired}")),
            cells::age(object, now),
            names,
            images,
        ]
    }

    fn scale(&self, object: &Value) -> Option<(i64, i64, String)> {
        Some(scale(object))
    }
}
