//! The bundles: busybox, the namespaces, mounts, capabilities and seccomp profile that Docker gives by default.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Outcome, why};

/// Docker's default profile as an OCI `linux.seccomp` section.
const SECCOMP: &str = include_str!("seccomp.json");
const BUSYBOX: &str = "/bin/busybox";
/// Docker's default capabilities.
const CAPABILITIES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// The bundle whose container runs `true`.
pub fn brief(directory: &Path) -> PathBuf {
    directory.join("true")
}

/// The one whose container sleeps.
pub fn lasting(directory: &Path) -> PathBuf {
    directory.join("sleep")
}

/// The root filesystem of both.
pub fn rootfs(directory: &Path) -> PathBuf {
    directory.join("rootfs")
}

/// Makes them.
pub fn make(directory: &Path) -> Outcome<()> {
    let rootfs = rootfs(directory);
    for name in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
        fs::create_dir_all(rootfs.join(name)).map_err(why("making the root filesystem"))?;
    }
    fs::copy(BUSYBOX, rootfs.join("bin/busybox")).map_err(why("copying busybox (Debian: busybox-static)"))?;
    for name in ["sh", "sleep", "true"] {
        symlink("busybox", rootfs.join("bin").join(name)).map_err(why("making the root filesystem"))?;
    }
    for (bundle, args) in [
        (brief(directory), &["/bin/true"][..]),
        (lasting(directory), &["/bin/sleep", "100000"]),
    ] {
        fs::create_dir(&bundle).map_err(why("making a bundle"))?;
        let config = config(&rootfs, args)?.to_string();
        fs::write(bundle.join("config.json"), config).map_err(why("writing config.json"))?;
    }
    Ok(())
}

fn config(rootfs: &Path, args: &[&str]) -> Outcome<Value> {
    let seccomp: Value = serde_json::from_str(SECCOMP).map_err(why("seccomp.json"))?;
    let namespaces = ["pid", "network", "ipc", "uts", "mount", "cgroup"];
    let namespaces: Vec<_> = namespaces.iter().map(|kind| json!({ "type": kind })).collect();
    let mount = |target: &str, kind: &str, options: &[&str]| json!({ "destination": target, "type": kind, "source": kind, "options": options });
    Ok(json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": args,
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "cwd": "/",
            "capabilities": { "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES },
            "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 }],
            "noNewPrivileges": true,
        },
        "root": { "path": rootfs, "readonly": false },
        "hostname": "bench",
        "mounts": [
            mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
            mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            mount("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
            mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
            mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        ],
        "linux": {
            "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
            "namespaces": namespaces,
            "seccomp": seccomp,
            "maskedPaths": ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    }))
}
