//! Beginning what the planner decided.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, Preconditions};

use super::message::Done;
use super::{Message, Worker};
use crate::event::Kind;
use crate::pod::plan::Action;
use crate::pod::state::{ContainerRecord, ImagePhase, Now, Sandbox, Step, Volumes};
use crate::volume::{self, Sources};

impl Worker {
    /// Begins one action; whether the worker is finished.
    pub(super) fn act(&mut self, action: Action, now: Now) -> bool {
        match action {
            Action::CreateSandbox => {
                if self.stale_sandbox {
                    self.start_over();
                }
                self.state.sandbox = Sandbox::Creating;
                self.create_sandbox();
            }
            Action::MountVolumes => {
                self.state.volumes = Volumes::Mounting;
                self.mount_volumes(false);
            }
            Action::ResolveImage { container } => {
                self.record(&container).image = ImagePhase::Resolving;
                self.resolve_image(&container);
            }
            Action::StartContainer { container, restart } => {
                let record = self.record(&container);
                if let (true, Some(end)) = (restart, record.ended().map(|t| t.finished_at)) {
                    record.backoff.advance(end, now.wall);
                }
                record.starting = true;
                record.retry_at = None;
                self.start_container(&container);
            }
            Action::StopContainer {
                container,
                grace,
                message,
            } => {
                self.stop_container(&container, grace, &message, now);
            }
            Action::ForceKill { container } => self.force_kill(&container),
            Action::Fail(failure) => {
                self.event(None, Kind::Normal, &failure.reason, &failure.message);
                self.state.failure = Some(failure);
            }
            Action::Teardown => {
                self.state.teardown = Step::Running;
                self.tear_down();
            }
            Action::DeletePod => {
                self.state.deletion = Step::Running;
                self.delete_pod();
            }
            Action::Finish => {
                self.remove_logs();
                return true;
            }
        }
        false
    }

    /// First things when the worker starts.
    pub(super) fn begin(&mut self) {
        let running = self.state.containers.values().any(ContainerRecord::running);
        if running {
            // The volumes of running containers are there; their content is brought up to date beside them.
            self.state.volumes = Volumes::Ready;
            self.refresh_volumes();
        }
        let discard = std::mem::take(&mut self.discard);
        if !discard.is_empty() {
            let runtime = self.context.runtime.clone();
            tokio::task::spawn_blocking(move || {
                for id in discard {
                    if let Err(error) = runtime.remove_container(&id) {
                        tracing::warn!(id, %error, "half-made container not removed");
                    }
                }
            });
        }
        let names: Vec<String> = self.dead.keys().cloned().collect();
        for name in names {
            self.collect_dead(&name);
        }
        for record in self.state.containers.values().filter(|r| r.running()) {
            let Some(instance) = &record.current else { continue };
            if record.started {
                self.startup_done.insert(instance.id.clone());
            }
            // An end between the runtime's list and this moment went to nobody.
            self.query_exit(instance.id.clone());
        }
    }

    /// Reports the end of something this worker began.
    pub(super) fn reporter(&self) -> impl FnOnce(Done) + Send + 'static {
        let inbox = self.inbox.clone();
        move |done| {
            // A worker that has ended does not want to know.
            let _ = inbox.send(Message::Done(done));
        }
    }

    /// What the volumes show has changed: they are brought up to date, once what is under way with older content has ended.
    pub(super) fn refresh_volumes(&mut self) {
        // What is removed stays removed: an ended pod is told of changes as long as the API has it.
        if self.state.teardown != Step::Pending {
            return;
        }
        match self.state.volumes {
            Volumes::Mounting => self.refresh_again = true,
            Volumes::Ready if self.refreshing => self.refresh_again = true,
            Volumes::Ready => {
                self.refreshing = true;
                self.mount_volumes(true);
            }
            // With the new content it may succeed.
            Volumes::Failed { .. } => self.state.volumes = Volumes::Absent,
            Volumes::Absent => {}
        }
    }

    fn mount_volumes(&self, refresh: bool) {
        let report = self.reporter();
        let (pod, dir, context) = (self.pod.clone(), self.dir.clone(), self.context.clone());
        let sources = Sources {
            objects: context.objects.clone(),
            client: context.client.clone(),
            tokens: self.tokens.clone(),
            around: self.surroundings(),
        };
        tokio::spawn(async move {
            let result = volume::mount_all(&pod, &dir, &sources).await;
            let result = result.map_err(|(volume, error)| (volume, error.to_string()));
            report(Done::Volumes { refresh, result });
        });
    }

    fn delete_pod(&self) {
        let report = self.reporter();
        let api: Api<Pod> = Api::namespaced(self.context.client.clone(), &self.namespace());
        let name = self.name();
        let uid = self.uid();
        tokio::spawn(async move {
            let params = DeleteParams {
                grace_period_seconds: Some(0),
                // Never a successor of the same name.
                preconditions: Some(Preconditions {
                    uid: Some(uid),
                    resource_version: None,
                }),
                ..DeleteParams::default()
            };
            let result = match api.delete(&name, &params).await {
                Ok(_) => Ok(()),
                Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
                Err(error) => Err(error.to_string()),
            };
            report(Done::Deleted(result));
        });
    }
}
