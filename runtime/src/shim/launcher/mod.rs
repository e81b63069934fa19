//! The launcher of the OCI command line: the small program that the `keelson` binary becomes, from the same sealed
//! memory file as the shim, before it makes a container process. So the `keelson` file itself is never the executable
//! of a process that a container can see.

mod hand_over;
mod record;
mod report;
mod request;

use std::ffi::CString;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use super::foreground::{self, Relay};
use crate::launch::{
    Gate, HookPoint, Launched, Process, RecordKind, SpawnError, become_container_root, replace_null_streams,
    run_hooks, spawn_container, spawn_session,
};
use crate::sys::{self, Attributes, Errno};
use crate::wire::Wire;
use hand_over::{send_listener, send_terminal};
pub use record::{INIT, parse_init, start_time};
use record::{publish, record};
pub use report::{log, report};
pub use request::LaunchRequest;

/// Exit status of an `exec` that came to nothing, as runc has it: no program's own is mistaken for it.
pub const EXEC_FAILED: i32 = 255;

/// Its argument 0.
pub const NAME: &str = "keelson-launch";

/// The program. Exit status: that of the process, if it was waited for; 0 or 1 else.
pub(super) fn main() -> i32 {
    let request = || -> Option<LaunchRequest> {
        let fd: u32 = std::env::args().nth(1)?.parse().ok()?;
        let mut bytes = Vec::new();
        File::open(format!("/proc/self/fd/{fd}"))
            .ok()?
            .read_to_end(&mut bytes)
            .ok()?;
        LaunchRequest::from_bytes(&bytes).ok()
    };
    let Some(mut request) = request() else { return 2 };
    // They must be there before anything else takes their numbers.
    if let Some(fd) = (3..3 + request.preserve_fds as i32).find(|fd| !sys::is_open(*fd)) {
        report(
            request.log.as_deref(),
            request.log_json,
            &format!("file descriptor {fd} to preserve is not open"),
        );
        return 1;
    }
    if let Some(process) = request
        .plan
        .as_mut()
        .map(|plan| &mut plan.process)
        .or(request.process.as_mut())
    {
        process.preserve_fds = request.preserve_fds;
        if process.terminal && request.console_socket.is_none() {
            // From the beginning, not only when the relay gets to it.
            process.size = process.size.or_else(|| sys::size_of(std::io::stdin().as_fd()));
        }
    }
    let outcome = match &mut request.plan {
        Some(plan) => become_container_root(&mut plan.namespaces),
        None => Ok(()),
    };
    match outcome.and_then(|()| launch(&request)) {
        Ok(code) => code,
        Err(error) => {
            if request.plan.is_some() {
                clean_up(&request);
            }
            report(request.log.as_deref(), request.log_json, &error.message);
            if request.plan.is_none() { EXEC_FAILED } else { 1 }
        }
    }
}

fn failed(what: &str) -> impl Fn(Errno) -> SpawnError + '_ {
    move |errno| SpawnError {
        message: format!("{what}: {errno}"),
        errno,
        exit_code: 128,
    }
}

/// Removes a container that came to nothing, or one that `run` has waited for, and runs its poststop hooks: their failure
/// is for the log only.
fn clean_up(request: &LaunchRequest) {
    let cgroup = request.cgroup.as_ref().filter(|_| !request.cgroup_shared);
    if let Some(cgroup) = cgroup {
        let path = Path::new(cgroup);
        let removed = if request.cgroup_of_systemd {
            crate::cgroup::kill(path)
        } else {
            crate::cgroup::remove(path)
        };
        if let Err(error) = removed {
            report(request.log.as_deref(), request.log_json, &error.to_string());
        }
    }
    let hooks = request.plan.as_ref().map(|plan| &plan.hooks);
    if let Some(Err(error)) = hooks.map(|hooks| run_hooks(hooks, HookPoint::Stopped, 0)) {
        report(request.log.as_deref(), request.log_json, &error.message);
    }
    let _ = fs::remove_dir_all(&request.state);
}

fn launch(request: &LaunchRequest) -> Result<i32, SpawnError> {
    let signals = if request.detach {
        None
    } else {
        // Before the process is there: no signal may be lost between.
        Some(sys::all_signals_fd().map_err(failed("blocking signals"))?)
    };
    let started = replace_null_streams()
        .map_err(failed("opening the null device"))
        .and_then(|()| start(request));
    if request.placeholder > 0 {
        let _ = sys::kill_pid(request.placeholder, libc::SIGKILL); // our child, not reaped before
        let _ = sys::pidfd_open(request.placeholder).and_then(|fd| sys::wait_pidfd(fd.as_fd()));
    }
    let (launched, process) = started?;
    let Launched { child, channel } = launched;
    let watched = watch(request, &channel, process, &child).and_then(|terminal| {
        if request.plan.is_none() {
            publish(request, &child)?;
        }
        Ok(terminal)
    });
    let terminal = match watched {
        Ok(terminal) => terminal,
        Err(error) => {
            let _ = sys::pidfd_signal(child.pidfd.as_fd(), libc::SIGKILL);
            let _ = sys::wait_pidfd(child.pidfd.as_fd());
            return Err(error);
        }
    };
    if let Some(plan) = request.plan.as_ref().filter(|_| request.run) {
        // Their failure is for the log only.
        if let Err(error) = run_hooks(&plan.hooks, HookPoint::Started, child.pid) {
            report(request.log.as_deref(), request.log_json, &error.message);
        }
    }
    let Some(signals) = signals else { return Ok(0) };
    let relay = terminal.map(Relay::new).transpose();
    let code = foreground::wait(&signals, &child, relay.map_err(failed("relaying the terminal"))?)
        .map_err(failed("waiting"))?;
    if request.plan.is_some() && !request.keep {
        clean_up(request);
    }
    Ok(code)
}

/// Clones the process.
fn start(request: &LaunchRequest) -> Result<(Launched, &Process), SpawnError> {
    if let Some(plan) = &request.plan {
        let rootfs = open_rootfs(&request.rootfs, plan.root_propagation)?;
        let gate = if request.run {
            Gate::Channel
        } else {
            // For both directions, so that neither end waits for the other to open it.
            let fifo = File::options()
                .read(true)
                .write(true)
                .open(Path::new(&request.state).join("exec.fifo"))
                .map_err(|e| failed("opening exec.fifo")(e.into()))?;
            Gate::Fifo(OwnedFd::from(fifo))
        };
        return Ok((spawn_container(plan, rootfs, None, gate, None)?, &plan.process));
    }
    let process = request
        .process
        .as_ref()
        .ok_or_else(|| failed("nothing to launch")(Errno(libc::EINVAL)))?;
    let init = sys::pidfd_open(request.init).map_err(failed("opening the container's first process"))?;
    if start_time(request.init) != Some(request.init_started) {
        return Err(failed("the container is not running")(Errno(libc::ESRCH)));
    }
    if !process.initial_affinity.is_empty() {
        sys::set_affinity(&process.initial_affinity).map_err(failed("setting the CPU affinity"))?;
    }
    let cgroup = request.cgroup.as_deref();
    let launched = spawn_session(process, init.as_fd(), request.init, cgroup, None)?;
    Ok((launched, process))
}

/// The root directory as a mount of its own, seen by nobody else. What the host mounts below it later is seen in there
/// only if the plan makes it a slave.
fn open_rootfs(path: &str, propagation: u64) -> Result<OwnedFd, SpawnError> {
    let what = format!("opening root filesystem {path}");
    let c_path = CString::new(path).map_err(|_| failed(&what)(Errno(libc::EINVAL)))?;
    let root = sys::open_path(&c_path, libc::O_PATH | libc::O_DIRECTORY).map_err(failed(&what))?;
    let tree = sys::open_tree(root.as_fd(), true).map_err(failed(&what))?;
    let slave = propagation & libc::MS_SLAVE != 0;
    let alone = Attributes {
        propagation: if slave { libc::MS_SLAVE } else { libc::MS_PRIVATE },
        ..Attributes::default()
    };
    sys::mount_set_attributes(tree.as_fd(), alone, true).map_err(failed(&what))?;
    Ok(tree)
}

/// Follows the process until it is created, or runs. Returns a terminal that is for us to relay.
fn watch(
    request: &LaunchRequest,
    channel: &crate::launch::Channel,
    process: &Process,
    child: &sys::Child,
) -> Result<Option<OwnedFd>, SpawnError> {
    let pid = child.pid;
    // An exec says nothing before it is one.
    let mut ready = request.plan.is_none();
    let mut terminal = None;
    let talking = || failed("talking to the container's process");
    loop {
        let Some(message) = channel.receive_message().map_err(talking())? else {
            return if ready {
                Ok(terminal)
            } else {
                Err(ended_early(child))
            };
        };
        match (message.kind, message.fd) {
            (RecordKind::Terminal, Some(master)) => match &request.console_socket {
                Some(path) => send_terminal(path, &master)?,
                None => terminal = Some(master),
            },
            (RecordKind::Ready, _) if request.plan.is_some() => {
                ready = true;
                record(request, child)?;
                publish(request, child)?;
                channel.open_gate().map_err(talking())?;
                if !request.run {
                    return Ok(None);
                }
            }
            (RecordKind::Failed(failure), _) => {
                let error = SpawnError::from_failure(failure, request.plan.as_ref(), process);
                return Err(error.with_detail(&message.text));
            }
            (RecordKind::Hooks, _) => {
                if let Some(plan) = &request.plan {
                    run_hooks(&plan.hooks, HookPoint::Created, pid)?;
                }
                channel.open_gate().map_err(talking())?;
            }
            (RecordKind::HookFailed(failure), _) => {
                return Err(match &request.plan {
                    Some(plan) => SpawnError::from_hook(failure, plan, &message.text),
                    None => failed("running a hook")(Errno(libc::ECANCELED)),
                });
            }
            (RecordKind::Listener, Some(listener)) => {
                let agent = process
                    .seccomp
                    .as_ref()
                    .and_then(|filter| filter.listener.as_ref());
                let agent = agent.ok_or_else(|| failed("seccomp listener")(Errno(libc::EINVAL)))?;
                send_listener(request, agent, &listener, pid)?;
            }
            _ => {}
        }
    }
}

/// The first process went while it was being set up, with nothing to say: somebody killed it.
fn ended_early(child: &sys::Child) -> SpawnError {
    let how = match sys::wait_pidfd(child.pidfd.as_fd()) {
        Ok(sys::Exit::Code(code)) => format!("with exit code {code}"),
        Ok(sys::Exit::Signal(signal)) => format!("by signal {signal}"),
        Err(errno) => errno.to_string(),
    };
    SpawnError {
        message: format!("the container's first process ended early: {how}"),
        errno: Errno(libc::ECHILD),
        exit_code: 128,
    }
}
