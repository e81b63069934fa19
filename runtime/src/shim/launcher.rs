//! The launcher of the OCI command line: the small program that the `keelson` binary becomes, from the same sealed
//! memory file as the shim, before it makes a container process. So the `keelson` file itself is never the executable
//! of a process that a container can see.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{IsTerminal, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::foreground::{self, Relay};
use super::lines;
use crate::launch::{
    Gate, HookPoint, Launched, Plan, Process, RecordKind, SeccompListener, SpawnError, become_container_root,
    replace_null_streams, run_hooks, spawn_container, spawn_session,
};
use crate::sys::{self, Attributes, Errno};
use crate::wire::{Wire, wire_struct};

/// Exit status of an `exec` that came to nothing, as runc has it: no program's own is mistaken for it.
pub const EXEC_FAILED: i32 = 255;

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
        /// Cgroup directory that the process is born in.
        pub cgroup: Option<String>,
        /// The cgroup has others in it, and stays when the container goes.
        pub cgroup_shared: bool,
        /// The cgroup is systemd's, which removes it when it is empty, and would not notice if we did.
        pub cgroup_of_systemd: bool,
        /// A process that has kept the cgroup alive until now, our child; 0 for none.
        pub placeholder: i32,
        /// Run the program at once, instead of when the state directory's `exec.fifo` is opened.
        pub run: bool,
        /// Keep the container when it has ended.
        pub keep: bool,
        /// Do not wait for the end of the process.
        pub detach: bool,
        /// Write the process id there.
        pub pid_file: Option<String>,
        /// Send the terminal there, instead of relaying it.
        pub console_socket: Option<String>,
        /// Send a pidfd of the process there.
        pub pidfd_socket: Option<String>,
        /// Write errors there.
        pub log: Option<String>,
        /// As JSON.
        pub log_json: bool,
        /// How many descriptors from 3 on the process keeps.
        pub preserve_fds: u32,
        /// The container's state as [`crate::launch::Hooks::state`] has it, for a seccomp agent of an exec.
        pub oci_state: String,
    }
}

/// Reports an error as OCI runtimes do: to standard error, and to the log that the caller reads.
pub fn report(log: Option<&str>, json: bool, message: &str) {
    self::log(log, json, "error", message);
}

/// As [`report`], for what is of another level in the log.
pub fn log(log: Option<&str>, json: bool, level: &str, message: &str) {
    // Our standard error may be the container's, and ends in its log: what is no error goes there only for a person.
    if level == "error" || (log.is_none() && std::io::stderr().is_terminal()) {
        eprintln!("keelson runtime: {message}");
    }
    let Some(path) = log else { return };
    let time = lines::rfc3339(lines::now());
    let quoted = quote(message);
    let line = if json {
        format!("{{\"level\":\"{level}\",\"msg\":{quoted},\"time\":\"{time}\"}}\n")
    } else {
        format!("time=\"{time}\" level={level} msg={quoted}\n")
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

/// Notes the first process, so that whoever comes after us finds it. Before it goes on: it ends by itself if we end
/// without having told it to.
fn record(request: &LaunchRequest, child: &sys::Child) -> Result<(), SpawnError> {
    let writing = |e: std::io::Error| failed("writing the state")(e.into());
    let started = start_time(child.pid).unwrap_or(0);
    let path = Path::new(&request.state).join(INIT);
    let text = format!("pid {}\nstarted {started}\n", child.pid);
    write_whole(&path, &text).map_err(writing)
}

/// Tells the caller of the process: its id in a file, a descriptor of it through a socket.
fn publish(request: &LaunchRequest, child: &sys::Child) -> Result<(), SpawnError> {
    if let Some(path) = &request.pid_file {
        let written = write_whole(Path::new(path), &child.pid.to_string());
        written.map_err(|e| failed(&format!("writing {path}"))(e.into()))?;
    }
    if let Some(path) = &request.pidfd_socket {
        let what = format!("sending the pidfd to {path}");
        let socket = UnixStream::connect(path).map_err(|e| failed(&what)(e.into()))?;
        sys::send_with_fds(socket.as_fd(), b"pidfd", &[child.pidfd.as_fd()]).map_err(failed(&what))?;
    }
    Ok(())
}

/// Writes a file that appears whole or not at all. What lies beside it, maybe a link that leads elsewhere, is not written
/// to but taken away.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}"));
    let open = || File::options().write(true).create_new(true).open(&beside);
    let mut file = match open() {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            fs::remove_file(&beside)?;
            open()?
        }
        other => other?,
    };
    file.write_all(text.as_bytes())?;
    fs::rename(&beside, path)
}

/// The file of a state directory that names the first process: lines of KEY VALUE, of which unknown ones are for newer
/// versions.
pub const INIT: &str = "init";

/// Process id and start time of that file.
pub fn parse_init(text: &str) -> Option<(i32, u64)> {
    let value = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
    };
    let pid = value("pid")?.parse().ok().filter(|pid| *pid > 0)?;
    Some((pid, value("started")?.parse().ok()?))
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

/// Hands a seccomp listener to its agent, with the state that the specification wants (`config-linux.md`,
/// containerprocessstate).
fn send_listener(
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

fn send_terminal(path: &str, master: &OwnedFd) -> Result<(), SpawnError> {
    let socket = UnixStream::connect(path).map_err(|e| failed(&format!("connecting to {path}"))(e.into()))?;
    sys::send_with_fds(socket.as_fd(), b"/dev/ptmx", &[master.as_fd()])
        .map_err(failed("sending the terminal"))?;
    Ok(())
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
