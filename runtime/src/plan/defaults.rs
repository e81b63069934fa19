//! What every container has unless it says otherwise, as containerd and Docker default it.

use crate::launch::{Device, Mount, MountSource};
use crate::sys::Attributes;

const NO_SUID: u64 = Attributes::NO_SUID;
const NO_DEV: u64 = Attributes::NO_DEV;
const NO_EXEC: u64 = Attributes::NO_EXEC;

/// Search path when the image sets none.
pub(super) const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Hidden from a container: kernel interfaces that leak or disturb the host.
pub const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// Visible, but not to be written.
pub const READ_ONLY: &[&str] = &[
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// Symlinks in `/dev`.
pub(super) const LINKS: &[(&str, &str)] = &[
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/core", "/proc/kcore"),
    ("/dev/ptmx", "pts/ptmx"),
];

/// Character devices that every container has: path, major, minor.
const DEVICES: &[(&str, u32, u32)] = &[
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// The default device nodes.
pub(super) fn devices() -> Vec<Device> {
    let device = |&(path, major, minor): &(&str, u32, u32)| Device {
        path: path.to_owned(),
        mode: libc::S_IFCHR | 0o666,
        number: libc::makedev(major, minor),
        uid: 0,
        gid: 0,
    };
    DEVICES.iter().map(device).collect()
}

fn filesystem(target: &str, kind: &str, set: u64, options: &[(&str, &str)]) -> Mount {
    let options = options
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (!v.is_empty()).then(|| (*v).to_owned())))
        .collect();
    let source = MountSource::Filesystem {
        kind: kind.to_owned(),
        options,
    };
    Mount {
        set,
        ..Mount::new(target.to_owned(), source)
    }
}

/// The default mounts, in order. `shm` is the pod's shared memory directory on the host, shown as `/dev/shm`.
pub(super) fn mounts(shm: &str, privileged: bool, cgroup2: bool) -> Vec<Mount> {
    let kernel_view = if privileged { 0 } else { Attributes::READ_ONLY };
    let mut mounts = vec![
        filesystem("/proc", "proc", NO_SUID | NO_EXEC | NO_DEV, &[]),
        filesystem(
            "/dev",
            "tmpfs",
            NO_SUID | Attributes::STRICT_ATIME,
            &[("mode", "755"), ("size", "65536k")],
        ),
        filesystem(
            "/dev/pts",
            "devpts",
            NO_SUID | NO_EXEC,
            &[
                ("newinstance", ""),
                ("ptmxmode", "0666"),
                ("mode", "0620"),
                ("gid", "5"),
            ],
        ),
        filesystem("/dev/mqueue", "mqueue", NO_SUID | NO_EXEC | NO_DEV, &[]),
        filesystem("/sys", "sysfs", NO_SUID | NO_EXEC | NO_DEV | kernel_view, &[]),
    ];
    if cgroup2 {
        mounts.push(filesystem(
            "/sys/fs/cgroup",
            "cgroup2",
            NO_SUID | NO_EXEC | NO_DEV | kernel_view,
            &[],
        ));
    }
    let shm = MountSource::Bind {
        path: shm.to_owned(),
        sub_path: None,
        recursive: false,
    };
    mounts.push(Mount {
        set: NO_SUID | NO_EXEC | NO_DEV,
        propagation: libc::MS_PRIVATE,
        ..Mount::new("/dev/shm".to_owned(), shm)
    });
    mounts
}
