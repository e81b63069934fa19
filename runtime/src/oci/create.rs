//! `create` and `run`.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxNamespaceType, Spec};

use super::arguments::{CreateArgs, Global};
use super::listen::Listen;
use super::state::{Stored, claim};
use super::{Error, cgroups, host_sysctls};
use crate::launch::CStringArray;
use crate::plan::{self, OciPaths};
use crate::programs;
use crate::shim::launcher::{LaunchRequest, NAME};
use crate::sys;
use crate::wire::Wire;

/// Largest `config.json` that is read.
const MAX_CONFIG: u64 = 16 << 20;

/// A regular file only: a pipe would be waited for, and one that grows meanwhile is not read beyond the limit.
fn read_spec(global: &Global, bundle: &Path) -> Result<Spec, Error> {
    let path = bundle.join("config.json");
    let shown = path.display();
    let reading = || Error::io(format!("reading {shown}"));
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&path)
        .map_err(reading())?;
    if !file.metadata().map_err(reading())?.is_file() {
        return Err(Error::Invalid(format!("{shown} is not a regular file")));
    }
    let mut text = Vec::new();
    file.take(MAX_CONFIG + 1)
        .read_to_end(&mut text)
        .map_err(reading())?;
    if text.len() as u64 > MAX_CONFIG {
        return Err(Error::Invalid(format!(
            "{shown} is larger than {MAX_CONFIG} bytes"
        )));
    }
    let wrong = |e| Error::Invalid(format!("{shown}: {e}"));
    serde_json::from_slice(&text).or_else(|error| {
        // The rare way: what the error is about may be a capability of a kernel to come.
        let mut value: serde_json::Value = serde_json::from_slice(&text).map_err(wrong)?;
        let unknown = drop_unknown_capabilities(&mut value["process"]["capabilities"]);
        if unknown.is_empty() {
            return Err(wrong(error));
        }
        for name in unknown {
            global.warn(&format!("unknown capability {name:.50}: ignored"));
        }
        serde_json::from_value(value).map_err(wrong)
    })
}

/// Takes capabilities that we do not know out of the sets; they are to be warned of, and no reason to fail (config.md).
fn drop_unknown_capabilities(sets: &mut serde_json::Value) -> std::collections::BTreeSet<String> {
    let mut unknown = std::collections::BTreeSet::new();
    for set in sets
        .as_object_mut()
        .into_iter()
        .flat_map(|sets| sets.values_mut())
    {
        if let Some(names) = set.as_array_mut() {
            names.retain(|name| {
                let name = name.as_str().unwrap_or_default();
                let known = plan::capability_bit(name).is_some();
                if !known {
                    unknown.insert(name.to_owned());
                }
                known
            });
        }
    }
    unknown
}

pub(super) fn text(path: &Path) -> Result<String, Error> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| Error::Invalid(format!("path {} is not UTF-8", path.display())))
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(Error::io(format!("finding {}", path.display())))
}

pub(super) fn absolute_text(path: Option<&PathBuf>) -> Result<Option<String>, Error> {
    path.map(|path| text(&absolute(path)?)).transpose()
}

/// A terminal goes to a socket, or is relayed by us for as long as we wait; nothing else makes sense.
pub(super) fn check_terminal(terminal: bool, detach: bool, socket: bool) -> Result<(), Error> {
    let words = if detach && terminal && !socket {
        "cannot allocate tty if runtime will detach without setting console socket"
    } else if (!detach || !terminal) && socket {
        "cannot use console socket if runtime will not detach or allocate tty"
    } else {
        return Ok(());
    };
    Err(Error::Invalid(words.to_owned()))
}

/// Descriptors to pass on must be there before we open any of our own, which would otherwise take their numbers and end
/// up in the container.
pub(super) fn check_preserved(count: u32) -> Result<(), Error> {
    let missing = (3..3 + count as i32).find(|fd| !sys::is_open(*fd));
    missing.map_or(Ok(()), |fd| {
        Err(Error::Invalid(format!(
            "file descriptor {fd} to preserve is not open"
        )))
    })
}

pub(super) fn create(global: &Global, args: &CreateArgs, run: bool) -> Result<(), Error> {
    let listen = Listen::from_environment()?;
    check_preserved(args.preserve_fds + listen.count)?;
    let bundle = absolute(&args.bundle)?;
    let spec = read_spec(global, &bundle)?;
    let root = spec.root().as_ref().map(|root| bundle.join(root.path()));
    let root = root.ok_or_else(|| Error::Invalid("config.json has no root".to_owned()))?;
    let process = spec.process().as_ref();
    let terminal = process.is_some_and(|p| p.terminal().unwrap_or(false));
    check_terminal(terminal, args.detach || !run, args.console_socket.is_some())?;
    let (state, lock) = claim(global, &args.id)?;
    let state = absolute(&state)?;
    let mut stored = Stored {
        id: args.id.clone(),
        bundle,
        spec,
        created: crate::shim::protocol::timestamp(),
        owner: nix::unistd::getuid().as_raw(),
        ..Stored::default()
    };
    let result = prepare(global, args, &mut stored, (&state, &root), run, &listen)
        .and_then(|request| become_launcher(&request, Some(&lock)));
    // Only after a failure: else this process is the launcher by now.
    let _ = cgroups::remove(&stored);
    let _ = fs::remove_dir_all(&state);
    result
}

fn prepare(
    global: &Global,
    args: &CreateArgs,
    stored: &mut Stored,
    (state, root): (&Path, &Path),
    run: bool,
    listen: &Listen,
) -> Result<LaunchRequest, Error> {
    let spec = stored.spec.clone();
    let place = cgroups::plan(global, &spec, stored)?;
    stored.save(state)?; // before anything is made that would have to be removed
    let attach_point = attach_point(&spec, state)?;
    if !run {
        nix::unistd::mkfifo(
            &state.join("exec.fifo"),
            nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR,
        )
        .map_err(Error::io("making exec.fifo"))?;
    }
    let planned = stored.cgroup.clone();
    let placeholder = match place {
        Some(place) => place.make(global, &spec, stored)?,
        None => None,
    };
    if stored.cgroup != planned {
        stored.save(state)?;
    }
    let cgroup = stored.cgroup.as_deref().map(text).transpose()?;
    let paths = OciPaths {
        id: stored.id.clone(),
        bundle: stored.bundle.clone(),
        attach_point: text(&attach_point)?,
        cgroup: cgroup.clone(),
    };
    let mut plan = plan::oci(&spec, paths)?;
    listen.tell(&mut plan.process.env);
    host_sysctls::check(&plan)?;
    Ok(LaunchRequest {
        plan: Some(plan),
        process: None,
        init: 0,
        init_started: 0,
        rootfs: text(root)?,
        state: text(state)?,
        cgroup,
        cgroup_shared: stored.cgroup_shared,
        cgroup_of_systemd: stored.unit.is_some(),
        placeholder: placeholder.map_or(0, cgroups::Placeholder::hand_over),
        run,
        keep: args.keep,
        detach: args.detach || !run,
        pid_file: absolute_text(args.pid_file.as_ref())?,
        console_socket: absolute_text(args.console_socket.as_ref())?,
        pidfd_socket: absolute_text(args.pidfd_socket.as_ref())?,
        log: absolute_text(global.log.as_ref())?,
        log_json: global.log_json,
        preserve_fds: args.preserve_fds + listen.count,
        oci_state: String::new(),
    })
}

/// The directory that the root is attached on for the moment until it becomes the root. In a mount namespace of its own any
/// will do, so it is the one that is there; in one that is joined others see the mount, and it needs one of its own.
fn attach_point(spec: &Spec, state: &Path) -> Result<PathBuf, Error> {
    let namespaces = spec
        .linux()
        .as_ref()
        .and_then(|linux| linux.namespaces().as_ref());
    let own_mounts = namespaces
        .into_iter()
        .flatten()
        .any(|namespace| namespace.typ() == LinuxNamespaceType::Mount && namespace.path().is_none());
    if let Some(root) = state.parent().filter(|_| own_mounts) {
        return Ok(root.to_owned());
    }
    let own = state.join("rootfs");
    fs::create_dir(&own).map_err(Error::io("making the attach point"))?;
    Ok(own)
}

/// Turns this process into the launcher. Returns only on failure. The lock goes along.
pub(super) fn become_launcher(request: &LaunchRequest, lock: Option<&fs::File>) -> Result<(), Error> {
    let program = programs::shim().map_err(Error::io("making the launcher's memory file"))?;
    let message = sys::sealed_memory_file(c"keelson-launch", &request.to_bytes())
        .map_err(Error::io("making the launcher's request"))?;
    // The launcher opens it by its number: it must survive the exec, on a number that the container's process closes.
    let kept = nix::unistd::dup(message.as_fd()).map_err(Error::io("keeping the request"))?;
    if let Some(lock) = lock {
        // Open until the launcher ends, which owns it then: closing any descriptor of the file would give up the lock.
        let _ = nix::unistd::dup(lock.as_fd()).map(IntoRawFd::into_raw_fd);
    }
    let invalid = |e: crate::launch::SpawnError| Error::Invalid(e.message);
    let argv = CStringArray::new(&[NAME.to_owned(), kept.as_raw_fd().to_string()]).map_err(invalid)?;
    let envp = CStringArray::new(&[]).map_err(invalid)?;
    let errno = sys::execve_fd(program.as_fd(), argv.as_slice(), envp.as_slice());
    Err(Error::io("starting the launcher")(errno))
}
