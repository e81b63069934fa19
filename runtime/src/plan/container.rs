//! A container's specification compiled into its plan.

use std::path::Path;

use super::{PlanError, ResolvedUser, capability_set, defaults};
use crate::launch::{Capabilities, Device, Mount, MountSource, Namespaces, Plan, Process, SeccompFilter};
use crate::node::{ContainerSpec, Propagation, SandboxSpec, VolumeMount};
use crate::sys::Attributes;

/// What the compilation needs to know of the host and the pod, found out beforehand.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// The pod.
    pub sandbox: &'a SandboxSpec,
    /// Who it runs as.
    pub user: ResolvedUser,
    /// Host directory to attach the root filesystem on.
    pub attach_point: String,
    /// The pod's `/dev/shm` on the host.
    pub shm: String,
    /// File for `/etc/hostname` on the host.
    pub hostname_file: Option<String>,
    /// The pod's host name, or the node's with host network.
    pub hostname: String,
    /// Pinned process namespace of a pod that shares one.
    pub pid_namespace: Option<String>,
    /// The container's cgroup directory.
    pub cgroup: Option<String>,
    /// Whether the host has a cgroup v2 hierarchy to show.
    pub cgroup2: bool,
    /// Seccomp filter.
    pub seccomp: Option<SeccompFilter>,
    /// Devices to add: those of the specification, or all of the host's for a privileged container.
    pub devices: Vec<Device>,
    /// The process of the bundle's `config.json`.
    pub bundle: Option<BundleProcess>,
}

/// What is taken from an OCI bundle's `process`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BundleProcess {
    /// Argument vector.
    pub args: Vec<String>,
    /// Environment.
    pub env: Vec<String>,
    /// Working directory.
    pub cwd: String,
}

/// Compiles a container.
pub fn container(spec: &ContainerSpec, context: Context<'_>) -> Result<Plan, PlanError> {
    let bundle = context.bundle.clone().unwrap_or_default();
    let args = if spec.args.is_empty() {
        bundle.args
    } else {
        spec.args.clone()
    };
    if args.first().is_none_or(String::is_empty) {
        return Err(PlanError("no command specified".to_owned()));
    }
    let cwd = if spec.cwd.is_empty() {
        bundle.cwd
    } else {
        spec.cwd.clone()
    };
    let caps = capability_set(&spec.cap_add, &spec.cap_drop, spec.privileged)?;
    let sandbox = context.sandbox;
    let mut fresh = libc::CLONE_NEWNS as u64;
    let mut join = Vec::new();
    if let Some(path) = context.pid_namespace.filter(|_| !sandbox.host_pid) {
        join.push((libc::CLONE_NEWPID as u64, path));
    } else if !sandbox.host_pid {
        fresh |= libc::CLONE_NEWPID as u64;
    }
    let (mounts, own_dev) = mounts(
        spec,
        &context.shm,
        context.hostname_file.as_deref(),
        context.cgroup2,
    )?;
    let mut devices = if own_dev { defaults::devices() } else { Vec::new() };
    for device in context.devices {
        devices.retain(|known| known.path != device.path);
        devices.push(device);
    }
    let owned = |list: &[&str]| list.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
    let masks = !spec.privileged && !spec.unmasked_proc;
    Ok(Plan {
        attach_point: context.attach_point,
        namespaces: Namespaces {
            fresh,
            cgroup: context.cgroup.is_some() && !spec.privileged,
            join,
            ..Namespaces::default()
        },
        cgroup: context.cgroup,
        mounts,
        devices,
        links: if own_dev { links() } else { Vec::new() },
        masked: if masks {
            owned(defaults::MASKED)
        } else {
            Vec::new()
        },
        read_only: if masks {
            owned(defaults::READ_ONLY)
        } else {
            Vec::new()
        },
        read_only_root: spec.read_only_rootfs,
        console: spec.tty && own_dev,
        process: Process {
            env: environment(&bundle.env, spec, &context.user.home, &context.hostname),
            args,
            cwd: if cwd.starts_with('/') {
                cwd
            } else {
                format!("/{cwd}")
            },
            uid: context.user.uid,
            gid: context.user.gid,
            groups: context.user.groups,
            capabilities: Capabilities {
                bounding: caps,
                effective: caps,
                permitted: caps,
                inheritable: 0,
                ambient: 0,
            },
            no_new_privileges: spec.no_new_privileges,
            seccomp: context.seccomp,
            // Written in any case: what starts it is the shim, which the kernel shall spare (-998).
            oom_score_adj: Some(spec.resources.oom_score_adj.unwrap_or(0)),
            umask: 0o022,
            terminal: spec.tty,
            ..Process::default()
        },
        ..Plan::default()
    })
}

/// The default symlinks in `/dev`.
fn links() -> Vec<(String, String)> {
    defaults::LINKS
        .iter()
        .map(|(path, target)| ((*path).to_owned(), (*target).to_owned()))
        .collect()
}

/// Later entries win; defaults only fill gaps.
fn environment(bundle: &[String], spec: &ContainerSpec, home: &str, hostname: &str) -> Vec<String> {
    let name = |entry: &str| entry.split('=').next().unwrap_or("").to_owned();
    let mut env: Vec<String> = Vec::with_capacity(bundle.len() + spec.env.len() + 4);
    for entry in bundle.iter().chain(&spec.env) {
        match env.iter_mut().find(|known| name(known) == name(entry)) {
            Some(known) => known.clone_from(entry),
            None => env.push(entry.clone()),
        }
    }
    let mut fill = |entry: String| {
        if !env.iter().any(|known| name(known) == name(&entry)) {
            env.push(entry);
        }
    };
    fill(defaults::PATH.to_owned());
    fill(format!("HOSTNAME={hostname}"));
    fill(format!("HOME={home}"));
    if spec.tty {
        fill("TERM=xterm".to_owned());
    }
    env
}

/// Default mounts and volumes in mounting order, and whether `/dev` is the container's own. A volume takes the place of
/// a default mount with its target; a volume at `/dev` of all default mounts below it too (containerd's rules).
fn mounts(
    spec: &ContainerSpec,
    shm: &str,
    hostname_file: Option<&str>,
    cgroup2: bool,
) -> Result<(Vec<Mount>, bool), PlanError> {
    let targets: Vec<String> = spec
        .mounts
        .iter()
        .map(|m| clean(&m.target))
        .collect::<Result<_, _>>()?;
    if let Some(bad) = targets
        .iter()
        .find(|t| *t == "/" || *t == "/proc" || *t == "/sys")
    {
        return Err(PlanError(format!("a volume cannot be mounted at {bad}")));
    }
    let own_dev = !targets.iter().any(|t| t == "/dev");
    let mut all = defaults::mounts(shm, spec.privileged, cgroup2);
    all.retain(|m| !targets.contains(&m.target) && (own_dev || !Path::new(&m.target).starts_with("/dev")));
    if let Some(file) = hostname_file.filter(|_| !targets.iter().any(|t| t == "/etc/hostname")) {
        all.push(bind(
            file.to_owned(),
            None,
            "/etc/hostname".to_owned(),
            Propagation::Private,
            spec.read_only_rootfs,
        ));
    }
    let mut volumes: Vec<(usize, Mount)> = Vec::new();
    for (volume, target) in spec.mounts.iter().zip(targets) {
        volumes.push((target.matches('/').count(), volume_mount(volume, target)?));
    }
    volumes.sort_by_key(|(depth, _)| *depth); // parents before what is mounted in them; stable otherwise
    all.extend(volumes.into_iter().map(|(_, mount)| mount));
    Ok((all, own_dev))
}

fn text(path: &Path) -> Result<String, PlanError> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| PlanError(format!("path {} is not UTF-8", path.display())))
}

fn volume_mount(volume: &VolumeMount, target: String) -> Result<Mount, PlanError> {
    let sub_path = volume.sub_path.as_deref().map(text).transpose()?;
    if let Some(sub) = &sub_path
        && (sub.starts_with('/') || sub.split('/').any(|part| part == ".."))
    {
        return Err(PlanError(format!(
            "subPath {sub:?} must be relative and must not contain \"..\""
        )));
    }
    let mut mount = bind(
        text(&volume.source)?,
        sub_path,
        target,
        volume.propagation,
        volume.read_only,
    );
    if volume.read_only && volume.recursive_read_only {
        mount.set_all = Attributes::READ_ONLY;
    }
    Ok(mount)
}

fn bind(
    path: String,
    sub_path: Option<String>,
    target: String,
    propagation: Propagation,
    read_only: bool,
) -> Mount {
    let source = MountSource::Bind {
        path,
        sub_path,
        recursive: true,
    };
    let propagation = match propagation {
        Propagation::Private => libc::MS_PRIVATE,
        Propagation::HostToContainer => libc::MS_SLAVE,
        Propagation::Bidirectional => libc::MS_SHARED,
    };
    Mount {
        set: if read_only { Attributes::READ_ONLY } else { 0 },
        propagation: propagation | libc::MS_REC,
        ..Mount::new(target, source)
    }
}

/// An absolute target without empty, `.` and `..` components.
fn clean(target: &Path) -> Result<String, PlanError> {
    let target = text(target)?;
    let mut parts: Vec<&str> = Vec::new();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Ok(format!("/{}", parts.join("/")))
}
