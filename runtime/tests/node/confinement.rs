//! What a container's process finds itself with.

use std::collections::BTreeMap;

use keelson_runtime::node::*;

use crate::support::Node;

/// `Key: value` lines of `/proc/self/status`.
fn status(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|l| l.split_once(':'))
        .map(|(k, v)| (k.to_owned(), v.trim().to_owned()))
        .collect()
}

#[test]
fn the_default_view() {
    let node = Node::new();
    let (_, output) = node.run(&node.shell(
        "ls -A /dev; echo --; ls /sys/firmware /proc/scsi /proc/acpi 2>/dev/null | grep -v :; cat /proc/keys /proc/timer_list | wc -c; \
         touch /proc/sys/x /proc/sys/kernel/hostname /sys/x /sys/fs/cgroup/x 2>&1; \
         mkdir /sys/fs/cgroup/x 2>&1; echo 1 >/sys/fs/cgroup/cgroup.kill; readlink /dev/fd; readlink /dev/ptmx; cat /etc/hostname; pwd; env | sort; \
         cat /proc/sys/net/ipv4/ping_group_range /proc/sys/net/ipv4/ip_unprivileged_port_start; ip addr show lo; stat -c %a / /dev/shm /tmp; ls /proc/self/fd",
    ));
    let devices: Vec<&str> = output.split("--").next().unwrap().split_whitespace().collect();
    assert_eq!(
        devices,
        [
            "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin",
            "stdout", "tty", "urandom", "zero"
        ]
    );
    for expected in [
        "--\n\n0\n",
        "HOME=/root",
        "HOSTNAME=the-pod",
        "PATH=/usr/local/sbin",
        "LOOPBACK,UP",
        "127.0.0.1/8",
        "0\t2147483647\n0\n",
        "\n755\n1777\n",
        "/proc/self/fd\n",
        "pts/ptmx\n",
        "the-pod\n",
    ] {
        assert!(output.contains(expected), "{expected:?} not in {output}");
    }
    assert!(output.matches("Read-only file system").count() >= 4, "{output}");
}

#[test]
fn system_calls_are_filtered() {
    let node = Node::new();
    let script = "mount -t tmpfs none /tmp; echo $?; unshare -U true; echo $?; umount /proc; echo $?; mknod /tmp/n c 1 3; echo $?";
    let (_, output) = node.run(&node.shell(script));
    let codes: Vec<&str> = output.lines().filter(|l| l.len() < 4).collect();
    assert_eq!(codes.len(), 4, "{output}");
    assert!(
        codes[..3].iter().all(|code| *code != "0") && codes[3] == "0",
        "{output}"
    );
}

#[test]
fn privileged_is() {
    let node = Node::new();
    let spec = ContainerSpec { privileged: true, ..node.shell("mount -t tmpfs none /tmp && touch /tmp/x && ls /tmp; ls /dev | wc -l; wc -c </proc/keys; cat /proc/self/status") };
    let (code, output) = node.run(&spec);
    let status = status(&output);
    assert!(code == 0 && output.starts_with("x\n"), "{output}");
    assert_eq!(status["Seccomp"], "0");
}

#[test]
fn no_new_privileges_and_user() {
    let node = Node::new();
    let spec = ContainerSpec {
        no_new_privileges: true,
        user: User {
            image_user: "bob".into(),
            additional_gids: vec![77],
            ..User::default()
        },
        ..node.shell("id; cat /proc/self/status; echo $HOME; touch /x; echo hi >/dev/stdout")
    };
    let (_, output) = node.run(&spec);
    let status = status(&output);
    assert!(
        output.contains("uid=1000(bob) gid=1000(bob) groups=10(wheel),77,1000(bob)"),
        "{output}"
    );
    assert!(
        output.contains("/home/bob\n")
            && output.contains("/x: Permission denied")
            && output.contains("\nhi\n"), // two streams, which may overtake each other
        "{output}"
    );
    assert_eq!(
        (status["NoNewPrivs"].as_str(), status["Seccomp"].as_str()),
        ("1", "2")
    );
    assert_eq!(
        (status["CapEff"].as_str(), status["CapPrm"].as_str()),
        ("0000000000000000", "0000000000000000")
    );
}

#[test]
fn volumes() {
    let node = Node::new();
    let volume = node.directory.path().join("volume");
    std::fs::create_dir_all(volume.join("sub/deep")).unwrap();
    std::fs::write(volume.join("sub/file"), "content\n").unwrap();
    let mount = |target: &str| crate::support::volume(&volume, target);
    let spec = ContainerSpec {
        mounts: vec![
            VolumeMount {
                sub_path: Some("sub/file".into()),
                ..mount("/data/inner/one")
            },
            mount("/data"),
            VolumeMount {
                read_only: true,
                ..mount("/ro")
            },
            VolumeMount {
                sub_path: Some("made/here".into()),
                ..mount("/made")
            },
        ],
        read_only_rootfs: true,
        ..node.shell(
            "cat /data/sub/file /data/inner/one; touch /ro/x /x 2>&1; touch /data/new /made/x && echo wrote",
        )
    };
    // The read-only root makes no difference to mount targets: they are made before.
    let (_, output) = node.run(&spec);
    assert!(
        output.starts_with("content\ncontent\n") && output.ends_with("wrote\n"),
        "{output}"
    );
    assert_eq!(output.matches("Read-only file system").count(), 2, "{output}");
    assert!(
        volume.join("new").exists()
            && volume.join("made/here/x").exists()
            && !node.rootfs.join("data").exists()
    );
}

#[test]
fn a_shared_process_namespace() {
    let node = Node::new();
    node.runtime
        .create_sandbox(&SandboxSpec {
            share_pid: true,
            ..Node::sandbox("pod")
        })
        .unwrap();
    let first = node.shell("sleep 1000; exit 4");
    node.runtime.create_container("pod", &first).unwrap();
    node.runtime.start_container(&first.id).unwrap();
    let second = node.shell("echo $$; ps | grep -c '[s]leep 1000'; ls /proc/1/root/ 2>&1; ls -l /proc/1/exe 2>&1; (true & exit) & sleep 0.2; cat /proc/[0-9]*/stat | grep -c ') Z'; exit 6");
    let (code, output) = node.run_in("pod", &second);
    assert!(
        code == 6 && !output.starts_with("1\n") && output.contains("\n2\n"),
        "{output}"
    );
    assert!(
        output.matches("denied").count() >= 2 && output.ends_with("0\n"),
        "{output}"
    );
    let state = node
        .runtime
        .stop_container(&first.id, std::time::Duration::ZERO)
        .unwrap();
    assert!(matches!(state.phase, Phase::Exited { exit_code: 137, .. }));
}

#[test]
fn host_namespaces_on_request() {
    let node = Node::new();
    let spec = SandboxSpec {
        host_network: true,
        host_pid: true,
        host_ipc: true,
        hostname: "node".into(),
        ..Node::sandbox("pod")
    };
    let state = node.runtime.create_sandbox(&spec).unwrap();
    assert!(state.netns.is_none());
    let (_, output) = node.run_in(
        "pod",
        &node.shell("for n in net pid ipc uts; do readlink /proc/self/ns/$n; done; sleep 1000 & exit 3"),
    );
    for (name, line) in ["net", "pid", "ipc", "uts"].iter().zip(output.lines()) {
        assert_eq!(
            std::fs::read_link(format!("/proc/self/ns/{name}"))
                .unwrap()
                .to_str()
                .unwrap(),
            line
        );
    }
    // What a container leaves behind is killed with it; the kernel takes a moment to be through.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while node.runtime.sandbox_stats("pod").unwrap().pids > 0 {
        assert!(std::time::Instant::now() < deadline, "it lives on");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn bundles() {
    let node = Node::new();
    let bundle = node.directory.path().join("bundle");
    std::fs::create_dir(&bundle).unwrap();
    std::fs::rename(&node.rootfs, bundle.join("rootfs")).unwrap();
    std::fs::write(
        bundle.join("config.json"),
        r#"{"ociVersion":"1.0.2","hostname":"ignored","root":{"path":"rootfs"},"process":{"cwd":"/tmp","env":["A=1","B=2"],
            "args":["sh","-c","id -u; pwd; echo $A$B; hostname; touch /new"],"user":{"uid":5,"gid":6}}}"#,
    )
    .unwrap();
    let spec = ContainerSpec {
        rootfs: RootfsSource::Bundle(bundle.clone()),
        env: vec!["B=3".into()],
        ..node.container(&[])
    };
    let (_, output) = node.run(&spec);
    assert!(output.starts_with("5\n/tmp\n13\nthe-pod\n"), "{output}");
    let spec = ContainerSpec {
        user: User {
            uid: Some(0),
            ..User::default()
        },
        args: vec!["touch".into(), "/new".into()],
        ..spec
    };
    let spec = ContainerSpec {
        id: node.runtime.new_container_id(),
        ..spec
    };
    assert_eq!(node.run(&spec).0, 0);
    assert!(!bundle.join("rootfs/new").exists(), "the bundle is never written");
}
