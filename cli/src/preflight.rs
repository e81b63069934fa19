//! What must be true of the machine before anything is started. Each check says what is missing and what to do.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use nix::unistd::geteuid;

/// Least free space to start with, in bytes: below it the store could not even write its first transactions.
const MIN_FREE: u64 = 64 << 20;
/// Cgroup v2 controllers that limits need.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];

/// Fails unless the caller is root.
pub fn root() -> Result<()> {
    ensure!(
        geteuid().is_root(),
        "this needs root (namespaces, mounts and network interfaces are made); run it with sudo"
    );
    Ok(())
}

/// Fails if the kernel lacks what every node needs.
pub fn kernel() -> Result<()> {
    let release = nix::sys::utsname::uname()?
        .release()
        .to_string_lossy()
        .into_owned();
    if let Some(version) = parse_release(&release) {
        ensure!(
            version >= (5, 14),
            "Linux {release} is too old: mount_setattr, openat2 and cgroup.kill need at least 5.14; Debian 12 has 6.1"
        );
    }
    let filesystems = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let has_overlay = filesystems
        .lines()
        .any(|line| line.split_whitespace().next_back() == Some("overlay"));
    if !has_overlay && !module_exists(&release, "overlay") {
        bail!("the kernel has no overlay filesystem (CONFIG_OVERLAY_FS); load it with: modprobe overlay");
    }
    for namespace in ["net", "pid", "ipc", "uts", "mnt", "cgroup"] {
        ensure!(
            Path::new("/proc/self/ns").join(namespace).exists(),
            "the kernel has no {namespace} namespaces (CONFIG_NAMESPACES); use a distribution kernel"
        );
    }
    Ok(())
}

/// Fails if the address cannot be bound, naming who might hold it.
pub fn port_free(listen: SocketAddr) -> Result<()> {
    match TcpListener::bind(listen) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => bail!(
            "{listen} is in use by another program; choose another with --listen ADDR:PORT (who holds it: ss -ltnp 'sport = :{}')",
            listen.port()
        ),
        Err(error) => bail!(
            "cannot listen on {listen}: {error}; choose an address of this machine with --listen ADDR:PORT"
        ),
    }
}

/// Fails if the file system of `dir` is read-only or nearly full.
pub fn disk(dir: &Path) -> Result<()> {
    let stat = nix::sys::statvfs::statvfs(dir)?;
    ensure!(
        !stat.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY),
        "{} is on a read-only file system; choose another directory with --data-dir",
        dir.display()
    );
    let free = stat.blocks_available() * stat.fragment_size();
    ensure!(
        free >= MIN_FREE,
        "{} has only {} MiB free, {} MiB are needed to start; make room or choose another directory with --data-dir",
        dir.display(),
        free >> 20,
        MIN_FREE >> 20
    );
    Ok(())
}

/// Whether limits can be enforced: `Err` names the cgroup v2 controllers that are missing.
pub fn cgroup_limits() -> Result<()> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let Some(mount) = cgroup2_mount(&mounts) else {
        bail!("no cgroup v2 hierarchy is mounted; boot with systemd.unified_cgroup_hierarchy=1")
    };
    let available = std::fs::read_to_string(mount.join("cgroup.controllers")).unwrap_or_default();
    let missing: Vec<_> = CONTROLLERS
        .into_iter()
        .filter(|name| !available.split_whitespace().any(|c| c == *name))
        .collect();
    ensure!(
        missing.is_empty(),
        "cgroup v2 at {} lacks the controllers {} (they are in v1 hierarchies or compiled out); boot with \
         systemd.unified_cgroup_hierarchy=1",
        mount.display(),
        missing.join(", ")
    );
    Ok(())
}

/// Mount point of the cgroup2 file system in a `mountinfo` text (proc(5)).
fn cgroup2_mount(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (head, tail) = line.split_once(" - ")?;
        (tail.split(' ').next()? == "cgroup2")
            .then(|| head.split(' ').nth(4))
            .flatten()
            .map(PathBuf::from)
    })
}

/// Major and minor number of a kernel release.
fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Whether a module of that name is installed for the running kernel.
fn module_exists(release: &str, name: &str) -> bool {
    let path = Path::new("/lib/modules").join(release).join("modules.dep");
    std::fs::read_to_string(path).is_ok_and(|text| {
        text.lines().any(|line| {
            line.split(':')
                .next()
                .is_some_and(|file| file.contains(&format!("/{name}.ko")))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_parse() {
        assert_eq!(parse_release("6.1.0-28-cloud-amd64"), Some((6, 1)));
        assert_eq!(parse_release("6.18.44-fc-v669"), Some((6, 18)));
        assert_eq!(parse_release("x"), None);
    }

    #[test]
    fn the_unified_hierarchy_is_found_among_others() {
        let text = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                    39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
                    41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";
        assert_eq!(cgroup2_mount(text), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(cgroup2_mount("garbage"), None);
    }

    #[test]
    fn a_taken_port_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let message = port_free(address).unwrap_err().to_string();
        assert!(
            message.contains(&address.to_string()) && message.contains("--listen"),
            "{message}"
        );
    }
}
