//! Removing what a pod leaves: network, volumes, sandbox; dead runs and logs.

use std::sync::Arc;

use super::message::Done;
use super::sandbox::NETD;
use super::{Context, Worker};
use crate::volume::{self, PodDir};

impl Worker {
    pub(super) fn tear_down(&mut self) {
        self.probes.stop_all();
        let report = self.reporter();
        let (context, uid, dir) = (self.context.clone(), self.uid(), self.dir.clone());
        tokio::spawn(async move { report(Done::Teardown(tear_down(&context, &uid, dir).await)) });
    }

    /// Removes dead runs but the last, and their logs.
    pub(super) fn collect_dead(&mut self, container: &str) {
        let logs = self.context.log_dir(&self.pod).join(container);
        let termination = self.dir.container(container);
        let Some(dead) = self.dead.get_mut(container) else {
            return;
        };
        while dead.len() > 1 {
            let (id, number) = dead.remove(0);
            let (runtime, logs, termination) =
                (self.context.runtime.clone(), logs.clone(), termination.clone());
            tokio::task::spawn_blocking(move || {
                if let Err(error) = runtime.remove_container(&id) {
                    tracing::warn!(id, %error, "dead container not removed");
                }
                remove_numbered(&logs, number);
                let _ = std::fs::remove_file(termination.join(format!("{number}.termination")));
            });
        }
    }

    pub(super) fn remove_logs(&self) {
        let logs = self.context.log_dir(&self.pod);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = std::fs::remove_dir_all(&logs)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(path = %logs.display(), %error, "logs not removed");
            }
        });
    }
}

/// Removes the log of run `number` with its rotated parts (`N.log`, `N.log.*`).
fn remove_numbered(logs: &std::path::Path, number: u32) {
    let name = format!("{number}.log");
    for entry in std::fs::read_dir(logs).into_iter().flatten().flatten() {
        let file = entry.file_name();
        let file = file.to_string_lossy();
        if file == name || file.strip_prefix(&name).is_some_and(|rest| rest.starts_with('.')) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Goes on after an error and reports all of them; safe to repeat.
pub(super) async fn tear_down(context: &Arc<Context>, uid: &str, dir: PodDir) -> Result<(), String> {
    let mut errors = Vec::new();
    match tokio::time::timeout(NETD, context.netd.detach(uid)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => errors.push(error.to_string()),
        Err(_) => errors.push("netd does not answer".to_owned()),
    }
    let (runtime, id) = (context.runtime.clone(), uid.to_owned());
    let removed = tokio::task::spawn_blocking(move || {
        let mut errors = Vec::new();
        if let Err(error) = runtime.remove_sandbox(&id) {
            errors.push(error.to_string());
        }
        if let Err(all) = volume::unmount_all(&dir) {
            errors.extend(all.iter().map(ToString::to_string));
        }
        errors
    })
    .await;
    match removed {
        Ok(more) => errors.extend(more),
        Err(error) => errors.push(error.to_string()),
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors.join("; "))
    }
}

/// Removes a sandbox whose pod the API does not know.
pub async fn remove_orphan(context: &Arc<Context>, uid: &str) -> Result<(), String> {
    tear_down(context, uid, PodDir::new(&context.config.root_dir, uid)).await
}
