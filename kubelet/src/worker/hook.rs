//! Lifecycle hooks: postStart and preStop.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, LifecycleHandler};

use super::message::Done;
use super::{Context, Worker};
use crate::pod::state::Sandbox;
use crate::probe::{self, Target};
use crate::spec::find;

/// Longest a hook's HTTP request takes.
const HTTP_TIMEOUT: Duration = Duration::from_mins(1);

/// A hook ready to run.
pub(super) struct Hook {
    context: Arc<Context>,
    id: String,
    container: Container,
    pod_ip: Option<IpAddr>,
    handler: LifecycleHandler,
}

impl Hook {
    pub(super) fn new(worker: &Worker, name: &str, id: &str, handler: LifecycleHandler) -> Self {
        let container = worker
            .pod
            .spec
            .as_ref()
            .and_then(|spec| find(spec, name))
            .map(|(_, c)| c.into_owned());
        let pod_ip = match &worker.state.sandbox {
            Sandbox::Ready { ips } => ips.first().copied(),
            _ => None,
        };
        Self {
            context: worker.context.clone(),
            id: id.to_owned(),
            container: container.unwrap_or_default(),
            pod_ip,
            handler,
        }
    }

    /// Runs it to its end, or until `timeout`.
    pub(super) async fn run(self, timeout: Option<Duration>) -> Result<(), String> {
        if let Some(exec) = &self.handler.exec {
            let command = exec.command.clone().unwrap_or_default();
            let outcome = probe::exec::run(&self.context.runtime, &self.id, command.clone(), timeout).await;
            return match outcome {
                Ok(Some((0, _))) => Ok(()),
                Ok(None) => Err("the hook did not end within the grace period".into()),
                Ok(Some((code, output))) => Err(format!(
                    "Exec lifecycle hook ({command:?}) for Container \"{}\" failed - error: command exited with {code}, \
                     message: {output:?}",
                    self.container.name
                )),
                Err(error) => Err(error),
            };
        }
        if let Some(sleep) = &self.handler.sleep {
            tokio::time::sleep(Duration::from_secs(sleep.seconds.max(0) as u64)).await;
            return Ok(());
        }
        if let Some(http) = &self.handler.http_get {
            let target = Target::http(http, &self.container, self.pod_ip)?;
            let request = probe::http::get(&target);
            return match tokio::time::timeout(HTTP_TIMEOUT, request).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(error),
                Err(_) => Err("the request timed out".into()),
            };
        }
        Ok(())
    }
}

impl Worker {
    pub(super) fn has_post_start(&self, name: &str) -> bool {
        self.post_start(name).is_some()
    }

    fn post_start(&self, name: &str) -> Option<LifecycleHandler> {
        let (_, container) = find(self.pod.spec.as_ref()?, name)?;
        container.lifecycle.as_ref()?.post_start.clone()
    }

    pub(super) fn run_post_start(&mut self, name: &str, id: &str) {
        let Some(handler) = self.post_start(name) else {
            return;
        };
        self.hooks_pending.insert(id.to_owned());
        let hook = Hook::new(self, name, id, handler);
        let (report, container, id) = (self.reporter(), name.to_owned(), id.to_owned());
        tokio::spawn(async move {
            let result = hook.run(None).await;
            report(Done::PostStart {
                container,
                id,
                result,
            });
        });
    }
}
