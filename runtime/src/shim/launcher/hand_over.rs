//! Descriptors that the process makes and others wait for: its terminal, its seccomp listener.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use super::report::quote;
use super::{LaunchRequest, failed};
use crate::launch::{SeccompListener, SpawnError};
use crate::sys;

/// Hands a seccomp listener to its agent, with the state that the specification wants (`config-linux.md`,
/// containerprocessstate).
pub(super) fn send_listener(
    request: &LaunchRequest,
    agent: &SeccompListener,
    listener: &OwnedFd,
    pid: i32,
) -> Result<(), SpawnError> {
    let (state, status, init) = match &request.plan {
        Some(plan) => (&plan.hooks.state, "creating", pid),
        None => (&request.oci_state, "running", request.init),
    };
    let state = format!("{state},\"status\":\"{status}\",\"pid\":{init}}}");
    let metadata = quote(&agent.metadata);
    let message = format!(
        "{{\"ociVersion\":\"1.2.0\",\"fds\":[\"seccompFd\"],\"pid\":{pid},\"metadata\":{metadata},\"state\":{state}}}"
    );
    let path = &agent.path;
    let what = format!("sending the seccomp listener to {path}");
    let socket = UnixStream::connect(path).map_err(|e| failed(&what)(e.into()))?;
    let sent =
        sys::send_with_fds(socket.as_fd(), message.as_bytes(), &[listener.as_fd()]).map_err(failed(&what))?;
    (&socket)
        .write_all(&message.as_bytes()[sent..])
        .map_err(|e| failed(&what)(e.into()))
}

pub(super) fn send_terminal(path: &str, master: &OwnedFd) -> Result<(), SpawnError> {
    let socket = UnixStream::connect(path).map_err(|e| failed(&format!("connecting to {path}"))(e.into()))?;
    sys::send_with_fds(socket.as_fd(), b"/dev/ptmx", &[master.as_fd()])
        .map_err(failed("sending the terminal"))?;
    Ok(())
}
