//! The pod of a Job.

use serde_json::{Value, json};

use crate::controllers::model::{Job, Pod, controller_reference};
use crate::controllers::{api::resources, pods};

/// Finalizer until the pod is counted.
pub const TRACKING: &str = "batch.kubernetes.io/job-tracking";
/// Annotation and label with the index.
pub const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// Index of a pod of an indexed Job.
pub fn index(pod: &Pod) -> Option<i64> {
    pod.metadata.annotations.get(INDEX)?.parse().ok()
}

/// Whether the pod has not been counted.
pub fn is_tracked(pod: &Pod) -> bool {
    pod.metadata
        .finalizers
        .iter()
        .any(|finalizer| finalizer == TRACKING)
}

/// A pod, with an index if the Job is indexed.
pub fn pod(job: &Job, index: Option<i64>) -> Value {
    let naming = match index {
        Some(index) => json!({"generateName": format!("{}-{index}-", job.metadata.name)}),
        None => json!({"generateName": format!("{}-", job.metadata.name)}),
    };
    let mut body = pods::from_template(
        &job.spec.template.value(),
        &job.metadata.namespace,
        naming,
        &controller_reference(&job.metadata, resources::jobs()),
    );
    let mut finalizers = body["metadata"]["finalizers"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    finalizers.push(TRACKING.into());
    body["metadata"]["finalizers"] = finalizers.into();
    // The API server has put the selector's labels into the template; a selector of the user's own is there as well.
    for (key, value) in &job.spec.selector.match_labels {
        body["metadata"]["labels"][key] = value.clone().into();
    }
    if let Some(index) = index {
        give_index(&mut body, &job.metadata.name, index);
    }
    body
}

fn give_index(body: &mut Value, job: &str, index: i64) {
    body["metadata"]["annotations"][INDEX] = index.to_string().into();
    body["metadata"]["labels"][INDEX] = index.to_string().into();
    body["spec"]["hostname"] = format!("{job}-{index}").into();
    let variable = json!({
        "name": "JOB_COMPLETION_INDEX",
        "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": format!("metadata.labels['{INDEX}']")}},
    });
    for list in ["containers", "initContainers"] {
        for container in body["spec"][list].as_array_mut().into_iter().flatten() {
            let mut env = container["env"].as_array().cloned().unwrap_or_default();
            if !env.iter().any(|entry| entry["name"] == "JOB_COMPLETION_INDEX") {
                env.push(variable.clone());
            }
            container["env"] = env.into();
        }
    }
}
