//! Setting up a sandbox from within the shim: it moves into the pod's namespaces itself and pins them on files, so that
//! containers are born in them at no cost.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;

use super::protocol::SandboxPlan;
use super::server::Server;
use super::{init, stage};
use crate::sys;

/// Namespace kinds and their files below `/proc/PID/ns`.
const FILES: [(i32, &str); 4] = [
    (libc::CLONE_NEWNET, "net"),
    (libc::CLONE_NEWIPC, "ipc"),
    (libc::CLONE_NEWUTS, "uts"),
    (libc::CLONE_NEWPID, "pid"),
];

/// Makes everything and returns the server, ready to run; or says what failed.
pub(super) fn set_up(plan: &SandboxPlan) -> Result<Server, String> {
    let failed = |what: &'static str| move |errno: sys::Errno| format!("{what}: {errno}");
    sys::become_session_leader().map_err(failed("making a session"))?;
    sys::block_child_signal().map_err(failed("blocking SIGCHLD"))?;
    sys::set_subreaper().map_err(failed("becoming a subreaper"))?;
    std::env::set_current_dir("/").map_err(|e| format!("changing to /: {e}"))?;
    // The last resort of a node without memory is not to kill what holds the exit codes. Needs a privilege.
    let _ = fs::write("/proc/self/oom_score_adj", "-998");
    let lock = hold_lock(plan)?;

    let wanted = |kind: i32| plan.pins.iter().any(|(k, _)| *k == kind as u64);
    let mine = FILES
        .iter()
        .filter(|(kind, _)| *kind != libc::CLONE_NEWPID && wanted(*kind));
    let fresh = mine.fold(0, |all, (kind, _)| all | kind);
    sys::unshare(fresh).map_err(failed("making namespaces"))?;
    if wanted(libc::CLONE_NEWNET) {
        sys::loopback_up().map_err(failed("bringing up lo"))?;
    }
    if let Some(hostname) = &plan.hostname {
        sys::set_hostname(hostname).map_err(failed("setting the host name"))?;
    }
    for (file, value) in &plan.sysctls {
        fs::write(Path::new("/proc/sys").join(file), value)
            .map_err(|e| format!("setting sysctl {file}={value}: {e}"))?;
    }
    let directory = CString::new(plan.directory.as_str()).map_err(|_| "NUL in a path".to_owned())?;
    let init = if wanted(libc::CLONE_NEWPID) {
        Some(init::start(&directory).map_err(failed("starting the pod's init"))?)
    } else {
        None
    };
    for (kind, path) in plan.pins.iter().filter(|(_, path)| !path.is_empty()) {
        let Some((_, name)) = FILES.iter().find(|(k, _)| *k as u64 == *kind) else {
            continue;
        };
        let of = if *name == "pid" {
            init.as_ref().map_or(0, |child| child.pid).to_string()
        } else {
            "self".to_owned()
        };
        pin(&format!("/proc/{of}/ns/{name}"), path)?;
    }

    let pods = Path::new(&plan.directory).parent().unwrap_or(Path::new("/"));
    let stage = stage::open(pods)?;
    let socket = Path::new(&plan.directory).join("shim.sock");
    let _ = fs::remove_file(&socket);
    let listener = bind(&plan.directory)?;
    Server::new(plan, listener, (lock, stage), init).map_err(failed("making the event loop"))
}

/// Holds a record lock for as long as this process lives: how others see that it does, and its process id.
fn hold_lock(plan: &SandboxPlan) -> Result<File, String> {
    let path = Path::new(&plan.directory).join("shim.lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = file.map_err(|e| format!("opening {}: {e}", path.display()))?;
    sys::lock_owned(file.as_fd())
        .map_err(|e| format!("another shim serves this pod ({}): {e}", path.display()))?;
    Ok(file)
}

/// Binds `shim.sock` in a directory whose path may be longer than a socket address holds.
fn bind(directory: &str) -> Result<UnixListener, String> {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::PermissionsExt;
    let error = |e: std::io::Error| format!("binding the socket in {directory}: {e}");
    let handle = File::open(directory).map_err(error)?;
    let path = format!("/proc/self/fd/{}/shim.sock", handle.as_raw_fd());
    let listener = UnixListener::bind(&path).map_err(error)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(error)?;
    listener.set_nonblocking(true).map_err(error)?;
    Ok(listener)
}

fn pin(namespace: &str, path: &str) -> Result<(), String> {
    let error = |e: sys::Errno| format!("pinning {namespace} on {path}: {e}");
    let c = |text: &str| CString::new(text).map_err(|_| "NUL in a path".to_owned());
    let source = sys::open_path(&c(namespace)?, libc::O_PATH).map_err(error)?;
    File::create(path).map_err(|e| error(e.into()))?;
    let target = sys::open_path(&c(path)?, libc::O_PATH).map_err(error)?;
    let tree = sys::open_tree(source.as_fd(), false).map_err(error)?;
    sys::move_mount(tree.as_fd(), target.as_fd()).map_err(error)
}

/// Lets go of the caller's pipes: the end of our standard output tells it that we are done.
pub(super) fn let_go_of_streams() -> sys::SysResult<()> {
    let null: OwnedFd = File::options().read(true).write(true).open("/dev/null")?.into();
    for fd in 0..3 {
        sys::duplicate_to(null.as_fd(), fd)?;
    }
    Ok(())
}
