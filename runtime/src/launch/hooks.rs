//! Running hooks (`config.md`, POSIX-platform hooks): the container's state on standard input, their own arguments and
//! environment, a time limit. The runner allocates nothing, so that a container's own process can use it as well.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use super::error::SpawnError;
use super::failure::{HookEnd, Words};
use super::plan::{Hook, Hooks};
use super::prepare::{CStringArray, c_string};
use crate::sys::{self, Child, Errno, Exit, SysResult};

/// When a hook of the runtime's side runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookPoint {
    /// Namespaces and mounts are there, the root is not changed yet: `prestart`, then `createRuntime`.
    Created,
    /// The program runs: `poststart`.
    Started,
    /// The container is gone: `poststop`.
    Stopped,
}

/// A list of hooks, ready to run.
#[derive(Debug)]
pub(super) struct PreparedHooks {
    state: Vec<u8>,
    directory: CString,
    list: Vec<PreparedHook>,
}

#[derive(Debug)]
struct PreparedHook {
    path: CString,
    argv: CStringArray,
    envp: CStringArray,
    /// Milliseconds; 0 is no limit.
    timeout: u64,
}

/// A hook that failed: its place in the list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failed {
    pub index: usize,
    pub end: HookEnd,
}

impl PreparedHooks {
    pub(super) fn new(list: &[Hook], hooks: &Hooks) -> Result<Self, SpawnError> {
        let prepare = |hook: &Hook| {
            Ok(PreparedHook {
                path: c_string(&hook.path)?,
                argv: CStringArray::new(&hook.args)?,
                envp: CStringArray::new(&hook.env)?,
                timeout: u64::from(hook.timeout) * 1000,
            })
        };
        Ok(Self {
            state: hooks.state.as_bytes().to_vec(),
            directory: c_string(&hooks.directory)?,
            list: list.iter().map(prepare).collect::<Result<_, SpawnError>>()?,
        })
    }

    /// Runs them in order until one fails, whose output is then in `words`.
    pub(super) fn run(&self, status: &str, pid: i32, words: &mut Words) -> Result<(), Failed> {
        for (index, hook) in self.list.iter().enumerate() {
            let end = match self.run_one(hook, status, pid, words) {
                Ok(HookEnd::Ended(Exit::Code(0))) => continue,
                Ok(end) => end,
                Err(errno) => HookEnd::Errno(errno),
            };
            return Err(Failed { index, end });
        }
        Ok(())
    }

    fn run_one(&self, hook: &PreparedHook, status: &str, pid: i32, words: &mut Words) -> SysResult<HookEnd> {
        let mut digits = [0; 20];
        let length = sys::decimal(u64::from(pid.unsigned_abs()), &mut digits);
        let stdin = sys::memory_file(
            c"state",
            &[
                &self.state,
                b",\"status\":\"",
                status.as_bytes(),
                b"\",\"pid\":",
                &digits[..length],
                b"}",
            ],
        )?;
        let (output, theirs) = sys::pipe()?;
        let child = sys::clone_plainly(|| {
            let errno = self.become_hook(hook, &stdin, &theirs);
            let why: &[u8] = match errno.0 {
                libc::ENOENT => b"cannot execute: no such file or directory",
                libc::EACCES => b"cannot execute: permission denied",
                libc::ENOEXEC => b"cannot execute: exec format error",
                _ => b"cannot execute",
            };
            let _ = sys::write_fd(theirs.as_fd(), why);
        })?;
        drop(theirs);
        sys::set_nonblocking(output.as_fd(), true)?;
        follow(&child, &output, hook.timeout, words)
    }

    /// Returns only on failure.
    fn become_hook(&self, hook: &PreparedHook, stdin: &OwnedFd, output: &OwnedFd) -> Errno {
        let ready = sys::reset_signals()
            .and_then(|()| sys::duplicate_to(stdin.as_fd(), 0))
            .and_then(|()| sys::duplicate_to(output.as_fd(), 1))
            .and_then(|()| sys::duplicate_to(output.as_fd(), 2))
            .and_then(|()| sys::cloexec_from(3));
        if let Err(errno) = ready {
            return errno;
        }
        // Inside the container there is no such directory, and the root has to do.
        if let Ok(directory) = sys::open_path(&self.directory, libc::O_PATH | libc::O_DIRECTORY) {
            let _ = sys::chdir_fd(directory.as_fd());
        }
        sys::execve(&hook.path, hook.argv.as_slice(), hook.envp.as_slice())
    }
}

/// Follows a hook to its end, and kills it when its time is up. Of its output the beginning is kept.
fn follow(child: &Child, output: &OwnedFd, timeout: u64, words: &mut Words) -> SysResult<HookEnd> {
    let begun = Instant::now();
    let mut open = true;
    loop {
        let left = match timeout {
            0 => -1,
            limit => {
                let left = limit.saturating_sub(begun.elapsed().as_millis() as u64);
                if left == 0 {
                    sys::pidfd_signal(child.pidfd.as_fd(), libc::SIGKILL)?;
                    sys::wait_pidfd(child.pidfd.as_fd())?;
                    return Ok(HookEnd::TimedOut);
                }
                left.min(i32::MAX as u64) as i32
            }
        };
        let ended = if open {
            sys::poll_two(child.pidfd.as_fd(), output.as_fd(), left)?.0
        } else {
            sys::poll_readable(child.pidfd.as_fd(), left)?
        };
        // Also after its end: what it said last. Something that it left running may hold the pipe; that is not waited for.
        open = open && read_output(output, words);
        if ended {
            return sys::wait_pidfd(child.pidfd.as_fd()).map(HookEnd::Ended);
        }
    }
}

/// Takes what there is; false at the end of the stream.
fn read_output(output: &OwnedFd, words: &mut Words) -> bool {
    let mut buffer = [0; 512];
    loop {
        match sys::read_fd(output.as_fd(), &mut buffer) {
            Ok(0) => return false,
            Ok(n) => words.push(&buffer[..n]),
            Err(_) => return true, // nothing at the moment
        }
    }
}

/// Puts a hook's failure into words.
pub(super) fn describe(kind: &str, index: usize, hook: &Hook, end: HookEnd, output: &[u8]) -> String {
    let how = match end {
        HookEnd::Ended(Exit::Code(code)) => format!("exit status {code}"),
        HookEnd::Ended(Exit::Signal(signal)) => format!("killed by signal {signal}"),
        HookEnd::TimedOut => format!("not done within {} seconds", hook.timeout),
        HookEnd::Errno(errno) => errno.to_string(),
    };
    let output = String::from_utf8_lossy(output);
    let output = output.trim();
    let rest = if output.is_empty() {
        String::new()
    } else {
        format!(": {output}")
    };
    format!("error running {kind} hook #{index} {}: {how}{rest}", hook.path)
}

/// Runs the hooks of a point, in the calling process's namespaces. Those of [`HookPoint::Stopped`] and
/// [`HookPoint::Started`] all run, and the error is the first one's: such failures are for the log only.
pub fn run_hooks(hooks: &Hooks, point: HookPoint, pid: i32) -> Result<(), SpawnError> {
    let lists: &[(&str, &[Hook])] = match point {
        HookPoint::Created => &[
            ("prestart", &hooks.prestart),
            ("createRuntime", &hooks.create_runtime),
        ],
        HookPoint::Started => &[("poststart", &hooks.poststart)],
        HookPoint::Stopped => &[("poststop", &hooks.poststop)],
    };
    let status = match point {
        HookPoint::Created => "creating",
        HookPoint::Started => "running",
        HookPoint::Stopped => "stopped",
    };
    let mut first_error = None;
    for (kind, list) in lists {
        for (index, hook) in list.iter().enumerate() {
            let mut words = Words::new();
            let prepared = PreparedHooks::new(std::slice::from_ref(hook), hooks)?;
            if let Err(Failed { end, .. }) = prepared.run(status, pid, &mut words) {
                let message = describe(kind, index, hook, end, words.as_bytes());
                let error = SpawnError {
                    message,
                    errno: Errno(libc::ECANCELED),
                    exit_code: 128,
                };
                if point == HookPoint::Created {
                    return Err(error);
                }
                first_error.get_or_insert(error);
            }
        }
    }
    first_error.map_or(Ok(()), Err)
}
