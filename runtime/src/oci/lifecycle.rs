//! `start`, `kill`, `delete`, `pause`, `resume`.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use oci_spec::runtime::ContainerState;

use super::Error;
use super::arguments::{Global, KillArgs};
use super::state::{Container, find};
use crate::cgroup;
use crate::launch::{HookPoint, Record, RecordKind, SpawnError, run_hooks};
use crate::node::signal_number;
use crate::plan::{self, OciPaths, oci_hooks};
use crate::sys;

pub(super) fn start(global: &Global, id: &str) -> Result<(), Error> {
    let container = find(global, id)?;
    if container.status != ContainerState::Created {
        return Err(Error::Invalid(format!(
            "cannot start a container in the {} state",
            container.status
        )));
    }
    let path = container.directory.join("exec.fifo");
    let gone = || Error::Invalid("cannot start a container that has stopped".to_owned());
    let (pid, started) = container.init.ok_or_else(gone)?;
    let init = sys::pidfd_open(pid).map_err(|_| gone())?;
    if crate::shim::launcher::start_time(pid) != Some(started) {
        return Err(gone());
    }
    // Not blocking: without the process there is no reader, which is an error then.
    let mut fifo = fs::File::options()
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&path)
        .map_err(|_| gone())?;
    fifo.write_all(b"0").map_err(|_| gone())?;
    // The process closes its end when it execs, or ends.
    let epoll = sys::Epoll::new().map_err(Error::io("waiting for the container"))?;
    epoll
        .add(fifo.as_fd(), libc::EPOLLERR, 0)
        .and_then(|()| epoll.add(init.as_fd(), libc::EPOLLIN, 1))
        .and_then(|()| epoll.wait(&mut Vec::new(), -1))
        .map_err(Error::io("waiting for the container"))?;
    let failed = start_failure(&container, &path)?;
    fs::remove_file(&path).map_err(Error::io("removing exec.fifo"))?;
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
    let mut fifo = fs::File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(Error::io(format!("opening {}", path.display())))?;
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

fn signal_init(container: &Container, signal: i32) -> Result<(), Error> {
    let Some((pid, started)) = container.init else {
        return Err(Error::Invalid("container not running".to_owned()));
    };
    let gone = || Error::Invalid("container not running".to_owned());
    let handle = sys::pidfd_open(pid).map_err(|_| gone())?;
    if crate::shim::launcher::start_time(pid) != Some(started) {
        return Err(gone());
    }
    match sys::pidfd_signal(handle.as_fd(), signal) {
        Err(sys::Errno(libc::ESRCH)) => Err(gone()),
        other => other.map_err(Error::io("sending the signal")),
    }
}

pub(super) fn kill(global: &Global, args: &KillArgs) -> Result<(), Error> {
    let container = find(global, &args.id)?;
    let signal = signal_number(&args.signal)?;
    if args.all && signal == libc::SIGKILL {
        if let Some(path) = &container.stored.cgroup {
            return cgroup::kill(path).map_err(Error::from);
        }
    } else if args.all {
        for pid in super::inspect::pids(&container) {
            let _ = sys::kill_pid(pid, signal); // one that has just ended is not missed
        }
        return Ok(());
    }
    signal_init(&container, signal)
}

pub(super) fn delete(global: &Global, id: &str, force: bool) -> Result<(), Error> {
    let container = match find(global, id) {
        Err(Error::NotFound(_)) if force => return Ok(()),
        other => other?,
    };
    if let Some((pid, _)) = container.init {
        // A created container has run nothing yet and may be deleted, as in runc.
        if !force && container.status != ContainerState::Created {
            let state = container.status;
            return Err(Error::Invalid(format!(
                "cannot delete container {id} that is not stopped: {state}"
            )));
        }
        let handle = sys::pidfd_open(pid);
        signal_init(&container, libc::SIGKILL).ok();
        if let Ok(handle) = handle {
            const STUCK_MS: i32 = 10_000; // SIGKILL ends it at once, unless it is stuck in the kernel
            let _ = sys::poll_readable(handle.as_fd(), STUCK_MS);
        }
    }
    if let Some(path) = &container.stored.cgroup {
        cgroup::remove(path)?;
    }
    fs::remove_dir_all(&container.directory)
        .map_err(Error::io(format!("removing {}", container.directory.display())))?;
    let stored = &container.stored;
    let hooks = oci_hooks(&stored.spec, &stored.id, &stored.bundle)?;
    if let Err(error) = run_hooks(&hooks, HookPoint::Stopped, 0) {
        global.warn(&error.message); // it is gone all the same
    }
    Ok(())
}

pub(super) fn freeze(global: &Global, id: &str, frozen: bool) -> Result<(), Error> {
    let container = find(global, id)?;
    if container.init.is_none() {
        return Err(Error::Invalid("container not running".to_owned()));
    }
    let path = container
        .stored
        .cgroup
        .ok_or_else(|| Error::Invalid("no cgroup to freeze".to_owned()))?;
    fs::write(path.join("cgroup.freeze"), if frozen { "1" } else { "0" })
        .map_err(Error::io(format!("freezing {}", path.display())))
}
