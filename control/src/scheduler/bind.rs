//! What the scheduler writes: bindings, conditions and events.

use serde_json::json;

use super::pod::PodView;
use crate::controllers::api::{Api, Error, EventType, Patch, Recorder, resources};
use crate::controllers::model::Time;

/// Binds a pod to a node.
pub async fn bind(api: &Api, recorder: &Recorder, pod: &PodView, node: &str) -> Result<(), Error> {
    let (namespace, name) = (&pod.meta.namespace, &pod.meta.name);
    let binding = json!({
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": name, "namespace": namespace, "uid": pod.meta.uid},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    });
    api.post(
        &format!("{}/binding", resources::pods().object_path(namespace, name)),
        &binding,
    )
    .await?;
    let message = format!("Successfully assigned {namespace}/{name} to {node}");
    recorder.record(
        &pod.meta.reference(resources::pods()),
        EventType::Normal,
        "Scheduled",
        message,
    );
    Ok(())
}

/// Reports that a pod found no node, or could not be bound: an event, and the PodScheduled condition if it changes.
pub async fn report_failure(api: &Api, recorder: &Recorder, pod: &PodView, reason: &str, message: &str) {
    recorder.record(
        &pod.meta.reference(resources::pods()),
        EventType::Warning,
        "FailedScheduling",
        message,
    );
    let known = pod.scheduled.as_ref();
    if known
        .is_some_and(|known| known.status == "False" && known.reason == reason && known.message == message)
    {
        return;
    }
    let since = known
        .filter(|known| known.status == "False")
        .and_then(|known| known.last_transition_time);
    let patch = json!({"metadata": {"uid": pod.meta.uid}, "status": {"conditions": [{
        "type": "PodScheduled",
        "status": "False",
        "reason": reason,
        "message": message,
        "lastProbeTime": null,
        "lastTransitionTime": since.unwrap_or_else(Time::now),
    }]}});
    let (namespace, name) = (&pod.meta.namespace, &pod.meta.name);
    if let Err(error) = api
        .patch(
            resources::pods(),
            namespace,
            name,
            "status",
            Patch::Strategic,
            &patch,
        )
        .await
        && !error.is_not_found()
    {
        tracing::debug!(%error, "condition not written");
    }
}
