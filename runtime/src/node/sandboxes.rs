//! Pod sandboxes: made, found, removed.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::SystemTime;

use super::layout::{Layout, check_id, text};
use super::runtime::Inner;
use super::state::{make_private_dir, names, read_json, remove as remove_path, write_json, write_whole};
use super::{Error, SandboxSpec, SandboxState, containers, shim_client};
use crate::cgroup;
use crate::plan::sandbox_sysctls;
use crate::shim::protocol::{Request, SandboxPlan};
use crate::sys;

/// Bytes in a pod's `/dev/shm` (64 MiB, as everywhere).
const SHM_OPTIONS: &std::ffi::CStr = c"mode=1777,size=65536k";
/// How long a shim may take to kill its pod and end before it is killed itself.
const SHUTDOWN_MS: i32 = 10_000;

/// Mounts the private tmpfs for the pods' directories, unless it is there: their many small mounts then propagate
/// nowhere, and unmounting this one lets go of all.
pub(super) fn mount_pods(layout: &Layout) -> Result<(), Error> {
    let pods = layout.pods();
    let _lock = lock(layout, "pods.mount")?;
    make_private_dir(&pods)?;
    let device = |path: &Path| {
        fs::metadata(path)
            .map(|m| m.dev())
            .map_err(Error::io(format!("examining {}", path.display())))
    };
    if device(&pods)? == device(&layout.run)? {
        let path = c_path(&pods)?;
        sys::mount_tmpfs(&path, c"mode=700")
            .map_err(Error::io(format!("mounting a tmpfs on {}", pods.display())))?;
    }
    Ok(())
}

pub(super) fn c_path(path: &Path) -> Result<std::ffi::CString, Error> {
    std::ffi::CString::new(text(path)?).map_err(|_| Error::Invalid("NUL byte in a path".to_owned()))
}

/// Held while a sandbox or its containers change: two callers take turns, also in different processes.
pub(super) struct Lock {
    file: File,
}

/// Takes the lock of a name.
pub(super) fn lock(layout: &Layout, name: &str) -> Result<Lock, Error> {
    let path = layout.locks().join(name);
    loop {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        let file = file.map_err(Error::io(format!("opening {}", path.display())))?;
        sys::lock_exclusive(file.as_fd()).map_err(Error::io(format!("locking {}", path.display())))?;
        // The holder before us may have removed the file with its sandbox: then this lock is nobody's.
        let ours = file.metadata().map(|m| m.ino()).ok();
        if fs::metadata(&path).map(|m| m.ino()).ok() == ours {
            return Ok(Lock { file });
        }
    }
}

fn stored(layout: &Layout, id: &str) -> Result<Option<SandboxState>, Error> {
    read_json(&layout.sandbox(id).join("sandbox.json"))
}

fn with_readiness(layout: &Layout, mut state: SandboxState) -> Result<SandboxState, Error> {
    state.ready = shim_client::alive(&layout.pod(&state.spec.id))?.is_some();
    Ok(state)
}

pub(super) fn find(inner: &Inner, id: &str) -> Result<Option<SandboxState>, Error> {
    let id = check_id(id)?;
    let found = stored(&inner.layout, id)?;
    found
        .map(|state| with_readiness(&inner.layout, state))
        .transpose()
}

pub(super) fn all(inner: &Inner) -> Result<Vec<SandboxState>, Error> {
    let mut found = Vec::new();
    for id in names(&inner.layout.sandboxes())? {
        match stored(&inner.layout, &id) {
            Ok(Some(state)) => found.push(with_readiness(&inner.layout, state)?),
            Ok(None) => {}
            // A record cut short by a power failure must not hide all the others.
            Err(error) => {
                tracing::warn!(sandbox = id, %error, "the record of a sandbox cannot be read; it is left out");
            }
        }
    }
    Ok(found)
}

pub(super) fn create(inner: &Inner, spec: &SandboxSpec) -> Result<SandboxState, Error> {
    let layout = &inner.layout;
    let id = check_id(&spec.id)?;
    let sysctls = sandbox_sysctls(spec)?;
    if spec.hostname.is_empty() || spec.hostname.len() > 64 || spec.hostname.contains(['\0', '\n', '/']) {
        return Err(Error::Invalid(format!("invalid host name {:?}", spec.hostname)));
    }
    let lock = lock(layout, id)?;
    if let Some(existing) = find(inner, id)? {
        if serde_json::to_value(&existing.spec).ok() != serde_json::to_value(spec).ok() {
            return Err(Error::AlreadyExists(format!(
                "sandbox {id} with another specification"
            )));
        }
        if existing.ready {
            return Ok(existing);
        }
        // Half made, or its shim is gone (a reboot): nothing of it can be used again.
        clear(inner, id)?;
    }
    let result = make(inner, spec, sysctls, &lock);
    if result.is_err() {
        let _ = clear(inner, id); // the error that matters is the first
    }
    result
}

fn make(
    inner: &Inner,
    spec: &SandboxSpec,
    sysctls: Vec<(String, String)>,
    lock: &Lock,
) -> Result<SandboxState, Error> {
    let layout = &inner.layout;
    let (directory, pod) = (layout.sandbox(&spec.id), layout.pod(&spec.id));
    make_private_dir(&directory)?;
    let mut state = SandboxState {
        spec: spec.clone(),
        netns: (!spec.host_network).then(|| pod.join("net")),
        created_at: SystemTime::now(),
        ips: Vec::new(),
        ready: false,
    };
    // First of all, so that whatever comes next is found again and removed.
    write_json(&directory.join("sandbox.json"), &state)?;
    write_whole(
        &directory.join("hostname"),
        format!("{}\n", spec.hostname).as_bytes(),
    )?;
    fs::set_permissions(directory.join("hostname"), fs::Permissions::from_mode(0o644))
        .map_err(Error::io("opening the host name file"))?;
    make_private_dir(&pod)?;
    if !spec.host_ipc {
        make_private_dir(&pod.join("shm"))?;
        let shm = c_path(&pod.join("shm"))?;
        sys::mount_tmpfs(&shm, SHM_OPTIONS).map_err(Error::io("mounting the pod's /dev/shm"))?;
    }
    let pod_cgroup = inner
        .cgroups
        .as_ref()
        .map(|cgroups| cgroups.make_pod(spec))
        .transpose()?;
    let shim_cgroup = inner
        .cgroups
        .as_ref()
        .map(super::cgroups::Cgroups::shims)
        .transpose()?;
    let pins = [
        (!spec.host_network, libc::CLONE_NEWNET, "net"),
        (!spec.host_network, libc::CLONE_NEWUTS, "uts"), // a pod on the host's network has the host's name, too
        (!spec.host_ipc, libc::CLONE_NEWIPC, "ipc"),
        (spec.share_pid && !spec.host_pid, libc::CLONE_NEWPID, "pid"),
    ];
    let pins = pins.into_iter().filter(|(wanted, ..)| *wanted);
    let plan = SandboxPlan {
        id: spec.id.clone(),
        directory: text(&pod)?,
        running: text(&layout.running())?,
        exits: text(&layout.exits())?,
        pins: pins
            .map(|(_, kind, name)| {
                // The others live as long as the shim. Each pin is a mount, and each start of a container copies all.
                let needed = matches!(kind, libc::CLONE_NEWNET | libc::CLONE_NEWPID);
                let path = if needed {
                    text(&pod.join(name))?
                } else {
                    String::new()
                };
                Ok((kind as u64, path))
            })
            .collect::<Result<_, Error>>()?,
        hostname: (!spec.host_network).then(|| spec.hostname.clone()),
        sysctls,
        shim_cgroup: shim_cgroup.as_deref().map(text).transpose()?,
        pod_cgroup: pod_cgroup.as_deref().map(text).transpose()?,
    };
    let shared = lock.file.try_clone().map_err(Error::io("sharing the lock"))?;
    shim_client::start(&plan, shared.into())?;
    state.ready = true;
    Ok(state)
}

pub(super) fn set_ips(inner: &Inner, id: &str, ips: &[IpAddr]) -> Result<(), Error> {
    let id = check_id(id)?;
    let _lock = lock(&inner.layout, id)?;
    let mut state = stored(&inner.layout, id)?.ok_or_else(|| Error::NotFound(format!("sandbox {id}")))?;
    state.ips = ips.to_vec();
    write_json(&inner.layout.sandbox(id).join("sandbox.json"), &state)
}

pub(super) fn remove(inner: &Inner, id: &str) -> Result<(), Error> {
    let id = check_id(id)?;
    let layout = &inner.layout;
    let _lock = lock(layout, id)?;
    clear(inner, id)?;
    for container in containers::of_sandbox(inner, id)? {
        containers::clear(inner, &container)?;
    }
    remove_path(&layout.sandbox(id))?;
    remove_path(&layout.locks().join(id))
}

/// Ends everything that runs in a sandbox and lets go of its namespaces, mounts and cgroup.
fn clear(inner: &Inner, id: &str) -> Result<(), Error> {
    let layout = &inner.layout;
    let pod = layout.pod(id);
    end_shim(&pod)?;
    for name in ["net", "ipc", "uts", "pid", "shm"] {
        let path = pod.join(name);
        while path.exists() {
            match sys::unmount(&c_path(&path)?) {
                Ok(()) => {}
                Err(sys::Errno(libc::EINVAL | libc::ENOENT)) => break,
                Err(errno) => return Err(Error::io(format!("unmounting {}", path.display()))(errno)),
            }
        }
    }
    remove_path(&pod)?;
    for container in containers::of_sandbox(inner, id)? {
        // Whatever shim serves this pod next does not know them: they ended, nobody knows how.
        remove_path(&layout.running().join(container))?;
    }
    let state = stored(layout, id)?;
    if let (Some(cgroups), Some(state)) = (&inner.cgroups, &state) {
        cgroup::remove(&cgroups.pod(&state.spec))?;
    }
    Ok(())
}

/// Asks the shim to kill its pod and end; kills it if it does not.
fn end_shim(pod: &Path) -> Result<(), Error> {
    let Some(pid) = shim_client::alive(pod)? else {
        return Ok(());
    };
    let handle = match sys::pidfd_open(pid) {
        Ok(handle) => handle,
        Err(sys::Errno(libc::ESRCH)) => return Ok(()),
        Err(errno) => return Err(Error::io("opening the shim's process")(errno)),
    };
    if shim_client::alive(pod)? != Some(pid) {
        return Ok(()); // it ended before we had its handle, which may be of another process
    }
    let asked =
        shim_client::ShimConnection::open(pod).and_then(|c| c.send(&Request::Shutdown {}, &[]).map(|()| c));
    let waited = asked.is_ok() && sys::poll_readable(handle.as_fd(), SHUTDOWN_MS).unwrap_or(false);
    if !waited {
        match sys::pidfd_signal(handle.as_fd(), libc::SIGKILL) {
            Ok(()) | Err(sys::Errno(libc::ESRCH)) => {}
            Err(errno) => return Err(Error::io("killing the shim")(errno)),
        }
        let gone =
            sys::poll_readable(handle.as_fd(), SHUTDOWN_MS).map_err(Error::io("waiting for the shim"))?;
        if !gone {
            return Err(Error::Io {
                what: "waiting for the shim to end".to_owned(),
                source: ErrorKind::TimedOut.into(),
            });
        }
    }
    Ok(())
}
