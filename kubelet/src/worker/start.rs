//! Starting a container: gather its configuration, create it, run it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};
use keelson_runtime::node::{ContainerSpec, ContainerState, Error as RuntimeError};

use super::message::Done;
use super::{Context, Worker};
use crate::container::env::{Objects, environment, references};
use crate::container::fields::Surroundings;
use crate::container::hosts;
use crate::container::resolv::{Resolver, resolver};
use crate::container::security::confinement;
use crate::container::spec::{ImageFacts, Parts, build, termination_path};
use crate::event::{Kind, pod_reference};
use crate::pod::state::ImagePhase;
use crate::spec::{Role, container_resources, find};
use crate::volume::{self, PodDir};

/// How long a start waits for the first list of services; a restart can do without.
const SERVICES: Duration = Duration::from_secs(10);
const SERVICES_RESTART: Duration = Duration::from_secs(1);

/// Why a container does not run.
#[derive(Debug)]
pub enum StartFailure {
    /// It was not even created: waiting reason and message.
    Waiting {
        /// Reason.
        reason: &'static str,
        /// Message.
        message: String,
    },
    /// The pod's sandbox has been lost.
    NoSandbox {
        /// The runtime's words.
        message: String,
    },
    /// It was created and its program could not be run: counts as a run that ended.
    Ended {
        /// Runtime id.
        id: String,
        /// The runtime's words.
        message: String,
        /// Exit code.
        exit_code: i32,
    },
}

/// Why there is no environment.
enum Gather {
    /// The API cannot be asked.
    Unreachable(String),
    /// The API's answer does not do.
    Config(String),
}

struct Start {
    context: Arc<Context>,
    /// The run before this one.
    previous: Option<String>,
    pod: Arc<Pod>,
    role: Role,
    container: Container,
    image: ImageFacts,
    attempt: u32,
    around: Surroundings,
    dir: PodDir,
}

impl Worker {
    pub(super) fn start_container(&mut self, name: &str) {
        let attempt = self.record(name).next_attempt;
        let found = self.pod.spec.as_ref().and_then(|spec| find(spec, name));
        let found = found.map(|(role, container)| (role, container.into_owned()));
        let (Some((role, container)), Some(image)) = (found, self.images.get(name).cloned()) else {
            let record = self.record(name);
            record.starting = false;
            record.image = ImagePhase::Unresolved;
            return;
        };
        let previous = self.record(name).current.as_ref().map(|c| c.id.clone());
        let start = Start {
            context: self.context.clone(),
            previous,
            pod: self.pod.clone(),
            role,
            container,
            image,
            attempt,
            around: self.surroundings(),
            dir: self.dir.clone(),
        };
        let (report, container) = (self.reporter(), name.to_owned());
        tokio::spawn(async move {
            let result = Box::new(start.run().await);
            report(Done::Start {
                container,
                attempt,
                result,
            });
        });
    }
}

impl Start {
    async fn run(self) -> Result<ContainerState, StartFailure> {
        let env = self.environment().await;
        tokio::task::spawn_blocking(move || {
            let spec = match env {
                Ok(env) => self.specification(env)?,
                Err(Gather::Config(message)) => return Err(waiting("CreateContainerConfigError", message)),
                Err(Gather::Unreachable(message)) => match self.previous_run() {
                    Some(spec) => self.again(spec)?,
                    None => return Err(waiting("CreateContainerConfigError", message)),
                },
            };
            self.create_and_start(&spec)
        })
        .await
        .map_err(|error| waiting("CreateContainerError", error.to_string()))?
    }

    async fn environment(&self) -> Result<Vec<(String, String)>, Gather> {
        let namespace = self.pod.metadata.namespace.as_deref().unwrap_or_default();
        let uid = self.pod.metadata.uid.as_deref().unwrap_or_default();
        let links = self
            .pod
            .spec
            .as_ref()
            .and_then(|s| s.enable_service_links)
            .unwrap_or(true);
        let patience = if self.previous.is_some() {
            SERVICES_RESTART
        } else {
            SERVICES
        };
        let services = self.context.services.variables(namespace, links, patience).await;
        let services = services
            .ok_or_else(|| Gather::Unreachable("services have not yet been read at least once".into()))?;
        let mut objects = Objects::new();
        for (kind, name) in references(&self.container) {
            let object = self.context.objects.get(uid, kind, namespace, &name).await;
            objects.insert((kind, name), object.map_err(Gather::Unreachable)?);
        }
        environment(&self.pod, &self.container, &self.around, &objects, &services)
            .map_err(|error| Gather::Config(error.to_string()))
    }

    /// What the run before was made from, if it was this image's.
    fn previous_run(&self) -> Option<ContainerSpec> {
        let state = self.context.runtime.container(self.previous.as_ref()?).ok()??;
        (Some(&state.spec.image) == self.container.image.as_ref()).then_some(state.spec)
    }

    /// The same once more: a container is restarted though the API, which has its environment, is away.
    fn again(&self, mut spec: ContainerSpec) -> Result<ContainerSpec, StartFailure> {
        let files = self.files().map_err(|e| waiting("CreateContainerError", e))?;
        for (source, target) in files {
            // Only the termination log is new: the other files keep their names.
            if let Some(mount) = spec
                .mounts
                .iter_mut()
                .find(|m| m.target == target && m.source != source)
                && mount.source.extension().is_some_and(|e| e == "termination")
            {
                mount.source = source;
            }
        }
        spec.id = self.context.runtime.new_container_id();
        spec.attempt = self.attempt;
        spec.log_path = Some(self.log_path()?);
        Ok(spec)
    }

    fn log_path(&self) -> Result<PathBuf, StartFailure> {
        let directory = self.context.log_dir(&self.pod).join(&self.container.name);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&directory)
            .map_err(|e| {
                waiting(
                    "CreateContainerError",
                    format!("create {}: {e}", directory.display()),
                )
            })?;
        Ok(directory.join(format!("{}.log", self.attempt)))
    }

    fn specification(&self, env: Vec<(String, String)>) -> Result<ContainerSpec, StartFailure> {
        let config_error =
            |error: &dyn std::fmt::Display| waiting("CreateContainerConfigError", error.to_string());
        let config = &self.context.config;
        let pod_spec = self.pod.spec.clone().unwrap_or_default();
        let confinement = confinement(
            &self.pod,
            &self.container,
            &self.image.user,
            &config.root_dir.join("seccomp"),
        )
        .map_err(|e| config_error(&e))?;
        let files = self.files().map_err(|e| waiting("CreateContainerError", e))?;
        let log_path = self.log_path()?;
        let volumes: BTreeMap<String, PathBuf> = volume::paths(&self.pod, &self.dir);
        let read_only: BTreeSet<String> = volume::read_only(&self.pod);
        let hostname =
            hosts::kernel_hostname(&self.pod, &config.cluster_domain).map_err(|e| config_error(&e))?;
        build(Parts {
            pod: &self.pod,
            container: &self.container,
            id: self.context.runtime.new_container_id(),
            attempt: self.attempt,
            image: &self.image,
            env,
            hostname: &hostname,
            confinement,
            resources: container_resources(&pod_spec, &self.container, self.context.node.memory),
            volumes: &volumes,
            read_only_volumes: &read_only,
            files,
            log_path,
        })
        .map_err(|e| config_error(&e))
    }

    /// The files the kubelet keeps for the container.
    fn files(&self) -> Result<Vec<(PathBuf, PathBuf)>, String> {
        let config = &self.context.config;
        let host_network = self
            .pod
            .spec
            .as_ref()
            .and_then(|s| s.host_network)
            .unwrap_or(false);
        let container_dir = self.dir.container(&self.container.name);
        volume::create_private(&container_dir).map_err(|e| e.to_string())?;

        let host_file = host_network.then(|| fs::read_to_string("/etc/hosts").unwrap_or_default());
        let hosts_text = hosts::content(
            &self.pod,
            &self.around.pod_ips,
            &config.cluster_domain,
            host_file.as_deref(),
        );
        let etc_hosts = self.dir.file("etc-hosts");
        write_in_place(&etc_hosts, &hosts_text)?;

        let host_resolver = Resolver::parse(&fs::read_to_string(&config.resolv_conf).unwrap_or_default());
        let resolver = resolver(
            &self.pod,
            &host_resolver,
            config.cluster_dns,
            &config.cluster_domain,
        );
        let resolv_conf = self.dir.file("resolv.conf");
        write_in_place(&resolv_conf, &resolver.text())?;

        let hostname =
            hosts::kernel_hostname(&self.pod, &config.cluster_domain).map_err(|e| e.to_string())?;
        let etc_hostname = self.dir.file("hostname");
        write_in_place(&etc_hostname, &format!("{hostname}\n"))?;

        let log = container_dir.join(format!("{}.termination", self.attempt));
        let created = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o666)
            .open(&log);
        created
            // Any user of the container may write it, whatever our umask.
            .and_then(|file| file.set_permissions(fs::Permissions::from_mode(0o666)))
            .map_err(|error| format!("create {}: {error}", log.display()))?;
        Ok(vec![
            (etc_hosts, "/etc/hosts".into()),
            (resolv_conf, "/etc/resolv.conf".into()),
            (etc_hostname, "/etc/hostname".into()),
            (log, PathBuf::from(termination_path(&self.container))),
        ])
    }

    fn create_and_start(&self, spec: &ContainerSpec) -> Result<ContainerState, StartFailure> {
        let runtime = &self.context.runtime;
        let uid = self.pod.metadata.uid.clone().unwrap_or_default();
        runtime
            .create_container(&uid, spec)
            .map_err(|error| match error {
                RuntimeError::Invalid(_) => waiting("CreateContainerConfigError", error.to_string()),
                _ if self.no_sandbox(&uid) => StartFailure::NoSandbox {
                    message: error.to_string(),
                },
                _ => waiting("CreateContainerError", error.to_string()),
            })?;
        self.event("Created", &format!("Created container: {}", spec.name));
        match runtime.start_container(&spec.id) {
            Ok(state) => {
                self.event("Started", &format!("Started container {}", spec.name));
                Ok(state)
            }
            Err(error) => {
                let message = format!("failed to start container: {error}");
                if let Err(error) = runtime.remove_container(&spec.id) {
                    tracing::warn!(id = spec.id, %error, "container that did not start not removed");
                }
                let exit_code = match error {
                    RuntimeError::Start { exit_code, .. } => exit_code,
                    _ => 128,
                };
                Err(StartFailure::Ended {
                    id: spec.id.clone(),
                    message,
                    exit_code,
                })
            }
        }
    }

    /// Whether the sandbox that this container was to be started in is not there any more.
    fn no_sandbox(&self, uid: &str) -> bool {
        let found = self.context.runtime.sandbox(uid);
        found.is_ok_and(|sandbox| sandbox.is_none_or(|sandbox| !sandbox.ready))
    }

    fn event(&self, reason: &str, message: &str) {
        let about = pod_reference(&self.pod, Some((&self.role, &self.container.name)));
        self.context.events.record(about, Kind::Normal, reason, message);
    }
}

fn waiting(reason: &'static str, message: impl Into<String>) -> StartFailure {
    StartFailure::Waiting {
        reason,
        message: message.into(),
    }
}

/// Writes a file that is bind-mounted into containers: the same inode, so that they see the change; untouched if it
/// already says the same.
fn write_in_place(path: &Path, text: &str) -> Result<(), String> {
    if fs::read_to_string(path).is_ok_and(|current| current == text) {
        return Ok(());
    }
    fs::write(path, text)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o644)))
        .map_err(|error| format!("write {}: {error}", path.display()))
}
