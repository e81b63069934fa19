//! Observations about single containers: starts, ends, hooks, probes.

use k8s_openapi::api::core::v1::Pod;
use keelson_runtime::node::{ContainerState, Phase};

use super::{LOCAL_RETRY, RETRY};
use crate::event::Kind;
use crate::pod::adopt::{ended, timestamp};
use crate::pod::state::{ImagePhase, Instance, InstancePhase, Kill, Now, Terminated, Waiting};
use crate::spec::find;
use crate::worker::Worker;
use crate::worker::ending::{has_ended, last_word};
use crate::worker::start::StartFailure;

impl Worker {
    pub(super) fn exited(&mut self, state: &ContainerState, message: Option<String>) {
        let id = &state.spec.id;
        let name = state.spec.name.clone();
        let known = self
            .state
            .containers
            .get_mut(&name)
            .filter(|r| r.current.as_ref().is_some_and(|c| c.id == *id));
        let Some(record) = known else {
            if self.state.containers.get(&name).is_some_and(|r| r.starting) {
                self.early_exits.insert(id.clone());
            }
            return;
        };
        if !record.running() {
            return;
        }
        let lost = state.phase == Phase::Unknown;
        if let Some(instance) = record.current.as_mut() {
            instance.phase = InstancePhase::Exited(ended(state, message));
        }
        record.stopping = None;
        record.kill = None;
        record.ready = false;
        record.started = false;
        record.waiting = None;
        record.retry_at = None;
        // The pull policy applies anew to every start.
        record.image = ImagePhase::Unresolved;
        self.hooks_pending.remove(id);
        self.startup_done.remove(id);
        if lost {
            self.lose_sandbox();
        }
    }

    pub(super) fn start_done(
        &mut self,
        container: &str,
        attempt: u32,
        result: Result<ContainerState, StartFailure>,
        now: Now,
    ) {
        let image = self
            .images
            .get(container)
            .map(|i| i.id.clone())
            .unwrap_or_default();
        let record = self.record(container);
        record.starting = false;
        match result {
            Ok(state) => {
                self.retire(container);
                self.started(container, attempt, &state, now);
            }
            Err(StartFailure::NoSandbox { message }) => {
                // There may be a new one in a moment.
                record.retry_at = Some(now.mono + LOCAL_RETRY);
                record.waiting = Some(Waiting::new("CreateContainerError", message));
                self.lose_sandbox();
            }
            Err(StartFailure::Waiting { reason, message }) => {
                record.retry_at = Some(now.mono + RETRY);
                record.waiting = Some(Waiting::new(reason, message.clone()));
                self.event(
                    Some(container),
                    Kind::Warning,
                    "Failed",
                    &format!("Error: {message}"),
                );
            }
            Err(StartFailure::Ended {
                id,
                message,
                exit_code,
            }) => {
                self.retire(container);
                let image_name = find_image(&self.pod, container);
                let record = self.record(container);
                record.restart_count = attempt;
                record.next_attempt = attempt + 1;
                record.image = ImagePhase::Unresolved;
                record.waiting = None;
                record.current = Some(Instance {
                    id: id.clone(),
                    image: image_name,
                    image_id: image,
                    user: None,
                    phase: InstancePhase::Exited(Terminated {
                        id,
                        exit_code,
                        signal: None,
                        reason: "StartError".into(),
                        message: Some(message.clone()),
                        started_at: None,
                        finished_at: now.wall,
                    }),
                });
                self.event(
                    Some(container),
                    Kind::Warning,
                    "Failed",
                    &format!("Error: {message}"),
                );
            }
        }
    }

    /// Moves the newest run to `lastState` and marks older ones for removal.
    pub(in crate::worker) fn retire(&mut self, container: &str) {
        let record = self.record(container);
        let Some(old) = record.current.take() else { return };
        let number = record.restart_count;
        if let InstancePhase::Exited(terminated) = old.phase {
            record.last = Some(terminated);
        }
        self.dead
            .entry(container.to_owned())
            .or_default()
            .push((old.id, number));
        self.collect_dead(container);
    }

    fn started(&mut self, container: &str, attempt: u32, state: &ContainerState, now: Now) {
        let id = state.spec.id.clone();
        let has_hook = self.has_post_start(container);
        let spec = self.pod.spec.as_ref().and_then(|spec| find(spec, container));
        let (has_startup, has_readiness) = spec.map_or((false, false), |(_, c)| {
            (c.startup_probe.is_some(), c.readiness_probe.is_some())
        });
        let early = self.early_exits.remove(&id);
        let record = self.record(container);
        record.restart_count = attempt;
        record.next_attempt = attempt + 1;
        record.waiting = None;
        record.retry_at = None;
        record.kill = None;
        record.stopping = None;
        record.started = !has_startup && !has_hook;
        record.ready = !has_readiness;
        let started_at = state.started_at.map_or(now.wall, timestamp);
        record.current = Some(Instance {
            id: id.clone(),
            image: state.spec.image.clone(),
            image_id: state.spec.image_id.clone(),
            user: state.user.clone(),
            phase: InstancePhase::Running { started_at },
        });
        if !has_startup {
            self.startup_done.insert(id.clone());
        }
        if has_ended(state) || early {
            self.query_exit(id);
        } else if has_hook {
            self.run_post_start(container, &id);
        }
    }

    pub(super) fn post_start_done(&mut self, container: &str, id: &str, result: &Result<(), String>) {
        if !self.hooks_pending.remove(id) {
            return;
        }
        let startup_done = self.startup_done.contains(id);
        if let Err(error) = result {
            self.event(Some(container), Kind::Warning, "FailedPostStartHook", error);
        }
        let record = self.record(container);
        match result {
            Ok(()) => record.started = startup_done,
            Err(_) => {
                record.kill = Some(Kill {
                    message: "FailedPostStartHook".into(),
                    grace_seconds: None,
                });
            }
        }
    }

    pub(super) fn probed(&mut self, outcome: crate::probe::Outcome) {
        let hook_pending = self.hooks_pending.contains(&outcome.id);
        let container = outcome.container.clone();
        let record = self.record(&container);
        if !record.running() || record.current.as_ref().is_none_or(|c| c.id != outcome.id) {
            return;
        }
        match (outcome.kind, outcome.success) {
            (crate::probe::Kind::Readiness, success) => record.ready = success,
            (crate::probe::Kind::Startup, true) => {
                record.started = !hook_pending;
                self.startup_done.insert(outcome.id);
            }
            (crate::probe::Kind::Liveness, true) => {}
            (kind, false) => {
                let message = format!(
                    "Container {container} failed {} probe, will be restarted",
                    kind.lower()
                );
                record.kill = Some(Kill {
                    message,
                    grace_seconds: outcome.grace_seconds,
                });
            }
        }
    }

    /// Has the runtime's final word on a container sent to this worker, if there is one.
    pub(in crate::worker) fn query_exit(&self, id: String) {
        let (runtime, inbox) = (self.context.runtime.clone(), self.inbox.clone());
        tokio::spawn(async move {
            let said = tokio::select! {
                said = last_word(&runtime, &id) => said,
                () = inbox.closed() => None,
            };
            if let Some((_, said)) = said {
                let _ = inbox.send(said);
            }
        });
    }
}

fn find_image(pod: &Pod, container: &str) -> String {
    pod.spec
        .as_ref()
        .and_then(|spec| find(spec, container))
        .and_then(|(_, c)| c.image.clone())
        .unwrap_or_default()
}
