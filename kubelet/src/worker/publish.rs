//! Bringing the status to the API: one request at a time, the newest state, retried until accepted.
//!
//! While a container is replaced because its image has changed, the status waits for the successor, as upstream's does: its
//! kubelet stops and starts in one step. A pod that is ready before and after is not shown as unready in between.

mod pace;

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::core::response::StatusDetails;

use super::Worker;
use super::message::Done;
use crate::pod::plan::replacing;
use crate::pod::state::Now;
use crate::status;

pub(super) use pace::Pace;

/// How long a status waits for the successor of a container whose image has changed.
const REPLACEMENT: Duration = Duration::from_secs(1);

/// The API's answer to a status.
pub enum Answer {
    /// Accepted; the pod's new resourceVersion.
    Accepted {
        sent: Box<PodStatus>,
        version: Option<u64>,
    },
    /// The pod, or this incarnation of it, is not there any more.
    Gone,
    /// Not accepted.
    Failed(String),
}

impl Worker {
    /// Computes the status from what is known now.
    pub(super) fn compute_status(&mut self, now: Now) {
        let previous = self.desired.as_ref().or(self.pod.status.as_ref());
        let new = status::build(&self.pod, previous, &self.state, &self.context.node.ips, now);
        if self.desired.as_ref() != Some(&new) {
            self.context.registry.update(&self.pod, &new, &self.state);
            self.desired = Some(new);
            self.checkpoint();
        }
        // What the API held when we started counts as accepted if it says the same.
        self.state.status_settled = self.state.api_terminal || self.accepted == self.desired;
    }

    /// Until when the status waits for a container's successor.
    fn held(&self, now: Now) -> Option<Instant> {
        let spec = self.pod.spec.as_ref()?;
        let ended = replacing(&self.pod, spec, &self.state)?;
        // A clock that was set back holds nothing.
        let since = Duration::try_from(now.wall.duration_since(ended)).ok()?;
        let left = REPLACEMENT.checked_sub(since).filter(|left| !left.is_zero())?;
        Some(now.mono + left)
    }

    pub(super) fn publish(&mut self, now: Now) {
        let news = !self.state.gone && !self.state.status_settled;
        let held_until = self.held(now);
        let Some(desired) = &self.desired else { return };
        if !self.pace.send(news, held_until, now.mono) {
            return;
        }
        let desired = desired.clone();
        let before = self.accepted.as_ref().or(self.pod.status.as_ref());
        let patch = status::patch(&self.uid(), &desired, before);
        let api: Api<Pod> = Api::namespaced(self.context.client.clone(), &self.namespace());
        let (name, report) = (self.name(), self.reporter());
        tokio::spawn(async move {
            let answer = match api
                .patch_status(&name, &PatchParams::default(), &Patch::Strategic(patch))
                .await
            {
                Ok(pod) => Answer::Accepted {
                    sent: Box::new(desired),
                    version: version(&pod),
                },
                Err(kube::Error::Api(status)) if is_gone(&status) => Answer::Gone,
                Err(error) => {
                    if matches!(&error, kube::Error::Api(status) if status.code == 422) {
                        // What is refused for what it says is refused again: somebody has to know.
                        tracing::warn!(pod = name, %error, "the status of a pod is refused");
                    }
                    Answer::Failed(error.to_string())
                }
            };
            report(Done::Status(answer));
        });
    }

    pub(super) fn status_answered(&mut self, answer: Answer, now: Now) {
        match answer {
            Answer::Accepted { sent, version } => {
                self.pace.accepted();
                self.accepted = Some(*sent);
                self.accepted_version = version;
            }
            Answer::Gone => {
                self.pace.gone();
                // The watch will say so too; until then there is nobody to tell.
                self.accepted = self.desired.clone();
            }
            Answer::Failed(error) => {
                tracing::debug!(pod = crate::event::pod_text(&self.pod), error, "status");
                self.pace.failed(now.mono);
            }
        }
    }

    /// If somebody else has overwritten our part of the status (the node controller, while the node seemed lost), it is
    /// sent again.
    pub(super) fn check_foreign_status(&mut self, now: Now) {
        let newer = match (version(&self.pod), self.accepted_version) {
            (Some(seen), Some(ours)) => seen > ours,
            _ => false,
        };
        if !newer || self.pace.sending() {
            return;
        }
        let Some(accepted) = &self.accepted else { return };
        let found = self.pod.status.clone().unwrap_or_default();
        let condition_differs = accepted.conditions.iter().flatten().any(|ours| {
            let theirs = found.conditions.iter().flatten().find(|c| c.type_ == ours.type_);
            theirs.is_none_or(|theirs| theirs.status != ours.status)
        });
        if accepted.phase != found.phase || condition_differs {
            self.accepted = None;
            self.pace.contested(now.mono);
        }
    }
}

/// Whether the pod is there no more: nothing has its name, or another pod, whose UID a patch cannot change.
fn is_gone(status: &kube::core::Status) -> bool {
    let is_uid = |details: &StatusDetails| details.causes.iter().any(|cause| cause.field == "metadata.uid");
    matches!(status.code, 404 | 409) || status.code == 422 && status.details.as_ref().is_some_and(is_uid)
}

/// resourceVersion as a number; versions of one object grow (etcd's revisions).
fn version(pod: &Pod) -> Option<u64> {
    pod.metadata.resource_version.as_ref()?.parse().ok()
}
