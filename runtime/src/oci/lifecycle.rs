//! `start`, `kill`, `pause`, `resume`.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::Error;
use super::arguments::{Global, KillArgs};
use super::state::{Container, Status, find};
use crate::cgroup;
use crate::launch::{HookPoint, Record, RecordKind, SpawnError, run_hooks};
use crate::plan::{self, OciPaths, oci_hooks, signal_number};
use crate::sys;

pub(super) fn start(global: &Global, id: &str) -> Result<(), Error> {
    let container = find(global, id)?;
    match container.status {
        Status::Created => {}
        Status::Stopped => {
            return Err(Error::Invalid(
                "cannot start a container that has stopped".to_owned(),
            ));
        }
        Status::Paused => {
            return Err(Error::Invalid(
                "cannot start a container in the paused state".to_owned(),
            ));
        }
        Status::Running => {
            return Err(Error::Invalid(
                "cannot start an already running container".to_owned(),
            ));
        }
        Status::Creating => {
            return Err(Error::Invalid(
                "cannot start a container in the creating state".to_owned(),
            ));
        }
    }
    let path = container.directory.join("exec.fifo");
    let stopped = || Error::Invalid("cannot start a container that has stopped".to_owned());
    let (pid, started) = container.init.ok_or_else(stopped)?;
    let init = sys::pidfd_open(pid).map_err(|_| stopped())?;
    if crate::shim::launcher::start_time(pid) != Some(started) {
        return Err(stopped());
    }
    // Not blocking: without the process there is no reader, which is an error then.
    let mut fifo = fs::File::options()
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&path)
        .map_err(|_| stopped())?;
    fifo.write_all(b"0").map_err(|_| stopped())?;
    // The process closes its end when it execs, or ends.
    let epoll = sys::Epoll::new().map_err(Error::io("waiting for the container"))?;
    epoll
        .add(fifo.as_fd(), libc::EPOLLERR, 0)
        .and_then(|()| epoll.add(init.as_fd(), libc::EPOLLIN, 1))
        .and_then(|()| epoll.wait(&mut Vec::new(), -1))
        .map_err(Error::io("waiting for the container"))?;
    let failed = start_failure(&container, &path)?;
    match fs::remove_file(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {} // somebody else started it as well
        other => other.map_err(Error::io("removing exec.fifo"))?,
    }
    if let Some(error) = failed {
        return Err(error);
    }
    let stored = &container.stored;
    let hooks = oci_hooks(&stored.spec, &stored.id, &stored.bundle)?;
    if let Err(error) = run_hooks(&hooks, HookPoint::Started, pid) {
        global.warn(&error.message); // the container runs all the same
    }
    Ok(())
}

/// What the process left in the pipe, if it could not start the program: our own end keeps it there.
fn start_failure(container: &Container, path: &Path) -> Result<Option<Error>, Error> {
    let mut left = Vec::new();
    let mut buffer = [0; 1024];
    let opened = fs::File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path);
    let mut fifo = match opened {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None), // somebody else started it as well
        other => other.map_err(Error::io(format!("opening {}", path.display())))?,
    };
    while let Ok(n @ 1..) = fifo.read(&mut buffer) {
        left.extend_from_slice(&buffer[..n]);
    }
    let Some(record) = Record::decode(&left) else {
        return Ok(None);
    };
    let stored = &container.stored;
    let paths = OciPaths {
        id: stored.id.clone(),
        bundle: stored.bundle.clone(),
        attach_point: String::new(),
        cgroup: None,
    };
    let plan = plan::oci(&stored.spec, paths)?;
    let text = String::from_utf8_lossy(left.get(Record::SIZE..).unwrap_or_default()).into_owned();
    let error = match record.kind {
        RecordKind::Failed(failure) => {
            SpawnError::from_failure(failure, Some(&plan), &plan.process).with_detail(&text)
        }
        RecordKind::HookFailed(failure) => SpawnError::from_hook(failure, &plan, &text),
        _ => return Ok(None),
    };
    Ok(Some(Error::Invalid(error.message)))
}

pub(super) fn gone() -> Error {
    Error::Invalid("container not running".to_owned())
}

/// Sends a signal to the first process, and to no other that has its number by now.
pub(super) fn signal_init(container: &Container, signal: i32) -> Result<(), Error> {
    let (pid, started) = container.init.ok_or_else(gone)?;
    let handle = sys::pidfd_open(pid).map_err(|_| gone())?;
    if crate::shim::launcher::start_time(pid) != Some(started) {
        return Err(gone());
    }
    match sys::pidfd_signal(handle.as_fd(), signal) {
        Err(sys::Errno(libc::ESRCH)) => Err(gone()),
        other => other.map_err(Error::io("sending the signal")),
    }
}

/// Signals a process of a cgroup: by handle, and only if it is in there once the handle is held, for the number may be
/// another's by now.
fn signal_member(pid: i32, cgroup: &Path, signal: i32) {
    let Ok(handle) = sys::pidfd_open(pid) else { return };
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let place = text.lines().find_map(|line| line.strip_prefix("0::/"));
    let path = cgroup::mount_point()
        .zip(place)
        .map(|(mount, place)| mount.join(place));
    if path.is_some_and(|path| path.starts_with(cgroup)) {
        let _ = sys::pidfd_signal(handle.as_fd(), signal);
    }
}

pub(super) fn kill(global: &Global, args: &KillArgs) -> Result<(), Error> {
    let container = find(global, &args.id)?;
    let signal = match args.signal.as_str() {
        "0" => 0, // whether it is there
        name => signal_number(name)?,
    };
    if !args.all {
        return signal_init(&container, signal);
    }
    match container.stored.own_cgroup() {
        Some(path) if signal == libc::SIGKILL => cgroup::kill(path)?,
        Some(path) => {
            for pid in super::ps::pids(&container) {
                signal_member(pid, path, signal); // one that has just ended is not missed
            }
        }
        None => signal_init(&container, signal)?,
    }
    Ok(())
}

pub(super) fn freeze(global: &Global, id: &str, frozen: bool) -> Result<(), Error> {
    let container = find(global, id)?;
    match (frozen, container.status) {
        (true, Status::Running | Status::Created) | (false, Status::Paused) => {}
        (true, _) => return Err(Error::Invalid("container not running".to_owned())),
        (false, _) => return Err(Error::Invalid("container not paused".to_owned())),
    }
    let path = container.stored.own_cgroup();
    let path = path.ok_or_else(|| Error::Invalid("the container has no cgroup of its own".to_owned()))?;
    Ok(cgroup::freeze(path, frozen)?)
}
