//! `start`, `kill`, `delete`, `pause`, `resume`.

use std::fs;
use std::io::Read;
use std::os::fd::AsFd;

use oci_spec::runtime::ContainerState;

use super::Error;
use super::arguments::{Global, KillArgs};
use super::state::{Container, find};
use crate::node::{cgroup, signal_number};
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
    // Not blocking: a process that dies before it opens the other end never would.
    let mut fifo = nonblocking(&path)?;
    let gone = || Error::Invalid("cannot start a container that has stopped".to_owned());
    let (pid, started) = container.init.ok_or_else(gone)?;
    let init = sys::pidfd_open(pid).map_err(|_| gone())?;
    if crate::shim::launcher::start_time(pid) != Some(started) {
        return Err(gone());
    }
    let epoll = sys::Epoll::new().map_err(Error::io("waiting for the container"))?;
    for (fd, token) in [(fifo.as_fd(), 0), (init.as_fd(), 1)] {
        epoll
            .add(fd, libc::EPOLLIN, token)
            .map_err(Error::io("waiting for the container"))?;
    }
    let mut ready = Vec::new();
    loop {
        epoll
            .wait(&mut ready, -1)
            .map_err(Error::io("waiting for the container"))?;
        if fifo.read(&mut [0]).is_ok_and(|n| n == 1) {
            break;
        }
        if ready.iter().any(|event| event.token == 1) {
            return Err(gone());
        }
    }
    fs::remove_file(&path).map_err(Error::io("removing exec.fifo"))
}

fn nonblocking(path: &std::path::Path) -> Result<fs::File, Error> {
    use std::os::unix::fs::OpenOptionsExt;
    fs::File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(Error::io(format!("opening {}", path.display())))
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
        .map_err(Error::io(format!("removing {}", container.directory.display())))
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
