//! Carries a plan out.

use std::sync::Arc;

use serde_json::{Value, json};

use super::hash;
use super::plan::Plan;
use super::revision;
use super::state::Action;
use crate::controllers::api::{Api, Error, EventType, Patch, Recorder, resources};
use crate::controllers::model::{Deployment, ReplicaSet, controller_reference};
use crate::controllers::owners;

/// Does what the plan says, in order, and writes the status.
pub async fn execute(
    api: &Api,
    recorder: &Recorder,
    deployment: &Deployment,
    sets: &[Arc<ReplicaSet>],
    plan: Plan,
) -> Result<(), Error> {
    let reference = deployment.metadata.reference(resources::deployments());
    for action in plan.actions {
        match action {
            Action::Create {
                name,
                hash,
                replicas,
                annotations,
            } => {
                let body = replica_set(deployment, &name, &hash, replicas, &json!(annotations));
                let created = api
                    .create(resources::replica_sets(), &deployment.metadata.namespace, body)
                    .await;
                if let Err(error) = created {
                    return create_failed(api, deployment, &name, error).await;
                }
            }
            Action::Update {
                name,
                replicas,
                annotations,
                min_ready_seconds,
            } => {
                let Some(set) = sets.iter().find(|set| set.metadata.name == name) else {
                    continue;
                };
                let mut spec = json!({});
                if let Some(replicas) = replicas {
                    spec["replicas"] = replicas.into();
                }
                if let Some(seconds) = min_ready_seconds {
                    spec["minReadySeconds"] = seconds.into();
                }
                // The revision makes a plan over stale data fail instead of undoing what is newer.
                let patch = json!({
                    "metadata": {
                        "uid": set.metadata.uid,
                        "resourceVersion": set.metadata.resource_version,
                        "annotations": annotations,
                    },
                    "spec": spec,
                });
                let namespace = &set.metadata.namespace;
                api.patch(
                    resources::replica_sets(),
                    namespace,
                    &name,
                    "",
                    Patch::Merge,
                    &patch,
                )
                .await?;
            }
            Action::Delete { name } => {
                if let Some(set) = sets.iter().find(|set| set.metadata.name == name) {
                    let options = json!({"preconditions": {"uid": set.metadata.uid}});
                    api.delete(
                        resources::replica_sets(),
                        &set.metadata.namespace,
                        &name,
                        &options,
                    )
                    .await?;
                }
            }
            Action::SetRevision(text) => {
                let target = target(deployment);
                // As upstream: through the status, so that the generation is still that of the last request.
                api.edit(resources::deployments(), target, "status", |object| {
                    let changed =
                        object["metadata"]["annotations"][revision::REVISION].as_str() != Some(&text);
                    object["metadata"]["annotations"][revision::REVISION] = text.clone().into();
                    changed
                })
                .await?;
            }
            Action::Event(kind, reason, message) => recorder.record(&reference, kind, reason, message),
        }
    }
    let owner = (resources::deployments(), &deployment.metadata);
    owners::write_status(api, owner, &deployment.status, &plan.status).await
}

fn target(deployment: &Deployment) -> (&str, &str, &str) {
    let meta = &deployment.metadata;
    (&meta.namespace, &meta.name, &meta.uid)
}

/// The ReplicaSet for the Deployment's template: the hash goes into labels and selector.
pub fn replica_set(
    deployment: &Deployment,
    name: &str,
    label: &str,
    replicas: i64,
    annotations: &Value,
) -> Value {
    let mut template = deployment.spec.template.value();
    template["metadata"]["labels"][hash::LABEL] = label.into();
    let labels = template["metadata"]["labels"].clone();
    let selector = &deployment.spec.selector;
    let mut match_labels = json!(selector.match_labels);
    match_labels[hash::LABEL] = label.into();
    let mut new_selector = json!({"matchLabels": match_labels});
    if !selector.match_expressions.is_empty() {
        new_selector["matchExpressions"] = json!(selector.match_expressions);
    }
    json!({
        "metadata": {
            "name": name,
            "namespace": deployment.metadata.namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [controller_reference(&deployment.metadata, resources::deployments())],
        },
        "spec": {
            "replicas": replicas,
            "minReadySeconds": deployment.spec.min_ready_seconds,
            "selector": new_selector,
            "template": template,
        },
    })
}

/// A name that is taken by the very same ReplicaSet means that the cache is late; by another one, that the hash
/// collides and has to be varied. Anything else becomes a condition.
async fn create_failed(api: &Api, deployment: &Deployment, name: &str, error: Error) -> Result<(), Error> {
    if error.is_namespace_terminating() {
        return Ok(());
    }
    let mut status = deployment.status.clone();
    if error.is_already_exists() {
        let existing = api
            .get(resources::replica_sets(), &deployment.metadata.namespace, name)
            .await?;
        let existing = existing.unwrap_or_default();
        let ours = existing["metadata"]["ownerReferences"]
            .as_array()
            .is_some_and(|owners| {
                owners
                    .iter()
                    .any(|owner| owner["uid"].as_str() == Some(&deployment.metadata.uid))
            });
        if ours && hash::same_template(&existing["spec"]["template"], &deployment.spec.template.value()) {
            return Err(error);
        }
        status.collision_count = Some(status.collision_count.unwrap_or(0) + 1);
    } else {
        let message = format!("Failed to create new replica set {name:?}: {}", error.message());
        super::progress::set_condition(
            &mut status.conditions,
            "Progressing",
            "False",
            "ReplicaSetCreateError",
            message,
            crate::controllers::model::Time::now(),
        );
    }
    let owner = (resources::deployments(), &deployment.metadata);
    owners::write_status(api, owner, &deployment.status, &status).await?;
    Err(error)
}

/// Upstream warns about a selector that selects every pod and does nothing else.
pub fn selects_everything(recorder: &Recorder, deployment: &Deployment) {
    recorder.record(
        &deployment.metadata.reference(resources::deployments()),
        EventType::Warning,
        "SelectingAll",
        "This deployment is selecting all pods. A non-empty selector is required.",
    );
}
