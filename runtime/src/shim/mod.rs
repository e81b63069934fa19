//! The shim: one small process per pod that outlives the kubelet. It is the parent of the pod's containers, holds their
//! streams and terminals, writes their logs, and records how they ended.
//!
//! It is a program of its own (`runtime/shim`), linked statically, embedded in the runtime library and started from a
//! sealed memory file, so that no host file is reachable from a container through it. It has one thread and no async
//! runtime: [`server`] is a loop over epoll. The runtime library uses [`protocol`] to talk to it.

mod container;
mod foreground;
mod held;
mod init;
pub mod launcher;
mod lines;
mod log;
pub mod protocol;
mod reap;
mod requests;
mod sandbox;
mod server;
mod sessions;
mod stage;
mod streams;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use crate::sys;
use crate::wire::Wire;
use protocol::SandboxPlan;

/// The program: a shim, or under the name `keelson-launch` the launcher of the OCI command line.
pub fn main() -> i32 {
    // Nobody may look into this process or reach its executable, nor into its children until they exec; but for who has
    // CAP_SYS_PTRACE, for whom launches leave nothing to see.
    let _ = sys::set_dumpable(false);
    if std::env::args_os()
        .next()
        .is_some_and(|name| name == launcher::NAME)
    {
        launcher::main()
    } else {
        shim()
    }
}

/// The shim: reads a [`SandboxPlan`] from standard input, goes to the background, sets the sandbox up, says
/// `ok` or what failed on standard output, and serves until it is told to end.
fn shim() -> i32 {
    let mut bytes = Vec::new();
    if std::io::stdin().read_to_end(&mut bytes).is_err() {
        return 2;
    }
    let Ok(plan) = SandboxPlan::from_bytes(&bytes) else {
        return 2;
    };
    drop(bytes);
    let cgroup = plan
        .shim_cgroup
        .as_ref()
        .and_then(|path| File::open(path).ok())
        .map(OwnedFd::from);
    // A first child ends up with init (or a subreaper above us) as its parent, so the caller has nothing to reap later.
    match sys::fork_process(cgroup.as_ref().map(std::os::fd::AsFd::as_fd)) {
        Ok(0) => serve(&plan),
        Ok(_) => 0,
        Err(errno) => {
            let _ = writeln!(std::io::stdout(), "starting the shim: {errno}");
            1
        }
    }
}

fn serve(plan: &SandboxPlan) -> i32 {
    let answer = |text: &str| {
        let mut out = std::io::stdout();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    };
    let server = match sandbox::set_up(plan) {
        Ok(server) => server,
        Err(message) => {
            answer(&message);
            return 1;
        }
    };
    answer("ok");
    match sandbox::let_go_of_streams() {
        Ok(()) => server.run(),
        Err(_) => 1,
    }
}
