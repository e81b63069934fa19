//! Taking observations into the state.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use keelson_runtime::node::{ContainerState, Phase};

use super::message::Done;
use super::start::StartFailure;
use super::{Message, Worker};
use crate::event::{Kind, pod_reference};
use crate::pod::adopt::{ended, timestamp};
use crate::pod::plan::{grace_period, stops};
use crate::pod::state::{
    ContainerRecord, ImagePhase, Instance, InstancePhase, Kill, Now, Sandbox, Step, Terminated, Volumes,
    Waiting,
};
use crate::spec::find;
use crate::volume;

/// Time to the next attempt after something failed, as upstream's `backOffPeriod`.
const RETRY: Duration = Duration::from_secs(10);
/// Attempts at things that depend on netd or the runtime only are cheap and local.
const LOCAL_RETRY: Duration = Duration::from_secs(2);
/// Mounting waits longer and longer, as upstream's volume manager; a referenced object that changes ends the wait.
pub(super) const FIRST_MOUNT_RETRY: Duration = Duration::from_secs(1);
const LONGEST_MOUNT_RETRY: Duration = Duration::from_secs(122);

impl Worker {
    pub(super) fn observe(&mut self, message: Message) {
        match message {
            Message::Pod(pod) => self.pod_changed(pod),
            Message::Gone => self.state.gone = true,
            Message::Exited(state, text) => self.exited(&state, text),
            Message::ObjectsChanged => self.objects_changed(),
            Message::Probe(outcome) => self.probed(outcome),
            Message::Done(done) => self.done(done),
        }
    }

    fn pod_changed(&mut self, pod: Arc<Pod>) {
        let old = std::mem::replace(&mut self.pod, pod);
        let (was, is) = (&old.metadata, &self.pod.metadata);
        let relabelled = was.labels != is.labels || was.annotations != is.annotations;
        let changed =
            relabelled || was.deletion_timestamp != is.deletion_timestamp || old.spec != self.pod.spec;
        if relabelled && self.state.volumes == Volumes::Ready && volume::shows_metadata(&self.pod) {
            self.refresh_volumes();
        }
        if let Some(status) = &self.desired {
            self.context.registry.update(&self.pod, status, &self.state);
            if changed {
                self.checkpoint();
            }
        }
        self.check_foreign_status(Now::read());
    }

    /// The pod is to be stopped: fixes when everything must have ended, and moves that forward when a later deletion
    /// asks for less time.
    pub(super) fn set_stop_deadline(&mut self, now: Now) {
        let Some(spec) = &self.pod.spec else { return };
        if !stops(&self.pod, spec, &self.state) {
            return;
        }
        let deadline = now.mono + grace_period(&self.pod);
        self.state.stop_deadline = Some(
            self.state
                .stop_deadline
                .map_or(deadline, |known| known.min(deadline)),
        );
    }

    fn objects_changed(&mut self) {
        match self.state.volumes {
            Volumes::Ready => self.refresh_volumes(),
            Volumes::Failed { .. } => self.state.volumes = Volumes::Absent,
            _ => {}
        }
        for record in self.state.containers.values_mut() {
            if record
                .waiting
                .as_ref()
                .is_some_and(|w| w.reason == "CreateContainerConfigError")
            {
                record.retry_at = None;
            }
        }
    }

    pub(super) fn record(&mut self, container: &str) -> &mut ContainerRecord {
        self.state.containers.entry(container.to_owned()).or_default()
    }

    fn exited(&mut self, state: &ContainerState, message: Option<String>) {
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
    }

    pub(super) fn note_waiting(&mut self, container: &str, waiting: Waiting) {
        if self
            .state
            .containers
            .get(container)
            .is_some_and(|r| r.waiting.as_ref() == Some(&waiting))
        {
            return;
        }
        if waiting.reason == "CrashLoopBackOff" {
            let text = crate::event::pod_text(&self.pod);
            let message = format!("Back-off restarting failed container {container} in pod {text}");
            self.event(Some(container), Kind::Warning, "BackOff", &message);
        }
        self.record(container).waiting = Some(waiting);
    }

    /// Records an event about the pod or one of its containers.
    pub(super) fn event(&self, container: Option<&str>, kind: Kind, reason: &str, message: &str) {
        let role =
            container.and_then(|name| find(self.pod.spec.as_ref()?, name).map(|(role, _)| (role, name)));
        let about = pod_reference(&self.pod, role.as_ref().map(|(role, name)| (role, *name)));
        self.context.events.record(about, kind, reason, message);
    }

    fn done(&mut self, done: Done) {
        let now = Now::read();
        match done {
            Done::Sandbox(Ok(ips)) => {
                self.state.sandbox = Sandbox::Ready { ips };
                self.stale_sandbox = false;
            }
            Done::Sandbox(Err(error)) => {
                let message = format!("Failed to create pod sandbox: {error}");
                self.event(None, Kind::Warning, "FailedCreatePodSandBox", &message);
                self.state.sandbox = Sandbox::Failed {
                    retry_at: now.mono + LOCAL_RETRY,
                };
            }
            Done::Volumes { refresh, result } => self.volumes_done(refresh, result, now),
            Done::Image { container, result } => self.image_done(&container, *result, now),
            Done::PullBackoff { container } => self.pull_backoff(&container),
            Done::Start {
                container,
                attempt,
                result,
            } => self.start_done(&container, attempt, *result, now),
            Done::PostStart {
                container,
                id,
                result,
            } => self.post_start_done(&container, &id, result),
            Done::PreStop {
                container,
                id,
                result,
            } => self.pre_stop_done(&container, &id, result, now),
            Done::Teardown(Ok(())) => self.state.teardown = Step::Done,
            Done::Teardown(Err(error)) => {
                tracing::warn!(pod = crate::event::pod_text(&self.pod), error, "teardown");
                self.event(
                    None,
                    Kind::Warning,
                    "FailedKillPod",
                    &format!("error killing pod: {error}"),
                );
                self.state.teardown = Step::Failed {
                    retry_at: now.mono + LOCAL_RETRY,
                };
            }
            Done::Deleted(Ok(())) => self.state.deletion = Step::Done,
            Done::Deleted(Err(error)) => {
                tracing::debug!(pod = crate::event::pod_text(&self.pod), error, "delete");
                self.state.deletion = Step::Failed {
                    retry_at: now.mono + LOCAL_RETRY,
                };
            }
            Done::Status(answer) => self.status_answered(answer, now),
        }
    }

    fn volumes_done(&mut self, refresh: bool, result: Result<volume::Mounted, (String, String)>, now: Now) {
        if refresh {
            self.refreshing = false;
        }
        match result {
            Ok(mounted) => {
                self.renew_at = mounted.renew_at.map(Self::instant);
                if !refresh {
                    self.state.volumes = Volumes::Ready;
                    self.mount_delay = FIRST_MOUNT_RETRY;
                }
            }
            Err((volume, error)) => {
                let message = format!("MountVolume.SetUp failed for volume \"{volume}\" : {error}");
                self.event(None, Kind::Warning, "FailedMount", &message);
                if refresh {
                    // What is mounted stays; the content is tried again.
                    self.renew_at = Some(now.mono + RETRY);
                } else {
                    self.state.volumes = Volumes::Failed {
                        retry_at: now.mono + self.mount_delay,
                    };
                    self.mount_delay = (self.mount_delay * 2).min(LONGEST_MOUNT_RETRY);
                }
            }
        }
        if std::mem::take(&mut self.refresh_again) {
            self.refresh_volumes();
        }
    }

    fn start_done(
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
    fn retire(&mut self, container: &str) {
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
        let has_startup = find(self.pod.spec.as_ref().unwrap_or(&Default::default()), container)
            .is_some_and(|(_, c)| c.startup_probe.is_some());
        let has_readiness = find(self.pod.spec.as_ref().unwrap_or(&Default::default()), container)
            .is_some_and(|(_, c)| c.readiness_probe.is_some());
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
        if matches!(state.phase, Phase::Exited { .. } | Phase::Unknown) || early {
            self.query_exit(id);
        } else if has_hook {
            self.run_post_start(container, &id);
        }
    }

    fn post_start_done(&mut self, container: &str, id: &str, result: Result<(), String>) {
        if !self.hooks_pending.remove(id) {
            return;
        }
        let startup_done = self.startup_done.contains(id);
        if let Err(error) = &result {
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

    fn probed(&mut self, outcome: crate::probe::Outcome) {
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
    pub(super) fn query_exit(&self, id: String) {
        let (runtime, inbox) = (self.context.runtime.clone(), self.inbox.clone());
        tokio::task::spawn_blocking(move || {
            let state = runtime.container(&id).ok().flatten();
            if let Some(state) = state.filter(|s| matches!(s.phase, Phase::Exited { .. } | Phase::Unknown)) {
                let text = super::read_message(&state);
                let _ = inbox.send(Message::Exited(Box::new(state), text));
            }
        });
    }

    /// The earliest moment at which something is due without a message.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        [self.plan_wake, self.renew_at, self.publish_retry_at]
            .into_iter()
            .flatten()
            .min()
    }

    pub(super) fn wake_for_plan(&mut self, wake: Option<Instant>) {
        self.plan_wake = wake;
    }
}

fn find_image(pod: &Pod, container: &str) -> String {
    pod.spec
        .as_ref()
        .and_then(|spec| find(spec, container))
        .and_then(|(_, c)| c.image.clone())
        .unwrap_or_default()
}
