//! `delete`. What there may be to remove is in the state directory, which goes last: interrupted anywhere, the next one
//! goes on from there.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use super::arguments::Global;
use super::lifecycle::signal_init;
use super::state::{Container, Status, creator, directory, find};
use super::{Error, cgroups};
use crate::launch::{HookPoint, run_hooks};
use crate::plan::oci_hooks;
use crate::sys;

/// SIGKILL ends a process at once, unless it is stuck in the kernel.
const STUCK_MS: i32 = 10_000;

pub(super) fn delete(global: &Global, id: &str, force: bool) -> Result<(), Error> {
    let state = directory(global, id)?;
    if force {
        end_creator(&state);
    }
    let container = match find(global, id) {
        // Half made, with nothing but the directory; or half removed, and nothing but that is left.
        Err(Error::NotFound(_)) if state.is_dir() && creator(&state).is_none() => return remove(&state),
        Err(Error::NotFound(_)) if force => return Ok(()),
        other => other?,
    };
    if matches!(
        container.status,
        Status::Creating | Status::Running | Status::Paused
    ) && !force
    {
        let state = container.status;
        return Err(Error::Invalid(format!(
            "cannot delete container {id} that is not stopped: {state}"
        )));
    }
    // A created container has run nothing yet and may be deleted, as in runc.
    end_init(&container);
    cgroups::remove(&container.stored)?;
    let stored = &container.stored;
    // Before the state goes: an interrupted deletion runs them again rather than never.
    let hooks = oci_hooks(&stored.spec, &stored.id, &stored.bundle)?;
    if let Err(error) = run_hooks(&hooks, HookPoint::Stopped, 0) {
        global.warn(&error.message); // it is gone all the same
    }
    remove(&container.directory)
}

fn end_init(container: &Container) {
    let Some((pid, _)) = container.init else { return };
    let handle = sys::pidfd_open(pid);
    let _ = signal_init(container, libc::SIGKILL); // gone is fine
    if let Ok(handle) = handle {
        let _ = sys::poll_readable(handle.as_fd(), STUCK_MS);
    }
}

/// Ends whoever is creating the container at this moment. Its unrecorded child ends by itself then.
fn end_creator(state: &Path) {
    let Some(pid) = creator(state) else { return };
    let Ok(handle) = sys::pidfd_open(pid) else { return };
    if creator(state) == Some(pid) {
        let _ = sys::pidfd_signal(handle.as_fd(), libc::SIGKILL);
        let _ = sys::poll_readable(handle.as_fd(), STUCK_MS);
    }
}

fn remove(directory: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(directory) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()), // somebody else did
        other => other.map_err(Error::io(format!("removing {}", directory.display()))),
    }
}
