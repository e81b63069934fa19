//! The runtime's request for one container.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, Pod};
use keelson_runtime::node::{ContainerSpec, Propagation, Resources, RootfsSource, VolumeMount};

use super::ConfigError;
use super::command::arguments;
use super::security::Confinement;
use crate::spec::expand;
use crate::volume;

/// Rotation of container logs: upstream's `containerLogMaxSize` and `containerLogMaxFiles`.
const LOG_MAX_SIZE: u64 = 10 << 20;
const LOG_MAX_FILES: u32 = 5;
/// What a program finds itself with where the image says nothing.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The image's share of the configuration.
#[derive(Debug, Clone)]
pub struct ImageFacts {
    /// Image id as `status.imageID` shows it.
    pub id: String,
    /// Root filesystem.
    pub rootfs: RootfsSource,
    /// ENTRYPOINT.
    pub entrypoint: Vec<String>,
    /// CMD.
    pub cmd: Vec<String>,
    /// ENV, `KEY=value`.
    pub env: Vec<String>,
    /// WORKDIR.
    pub working_dir: String,
    /// USER.
    pub user: String,
    /// STOPSIGNAL.
    pub stop_signal: Option<String>,
}

/// Everything that was gathered for a start.
pub struct Parts<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// The container.
    pub container: &'a Container,
    /// New runtime id.
    pub id: String,
    /// Number of this run.
    pub attempt: u32,
    /// Image.
    pub image: &'a ImageFacts,
    /// The pod's environment.
    pub env: Vec<(String, String)>,
    /// Host name in the pod.
    pub hostname: &'a str,
    /// Security.
    pub confinement: Confinement,
    /// Limits.
    pub resources: Resources,
    /// Host directory of each mounted volume.
    pub volumes: &'a BTreeMap<String, PathBuf>,
    /// Volumes that containers may only read, whatever they ask for.
    pub read_only_volumes: &'a BTreeSet<String>,
    /// Managed files: host path, path in the container. Left out where a volume is mounted there.
    pub files: Vec<(PathBuf, PathBuf)>,
    /// Log file.
    pub log_path: PathBuf,
}

/// Puts the request together.
pub fn build(parts: Parts<'_>) -> Result<ContainerSpec, ConfigError> {
    let Parts {
        pod,
        container,
        image,
        ..
    } = parts;
    let args = arguments(container, &image.entrypoint, &image.cmd, &parts.env);
    let bundle = matches!(image.rootfs, RootfsSource::Bundle(_));
    if args.is_empty() && !bundle {
        return Err(ConfigError::Other("no command specified".into()));
    }
    let working_dir = container.working_dir.clone().filter(|dir| !dir.is_empty());
    let meta = &pod.metadata;
    let labels = [
        ("io.kubernetes.pod.name", meta.name.clone()),
        ("io.kubernetes.pod.namespace", meta.namespace.clone()),
        ("io.kubernetes.pod.uid", meta.uid.clone()),
        ("io.kubernetes.container.name", Some(container.name.clone())),
        (
            TERMINATION_PATH_LABEL,
            Some(termination_path(container).to_owned()),
        ),
        (
            TERMINATION_POLICY_LABEL,
            container.termination_message_policy.clone(),
        ),
    ];
    let mut c = parts.confinement;
    if bundle {
        // The bundle's own user, with its groups, is the default.
        c.user.image_user.clear();
    }
    Ok(ContainerSpec {
        id: parts.id,
        name: container.name.clone(),
        attempt: parts.attempt,
        image: container.image.clone().unwrap_or_default(),
        image_id: image.id.clone(),
        rootfs: image.rootfs.clone(),
        args,
        env: merge_env(
            image,
            parts.hostname,
            container.tty.unwrap_or(false),
            bundle,
            &parts.env,
        ),
        cwd: working_dir.unwrap_or_else(|| image.working_dir.clone()),
        mounts: mounts(
            parts.pod,
            container,
            parts.volumes,
            parts.read_only_volumes,
            &parts.env,
            parts.files,
        )?,
        user: c.user,
        devices: Vec::new(),
        resources: parts.resources,
        cap_add: c.cap_add,
        cap_drop: c.cap_drop,
        privileged: c.privileged,
        no_new_privileges: c.no_new_privileges,
        read_only_rootfs: c.read_only_rootfs,
        unmasked_proc: c.unmasked_proc,
        seccomp: c.seccomp,
        tty: container.tty.unwrap_or(false),
        stdin: container.stdin.unwrap_or(false),
        stdin_once: container.stdin_once.unwrap_or(false),
        log_path: Some(parts.log_path),
        log_max_size: LOG_MAX_SIZE,
        log_max_files: LOG_MAX_FILES,
        stop_signal: image.stop_signal.clone(),
        labels: labels
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?)))
            .collect(),
    })
}

/// Label under which the termination message path is found again.
pub const TERMINATION_PATH_LABEL: &str = "io.kubernetes.container.terminationMessagePath";
/// Label of the termination message policy.
pub const TERMINATION_POLICY_LABEL: &str = "io.kubernetes.container.terminationMessagePolicy";

/// `terminationMessagePath` with its default.
pub fn termination_path(container: &Container) -> &str {
    container
        .termination_message_path
        .as_deref()
        .filter(|p| !p.is_empty())
        .unwrap_or("/dev/termination-log")
}

/// The whole environment: later entries win, each name once.
fn merge_env(
    image: &ImageFacts,
    hostname: &str,
    tty: bool,
    bundle: bool,
    pod: &[(String, String)],
) -> Vec<String> {
    let mut merged: Vec<(String, String)> = Vec::new();
    let mut set = |key: &str, value: &str| match merged.iter_mut().find(|(known, _)| known == key) {
        Some(entry) => value.clone_into(&mut entry.1),
        None => merged.push((key.to_owned(), value.to_owned())),
    };
    if !bundle {
        set("PATH", DEFAULT_PATH);
    }
    set("HOSTNAME", hostname);
    if tty {
        set("TERM", "xterm");
    }
    for entry in &image.env {
        let (key, value) = entry.split_once('=').unwrap_or((entry, ""));
        set(key, value);
    }
    for (key, value) in pod {
        set(key, value);
    }
    merged
        .into_iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect()
}

fn mounts(
    pod: &Pod,
    container: &Container,
    volumes: &BTreeMap<String, PathBuf>,
    read_only_volumes: &BTreeSet<String>,
    env: &[(String, String)],
    files: Vec<(PathBuf, PathBuf)>,
) -> Result<Vec<VolumeMount>, ConfigError> {
    let mut mounts = Vec::new();
    for mount in container.volume_mounts.iter().flatten() {
        let source = volumes.get(&mount.name).ok_or_else(|| {
            ConfigError::Other(format!(
                "cannot find volume {:?} to mount into container {:?}",
                mount.name, container.name
            ))
        })?;
        let sub_path = match (&mount.sub_path, &mount.sub_path_expr) {
            (_, Some(text)) if !text.is_empty() => Some(expand_sub_path(text, env)?),
            (Some(text), _) if !text.is_empty() => Some(text.clone()),
            _ => None,
        };
        let read_only = mount.read_only.unwrap_or(false) || read_only_volumes.contains(&mount.name);
        mounts.push(VolumeMount {
            source: source.clone(),
            kind: volume::source_kind(pod, &mount.name),
            sub_path: sub_path.map(confined).transpose()?,
            target: Path::new("/").join(&mount.mount_path),
            read_only,
            recursive_read_only: mount.read_only == Some(true)
                && matches!(
                    mount.recursive_read_only.as_deref(),
                    Some("Enabled" | "IfPossible")
                ),
            propagation: match mount.mount_propagation.as_deref() {
                Some("HostToContainer") => Propagation::HostToContainer,
                Some("Bidirectional") => Propagation::Bidirectional,
                _ => Propagation::Private,
            },
        });
    }
    for (source, target) in files {
        if mounts.iter().all(|mount| mount.target != target) {
            mounts.push(VolumeMount {
                source,
                kind: None,
                sub_path: None,
                target,
                read_only: false,
                recursive_read_only: false,
                propagation: Propagation::Private,
            });
        }
    }
    // A mount below another must come after it.
    mounts.sort_by_key(|mount| mount.target.components().count());
    Ok(mounts)
}

fn expand_sub_path(text: &str, env: &[(String, String)]) -> Result<String, ConfigError> {
    let missing = std::cell::RefCell::new(None);
    let path = expand(text, |name| {
        let value = env
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone());
        if value.is_none() {
            *missing.borrow_mut() = Some(name.to_owned());
        }
        value
    });
    match missing.into_inner() {
        Some(name) => Err(ConfigError::Other(format!("missing value for {name:?}"))),
        None => Ok(path),
    }
}

/// A path that stays below its volume by its very form; the runtime resolves links in it safely.
fn confined(path: String) -> Result<PathBuf, ConfigError> {
    let path = PathBuf::from(path);
    if path.is_absolute() {
        return Err(ConfigError::Other(format!(
            "error SubPath {:?} must not be an absolute path",
            path.display()
        )));
    }
    if path.components().any(|c| c == Component::ParentDir) {
        return Err(ConfigError::Other(format!(
            "unable to provision SubPath {:?}: must not contain '..'",
            path.display()
        )));
    }
    Ok(path)
}
