//! Deletion of definitions: their objects go first.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;

use super::conditions::{self, Condition};
use crate::server::Api;
use crate::server::write::delete;

/// Holds a definition while there are objects of it.
pub const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Deletes the objects of definitions that are being deleted, and lets those go that have none left. Returns what to wait
/// for: changes of the objects that finalizers keep.
pub async fn run(api: &Arc<Api>) -> Vec<watch::Receiver<u64>> {
    let mut waits = Vec::new();
    for definition in super::slim(api) {
        let held = definition["metadata"]["finalizers"]
            .as_array()
            .is_some_and(|list| list.iter().any(|name| name == FINALIZER));
        if definition["metadata"]["deletionTimestamp"].is_null() || !held {
            continue;
        }
        let name = definition["metadata"]["name"].as_str().unwrap_or_default();
        // One that was never established has no objects.
        if let Some(served) = api.definitions.storage_kind(name) {
            // Before looking, so that no change is missed.
            let changes = api.store.subscribe(&served.storage);
            let storage = Arc::clone(&served.storage);
            let call = super::call(api, served, "");
            let deleted = delete::collection(&call, b"").await;
            if let Err(error) = deleted {
                let message = format!("could not issue all deletes: {}", error.message);
                report(api, name, &definition, "True", "InstanceDeletionFailed", &message).await;
                waits.push(changes);
                continue;
            }
            let left = api.store.count(&storage);
            if left > 0 {
                let message = format!("CustomResource deletion is in progress, {left} instances remain");
                report(
                    api,
                    name,
                    &definition,
                    "True",
                    "InstanceDeletionInProgress",
                    &message,
                )
                .await;
                waits.push(changes);
                continue;
            }
        }
        let finished = super::write(api, name, None, |new| {
            if let Some(list) = new["metadata"]["finalizers"].as_array_mut() {
                list.retain(|name| name != FINALIZER);
            }
        });
        if let Err(error) = finished.await
            && error.code != 404
        {
            tracing::warn!(
                name,
                error = error.message,
                "a definition without objects cannot be let go"
            );
        }
    }
    waits
}

/// Writes why the definition is still there.
async fn report(api: &Arc<Api>, name: &str, definition: &Value, status: &str, reason: &str, message: &str) {
    let condition = Condition {
        kind: "Terminating",
        status,
        reason,
        message,
    };
    let Some(conditions) = conditions::with(&definition["status"]["conditions"], &condition) else {
        return;
    };
    let written = super::write(api, name, Some("status"), |new| {
        new["status"]["conditions"] = conditions.clone();
    });
    if let Err(error) = written.await {
        tracing::debug!(
            name,
            error = error.message,
            "the condition Terminating cannot be written"
        );
    }
}
