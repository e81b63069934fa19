//! Containers: created, started, stopped, found, removed.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::layout::{check_id, text};
use super::runtime::Inner;
use super::sandboxes::lock;
use super::state::{
    StoredContainer, make_private_dir, names, phase, read_json, read_wire, remove as remove_path, time,
    write_json, write_whole,
};
use super::{
    ContainerSpec, ContainerState, Error, Events, Phase, Resources, RootfsSource, SandboxState, User, bundle,
    host_devices, rootfs, sandboxes, seccomp, shim_client, sources,
};
use crate::cgroup;
use crate::launch::Plan;
use crate::plan::{self, Context};
use crate::shim::protocol::{ExitRecord, LogPlan, Reply, Request, RunningRecord};
use crate::wire::Wire;

fn stored(inner: &Inner, id: &str) -> Result<StoredContainer, Error> {
    let path = inner.layout.container(check_id(id)?).join("container.json");
    read_json(&path)?.ok_or_else(|| Error::NotFound(format!("container {id}")))
}

/// The plan a container was made from.
pub(super) fn stored_plan(inner: &Inner, id: &str) -> Result<Plan, Error> {
    read_wire(&inner.layout.container(id).join("plan"))?
        .ok_or_else(|| Error::NotFound(format!("container {id}")))
}

/// Directory of the pod that a container belongs to.
pub(super) fn pod_of(inner: &Inner, id: &str) -> Result<PathBuf, Error> {
    stored(inner, id).map(|container| inner.layout.pod(&container.sandbox))
}

/// A container's cgroup directory.
pub(super) fn cgroup_of(inner: &Inner, id: &str) -> Result<Option<PathBuf>, Error> {
    stored(inner, id).map(|container| container.cgroup.map(PathBuf::from))
}

fn state(inner: &Inner, container: StoredContainer, shim_lives: bool) -> Result<ContainerState, Error> {
    let id = &container.spec.id;
    let running: Option<RunningRecord> = read_wire(&inner.layout.running().join(id))?;
    // Read last: whoever sees no exit has then seen a shim that lived before.
    let exit: Option<ExitRecord> = read_wire(&inner.layout.exits().join(id))?;
    let phase = phase(exit.as_ref(), running.as_ref(), shim_lives);
    let lives = matches!(phase, Phase::Created | Phase::Running);
    let started = exit.as_ref().map_or_else(
        || running.as_ref().map_or(0, |r| r.started_at),
        |exit| exit.started_at,
    );
    Ok(ContainerState {
        pid: running.as_ref().filter(|_| lives).map(|r| r.pid),
        started_at: (started != 0).then(|| time(started)),
        spec: container.spec,
        sandbox: container.sandbox,
        phase,
        created_at: container.created_at,
        user: container.user,
    })
}

pub(super) fn find(inner: &Inner, id: &str) -> Result<Option<ContainerState>, Error> {
    let container = match stored(inner, id) {
        Err(Error::NotFound(_)) => return Ok(None),
        other => other?,
    };
    let lives = shim_client::alive(&inner.layout.pod(&container.sandbox))?.is_some();
    state(inner, container, lives).map(Some)
}

fn get(inner: &Inner, id: &str) -> Result<ContainerState, Error> {
    find(inner, id)?.ok_or_else(|| Error::NotFound(format!("container {id}")))
}

pub(super) fn all(inner: &Inner) -> Result<Vec<ContainerState>, Error> {
    let mut shims: BTreeMap<String, bool> = BTreeMap::new();
    let mut found = Vec::new();
    for id in names(&inner.layout.containers())? {
        let container = match stored(inner, &id) {
            Err(Error::NotFound(_)) => continue, // removed meanwhile
            Err(error) => {
                // A record cut short by a power failure must not hide all the others.
                tracing::warn!(container = id, %error, "the record of a container cannot be read; it is left out");
                continue;
            }
            Ok(container) => container,
        };
        let lives = match shims.get(&container.sandbox) {
            Some(lives) => *lives,
            None => shim_client::alive(&inner.layout.pod(&container.sandbox))?.is_some(),
        };
        shims.insert(container.sandbox.clone(), lives);
        found.push(state(inner, container, lives)?);
    }
    Ok(found)
}

/// Ids of the containers of a sandbox.
pub(super) fn of_sandbox(inner: &Inner, sandbox: &str) -> Result<Vec<String>, Error> {
    let mut ids = names(&inner.layout.containers())?;
    ids.retain(|id| stored(inner, id).is_ok_and(|container| container.sandbox == sandbox));
    Ok(ids)
}

pub(super) fn create(inner: &Inner, sandbox: &str, spec: &ContainerSpec) -> Result<ContainerState, Error> {
    let id = check_id(&spec.id)?;
    let _lock = lock(&inner.layout, check_id(sandbox)?)?;
    let sandbox = sandboxes::find(inner, sandbox)?
        .filter(|state| state.ready)
        .ok_or_else(|| Error::NotFound(format!("sandbox {sandbox}")))?;
    let container = StoredContainer {
        spec: spec.clone(),
        sandbox: sandbox.spec.id.clone(),
        created_at: SystemTime::now(),
        user: None,
        cgroup: None,
    };
    claim(inner, id, &container)?;
    let result = make(inner, &sandbox, container);
    if result.is_err() {
        let _ = clear(inner, id); // the error that matters is the first
    }
    result
}

/// Makes the container's directory with its record in one step, so that no crash leaves one without the other.
fn claim(inner: &Inner, id: &str, container: &StoredContainer) -> Result<(), Error> {
    let temporary = inner
        .layout
        .containers()
        .join(format!(".{id}.{}", std::process::id()));
    remove_path(&temporary)?;
    make_private_dir(&temporary)?;
    write_json(&temporary.join("container.json"), container)?;
    fs::rename(&temporary, inner.layout.container(id)).map_err(|source| {
        let _ = remove_path(&temporary);
        match source.raw_os_error() {
            Some(libc::EEXIST | libc::ENOTEMPTY) => Error::AlreadyExists(format!("container {id}")),
            _ => Error::Io {
                what: format!("claiming container {id}"),
                source,
            },
        }
    })
}

fn make(
    inner: &Inner,
    sandbox: &SandboxState,
    mut container: StoredContainer,
) -> Result<ContainerState, Error> {
    let mut spec = container.spec.clone();
    let _sources = sources::pin(&mut spec)?; // open until the shim has mounted them
    let directory = inner.layout.container(&spec.id);
    let pod = inner.layout.pod(&sandbox.spec.id);
    let bundle = match &spec.rootfs {
        RootfsSource::Bundle(path) => Some(bundle::read(path)?),
        RootfsSource::Layers(_) => None,
    };
    let layers = match (&spec.rootfs, &bundle) {
        (_, Some(bundle)) => vec![bundle.rootfs.clone()],
        (RootfsSource::Layers(layers), None) => layers.clone(),
        (RootfsSource::Bundle(_), None) => Vec::new(),
    };
    let rootfs = rootfs::mount(&layers, &directory, None)?;
    let accounts = rootfs::accounts(rootfs.as_fd())?;
    let user = plan::resolve_user(&effective_user(&spec.user, bundle.as_ref()), &accounts)?;
    let cgroup = match &inner.cgroups {
        Some(cgroups) => {
            let path = cgroups.make_container(&sandbox.spec, &spec.id, &spec.resources)?;
            if let Some(filter) = host_devices::filter(&spec) {
                cgroup::filter_devices(&path, &filter)?;
            }
            Some(path)
        }
        None => None,
    };
    container.user = Some((user.uid, user.gid, user.groups.clone()));
    container.cgroup = cgroup.as_deref().map(text).transpose()?;
    let shared_pid = sandbox.spec.share_pid && !sandbox.spec.host_pid;
    let context = Context {
        sandbox: &sandbox.spec,
        user,
        // In the container's own mount namespace any directory will do.
        attach_point: "/sys".to_owned(), // in a mount namespace of its own; every host has it
        shm: if sandbox.spec.host_ipc {
            "/dev/shm".to_owned()
        } else {
            text(&pod.join("shm"))?
        },
        hostname_file: Some(text(&inner.layout.sandbox(&sandbox.spec.id).join("hostname"))?),
        hostname: sandbox.spec.hostname.clone(),
        pid_namespace: shared_pid.then(|| text(&pod.join("pid"))).transpose()?,
        cgroup: container.cgroup.clone(),
        cgroup2: inner.cgroups.is_some(),
        seccomp: seccomp::filter(&spec)?,
        devices: host_devices::wanted(&spec)?,
        bundle: bundle.map(|bundle| bundle.process),
    };
    let plan = plan::container(&spec, context)?;
    write_whole(&directory.join("plan"), &plan.to_bytes())?;
    write_json(&directory.join("container.json"), &container)?;
    let log = match &spec.log_path {
        Some(path) => Some(LogPlan {
            path: text(path)?,
            max_size: spec.log_max_size,
            max_files: spec.log_max_files,
        }),
        None => None,
    };
    let request = Request::Create {
        id: spec.id.clone(),
        plan,
        stdin: spec.stdin,
        stdin_once: spec.stdin_once,
        log,
    };
    shim_client::call(&pod, &spec.id, &request, &[rootfs.as_fd()])?;
    state(inner, container, true)
}

/// A bundle names its user by number; a pod overrides it.
fn effective_user(user: &User, bundle: Option<&bundle::Bundle>) -> User {
    let mut user = user.clone();
    if let Some((uid, gid, groups)) = bundle.and_then(|b| b.user.clone())
        && user.image_user.is_empty()
    {
        if user.uid.is_none() {
            user.gid = user.gid.or(Some(gid));
            user.additional_gids.extend(groups);
        }
        user.uid = user.uid.or(Some(uid));
    }
    user
}

pub(super) fn start(inner: &Inner, id: &str) -> Result<ContainerState, Error> {
    let container = stored(inner, id)?;
    let _lock = lock(&inner.layout, &container.sandbox)?;
    let pod = inner.layout.pod(&container.sandbox);
    shim_client::call(&pod, id, &Request::Start { id: id.to_owned() }, &[])?;
    get(inner, id)
}

pub(super) fn signal(inner: &Inner, id: &str, signal: i32) -> Result<(), Error> {
    let state = get(inner, id)?;
    if !matches!(state.phase, Phase::Created | Phase::Running) {
        return Ok(());
    }
    let request = Request::Signal {
        id: id.to_owned(),
        signal,
    };
    match shim_client::call(&inner.layout.pod(&state.sandbox), id, &request, &[]) {
        Err(Error::NotFound(_)) => Ok(()), // ended with its shim meanwhile
        other => other.map(|_| ()),
    }
}

pub(super) fn reopen_log(inner: &Inner, id: &str) -> Result<(), Error> {
    let pod = pod_of(inner, id)?;
    shim_client::call(&pod, id, &Request::ReopenLog { id: id.to_owned() }, &[]).map(|_: Reply| ())
}

pub(super) fn update(inner: &Inner, id: &str, resources: &Resources) -> Result<(), Error> {
    let container = stored(inner, id)?;
    let _lock = lock(&inner.layout, &container.sandbox)?;
    let mut container = stored(inner, id)?;
    if let (Some(cgroups), Some(path)) = (&inner.cgroups, &container.cgroup) {
        cgroups.update(Path::new(path), resources)?;
    }
    container.spec.resources = resources.clone();
    write_json(&inner.layout.container(id).join("container.json"), &container)
}

/// SIGKILL ends everything at once but a process stuck in the kernel.
const STUCK: Duration = Duration::from_secs(30);

pub(super) fn stop(inner: &Inner, id: &str, grace: Duration) -> Result<ContainerState, Error> {
    let container = stored(inner, id)?;
    let number = container
        .spec
        .stop_signal
        .as_deref()
        .map_or(Ok(libc::SIGTERM), plan::signal_number)?;
    let Ok(mut events) = Events::new(&inner.layout) else {
        // Out of inotify instances: nothing announces the end, but the container must end all the same.
        signal(inner, id, number)?;
        std::thread::sleep(grace);
        kill(inner, id)?;
        return get(inner, id);
    };
    let now = get(inner, id)?;
    if now.phase == Phase::Running && !grace.is_zero() {
        signal(inner, id, number)?;
        if wait_ended(inner, id, &mut events, grace)? {
            return get(inner, id);
        }
    }
    kill(inner, id)?;
    wait_ended(inner, id, &mut events, STUCK)?;
    get(inner, id)
}

/// SIGKILL to the first process and everything in the container's cgroup.
fn kill(inner: &Inner, id: &str) -> Result<(), Error> {
    signal(inner, id, libc::SIGKILL)?;
    match stored(inner, id)?.cgroup {
        Some(path) => Ok(cgroup::kill(Path::new(&path))?),
        None => Ok(()),
    }
}

/// Waits for the record of a container's end. `events` was subscribed to before the state was looked at, so no end is
/// missed. False when the time ran out.
fn wait_ended(inner: &Inner, id: &str, events: &mut Events, patience: Duration) -> Result<bool, Error> {
    let deadline = Instant::now() + patience;
    loop {
        if !matches!(get(inner, id)?.phase, Phase::Created | Phase::Running) {
            return Ok(true);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        let left = left.as_millis().clamp(1, 60_000) as i32;
        crate::sys::poll_readable(events.fd(), left).map_err(Error::io("waiting for a container's end"))?;
        while events.try_next()?.is_some() {}
    }
}

pub(super) fn remove(inner: &Inner, id: &str) -> Result<(), Error> {
    let container = match stored(inner, id) {
        Err(Error::NotFound(_)) => return Ok(()),
        other => other?,
    };
    let _lock = lock(&inner.layout, &container.sandbox)?;
    clear(inner, id)
}

/// Ends a container if need be and removes its traces. The caller holds the sandbox's lock.
pub(super) fn clear(inner: &Inner, id: &str) -> Result<(), Error> {
    let container = match stored(inner, id) {
        Err(Error::NotFound(_)) => return Ok(()),
        other => other?,
    };
    let pod = inner.layout.pod(&container.sandbox);
    if shim_client::alive(&pod)?.is_some() {
        stop(inner, id, Duration::ZERO)?;
        match shim_client::call(&pod, id, &Request::Forget { id: id.to_owned() }, &[]) {
            Ok(_) | Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    if let Some(path) = &container.cgroup {
        cgroup::remove(Path::new(path))?;
    }
    let layout = &inner.layout;
    for path in [
        layout.running().join(id),
        layout.exits().join(format!("{id}.oom")),
        layout.exits().join(id),
    ] {
        remove_path(&path)?;
    }
    remove_path(&layout.container(id))
}
