//! `keelson runtime` in the big binary: it becomes the small static program that is the OCI command line (`crate::oci`,
//! built by `build.rs` from `runtime/command`) before it does anything else. Each command of a caller is a process of its
//! own, and most of what the big one would cost is its own size.

use std::ffi::OsString;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::programs;

/// Runs `keelson runtime`: `args` are those after `runtime`. Returns, with the exit status, only if the program cannot be
/// started.
pub fn oci_main<I, T>(args: I) -> i32
where
    I: IntoIterator<Item = T>,
    T: Into<OsString>,
{
    let why = match programs::command() {
        Ok(program) => Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
            .arg0("keelson-oci")
            .args(args.into_iter().map(Into::into))
            .exec(),
        Err(errno) => errno.into(),
    };
    eprintln!("keelson runtime: starting the command line: {why}");
    1
}
