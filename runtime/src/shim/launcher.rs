//! The launcher of the OCI command line: the small program that the `keelson` binary becomes, from the same sealed
//! memory file as the shim, before it makes a container process. So the `keelson` file itself is never the executable
//! of a process that a container can see.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::lines;
use super::protocol::RunningRecord;
use crate::launch::{
    Gate, Launched, Plan, Process, RecordKind, SpawnError, replace_null_streams, spawn_container,
    spawn_session,
};
use crate::sys::{self, Attributes, Errno};
use crate::wire::{Wire, wire_struct};

/// Its argument 0.
pub const NAME: &str = "keelson-launch";

wire_struct! {
    /// What to launch, in a memory file whose number is the first argument.
    #[derive(Debug, Clone, PartialEq)]
    pub struct LaunchRequest {
        /// The container; or none, for a process in the one whose first process is `init`.
        pub plan: Option<Plan>,
        /// The process of an exec.
        pub process: Option<Process>,
        /// Process id of the container's first process, for an exec.
        pub init: i32,
        /// Its start time, in clock ticks since boot, which tells it from a later process with its id.
        pub init_started: u64,
        /// Root filesystem directory.
        pub rootfs: String,
        /// The container's state directory.
        pub state: String,
        /// Cgroup directory, removed when a container that was never more than half made goes.
        pub cgroup: Option<String>,
        /// Run the program at once, instead of when the state directory's `exec.fifo` is opened.
        pub run: bool,
        /// Do not wait for the end of the process.
        pub detach: bool,
        /// Write the process id there.
        pub pid_file: Option<String>,
        /// Send the terminal there.
        pub console_socket: Option<String>,
        /// Write errors there.
        pub log: Option<String>,
        /// As JSON.
        pub log_json: bool,
    }
}

/// Reports an error as OCI runtimes do: to standard error, and to the log that the caller reads.
pub fn report(log: Option<&str>, json: bool, message: &str) {
    eprintln!("keelson runtime: {message}");
    let Some(path) = log else { return };
    let time = lines::rfc3339(lines::now());
    let quoted = quote(message);
    let line = if json {
        format!("{{\"level\":\"error\",\"msg\":{quoted},\"time\":\"{time}\"}}\n")
    } else {
        format!("time=\"{time}\" level=error msg={quoted}\n")
    };
    if let Ok(mut file) = File::options().append(true).create(true).open(path) {
        let _ = file.write_all(line.as_bytes());
    }
}

/// A JSON string.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.extend(format!("\\u{:04x}", c as u32).chars()),
            c => out.push(c),
        }
    }
    out + "\""
}

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
    let Some(request) = request() else { return 2 };
    match launch(&request) {
        Ok(code) => code,
        Err(error) => {
            if request.plan.is_some() {
                clean_up(&request);
            }
            report(request.log.as_deref(), request.log_json, &error.message);
            if request.plan.is_none() {
                error.exit_code
            } else {
                1
            }
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

/// Removes a container that came to nothing, or one that `run` has waited for.
fn clean_up(request: &LaunchRequest) {
    let _ = fs::remove_dir_all(&request.state);
    if let Some(cgroup) = &request.cgroup {
        super::container::kill_cgroup(cgroup);
        let _ = fs::remove_dir(cgroup);
    }
}

fn launch(request: &LaunchRequest) -> Result<i32, SpawnError> {
    let signals = if request.detach {
        None
    } else {
        // Before the process is there: no signal may be lost between.
        Some(sys::all_signals_fd().map_err(failed("blocking signals"))?)
    };
    replace_null_streams().map_err(failed("opening the null device"))?;
    let (launched, process) = start(request)?;
    let Launched { child, channel } = launched;
    let outcome = watch(request, &channel, process);
    if let Err(error) = outcome {
        let _ = sys::pidfd_signal(child.pidfd.as_fd(), libc::SIGKILL);
        let _ = sys::wait_pidfd(child.pidfd.as_fd());
        return Err(error);
    }
    if let Some(path) = &request.pid_file {
        fs::write(path, child.pid.to_string()).map_err(|e| failed(&format!("writing {path}"))(e.into()))?;
    }
    if request.plan.is_some() {
        let record = RunningRecord {
            pid: child.pid,
            started_at: start_time(child.pid).unwrap_or(0),
        };
        let path = Path::new(&request.state).join("init");
        fs::write(&path, record.to_bytes()).map_err(|e| failed("writing the state")(e.into()))?;
    }
    let Some(signals) = signals else { return Ok(0) };
    let code = wait(&signals, &child)?;
    if request.plan.is_some() {
        clean_up(request);
    }
    Ok(code)
}

/// Clones the process.
fn start(request: &LaunchRequest) -> Result<(Launched, &Process), SpawnError> {
    if let Some(plan) = &request.plan {
        let rootfs = open_rootfs(&request.rootfs)?;
        let gate = if request.run {
            Gate::Open
        } else {
            let state =
                File::open(&request.state).map_err(|e| failed("opening the state directory")(e.into()))?;
            Gate::Fifo(OwnedFd::from(state))
        };
        return Ok((spawn_container(plan, rootfs, None, gate)?, &plan.process));
    }
    let process = request
        .process
        .as_ref()
        .ok_or_else(|| failed("nothing to launch")(Errno(libc::EINVAL)))?;
    let init = sys::pidfd_open(request.init).map_err(failed("opening the container's first process"))?;
    if start_time(request.init) != Some(request.init_started) {
        return Err(failed("the container is not running")(Errno(libc::ESRCH)));
    }
    Ok((
        spawn_session(process, init.as_fd(), request.cgroup.as_deref(), None)?,
        process,
    ))
}

/// The root directory as a mount of its own, seen by nobody else.
fn open_rootfs(path: &str) -> Result<OwnedFd, SpawnError> {
    let what = format!("opening root filesystem {path}");
    let c_path = CString::new(path).map_err(|_| failed(&what)(Errno(libc::EINVAL)))?;
    let root = sys::open_path(&c_path, libc::O_PATH | libc::O_DIRECTORY).map_err(failed(&what))?;
    let tree = sys::open_tree(root.as_fd(), true).map_err(failed(&what))?;
    let private = Attributes {
        propagation: libc::MS_PRIVATE,
        ..Attributes::default()
    };
    sys::mount_set_attributes(tree.as_fd(), private, true).map_err(failed(&what))?;
    Ok(tree)
}

/// Follows the process until it is created, or runs.
fn watch(
    request: &LaunchRequest,
    channel: &crate::launch::Channel,
    process: &Process,
) -> Result<(), SpawnError> {
    loop {
        match channel
            .receive()
            .map_err(failed("talking to the container's process"))?
        {
            Some((RecordKind::Terminal, Some(master))) => send_terminal(request, &master)?,
            Some((RecordKind::Ready, _)) if !request.run && request.plan.is_some() => return Ok(()),
            Some((RecordKind::Failed(failure), _)) => {
                return Err(SpawnError::from_failure(failure, request.plan.as_ref(), process));
            }
            Some(_) => {}
            None => return Ok(()),
        }
    }
}

fn send_terminal(request: &LaunchRequest, master: &OwnedFd) -> Result<(), SpawnError> {
    let Some(path) = &request.console_socket else {
        return Err(failed("a terminal needs --console-socket")(Errno(libc::EINVAL)));
    };
    let socket = UnixStream::connect(path).map_err(|e| failed(&format!("connecting to {path}"))(e.into()))?;
    sys::send_with_fds(socket.as_fd(), b"/dev/ptmx", &[master.as_fd()])
        .map_err(failed("sending the terminal"))?;
    Ok(())
}

/// Waits for the end of the process; signals that come to us are for it.
fn wait(signals: &OwnedFd, child: &sys::Child) -> Result<i32, SpawnError> {
    let epoll = sys::Epoll::new().map_err(failed("waiting"))?;
    epoll
        .add(signals.as_fd(), libc::EPOLLIN, 0)
        .map_err(failed("waiting"))?;
    epoll
        .add(child.pidfd.as_fd(), libc::EPOLLIN, 1)
        .map_err(failed("waiting"))?;
    let mut ready = Vec::new();
    loop {
        epoll.wait(&mut ready, -1).map_err(failed("waiting"))?;
        if ready.iter().any(|event| event.token == 1) {
            return sys::wait_pidfd(child.pidfd.as_fd())
                .map(sys::Exit::shell_code)
                .map_err(failed("waiting"));
        }
        while let Some(signal) = sys::read_signal(signals.as_fd()) {
            if signal != libc::SIGCHLD {
                let _ = sys::pidfd_signal(child.pidfd.as_fd(), signal);
            }
        }
    }
}

/// Start time of a process in clock ticks since boot: field 22 of its `stat` (proc_pid_stat(5)).
pub fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in field 2 may contain anything, but ends with the last ")".
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    if *fields.first()? == "Z" || *fields.first()? == "X" {
        return None; // ended, and waiting to be reaped
    }
    fields.get(19)?.parse().ok()
}
