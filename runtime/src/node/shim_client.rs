//! Starting shims, and talking to them.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use super::Error;
use crate::shim::protocol::{self, Reply, Request, SandboxPlan};
use crate::sys;
use crate::wire::Wire;

/// The shim program, built by `build.rs`.
static PROGRAM: &[u8] = include_bytes!(env!("KEELSON_SHIM"));
/// Its sealed memory file, made once per process.
static MEMORY_FILE: OnceLock<OwnedFd> = OnceLock::new();

/// How long a shim may take over a request. It answers in milliseconds; only one that is stuck in the kernel (a mount
/// source on a dead network file system) takes longer, and must not block the kubelet for ever.
const PATIENCE: Duration = Duration::from_mins(2);

/// The program copied by the kernel out of our own executable: read from our memory, all of it would count as ours.
fn copied() -> sys::SysResult<OwnedFd> {
    let address = PROGRAM.as_ptr() as u64;
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let offset = maps.lines().find_map(|line| file_offset(line, address));
    let offset = offset.ok_or(sys::Errno(libc::ENOENT))?;
    let mut own = File::open("/proc/self/exe")?;
    own.seek(SeekFrom::Start(offset))?;
    let mut memory = File::from(sys::executable_memory_file(c"keelson-shim")?);
    let copied = std::io::copy(&mut own.take(PROGRAM.len() as u64), &mut memory)?;
    let right = copied == PROGRAM.len() as u64 && starts_alike(&memory);
    sys::seal(memory.as_fd())?;
    right.then(|| memory.into()).ok_or(sys::Errno(libc::EIO))
}

/// Whether the copy begins and ends as the program does: a wrong offset would be a wrong program.
fn starts_alike(copy: &File) -> bool {
    use std::os::unix::fs::FileExt;
    const SAMPLE: usize = 1024;
    let mut bytes = [0; SAMPLE];
    [0, PROGRAM.len().saturating_sub(SAMPLE)].into_iter().all(|at| {
        let part = &PROGRAM[at..(at + SAMPLE).min(PROGRAM.len())];
        copy.read_exact_at(&mut bytes[..part.len()], at as u64).is_ok() && bytes[..part.len()] == *part
    })
}

/// Where in its file an address lies, by a line of `/proc/PID/maps` that covers it: `START-END PERMS OFFSET ...`.
fn file_offset(line: &str, address: u64) -> Option<u64> {
    let mut fields = line.split_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let hex = |text| u64::from_str_radix(text, 16).ok();
    let (start, end, offset) = (hex(start)?, hex(end)?, hex(fields.nth(1)?)?);
    (start..end)
        .contains(&address)
        .then(|| offset + (address - start))
}

/// The sealed memory file of the shim program.
pub(crate) fn program() -> Result<BorrowedFd<'static>, Error> {
    if let Some(fd) = MEMORY_FILE.get() {
        return Ok(fd.as_fd());
    }
    let fd = copied()
        .or_else(|_| sys::sealed_memory_file(c"keelson-shim", PROGRAM))
        .map_err(Error::io("making the shim's memory file"))?;
    Ok(MEMORY_FILE.get_or_init(|| fd).as_fd()) // of two racing makers, one's file is dropped
}

/// Starts a pod's shim, which sets up the sandbox; returns when it serves. The shim shares `lock` until then (as its
/// standard error): should we be killed in between, whoever cleans up after us waits for it to be complete, and finds it.
pub(super) fn start(plan: &SandboxPlan, lock: OwnedFd) -> Result<(), Error> {
    let what = || format!("starting the shim of pod {}", plan.id);
    let program = program()?;
    let mut child = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::from(lock))
        .spawn()
        .map_err(Error::io(what()))?;
    let mut answer = String::new();
    let exchange = || -> std::io::Result<()> {
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(&plan.to_bytes())?;
        }
        if let Some(mut stdout) = child.stdout.take() {
            stdout.read_to_string(&mut answer)?;
        }
        Ok(())
    };
    let mut exchange = exchange;
    let exchanged = exchange();
    let status = child.wait().map_err(Error::io(what()))?; // the shim itself is its grandchild, and goes on
    exchanged.map_err(Error::io(what()))?;
    if answer == "ok" {
        return Ok(());
    }
    let why = if answer.is_empty() {
        format!("it ended with {status}")
    } else {
        answer
    };
    Err(Error::Io {
        what: what(),
        source: std::io::Error::other(why),
    })
}

/// Process id of the living shim of a pod directory.
pub(super) fn alive(pod: &Path) -> Option<i32> {
    // A record lock: it goes with its process, and cannot be inherited. Opened for reading only: the end of a writer is
    // how `Events` notices the end of the shim.
    let file = File::open(pod.join("shim.lock")).ok()?;
    sys::lock_holder(file.as_fd()).ok()?
}

/// A connection to a shim.
#[derive(Debug)]
pub(super) struct ShimConnection {
    pub socket: UnixStream,
    buffer: Vec<u8>,
}

impl ShimConnection {
    /// Connects to the shim of a pod directory. `NotFound`: there is none.
    pub(super) fn open(pod: &Path) -> Result<Self, Error> {
        let what = || format!("connecting to the shim in {}", pod.display());
        let missing = |_| Error::NotFound(format!("shim in {}", pod.display()));
        let directory = File::open(pod).map_err(missing)?;
        // By way of the descriptor: the path may be longer than a socket address holds.
        let path = format!("/proc/self/fd/{}/shim.sock", directory.as_raw_fd());
        let socket = UnixStream::connect(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::NotFound => missing(source),
            _ => Error::Io { what: what(), source },
        })?;
        socket
            .set_read_timeout(Some(PATIENCE))
            .map_err(Error::io(what()))?;
        Ok(Self {
            socket,
            buffer: Vec::new(),
        })
    }

    /// Sends a message without waiting for an answer.
    pub(super) fn send(&self, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
        protocol::send(self.socket.as_fd(), request, fds).map_err(Error::io("sending to the shim"))
    }

    /// Receives a reply and the descriptors that come along.
    pub(super) fn receive(&mut self) -> Result<(Reply, Vec<OwnedFd>), Error> {
        let mut fds = Vec::new();
        let reply = protocol::receive(self.socket.as_fd(), &mut self.buffer, &mut fds)
            .map_err(Error::io("receiving from the shim"))?;
        Ok((reply, fds))
    }

    /// From now on, waits for the next reply as long as it takes.
    pub(super) fn wait_for_ever(&self) -> Result<(), Error> {
        self.socket
            .set_read_timeout(None)
            .map_err(Error::io("configuring the shim's connection"))
    }
}

/// One request, one reply; failures as errors. `what` names the container.
pub(super) fn call(
    pod: &Path,
    what: &str,
    request: &Request,
    fds: &[BorrowedFd<'_>],
) -> Result<Reply, Error> {
    let mut connection = ShimConnection::open(pod)?;
    connection.send(request, fds)?;
    let (reply, _) = connection.receive()?;
    succeeded(what, reply)
}

/// Turns replies that tell of a failure into errors.
pub(super) fn succeeded(what: &str, reply: Reply) -> Result<Reply, Error> {
    match reply {
        Reply::Failed {
            message,
            exit_code: 0,
        } => Err(Error::Io {
            what: format!("container {what}"),
            source: std::io::Error::other(message),
        }),
        Reply::Failed { message, exit_code } => Err(Error::Start { message, exit_code }),
        Reply::NotFound {} => Err(Error::NotFound(what.to_owned())),
        reply => Ok(reply),
    }
}
