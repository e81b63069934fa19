//! What masks is not what it seems (CVE-2025-31133), nor what becomes `/dev/console` (CVE-2025-52565).

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::time::Instant;

use serde_json::json;

use crate::bundle::Bundle;
use crate::payload;
use crate::runtimes::{Runtime, attack};
use crate::support::Node;
use crate::swaps::while_swapping;
use crate::witness::{SECRET, Treasure, time_box};

/// Masked paths: one in the image, two of procfs.
const MASKED: [&str; 3] = ["/secret", "/proc/keys", "/proc/timer_list"];

/// Device number of everything masked, then whatever can be read through it.
const LOOK: &str = "for f in /secret /proc/keys /proc/timer_list; do stat -c 'mask %t:%T' $f; done; \
    cat /secret /proc/keys; echo looked";

/// A container whose `/dev` is a directory that somebody else can write to.
fn shared_dev(runtime: &Runtime, script: &str) -> Bundle {
    let mut bundle = Bundle::shell(runtime, script);
    fs::write(bundle.rootfs("secret"), "the image's secret").unwrap();
    bundle.config["linux"]["maskedPaths"] = json!(MASKED);
    for mount in ["/dev", "/dev/pts", "/dev/shm"] {
        bundle.without_mount(mount);
    }
    let dev = bundle.path("dev");
    fs::create_dir(&dev).unwrap();
    bundle.bind(&dev, "/dev");
    bundle
}

fn check(bundle: &Bundle, what: &str) {
    let outcome = bundle.run();
    bundle.treasure.check(what);
    assert!(!outcome.text.contains(SECRET), "{what}: {}", outcome.text);
    if outcome.text.contains("looked") {
        let masks = outcome
            .text
            .lines()
            .filter(|line| line.starts_with("mask "))
            .collect::<Vec<_>>();
        assert_eq!(masks, ["mask 1:3"; 3], "{what}: {}", outcome.text);
        assert!(!outcome.text.contains("secret"), "{what}: {}", outcome.text);
    } else {
        println!("{what}: refused: {}", outcome.text.trim());
    }
}

/// CVE-2025-31133: `/dev/null` is a symlink, a directory, a regular file, another device, or missing.
fn masking_with_a_false_null_device(runtime: &Runtime) {
    for kind in ["symlink", "procfs", "file", "directory", "zero", "missing"] {
        let bundle = shared_dev(runtime, LOOK);
        let null = bundle.path("dev/null");
        match kind {
            "symlink" => symlink(bundle.treasure.file("witness"), &null).unwrap(),
            "procfs" => symlink("/proc/sys/kernel/core_pattern", &null).unwrap(),
            "file" => fs::write(&null, "not null: secret").unwrap(),
            "directory" => fs::create_dir(&null).unwrap(),
            "zero" => {
                let (kind, mode) = (
                    nix::sys::stat::SFlag::S_IFCHR,
                    nix::sys::stat::Mode::from_bits_truncate(0o666),
                );
                nix::sys::stat::mknod(&null, kind, mode, nix::sys::stat::makedev(1, 5)).unwrap();
            }
            _ => {}
        }
        check(&bundle, kind);
    }
}
attack!(masking_with_a_false_null_device);

/// The same, swapped while containers start.
fn masking_while_null_is_swapped(runtime: &Runtime) {
    let bundle = shared_dev(runtime, LOOK);
    let (null, other) = (bundle.path("dev/null"), bundle.path("dev/other"));
    symlink("/secret", &other).unwrap();
    let (kind, mode) = (
        nix::sys::stat::SFlag::S_IFCHR,
        nix::sys::stat::Mode::from_bits_truncate(0o666),
    );
    nix::sys::stat::mknod(&null, kind, mode, nix::sys::stat::makedev(1, 3)).unwrap();
    let (begin, time, mut tries) = (Instant::now(), time_box(4), 0);
    while_swapping(&null, &other, || {
        while begin.elapsed() < time {
            let outcome = bundle.run();
            tries += 1;
            if outcome.text.contains("looked") {
                let masks = outcome.text.lines().filter(|line| line.starts_with("mask "));
                assert!(
                    masks.clone().count() == 3 && masks.clone().all(|line| line == "mask 1:3"),
                    "{}",
                    outcome.text
                );
                assert!(!outcome.text.contains("secret"), "{}", outcome.text);
            }
        }
    });
    println!("{tries} tries");
    bundle.treasure.check("swaps");
}
attack!(masking_while_null_is_swapped);

/// `run` with a terminal; what came out of it.
fn run_on_terminal(bundle: &Bundle) -> String {
    use std::io::Read;
    bundle.write_config();
    let _ = fs::remove_file(bundle.path("console.sock"));
    let listener = UnixListener::bind(bundle.path("console.sock")).unwrap();
    let socket = bundle.path("console.sock");
    let created = bundle.create(&["--console-socket", socket.to_str().unwrap()]);
    if !created.ok() {
        return format!("refused: {}", created.text);
    }
    listener.set_nonblocking(true).unwrap();
    let Ok((stream, _)) = listener.accept() else {
        return "refused: no terminal came".to_owned();
    };
    stream.set_nonblocking(false).unwrap();
    let mut fds = Vec::new();
    keelson_runtime::sys::receive_with_fds(std::os::fd::AsFd::as_fd(&stream), &mut [0; 64], &mut fds)
        .unwrap();
    let started = bundle.call(&["start", &bundle.id]);
    let mut text = started.text;
    let mut master = fs::File::from(fds.remove(0));
    let mut buffer = [0; 4096];
    // A terminal whose last process has ended answers EIO.
    while let Ok(n) = master.read(&mut buffer) {
        if n == 0 {
            break;
        }
        text += &String::from_utf8_lossy(&buffer[..n]);
    }
    text
}

/// On the terminal: the number of its device, by each of its names.
const CONSOLE: &str =
    "stat -L -c 'console %t' /dev/console; stat -L -c 'stdin %t' /dev/fd/0 /proc/self/fd/0; echo looked";

fn check_console(bundle: &Bundle, what: &str) {
    let text = run_on_terminal(bundle);
    bundle.delete();
    bundle.treasure.check(what);
    assert!(!text.contains(SECRET), "{what}: {text}");
    if text.contains("looked") {
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with("console ") || line.starts_with("stdin "));
        assert!(
            lines.clone().all(|line| line.ends_with(" 88")),
            "{what}: not pseudo-terminals: {text}"
        ); // 136
    } else {
        println!("{what}: {}", text.trim());
    }
}

/// CVE-2025-52565: `/dev/console`, `/dev/pts` or `/dev/pts/ptmx` are symlinks or files of somebody else's.
fn console_over_a_symlink(runtime: &Runtime) {
    for (name, target) in [
        ("console", "witness"),
        ("console", "new"),
        ("console", "deep"),
        ("pts", "deep"),
        ("ptmx", "witness"),
        ("tty", "witness"),
    ] {
        let mut bundle = shared_dev(runtime, CONSOLE);
        bundle.config["process"]["terminal"] = json!(true);
        symlink(bundle.treasure.file(target), bundle.path("dev").join(name)).unwrap();
        let options = ["newinstance", "ptmxmode=0666", "mode=0620"];
        bundle.mount("/dev/pts", "devpts", "devpts", &options);
        check_console(&bundle, &format!("{name} to {target}"));
    }
    // A directory that is no devpts, with a false ptmx and slaves.
    let mut bundle = shared_dev(runtime, CONSOLE);
    bundle.config["process"]["terminal"] = json!(true);
    fs::create_dir(bundle.path("dev/pts")).unwrap();
    fs::write(bundle.path("dev/pts/ptmx"), "").unwrap();
    for n in 0..8 {
        symlink(
            bundle.treasure.file("witness"),
            bundle.path(&format!("dev/pts/{n}")),
        )
        .unwrap();
    }
    check_console(&bundle, "false devpts");
}
attack!(console_over_a_symlink);

/// The devpts directory is swapped for one full of symlinks while the terminal is made.
fn console_while_pts_is_swapped(runtime: &Runtime) {
    let mut bundle = shared_dev(runtime, CONSOLE);
    bundle.config["process"]["terminal"] = json!(true);
    bundle.mount(
        "/dev/pts",
        "devpts",
        "devpts",
        &["newinstance", "ptmxmode=0666", "mode=0620"],
    );
    let (pts, other) = (bundle.path("dev/pts"), bundle.path("dev/other"));
    fs::create_dir(&pts).unwrap();
    fs::create_dir(&other).unwrap();
    for n in 0..8 {
        symlink(bundle.treasure.file("witness"), other.join(n.to_string())).unwrap();
    }
    let (begin, time, mut tries) = (Instant::now(), time_box(4), 0);
    while_swapping(&pts, &other, || {
        while begin.elapsed() < time {
            check_console(&bundle, "swapped devpts");
            tries += 1;
        }
    });
    println!("{tries} tries");
}
attack!(console_while_pts_is_swapped);

/// Binding the container's `/dev/null` by its name shows what is behind the symlink.
#[test]
fn control() {
    let Some(_) = payload::compile("naive") else {
        return;
    };
    let bundle = shared_dev(&Runtime::keelson(), LOOK);
    symlink(bundle.treasure.file("witness"), bundle.path("dev/null")).unwrap();
    let script = format!(
        "mount --bind '{0}/dev/null' '{0}/rootfs/secret' && cat '{0}/rootfs/secret'",
        bundle.directory.path().display()
    );
    let outcome = Bundle::outcome(std::process::Command::new("unshare").args(["-m", "sh", "-c", &script]));
    assert!(outcome.text.contains(SECRET), "{}", outcome.text);
}

/// An image with a false `/dev/null`, in a pod.
#[test]
fn of_a_pods_container() {
    let node = Node::new();
    let treasure = Treasure::in_directory(node.directory.path());
    fs::create_dir_all(node.rootfs.join("dev")).unwrap();
    symlink(treasure.file("witness"), node.rootfs.join("dev/null")).unwrap();
    let (_, output) = node.run(&node.shell(
        "cat /proc/keys /proc/timer_list; stat -c '%t:%T' /proc/keys; ls /sys/firmware; echo over >/dev/null; echo done",
    ));
    assert_eq!(output, "1:3\ndone\n");
    treasure.check("a false null device");
}
