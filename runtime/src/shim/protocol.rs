//! What the runtime and a shim say to each other, over the shim's unix socket and in the files that it leaves.
//!
//! A message is its length (u32, little endian) and its bytes. A connection carries one request and its reply; after
//! `Exec` and `Attach` it stays open as that session's control line: `Resize` and `Kill` go one way, `Exited` comes
//! back.

use std::os::fd::{BorrowedFd, OwnedFd};

use crate::launch::{Plan, Process};
use crate::sys::{self, Errno, SysResult};
use crate::wire::{Wire, wire_enum, wire_struct};

/// Longest message: a plan with the largest environment the kernel takes fits well.
pub const MAX_MESSAGE: usize = 8 << 20;

wire_struct! {
    /// How to set up a sandbox; the shim reads it from standard input.
    #[derive(Debug, Clone, PartialEq)]
    pub struct SandboxPlan {
        /// Pod UID.
        pub id: String,
        /// Directory of the shim's socket, `shim.sock`, and lock, `shim.lock`.
        pub directory: String,
        /// Directory for the records of containers that run.
        pub running: String,
        /// Directory for the records of containers that have ended; watched by the runtime.
        pub exits: String,
        /// Namespaces to make (`CLONE_NEW*`) and the files to pin them on; empty where nobody needs one.
        pub pins: Vec<(u64, String)>,
        /// Host name, where the UTS namespace is fresh.
        pub hostname: Option<String>,
        /// Kernel parameters: file below `/proc/sys`, value.
        pub sysctls: Vec<(String, String)>,
        /// Cgroup directory for the shim itself, away from the kubelet's own.
        pub shim_cgroup: Option<String>,
        /// The pod's cgroup directory.
        pub pod_cgroup: Option<String>,
    }
}

wire_struct! {
    /// Where a container's output goes.
    #[derive(Debug, Clone, PartialEq)]
    pub struct LogPlan {
        /// File, in CRI format.
        pub path: String,
        /// Rotate past this many bytes; 0 never.
        pub max_size: u64,
        /// Files kept, the current one included.
        pub max_files: u32,
    }
}

wire_enum! {
    /// A request.
    #[derive(Debug, Clone, PartialEq)]
    pub enum Request {
        /// Creates a container; the root filesystem's detached mount comes along.
        Create = 1 {
            /// Container id.
            id: String,
            /// Its plan.
            plan: Plan,
            /// Keep a stdin for attach.
            stdin: bool,
            /// Close it after the first attach session with stdin.
            stdin_once: bool,
            /// Log.
            log: Option<LogPlan>,
        }
        /// Runs a created container.
        Start = 2 {
            /// Container id.
            id: String,
        }
        /// Runs a process in a container.
        Exec = 3 {
            /// Container id.
            id: String,
            /// The process.
            process: Process,
            /// Cgroup directory.
            cgroup: Option<String>,
            /// Which streams to connect: bit 0 stdin, 1 stdout, 2 stderr.
            streams: u8,
        }
        /// Connects to a container's streams.
        Attach = 4 {
            /// Container id.
            id: String,
        }
        /// Changes the terminal's size (control line of a session).
        Resize = 5 {
            /// Columns.
            columns: u16,
            /// Rows.
            rows: u16,
        }
        /// Kills the exec'd process (control line).
        Kill = 6 {}
        /// Sends a signal to a container's first process.
        Signal = 7 {
            /// Container id.
            id: String,
            /// Number.
            signal: i32,
        }
        /// Reopens a container's log file.
        ReopenLog = 8 {
            /// Container id.
            id: String,
        }
        /// Forgets a container, killing it if it still lives.
        Forget = 9 {
            /// Container id.
            id: String,
        }
        /// Kills everything and ends.
        Shutdown = 10 {}
    }
}

wire_enum! {
    /// An answer.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum Reply {
        /// Done.
        Done = 1 {}
        /// The container is created.
        Created = 2 {
            /// Host process id.
            pid: i32,
        }
        /// A session; its streams come along in order stdin, stdout, stderr.
        Session = 3 {
            /// Which streams come: bit 0 stdin, 1 stdout, 2 stderr.
            streams: u8,
            /// Whether it is a terminal: then one descriptor is both stdin and stdout.
            terminal: bool,
        }
        /// The session's process (or the attached container) has ended.
        Exited = 4 {
            /// Exit code, 128 + signal.
            code: i32,
        }
        /// Failed.
        Failed = 5 {
            /// What failed.
            message: String,
            /// For a process that could not start: the exit code to report. 0: some other failure.
            exit_code: i32,
        }
        /// No such container.
        NotFound = 6 {}
    }
}

wire_struct! {
    /// File `running/ID`: a container's first process lives (or lived: an exit record wins).
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct RunningRecord {
        /// Host process id.
        pub pid: i32,
        /// Start, nanoseconds since the epoch; 0 while only created.
        pub started_at: u64,
    }
}

wire_struct! {
    /// File `exits/ID`: a container's first process has ended.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct ExitRecord {
        /// Exit code; 128 + signal.
        pub code: i32,
        /// The signal that ended it.
        pub signal: Option<i32>,
        /// Start, nanoseconds since the epoch; 0 if never started.
        pub started_at: u64,
        /// End, nanoseconds since the epoch.
        pub finished_at: u64,
        /// The kernel killed a process of it for want of memory.
        pub oom_killed: bool,
    }
}

/// A message with its length in front.
pub fn frame(message: &impl Wire) -> Vec<u8> {
    let mut out = vec![0; 4];
    message.put(&mut out);
    let length = (out.len() - 4) as u32;
    out[..4].copy_from_slice(&length.to_le_bytes());
    out
}

/// Takes a whole message off the front of `buffer`, if one is there. A length beyond [`MAX_MESSAGE`] is an error.
pub fn unframe<T: Wire>(buffer: &mut Vec<u8>) -> Result<Option<T>, Errno> {
    let Some(head) = buffer.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*head) as usize;
    if length > MAX_MESSAGE {
        return Err(Errno(libc::EMSGSIZE));
    }
    if buffer.len() < 4 + length {
        return Ok(None);
    }
    let message = T::from_bytes(&buffer[4..4 + length]).map_err(|_| Errno(libc::EBADMSG))?;
    buffer.drain(..4 + length);
    Ok(Some(message))
}

/// Sends a message on a blocking socket, descriptors with its first byte.
pub fn send(socket: BorrowedFd<'_>, message: &impl Wire, fds: &[BorrowedFd<'_>]) -> SysResult<()> {
    let bytes = frame(message);
    let mut sent = sys::send_with_fds(socket, &bytes, fds)?;
    while sent < bytes.len() {
        sent += sys::send_with_fds(socket, &bytes[sent..], &[])?;
    }
    Ok(())
}

/// Receives one message from a blocking socket. `EPIPE`: the other side has gone.
pub fn receive<T: Wire>(
    socket: BorrowedFd<'_>,
    buffer: &mut Vec<u8>,
    fds: &mut Vec<OwnedFd>,
) -> SysResult<T> {
    loop {
        if let Some(message) = unframe(buffer)? {
            return Ok(message);
        }
        let mut chunk = [0; 4096];
        let n = sys::receive_with_fds(socket, &mut chunk, fds)?;
        if n == 0 {
            return Err(Errno(libc::EPIPE));
        }
        buffer.extend_from_slice(&chunk[..n]);
    }
}

/// The present time, RFC 3339.
pub fn timestamp() -> String {
    super::lines::rfc3339(super::lines::now())
}
