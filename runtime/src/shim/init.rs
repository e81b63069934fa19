//! The init of a pod with `shareProcessNamespace`: PID 1 of the pod's process namespace. It reaps orphans and does
//! nothing else; the pause process of other runtimes, but without an image, a user or a file system.

use std::os::fd::AsFd;

use crate::sys::{self, Attributes, CapSet, Child, CloneRequest, MountFs, SysResult};

/// Starts it. `directory` is any directory; the init mounts its own empty root there, seen by nobody else.
pub(super) fn start(directory: &std::ffi::CStr) -> SysResult<Child> {
    let namespaces = (libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWCGROUP) as u64;
    sys::clone_process(
        &CloneRequest {
            namespaces,
            ..CloneRequest::default()
        },
        || {
            // A process that shares our namespace must find nothing of the host through us, were it to get that far.
            if confine(directory).is_ok() {
                reap_for_ever();
            }
        },
    )
}

fn confine(directory: &std::ffi::CStr) -> SysResult<()> {
    sys::reset_signals()?;
    sys::become_session_leader()?;
    sys::make_tree_private()?;
    let fs = MountFs::open(c"tmpfs")?;
    fs.set(c"nr_inodes", Some(c"1"))?;
    fs.set(c"ro", None)?;
    let root = fs.mount(Attributes {
        set: Attributes::READ_ONLY,
        ..Attributes::default()
    })?;
    let target = sys::open_path(directory, libc::O_PATH | libc::O_DIRECTORY)?;
    sys::move_mount(root.as_fd(), target.as_fd())?;
    sys::pivot_into(root.as_fd())?;
    sys::drop_bounding_above(0)?;
    sys::set_groups(&[])?;
    sys::set_uid_gid(65535, 65535)?;
    sys::set_capabilities(CapSet::default())?;
    sys::no_new_privileges()?;
    sys::set_dumpable(false)?;
    sys::close_from(0)
}

/// Children are ours by adoption only. Ignoring SIGCHLD makes the kernel reap them; then there is nothing to wait for
/// but the SIGKILL that ends the pod.
fn reap_for_ever() {
    sys::ignore_child_signal();
    loop {
        sys::pause();
    }
}
