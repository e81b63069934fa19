//! What the shim knows of one container, and the files that say so to others.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::held::Held;
use super::log::Log;
use super::protocol::{ExitRecord, RunningRecord};
use crate::launch::{Channel, Plan};
use crate::sys::Child;
use crate::wire::Wire;

/// Output streams of a container, also their number in epoll tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    /// Standard output, or the terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One container.
#[derive(Debug)]
pub(super) struct Container {
    /// Its number in epoll tokens.
    pub number: u64,
    pub id: String,
    pub child: Child,
    /// The conversation with the first process, until it execs.
    pub channel: Option<Channel>,
    /// Kept until it has started, for the words of an error.
    pub plan: Option<Box<Plan>>,
    /// Whether its processes all end with the first one: it is PID 1 of its own namespace.
    pub own_pid_namespace: bool,
    pub cgroup: Option<String>,
    pub log: Option<Log>,
    /// Read end of stdout, or the terminal's master.
    pub stdout: Option<OwnedFd>,
    /// Read end of stderr.
    pub stderr: Option<OwnedFd>,
    /// Write end of stdin (a duplicate of the master with a terminal).
    pub stdin: Option<OwnedFd>,
    pub terminal: bool,
    pub stdin_once: bool,
    /// Output so far of a container that is made for one client, until that one attaches.
    pub held: Option<Held>,
    /// Input that the container has not taken yet; while there is some, no more is read.
    pub pending_input: Vec<u8>,
    /// Close stdin once the pending input is written.
    pub close_input: bool,
    pub started_at: u64,
    /// Exit code to record instead of the process's own: its program could not be started.
    pub start_failed: Option<i32>,
    pub ended: bool,
    /// Connection waiting for the creation or the start.
    pub waiter: Option<u64>,
    /// `memory.events`, and the count of OOM kills already told.
    pub memory_events: Option<(fs::File, u64)>,
}

/// Writes a file so that a reader sees all of it or nothing.
fn write_whole(directory: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = Path::new(directory).join(format!(".{name}.new"));
    fs::write(&temporary, bytes)?;
    fs::rename(&temporary, Path::new(directory).join(name))
}

/// Records that a container exists, and since when it runs.
pub(super) fn record_running(directory: &str, container: &Container) {
    let record = RunningRecord {
        pid: container.child.pid,
        started_at: container.started_at,
    };
    let _ = write_whole(directory, &container.id, &record.to_bytes());
}

/// Records how a container ended. The directory is on a tmpfs (`/run`): a full disk does not lose an exit code.
pub(super) fn record_exit(directory: &str, id: &str, record: &ExitRecord) {
    let _ = write_whole(directory, id, &record.to_bytes());
}

/// Tells watchers that the kernel killed a process of the container for want of memory.
pub(super) fn record_oom(directory: &str, id: &str) {
    let _ = write_whole(directory, &format!("{id}.oom"), b"");
}

/// The count of `oom_kill` in a cgroup's `memory.events`.
pub(super) fn oom_kills(text: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix("oom_kill "))
        .and_then(|n| n.trim().parse().ok())
        .unwrap_or(0)
}

/// Kills everything in a cgroup.
pub(super) fn kill_cgroup(path: &str) {
    let _ = fs::write(Path::new(path).join("cgroup.kill"), "1");
}

#[cfg(test)]
mod tests {
    use super::oom_kills;

    #[test]
    fn memory_events() {
        assert_eq!(
            oom_kills("low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n"),
            2
        );
        assert_eq!(oom_kills("garbage"), 0);
    }
}
