//! Remains of pods that the API does not know: sandboxes, directories, logs.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use super::dispatch::Dispatcher;
use crate::worker::remove_orphan;

/// Attempts at one orphan; what still stands then is tried again at the next start.
const ATTEMPTS: u32 = 5;

/// Removes them in the background. `present` are the UIDs of all pods.
pub(super) fn remove(dispatcher: &Dispatcher, present: &HashSet<String>) {
    let found = dispatcher.take_found();
    let config = &dispatcher.context.config;
    let mut uids: HashSet<String> = found
        .sandboxes
        .into_keys()
        .chain(found.containers.into_keys())
        .collect();
    uids.extend(names(&config.root_dir.join("pods")));
    // A pod that is gone but has a worker is stopped by that, with its grace period.
    let known = dispatcher.known();
    uids.retain(|uid| !present.contains(uid) && !known.contains(uid));
    for uid in uids {
        let dispatcher = dispatcher.clone();
        tokio::spawn(async move {
            for attempt in 1..=ATTEMPTS {
                match remove_orphan(&dispatcher.context, &uid).await {
                    Ok(()) => {
                        tracing::info!(uid, "removed a pod that the API does not know");
                        return;
                    }
                    Err(error) => tracing::warn!(uid, error, "orphaned pod not removed"),
                }
                // netd may still be starting.
                tokio::time::sleep(Duration::from_secs(1) * attempt).await;
            }
        });
    }
    for name in names(&config.log_dir) {
        let path = config.log_dir.join(&name);
        // NAMESPACE_NAME_UID; anything else there is not ours.
        let ours = name.split('_').count() == 3;
        let uid = name.rsplit('_').next().unwrap_or_default();
        if ours && !present.contains(uid) && !known.contains(uid) {
            tokio::task::spawn_blocking(move || {
                if let Err(error) = std::fs::remove_dir_all(&path) {
                    tracing::warn!(path = %path.display(), %error, "logs not removed");
                }
            });
        }
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}
