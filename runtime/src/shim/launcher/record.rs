//! What is noted of a process, for those who come after the launcher.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::{LaunchRequest, failed};
use crate::launch::SpawnError;
use crate::sys;

/// Notes the first process, so that whoever comes after us finds it. Before it goes on: it ends by itself if we end
/// without having told it to.
pub(super) fn record(request: &LaunchRequest, child: &sys::Child) -> Result<(), SpawnError> {
    let writing = |e: std::io::Error| failed("writing the state")(e.into());
    let started = start_time(child.pid).unwrap_or(0);
    let path = Path::new(&request.state).join(INIT);
    let text = format!("pid {}\nstarted {started}\n", child.pid);
    write_whole(&path, &text).map_err(writing)
}

/// Tells the caller of the process: its id in a file, a descriptor of it through a socket.
pub(super) fn publish(request: &LaunchRequest, child: &sys::Child) -> Result<(), SpawnError> {
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
