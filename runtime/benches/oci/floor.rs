//! The floor: the bare system calls of a container, and nothing else. No seccomp, no capabilities, no devices, no masked
//! paths, no state, no cgroup, no other program: clone3 with all namespaces, the root mounted and pivoted into, the mounts
//! that every OCI container has, exec, wait.

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use keelson_runtime::launch::CStringArray;
use keelson_runtime::sys::{self, Attributes, CloneRequest, Exit, MountFs, SysResult};

use super::{Outcome, why};

/// The mounts: target, type, options.
const MOUNTS: &[(
    &std::ffi::CStr,
    &std::ffi::CStr,
    &[(&std::ffi::CStr, &std::ffi::CStr)],
)] = &[
    (c"proc", c"proc", &[]),
    (c"dev", c"tmpfs", &[(c"mode", c"755"), (c"size", c"65536k")]),
    (
        c"dev/pts",
        c"devpts",
        &[(c"ptmxmode", c"0666"), (c"mode", c"0620"), (c"gid", c"5")],
    ),
    (c"dev/shm", c"tmpfs", &[(c"mode", c"1777"), (c"size", c"65536k")]),
    (c"dev/mqueue", c"mqueue", &[]),
    (c"sys", c"sysfs", &[]),
];

/// How the root comes about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// A bind mount of a directory, as on the command line.
    Bind,
    /// A fresh overlay over it, as for pods.
    Overlay,
}

fn c(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default() // none of ours has a NUL
}

fn mount_root(root: Root, rootfs: &Path, scratch: &Path) -> SysResult<OwnedFd> {
    if root == Root::Bind {
        let directory = sys::open_path(&c(rootfs), libc::O_PATH | libc::O_DIRECTORY)?;
        return sys::open_tree(directory.as_fd(), true);
    }
    let overlay = MountFs::open(c"overlay")?;
    overlay.set(c"lowerdir", Some(&c(rootfs)))?;
    overlay.set(c"upperdir", Some(&c(&scratch.join("upper"))))?;
    overlay.set(c"workdir", Some(&c(&scratch.join("work"))))?;
    overlay.set(c"volatile", None)?;
    overlay.mount(Attributes::default())
}

fn child(
    root: &OwnedFd,
    attach_point: &std::ffi::CStr,
    argv: &CStringArray,
    envp: &CStringArray,
) -> SysResult<()> {
    sys::make_tree_private()?;
    let target = sys::open_path(attach_point, libc::O_PATH | libc::O_DIRECTORY)?;
    sys::move_mount(root.as_fd(), target.as_fd())?;
    for (target, kind, options) in MOUNTS {
        let fs = MountFs::open(kind)?;
        for (key, value) in *options {
            fs.set(key, Some(value))?;
        }
        let made = fs.mount(Attributes::default())?;
        if target.to_bytes().starts_with(b"dev/") {
            sys::mkdir_at(root.as_fd(), target, 0o755)?;
        }
        let target = sys::open_at(root.as_fd(), target, libc::O_PATH, 0)?;
        sys::move_mount(made.as_fd(), target.as_fd())?;
    }
    sys::pivot_into(root.as_fd())?;
    Err(sys::execve(c"/bin/true", argv.as_slice(), envp.as_slice()))
}

/// One container: its time from the first call to the end of `true`.
pub fn container(root: Root, rootfs: &Path, directory: &Path) -> Outcome<Duration> {
    let namespaces = libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWCGROUP;
    let scratch = directory.join("floor");
    for name in ["attach", "upper", "work"] {
        fs::create_dir_all(scratch.join(name)).map_err(why("making directories"))?;
    }
    let array = |items: &[&str]| {
        let items: Vec<String> = items.iter().map(|item| (*item).to_owned()).collect();
        CStringArray::new(&items).map_err(why("arguments"))
    };
    let (argv, envp) = (array(&["true"])?, array(&[])?);
    let attach_point = c(&scratch.join("attach"));
    let start = Instant::now();
    let mounted = mount_root(root, rootfs, &scratch).map_err(why("mounting the root"))?;
    let request = CloneRequest {
        namespaces: namespaces as u64,
        ..CloneRequest::default()
    };
    let made = sys::clone_process(&request, || {
        let errno = child(&mounted, &attach_point, &argv, &envp);
        sys::exit_now(errno.err().map_or(0, |errno| errno.0));
    });
    let made = made.map_err(why("clone3"))?;
    drop(mounted);
    let exit = sys::wait_pidfd(made.pidfd.as_fd()).map_err(why("waiting"))?;
    let took = start.elapsed();
    fs::remove_dir_all(&scratch).map_err(why("removing directories"))?;
    match exit {
        Exit::Code(0) => Ok(took),
        Exit::Code(errno) => Err(format!(
            "the child failed: {}",
            std::io::Error::from_raw_os_error(errno)
        )),
        Exit::Signal(signal) => Err(format!("signal {signal}")),
    }
}
