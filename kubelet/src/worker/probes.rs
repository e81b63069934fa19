//! Which probes a pod's containers should have running.

use std::sync::Arc;

use keelson_runtime::node::NodeRuntime;

use super::{Inbox, Worker};
use crate::event::{self, pod_reference};
use crate::pod::state::{InstancePhase, Sandbox};
use crate::probe::{Job, Kind, ProbeTasks, Report};
use crate::spec::{Role, containers};

impl Worker {
    /// Startup alone until it has succeeded; then liveness and readiness. A container that is being stopped keeps its
    /// readiness probe only.
    pub(crate) fn wanted_probes(&self) -> Vec<Job> {
        let Some(spec) = &self.pod.spec else {
            return Vec::new();
        };
        let pod_ip = match &self.state.sandbox {
            Sandbox::Ready { ips } => ips.first().copied(),
            _ => None,
        };
        let mut jobs = Vec::new();
        for (role, container) in containers(spec) {
            let Some(record) = self.state.containers.get(&container.name) else {
                continue;
            };
            let Some(instance) = &record.current else { continue };
            let InstancePhase::Running { started_at } = instance.phase else {
                continue;
            };
            if !matches!(role, Role::Main | Role::Sidecar) {
                continue;
            }
            let stopping = record.stopping.is_some() || self.state.stop_deadline.is_some();
            let started = self.startup_done.contains(&instance.id);
            for kind in [Kind::Startup, Kind::Liveness, Kind::Readiness] {
                let wanted = match kind {
                    Kind::Startup => !started && !stopping,
                    Kind::Liveness => started && !stopping,
                    Kind::Readiness => started,
                };
                if let (true, Some(probe)) = (wanted, kind.of(&container).cloned()) {
                    jobs.push(Job {
                        container: container.clone().into_owned(),
                        id: instance.id.clone(),
                        kind,
                        probe,
                        pod_ip,
                        started_at,
                        ready: record.ready,
                    });
                }
            }
        }
        jobs
    }

    pub(crate) fn probe_tasks(&mut self) -> &mut ProbeTasks {
        &mut self.probes
    }

    pub(crate) fn runtime(&self) -> NodeRuntime {
        self.context.runtime.clone()
    }

    pub(crate) fn inbox(&self) -> Inbox {
        self.inbox.clone()
    }

    /// Records events about a container from a task of its own.
    pub(crate) fn container_events(&self, name: &str) -> Report {
        let found = self
            .pod
            .spec
            .as_ref()
            .and_then(|spec| crate::spec::find(spec, name))
            .map(|(role, _)| role);
        let about = pod_reference(&self.pod, found.as_ref().map(|role| (role, name)));
        let events = self.context.events.clone();
        Arc::new(move |kind: event::Kind, reason: &str, message: &str| {
            events.record(about.clone(), kind, reason, message);
        })
    }
}
