//! Creates and deletes pods for the workload controllers, with the events that upstream writes about it.

use std::sync::Arc;

use futures::future::join_all;
use serde_json::{Value, json};

use super::api::{Api, Error, EventType, Recorder, Reference, resources};
use super::model::Pod;

/// A pod from a template: its labels, annotations and finalizers, `naming` (name or generateName), and its owner.
pub fn from_template(template: &Value, namespace: &str, naming: Value, owner: &Value) -> Value {
    let mut metadata = naming;
    for field in ["labels", "annotations", "finalizers"] {
        let value = &template["metadata"][field];
        if !value.is_null() {
            metadata[field] = value.clone();
        }
    }
    metadata["namespace"] = namespace.into();
    metadata["ownerReferences"] = json!([owner]);
    json!({"metadata": metadata, "spec": template["spec"]})
}

/// Creates one pod and records the event.
pub async fn create_one(
    api: &Api,
    recorder: &Recorder,
    owner: &Reference,
    body: Value,
) -> Result<Value, Error> {
    match api.create(resources::pods(), &owner.namespace, body).await {
        Ok(pod) => {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            recorder.record(
                owner,
                EventType::Normal,
                "SuccessfulCreate",
                format!("Created pod: {name}"),
            );
            Ok(pod)
        }
        Err(error) => {
            if !error.is_namespace_terminating() {
                let message = format!("Error creating: {}", error.message());
                recorder.record(owner, EventType::Warning, "FailedCreate", message);
            }
            Err(error)
        }
    }
}

/// Creates `count` pods in batches that double from one, so that a refusal (a quota, say) costs one request and not
/// all. `given_up` is told how many creations failed or were not tried.
pub async fn create(
    api: &Api,
    recorder: &Recorder,
    owner: &Reference,
    body: &Value,
    count: usize,
    given_up: impl Fn(usize),
) -> Result<(), Error> {
    let (mut remaining, mut batch) = (count, 1);
    while remaining > 0 {
        let size = batch.min(remaining);
        let results = join_all((0..size).map(|_| create_one(api, recorder, owner, body.clone()))).await;
        remaining -= size;
        let mut errors = results.into_iter().filter_map(Result::err).collect::<Vec<_>>();
        if let Some(error) = errors.pop() {
            given_up(errors.len() + 1 + remaining);
            // The namespace takes the owner with it: nothing to do.
            return if error.is_namespace_terminating() {
                Ok(())
            } else {
                Err(error)
            };
        }
        batch *= 2;
    }
    Ok(())
}

/// Deletes pods, all at once. `given_up` is told the UIDs whose deletion failed.
pub async fn delete(
    api: &Api,
    recorder: &Recorder,
    owner: &Reference,
    pods: &[Arc<Pod>],
    given_up: impl Fn(&str),
) -> Result<(), Error> {
    let results = join_all(pods.iter().map(|pod| delete_one(api, recorder, owner, pod))).await;
    let mut outcome = Ok(());
    for (pod, result) in pods.iter().zip(results) {
        match result {
            Ok(true) => {}
            // It was gone before: its event may have come before the expectation was set.
            Ok(false) => given_up(&pod.metadata.uid),
            Err(error) => {
                given_up(&pod.metadata.uid);
                outcome = Err(error);
            }
        }
    }
    outcome
}

async fn delete_one(api: &Api, recorder: &Recorder, owner: &Reference, pod: &Pod) -> Result<bool, Error> {
    let options = json!({"preconditions": {"uid": pod.metadata.uid}});
    match api
        .delete(
            resources::pods(),
            &pod.metadata.namespace,
            &pod.metadata.name,
            &options,
        )
        .await
    {
        Ok(true) => {
            let message = format!("Deleted pod: {}", pod.metadata.name);
            recorder.record(owner, EventType::Normal, "SuccessfulDelete", message);
            Ok(true)
        }
        Ok(false) => Ok(false),
        // Another pod has the name now.
        Err(error) if error.is_conflict() => Ok(false),
        Err(error) => {
            let message = format!("Error deleting: {}", error.message());
            recorder.record(owner, EventType::Warning, "FailedDelete", message);
            Err(error)
        }
    }
}
