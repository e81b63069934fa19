//! Identity of a process that survives pid reuse.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// A process: its pid and its start time in clock ticks since boot (proc(5), `stat` field 22).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// Process id.
    pub pid: i32,
    /// Start time, clock ticks since boot.
    pub start_time: u64,
}

impl Process {
    /// The process that has this pid now.
    pub fn of(pid: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Self {
            pid,
            start_time: start_time(&stat)?,
        })
    }

    /// This process.
    pub fn current() -> Option<Self> {
        Self::of(std::process::id() as i32)
    }

    /// Whether it still runs (a zombie does not).
    pub fn alive(self) -> bool {
        std::fs::read_to_string(format!("/proc/{}/stat", self.pid))
            .is_ok_and(|stat| start_time(&stat) == Some(self.start_time) && !stat.contains(") Z "))
    }

    /// Proportional set size in bytes (proc(5), `smaps_rollup`).
    pub fn pss(self) -> Option<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid)).ok()?;
        let line = text.lines().find(|line| line.starts_with("Pss:"))?;
        line.split_whitespace()
            .nth(1)?
            .parse::<u64>()
            .ok()
            .map(|kib| kib * 1024)
    }

    /// Sends a signal if it still runs.
    pub fn signal(self, signal: Signal) {
        if self.alive() {
            // It may end between the check and the call, which is what the signal is for.
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Waits until it has ended; `false` when `limit` passed first.
    pub fn wait(self, limit: Duration) -> bool {
        let deadline = std::time::Instant::now() + limit;
        while self.alive() {
            if std::time::Instant::now() >= deadline {
                return false;
            }
            // Not our child, so it cannot be waited for without a pidfd, and nix has no safe pidfd_open; this is a
            // short-lived command (`down`), not a daemon.
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }
}

/// Field 22 of a `stat` line. The command name before it may contain anything, also blanks and parentheses.
fn start_time(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_command_name_does_not_shift_the_fields() {
        let stat = "7 (a) b) c) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 0 0";
        assert_eq!(start_time(stat), Some(12345));
    }

    #[test]
    fn this_process_is_alive_and_another_with_its_pid_is_not() {
        let me = Process::current().unwrap();
        assert!(me.alive());
        assert!(me.pss().unwrap() > 0);
        assert!(
            !Process {
                start_time: me.start_time + 1,
                ..me
            }
            .alive()
        );
    }
}
