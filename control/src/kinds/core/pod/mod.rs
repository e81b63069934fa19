//! Pods.

mod resize;
mod row;
mod status;
mod steering;
#[cfg(test)]
mod tests;
mod validate;

use std::collections::BTreeMap;

use keelson_api::status::FieldError;
use serde_json::{Value, json};

use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{int, is_true, items, object, object_or_new, set_zero, text};
use crate::kinds::{Kind, Strategy, podspec, update};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    (
        "Ready",
        "string",
        0,
        "The aggregate readiness state of this pod for accepting traffic.",
    ),
    (
        "Status",
        "string",
        0,
        "The aggregate status of the containers in this pod.",
    ),
    (
        "Restarts",
        "string",
        0,
        "The number of times the containers in this pod have been restarted and when the last container in this pod \
         has restarted.",
    ),
    AGE,
    ("IP", "string", 1, "podIP address allocated to the pod."),
    (
        "Node",
        "string",
        1,
        "NodeName indicates in which node this pod is scheduled.",
    ),
    (
        "Nominated Node",
        "string",
        1,
        "The node on which preemption makes room for this pod.",
    ),
    (
        "Readiness Gates",
        "string",
        1,
        "Extra conditions that must hold for the pod to be ready.",
    ),
];

const CONNECT: &[&str] = &["create", "get"];
const CHANGE: &[&str] = &["get", "patch", "update"];

pub(super) fn kind() -> Kind {
    describe::kind("v1", "Pod", "pods", COLUMNS, Pod)
        .short(&["po"])
        .in_all()
        .status()
        .same("ephemeralcontainers", CHANGE)
        .same("resize", CHANGE)
        .same("log", &["get"])
        .sub("binding", "v1", "Binding", describe::CREATE)
        .sub("eviction", "policy/v1", "Eviction", describe::CREATE)
        .sub("attach", "v1", "PodAttachOptions", CONNECT)
        .sub("exec", "v1", "PodExecOptions", CONNECT)
        .sub("portforward", "v1", "PodPortForwardOptions", CONNECT)
        .sub("proxy", "v1", "PodProxyOptions", super::node::PROXY)
        .done()
}

#[derive(Debug)]
struct Pod;

const SELECTABLE: &[&str] = &[
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName",
];

impl Strategy for Pod {
    fn default(&self, pod: &mut Value) {
        let Some(map) = pod.as_object_mut() else { return };
        if let Some(spec) = object_or_new(map, "spec") {
            podspec::default_pod_spec(spec);
        }
        if let Some(status) = object_or_new(map, "status") {
            set_zero(status, "phase", "Pending");
            status::one_address(status);
        }
    }

    fn prepare_create(&self, pod: &mut Value) {
        update::start_generation(pod);
        podspec::merge_label_keys(pod);
        podspec::apparmor::sync(pod);
        let qos = podspec::qos_class(pod.get("spec").unwrap_or(&Value::Null));
        pod["status"] = json!({"phase": "Pending", "qosClass": qos});
        if !items(pod, "/spec/schedulingGates").is_empty() {
            pod["status"]["conditions"] = json!([{
                "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates"
            }]);
        }
    }

    fn prepare_update(&self, subresource: Option<&str>, old: &Value, new: &mut Value) {
        if subresource == Some("ephemeralcontainers") {
            // This endpoint changes nothing but its list.
            let added = new.pointer("/spec/ephemeralContainers").cloned();
            update::keep(old, new, "spec");
            if let (Some(added), Some(spec)) = (added, object(new, "spec")) {
                spec.insert("ephemeralContainers".to_owned(), added);
            }
        }
        if subresource == Some("resize") {
            resize::prepare(old, new);
        }
        update::update(subresource, old, new);
        match subresource {
            Some("status") => update::keep_metadata(old, new, &["ownerReferences"]),
            // The right to resize or to debug a pod is none to have it collected, say, or served by other services.
            Some("ephemeralcontainers" | "resize") => update::keep_metadata(
                old,
                new,
                &["labels", "annotations", "finalizers", "ownerReferences"],
            ),
            _ => {}
        }
        // The class is the server's; kubelets have written statuses without it.
        if (subresource != Some("status") || text(new, "/status/qosClass").is_empty())
            && let Some(qos) = old.pointer("/status/qosClass")
        {
            new["status"]["qosClass"] = qos.clone();
        }
    }

    fn validate_create(&self, pod: &Value) -> Vec<FieldError> {
        let mut errors = podspec::validate_pod_spec(pod.get("spec").unwrap_or(&Value::Null), "spec", true);
        errors.extend(podspec::claim_names(pod));
        errors.extend(validate::create(pod));
        errors
    }

    fn validate_update(&self, subresource: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
        validate::update(subresource, old, new)
    }

    fn selectable_fields(&self, pod: &Value) -> BTreeMap<String, String> {
        let mut out = BTreeMap::new();
        for name in SELECTABLE {
            let value = match *name {
                "spec.hostNetwork" => is_true(pod, "/spec/hostNetwork").to_string(),
                "status.podIPs" => items(pod, "/status/podIPs")
                    .iter()
                    .map(|ip| text(ip, "/ip"))
                    .collect::<Vec<_>>()
                    .join(","),
                other => text(pod, &format!("/{}", other.replace('.', "/"))).to_owned(),
            };
            out.insert((*name).to_owned(), value);
        }
        out
    }

    fn selectable_field_names(&self) -> &'static [&'static str] {
        SELECTABLE
    }

    fn row(&self, pod: &Value, now: i64) -> Vec<Value> {
        row::row(pod, now)
    }

    fn row_conditions(&self, pod: &Value) -> Option<Value> {
        row::conditions(pod)
    }

    fn grace(&self, pod: &Value, asked: Option<i64>) -> Option<i64> {
        // A pod that never reached a node, or is finished, has nobody to wait for, whatever was asked.
        if text(pod, "/spec/nodeName").is_empty()
            || matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
        {
            return Some(0);
        }
        let grace = asked.or_else(|| int(pod, "/spec/terminationGracePeriodSeconds"));
        Some(grace.unwrap_or(30))
    }
}
