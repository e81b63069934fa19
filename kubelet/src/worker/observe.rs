//! Taking observations into the state.

mod containers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;

use super::message::Done;
use super::{Message, Worker};
use crate::event::{Kind, pod_reference};
use crate::pod::plan::{grace_period, stops};
use crate::pod::state::{ContainerRecord, Now, Sandbox, Step, Volumes, Waiting};
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
            Message::Gone => {
                self.state.gone = true;
                // The node may no longer read what only this pod referred to, and nothing new is started.
                self.context.objects.release(&self.uid());
            }
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
        if relabelled && volume::shows_metadata(&self.pod) {
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
        self.refresh_volumes();
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
            } => self.post_start_done(&container, &id, &result),
            Done::PreStop {
                container,
                id,
                result,
            } => self.pre_stop_done(&container, &id, result, now),
            Done::NotKilled { container, id, error } => {
                self.not_killed(&container, &id, &error, now.mono + LOCAL_RETRY);
            }
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

    /// The earliest moment at which something is due without a message.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        [self.plan_wake, self.renew_at, self.pace.wake()]
            .into_iter()
            .flatten()
            .min()
    }

    pub(super) fn wake_for_plan(&mut self, wake: Option<Instant>) {
        self.plan_wake = wake;
    }
}
