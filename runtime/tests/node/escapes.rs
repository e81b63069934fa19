//! Attacks on the runtime from inside a container or its image. Each must leave the host as it was.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use keelson_runtime::node::*;

use crate::support::Node;

/// A directory of the host that nothing may change, with a witness file.
fn treasure(node: &Node) -> PathBuf {
    let path = node.directory.path().join("treasure");
    fs::create_dir_all(&path).unwrap();
    fs::write(path.join("witness"), "unchanged").unwrap();
    path
}

/// Every file below a directory with its size and mode, mounts and all.
fn census(directory: &Path) -> BTreeMap<PathBuf, (u64, u32)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let metadata = fs::symlink_metadata(entry.path()).unwrap();
        all.insert(entry.path(), (metadata.size(), metadata.mode()));
        if metadata.is_dir() {
            all.extend(census(&entry.path()));
        }
    }
    all
}

fn volume(source: &Path, target: &str) -> VolumeMount {
    VolumeMount {
        source: source.into(),
        sub_path: None,
        target: target.into(),
        read_only: false,
        recursive_read_only: false,
        propagation: Propagation::Private,
    }
}

#[test]
fn a_raw_disk_cannot_be_opened() {
    let node = Node::new();
    let disk = fs::metadata("/").unwrap().dev();
    let (major, minor) = (libc::major(disk), libc::minor(disk));
    let (_, output) = node.run(&node.shell(&format!(
        "mknod /disk b {major} {minor} && echo made; head -c 1 /disk 2>&1; mknod /mem c 1 1; head -c 1 /mem 2>&1; echo x >/dev/null && echo fine"
    )));
    assert!(
        output.starts_with("made\n") && output.ends_with("fine\n"),
        "{output}"
    );
    assert_eq!(output.matches("Operation not permitted").count(), 2, "{output}");
}

#[test]
fn devices_by_request() {
    let node = Node::new();
    let device = (
        PathBuf::from("/dev/fuse"),
        PathBuf::from("/dev/my-fuse"),
        "rw".to_owned(),
    );
    if !device.0.exists() {
        return;
    }
    let spec = ContainerSpec {
        devices: vec![device],
        ..node.shell("true <>/dev/my-fuse && echo opened")
    };
    assert_eq!(node.run(&spec).1, "opened\n");
}

/// CVE-2019-5736: through `/proc/PID/exe` of the runtime's processes.
#[test]
fn the_runtimes_executables_are_out_of_reach() {
    let node = Node::new();
    let own = std::env::current_exe().unwrap();
    let before = fs::read(&own).unwrap();
    // The entry point re-executes whatever started it; and a lurker tries every process it can see.
    fs::write(node.rootfs.join("bin/evil"), "#!/proc/self/exe\n").unwrap();
    fs::set_permissions(node.rootfs.join("bin/evil"), fs::Permissions::from_mode(0o755)).unwrap();
    let lurker = node.shell("while :; do for p in /proc/[0-9]*; do [ $p = /proc/1 ] && continue; case $(readlink $p/exe) in /bin/busybox) ;; *) \
        (echo pwned >>$p/exe) 2>/dev/null && echo WROTE $p; esac; done; done");
    node.runtime
        .create_sandbox(&SandboxSpec {
            share_pid: true,
            ..Node::sandbox("pod")
        })
        .unwrap();
    node.runtime.create_container("pod", &lurker).unwrap();
    node.runtime.start_container(&lurker.id).unwrap();
    for _ in 0..30 {
        let spec = node.container(&["/bin/evil"]);
        node.runtime.create_container("pod", &spec).unwrap();
        let _ = node.runtime.start_container(&spec.id);
        let exec = ExecSpec {
            args: vec!["/bin/evil".into()],
            ..ExecSpec::default()
        };
        if let Ok(mut session) = node.runtime.exec(&lurker.id, &exec) {
            let _ = session.wait();
        }
        node.runtime.remove_container(&spec.id).unwrap();
    }
    assert!(!Node::log(&lurker).contains("WROTE"), "{}", Node::log(&lurker));
    assert!(fs::read(&own).unwrap() == before);
    assert_eq!(
        node.run_in("pod", &node.shell("exit 3")).0,
        3,
        "the shim's program is whole"
    );
}

/// CVE-2024-21626: a working directory that is an open descriptor.
#[test]
fn descriptors_as_working_directory() {
    let node = Node::new();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    let main = node.container(&["sleep", "1000"]);
    node.runtime.create_container("pod", &main).unwrap();
    node.runtime.start_container(&main.id).unwrap();
    symlink("/proc/self/fd/7", node.rootfs.join("sneaky")).unwrap();
    for n in 0..24 {
        for cwd in [
            format!("/proc/self/fd/{n}"),
            format!("/proc/1/fd/{n}/.."),
            "/sneaky".to_owned(),
            "/proc/1/cwd".to_owned(),
            "/proc/1/root".to_owned(),
        ] {
            let spec = ContainerSpec {
                cwd,
                log_path: None,
                ..node.container(&["true"])
            };
            node.runtime.create_container("pod", &spec).unwrap();
            assert!(node.runtime.start_container(&spec.id).is_err(), "{}", spec.cwd);
            node.runtime.remove_container(&spec.id).unwrap();
        }
    }
}

/// CVE-2019-19921, 2023-27561: the image's /proc, /sys, /dev and targets lead elsewhere.
#[test]
fn symlinked_mount_targets() {
    for name in ["proc", "sys", "dev", "etc", "data"] {
        for style in ["absolute", "relative", "inside"] {
            let node = Node::new();
            let treasure = treasure(&node);
            let path = node.rootfs.join(name);
            let _ = fs::remove_dir_all(&path);
            match style {
                "absolute" => symlink(&treasure, &path).unwrap(),
                "relative" => {
                    symlink(format!("../../../../../../../..{}", treasure.display()), &path).unwrap();
                }
                _ => {
                    fs::create_dir(node.rootfs.join("elsewhere")).unwrap();
                    symlink("/elsewhere", &path).unwrap();
                }
            }
            let before = census(&treasure);
            let source = node.directory.path().join("source");
            fs::create_dir(&source).unwrap();
            fs::write(source.join("file"), "x").unwrap();
            let spec = ContainerSpec {
                mounts: vec![
                    volume(&source, "/data/deep"),
                    volume(&source.join("file"), "/etc/resolv.conf"),
                ],
                log_path: None,
                ..node.shell("cat /data/deep/file")
            };
            node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
            match node.runtime.create_container("pod", &spec) {
                Ok(_) => assert!(name != "proc" && name != "sys", "{name} {style} accepted"),
                Err(error) => assert!(name == "proc" || name == "sys", "{name} {style}: {error}"),
            }
            assert_eq!(census(&treasure), before, "{name} {style}");
            let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
            assert!(!mounts.contains(treasure.to_str().unwrap()));
        }
    }
}

/// Decoys on procfs: CVE-2019-16884, 2025-52881.
#[test]
fn nothing_is_mounted_over_procfs() {
    let node = Node::new();
    let decoy = treasure(&node);
    symlink("/proc/self", node.rootfs.join("alias")).unwrap();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    for target in [
        "/proc",
        "/proc/",
        "/proc/self/attr",
        "/proc/sys",
        "/proc/1/attr",
        "/alias/attr",
        "/tmp/../proc/sys",
        "/sys",
    ] {
        let spec = ContainerSpec {
            mounts: vec![volume(&decoy, target)],
            ..node.container(&["true"])
        };
        assert!(node.runtime.create_container("pod", &spec).is_err(), "{target}");
    }
}

/// CVE-2021-25741: a subPath that is a symlink out of its volume.
#[test]
fn sub_paths_stay_in_their_volume() {
    let node = Node::new();
    let treasure = treasure(&node);
    let source = node.directory.path().join("volume");
    fs::create_dir_all(source.join("real")).unwrap();
    symlink(&treasure, source.join("absolute")).unwrap();
    symlink("../treasure", source.join("up")).unwrap();
    symlink("real", source.join("fine")).unwrap();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    for (sub, good) in [
        ("absolute", false),
        ("up", false),
        ("up/new", false),
        ("../treasure", false),
        ("real/../../treasure", false),
        ("/etc", false),
        ("fine", true),
        ("new/dir", true),
    ] {
        let mount = VolumeMount {
            sub_path: Some(sub.into()),
            ..volume(&source, "/data")
        };
        let spec = ContainerSpec {
            mounts: vec![mount],
            ..node.shell("ls -A /data")
        };
        let result = node.runtime.create_container("pod", &spec);
        assert_eq!(result.is_ok(), good, "{sub}: {result:?}");
    }
    assert!(!treasure.join("new").exists());
}

/// CVE-2021-30465: a neighbour swaps a directory and a symlink while a volume is mounted below it.
#[test]
fn racing_swaps_of_mount_targets() {
    let node = Node::new();
    let treasure = treasure(&node);
    let (shared, other) = (
        node.directory.path().join("shared"),
        node.directory.path().join("other"),
    );
    fs::create_dir_all(shared.join("a")).unwrap();
    fs::create_dir_all(&other).unwrap();
    symlink(treasure.parent().unwrap(), shared.join("b")).unwrap();
    let before = census(&treasure);
    let stop = std::sync::atomic::AtomicBool::new(false);
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let c = |name: &str| std::ffi::CString::new(shared.join(name).to_str().unwrap()).unwrap();
            let (a, b) = (c("a"), c("b"));
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                // RENAME_EXCHANGE
                let _ = nix::fcntl::renameat2(
                    nix::fcntl::AT_FDCWD,
                    a.as_c_str(),
                    nix::fcntl::AT_FDCWD,
                    b.as_c_str(),
                    nix::fcntl::RenameFlags::RENAME_EXCHANGE,
                );
            }
        });
        for _ in 0..300 {
            let mounts = vec![volume(&shared, "/shared"), volume(&other, "/shared/a/treasure")];
            let spec = ContainerSpec {
                mounts,
                log_path: None,
                ..node.container(&["true"])
            };
            if node.runtime.create_container("pod", &spec).is_ok() {
                let _ = node.runtime.start_container(&spec.id);
            }
            node.runtime.remove_container(&spec.id).unwrap();
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(census(&treasure), before);
    assert!(
        !fs::read_to_string("/proc/self/mountinfo")
            .unwrap()
            .contains("treasure")
    );
}

/// CVE-2025-31133: what is to be masked, or masks, is not what it seems.
#[test]
fn the_images_null_device_is_not_trusted() {
    let node = Node::new();
    let treasure = treasure(&node);
    fs::create_dir_all(node.rootfs.join("dev")).unwrap();
    symlink(treasure.join("witness"), node.rootfs.join("dev/null")).unwrap();
    let (_, output) = node.run(&node.shell("cat /proc/keys /proc/timer_list; stat -c '%t:%T' /proc/keys; ls /sys/firmware; echo over >/dev/null; echo done"));
    assert_eq!(output, "1:3\ndone\n");
    assert_eq!(fs::read_to_string(treasure.join("witness")).unwrap(), "unchanged");
}

/// CVE-2025-24965: files that the runtime reads or writes are symlinks or worse.
#[test]
fn account_files_are_read_confined() {
    let node = Node::new();
    let outside = node.directory.path().join("outside");
    fs::write(&outside, "evil:x:0:0::/:/bin/sh\n").unwrap();
    fs::remove_file(node.rootfs.join("etc/passwd")).unwrap();
    symlink(&outside, node.rootfs.join("etc/passwd")).unwrap();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    let as_evil = || ContainerSpec {
        user: User {
            image_user: "evil".into(),
            ..User::default()
        },
        ..node.container(&["id"])
    };
    assert!(matches!(
        node.runtime.create_container("pod", &as_evil()),
        Err(Error::Invalid(_))
    ));
    fs::remove_file(node.rootfs.join("etc/passwd")).unwrap();
    nix::unistd::mkfifo(&node.rootfs.join("etc/passwd"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(node.runtime.create_container("pod", &as_evil()).is_err());
}

#[test]
fn cgroup_is_read_only_and_its_own() {
    let node = Node::new();
    let script = "cat /proc/self/cgroup | tail -1; ls /sys/fs/cgroup/release_agent 2>&1; mkdir /sys/fs/cgroup/x 2>&1; mount -o remount,rw /sys/fs/cgroup 2>&1; \
        ls -d /sys/fs/cgroup/kubepods /sys/fs/cgroup/keelson* 2>&1";
    let (_, output) = node.run(&node.shell(script));
    assert!(
        output.starts_with("0::/\n")
            && output.contains("Read-only")
            && output.matches("No such file").count() >= 2,
        "{output}"
    );
}

#[test]
fn other_users_cannot_enter_the_directories() {
    let node = Node::new();
    let (_, _) = node.run(&node.container(&["true"]));
    for directory in [
        node.config.root.clone(),
        node.config.run_dir.clone(),
        node.config.run_dir.join("pods"),
    ] {
        assert_eq!(
            fs::metadata(&directory).unwrap().mode() & 0o077,
            0,
            "{}",
            directory.display()
        );
    }
}

#[test]
fn host_network_finds_no_abstract_sockets() {
    let node = Node::new();
    node.runtime
        .create_sandbox(&SandboxSpec {
            host_network: true,
            ..Node::sandbox("pod")
        })
        .unwrap();
    let sockets = fs::read_to_string("/proc/net/unix").unwrap();
    assert!(
        !sockets
            .lines()
            .any(|line| line.contains('@') && line.contains("keelson")),
        "{sockets}"
    );
    assert!(
        !sockets
            .lines()
            .any(|line| line.contains('@') && line.contains("shim"))
    );
}

#[test]
fn malformed_specifications() {
    let node = Node::new();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    let good = || node.container(&["true"]);
    let long = "x".repeat(5000);
    for (name, spec) in [
        (
            "id",
            ContainerSpec {
                id: "../../evil".into(),
                ..good()
            },
        ),
        (
            "args",
            ContainerSpec {
                args: vec![],
                ..good()
            },
        ),
        (
            "NUL",
            ContainerSpec {
                args: vec!["a\0b".into()],
                ..good()
            },
        ),
        (
            "capability",
            ContainerSpec {
                cap_add: vec!["EVERYTHING".into()],
                ..good()
            },
        ),
        (
            "target",
            ContainerSpec {
                mounts: vec![volume(Path::new("/tmp"), &long)],
                ..good()
            },
        ),
        (
            "source",
            ContainerSpec {
                mounts: vec![volume(Path::new("/no/such"), "/x")],
                ..good()
            },
        ),
        (
            "layers",
            ContainerSpec {
                rootfs: RootfsSource::Layers(vec![]),
                ..good()
            },
        ),
        (
            "layer",
            ContainerSpec {
                rootfs: RootfsSource::Layers(vec!["/no/such".into()]),
                ..good()
            },
        ),
        (
            "bundle",
            ContainerSpec {
                rootfs: RootfsSource::Bundle("/no/such".into()),
                ..good()
            },
        ),
        (
            "seccomp",
            ContainerSpec {
                seccomp: Seccomp::Localhost("/no/such".into()),
                ..good()
            },
        ),
    ] {
        assert!(node.runtime.create_container("pod", &spec).is_err(), "{name}");
    }
    assert!(node.runtime.containers().unwrap().is_empty());
    assert!(node.runtime.create_container("absent", &good()).is_err());
    for id in ["", "..", "a/b"] {
        assert!(node.runtime.create_sandbox(&Node::sandbox(id)).is_err());
        assert!(node.runtime.remove_sandbox(id).is_err());
    }
}
