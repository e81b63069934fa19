//! Freezing a cgroup and all below (kernel: `cgroup.freeze`).

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::fd::AsFd;
use std::path::Path;

use super::Error;
use crate::sys;

/// How long a process may take to stop; longer only when stuck in the kernel.
const STUCK_MS: i32 = 10_000;

/// Freezes or thaws, and waits until it is so. A freeze that does not come to pass is taken back.
pub fn freeze(cgroup: &Path, frozen: bool) -> Result<(), Error> {
    let what = || {
        let word = if frozen { "freezing" } else { "thawing" };
        format!("{word} cgroup {}", cgroup.display())
    };
    let set = |on: bool| fs::write(cgroup.join("cgroup.freeze"), if on { "1" } else { "0" });
    set(frozen).map_err(Error::io(what()))?;
    let mut events = File::open(cgroup.join("cgroup.events")).map_err(Error::io(what()))?;
    loop {
        let mut text = String::new();
        events.rewind().map_err(Error::io(what()))?;
        events.read_to_string(&mut text).map_err(Error::io(what()))?;
        if super::keyed(&text, "frozen").is_none_or(|now| (now == 1) == frozen) {
            return Ok(());
        }
        // The kernel reports a change once for each change since the last read.
        if !sys::poll_priority(events.as_fd(), STUCK_MS).map_err(Error::io(what()))? {
            let _ = set(!frozen);
            return Err(Error::io(what())(std::io::Error::from(
                std::io::ErrorKind::TimedOut,
            )));
        }
    }
}

/// Whether somebody froze this very cgroup.
pub fn is_frozen(cgroup: &Path) -> bool {
    super::number(cgroup, "cgroup.freeze") == Some(1)
}
