//! Deletion of definitions: their objects go first.

use std::sync::Arc;

use futures::future::join_all;
use serde_json::Value;
use tokio::sync::watch;

use super::conditions::{self, Condition};
use crate::server::Api;
use crate::server::write::delete;

/// Holds a definition while there are objects of it.
pub const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// What remains to be done for a definition.
pub enum Left {
    Nothing,
    /// Objects that finalizers keep: these changes are waited for.
    Objects(watch::Receiver<u64>),
    /// What the store did not take: nothing tells when it would.
    Refused,
}

/// Deletes the objects of definitions that are being deleted, and lets those go that have none left.
pub async fn run(api: &Arc<Api>) -> Vec<Left> {
    let Ok(all) = super::slim(api) else {
        return vec![Left::Refused];
    };
    let leaving = all.iter().filter(|definition| {
        let metadata = &definition["metadata"];
        let finalizers = metadata["finalizers"].as_array();
        let held = finalizers.is_some_and(|list| list.iter().any(|name| name == FINALIZER));
        held && !metadata["deletionTimestamp"].is_null()
    });
    // Together: one with many objects does not keep the others.
    join_all(leaving.map(|definition| clear(api, definition))).await
}

async fn clear(api: &Arc<Api>, definition: &Value) -> Left {
    let name = definition["metadata"]["name"].as_str().unwrap_or_default();
    // One that was never established has no objects.
    if let Some(served) = api.definitions.storage_kind(name) {
        // Before looking, so that no change is missed.
        let changes = api.store.subscribe(&served.storage);
        let storage = Arc::clone(&served.storage);
        let call = super::call(api, served, "");
        if let Err(error) = delete::collection(&call, b"").await {
            let message = format!("could not issue all deletes: {}", error.message);
            report(api, name, definition, "InstanceDeletionFailed", &message).await;
            return Left::Refused;
        }
        let left = api.store.count(&storage);
        if left > 0 {
            let message = format!("CustomResource deletion is in progress, {left} instances remain");
            report(api, name, definition, "InstanceDeletionInProgress", &message).await;
            return Left::Objects(changes);
        }
    }
    let finished = super::write(api, name, None, |new| {
        if let Some(list) = new["metadata"]["finalizers"].as_array_mut() {
            list.retain(|name| name != FINALIZER);
        }
    });
    match finished.await {
        Err(error) if error.code != 404 => {
            tracing::warn!(
                name,
                error = error.message,
                "a definition without objects cannot be let go"
            );
            Left::Refused
        }
        _ => Left::Nothing,
    }
}

/// Writes why the definition is still there.
async fn report(api: &Arc<Api>, name: &str, definition: &Value, reason: &str, message: &str) {
    let condition = Condition {
        kind: "Terminating",
        status: "True",
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
