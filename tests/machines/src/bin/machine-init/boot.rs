//! From the kernel to the agent: modules, disks, root filesystem, mounts.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::wait::wait;

use keelson_machines::wire::Frame;

use crate::agent::find_port;

/// Runs as process 1 and never returns without an error.
pub fn boot() -> io::Result<()> {
    file_system("devtmpfs", "/dev", "")?;
    file_system("proc", "/proc", "")?;
    file_system("sysfs", "/sys", "")?;
    eprintln!("machine-init: up");
    load_modules()?;
    if fs::read_to_string("/proc/cmdline")?.contains("keelson.probe") {
        reboot(RebootMode::RB_POWER_OFF)?;
    }
    root()?;
    mounts()?;
    // The initial RAM disk is out of reach from here on; the agent is this program.
    let mut agent = Command::new("/run/machine-init").arg("agent").spawn()?;
    loop {
        // Reaps orphans, too.
        match wait() {
            Ok(status) if status.pid().is_some_and(|pid| pid.as_raw() as u32 == agent.id()) => break,
            Ok(_) => {}
            Err(nix::errno::Errno::ECHILD) => break,
            Err(error) => return Err(error.into()),
        }
    }
    let _ = agent.try_wait();
    nix::unistd::sync();
    reboot(RebootMode::RB_POWER_OFF)?;
    Ok(())
}

/// The agent's first words.
pub fn hello() -> io::Result<Frame> {
    Ok(Frame::Hello(
        fs::read_to_string("/proc/sys/kernel/osrelease")?
            .trim()
            .to_owned(),
    ))
}

fn what(text: String) -> impl FnOnce(nix::errno::Errno) -> io::Error {
    move |errno| io::Error::other(format!("{text}: {errno}"))
}

fn file_system(kind: &str, target: &str, options: &str) -> io::Result<()> {
    fs::create_dir_all(target)?;
    mount(Some(kind), target, Some(kind), MsFlags::empty(), Some(options))
        .map_err(what(format!("mounting {kind} on {target}")))
}

/// Loads every module of the initial RAM disk, in the order of their names.
fn load_modules() -> io::Result<()> {
    let mut paths: Vec<_> = fs::read_dir("/modules")?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    paths.sort();
    for path in paths {
        match finit_module(File::open(&path)?, c"", ModuleInitFlags::empty()) {
            // Loaded already, or not for this machine.
            Ok(()) | Err(nix::errno::Errno::EEXIST | nix::errno::Errno::ENODEV) => {}
            Err(errno) => eprintln!("machine-init: {}: {errno}", path.display()),
        }
        fs::remove_file(&path)?;
    }
    Ok(())
}

/// Mounts a disk, whose driver may still be busy finding it.
fn disk(device: &str, target: &str, kind: &str, flags: MsFlags) -> io::Result<()> {
    fs::create_dir_all(target)?;
    for _ in 0..500 {
        if Path::new(device).exists() {
            break;
        }
        // For the driver, which announces a disk only on a netlink socket.
        std::thread::sleep(Duration::from_millis(10));
    }
    mount(Some(device), target, Some(kind), flags, None::<&str>)
        .map_err(what(format!("mounting {device} on {target}")))
}

/// The root filesystem: what the test put in over Debian's packages, writable in memory.
fn root() -> io::Result<()> {
    disk("/dev/vda", "/lower", "erofs", MsFlags::MS_RDONLY)?;
    disk("/dev/vdb", "/layer", "erofs", MsFlags::MS_RDONLY)?;
    file_system("tmpfs", "/upper", "")?;
    fs::create_dir("/upper/work")?;
    fs::create_dir("/upper/root")?;
    file_system(
        "overlay",
        "/newroot",
        "lowerdir=/layer:/lower,upperdir=/upper/root,workdir=/upper/work",
    )?;
    file_system("tmpfs", "/newroot/run", "mode=755")?;
    fs::copy("/init", "/newroot/run/machine-init")?;
    for name in ["dev", "proc", "sys"] {
        fs::create_dir_all(format!("/newroot/{name}"))?;
        let (from, to) = (format!("/{name}"), format!("/newroot/{name}"));
        mount(
            Some(from.as_str()),
            to.as_str(),
            None::<&str>,
            MsFlags::MS_MOVE,
            None::<&str>,
        )
        .map_err(what(format!("moving {from}")))?;
    }
    std::env::set_current_dir("/newroot")?;
    mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>)
        .map_err(what("moving the root".into()))?;
    nix::unistd::chroot(".")?;
    std::env::set_current_dir("/")
}

/// What a booted system has. Directories that containers' layers go to are no overlay: one cannot be stacked on another.
fn mounts() -> io::Result<()> {
    file_system("tmpfs", "/tmp", "mode=1777")?;
    file_system("tmpfs", "/var/lib", "mode=755")?;
    file_system("devpts", "/dev/pts", "gid=5,mode=620,ptmxmode=666")?;
    file_system("tmpfs", "/dev/shm", "mode=1777")?;
    file_system("mqueue", "/dev/mqueue", "")?;
    file_system("cgroup2", "/sys/fs/cgroup", "nsdelegate")?;
    file_system("bpf", "/sys/fs/bpf", "mode=700")?;
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        std::os::unix::fs::symlink(target, Path::new("/dev").join(name))?;
    }
    // As systemd leaves it: mounts are seen in namespaces that are made later.
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_SHARED,
        None::<&str>,
    )
    .map_err(what("sharing the mounts".into()))?;
    for n in 0.. {
        let device = format!("/dev/vd{}", char::from(b'c' + n));
        if !Path::new(&device).exists() {
            break;
        }
        disk(&device, &format!("/disk{n}"), "ext4", MsFlags::empty())?;
    }
    nix::unistd::sethostname("machine")?;
    find_port()?;
    Ok(())
}
