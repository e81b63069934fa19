//! What callers of runc rely on without saying so: the environment, descriptors, exit codes, mounts of podman's.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::json;

use crate::support::{Bench, is_ours};

fn running(script: &str) -> Bench {
    let bench = Bench::script(script);
    bench.start();
    bench
}

#[test]
fn a_home_from_the_containers_own_accounts() {
    let script = "echo \"[$HOME]\"; env | grep -c ^HOME=";
    let mut bench = Bench::script(script);
    let passwd = "root::0:0::/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\n";
    fs::write(bench.path("rootfs/etc/passwd"), passwd).unwrap();
    let mut of = |uid: u32, env: &[&str]| {
        bench.config["process"]["env"] = json!([&["PATH=/bin"], env].concat());
        bench.config["process"]["user"] = json!({"uid": uid, "gid": 0});
        bench.config["process"]["cwd"] = json!("/");
        bench.run().1
    };
    assert_eq!(of(0, &[]), "[/root]\n1\n");
    assert_eq!(of(1000, &[]), "[/home/bob]\n1\n");
    assert_eq!(of(4242, &[]), "[/]\n1\n");
    assert_eq!(of(0, &["HOME=/elsewhere"]), "[/elsewhere]\n1\n");
    let bench = running("sleep 1000");
    fs::write(bench.path("rootfs/etc/passwd"), passwd).unwrap();
    let seen = bench.ok(&["exec", "-u", "1000", &bench.id, "/bin/sh", "-c", script]);
    assert_eq!(seen, "[/home/bob]\n1\n");
}

#[test]
fn of_two_entries_of_one_name_the_last() {
    let mut bench = Bench::script("env | grep ^A=");
    bench.config["process"]["env"] = json!(["A=1", "PATH=/bin", "A=2"]);
    assert_eq!(bench.run().1, "A=2\n");
    bench.config["process"]["args"] = json!(["sleep", "1000"]);
    bench.start();
    let seen = bench.ok(&["exec", "-e", "A=3", &bench.id, "sh", "-c", "env | grep ^A="]);
    assert_eq!(seen, "A=3\n");
}

#[test]
fn exec_as_another_user_keeps_the_groups() {
    let mut bench = Bench::script("sleep 1000");
    bench.config["process"]["user"] = json!({"uid": 5, "gid": 1001, "additionalGids": [6]});
    bench.start();
    let id = |options: &[&str]| {
        let args = [&["exec"], options, &[&bench.id, "sh", "-c", "id -u; id -G"]].concat();
        bench.ok(&args)
    };
    assert_eq!(id(&["-u", "7"]), "7\n1001 6\n");
    assert_eq!(id(&["-u", "7:8"]), "7\n8 6\n");
}

#[test]
fn exit_codes_of_exec() {
    let bench = running("sleep 1000");
    let code = |args: &[&str]| bench.command(args).output().unwrap().status.code();
    assert_eq!(code(&["exec", &bench.id, "sh", "-c", "exit 3"]), Some(3));
    assert_eq!(code(&["exec", &bench.id, "/nonexistent"]), Some(255));
    assert_eq!(code(&["exec", &bench.id, "/etc/passwd"]), Some(255));
    assert_eq!(
        code(&["exec", "--cwd", "/nonexistent", &bench.id, "true"]),
        Some(255)
    );
    assert_eq!(code(&["exec", "nobody-knows-it", "true"]), Some(255));
    assert_eq!(code(&["kill", &bench.id, "0"]), Some(0));
    bench.ok(&["kill", &bench.id, "KILL"]);
    bench.wait_for("stopped");
    assert_eq!(code(&["kill", &bench.id, "0"]), Some(1));
    assert_eq!(code(&["exec", &bench.id, "true"]), Some(255));
}

#[test]
fn an_exec_that_cannot_be_told_of_does_not_run() {
    let bench = running("sleep 1000");
    let args = [
        "exec",
        "-d",
        "--pid-file",
        "/nonexistent/p",
        &bench.id,
        "sleep",
        "777",
    ];
    assert_eq!(bench.command(&args).output().unwrap().status.code(), Some(255));
    let seen = bench.ok(&["ps", &bench.id]);
    assert!(!seen.contains("sleep 777"), "{seen}");
}

#[test]
fn a_pid_file_is_no_way_to_another_file() {
    if !is_ours() {
        return; // others call their temporary file otherwise
    }
    let bench = Bench::new(&["true"]);
    let victim = bench.path("victim");
    fs::write(&victim, "mine").unwrap();
    std::os::unix::fs::symlink(&victim, bench.path(".pid")).unwrap();
    assert!(bench.create());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
    assert!(bench.pid() > 0);
}

/// Sockets of systemd's kind, for the container and for an exec.
#[test]
fn listening_sockets() {
    let script = "echo $LISTEN_FDS $LISTEN_PID; ls /proc/self/fd | tr '\\n' ' '";
    let bench = Bench::script(script);
    fs::write(bench.path("config.json"), bench.config.to_string()).unwrap();
    let with = |pid: &str, args: &[&str]| {
        let inner = bench.command(args);
        let line = format!(
            "exec 3</etc/passwd 4</etc/passwd 5</etc/passwd; LISTEN_FDS=2 LISTEN_PID={pid} exec \"$@\""
        );
        let mut command = Command::new("sh");
        command
            .args(["-c", &line, "sh"])
            .arg(inner.get_program())
            .args(inner.get_args());
        let output = command.output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    let bundle = bench.directory.path().to_str().unwrap();
    let run = ["run", "-b", bundle, &bench.id];
    // 5 is what `ls` itself reads.
    assert_eq!(with("$$", &run), "2 1\n0 1 2 3 4 5 ");
    assert_eq!(with("1", &run), "\n0 1 2 3 ", "for somebody else");
    let bench = running("sleep 1000");
    let exec = ["exec", &bench.id, "sh", "-c", script];
    let inner = bench.command(&exec);
    let mut command = Command::new("sh");
    let line = "exec 3</etc/passwd; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"";
    command
        .args(["-c", line, "sh"])
        .arg(inner.get_program())
        .args(inner.get_args());
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1 1\n0 1 2 3 4 ");
}

/// podman's `--tmpfs` and `--read-only`: the mode asked for, else that of the directory below, else the default.
#[test]
fn modes_of_a_tmpfs() {
    let mut bench = Bench::script("stat -c %a /asked /new /old /copied; ls /copied");
    for (name, mode) in [("old", 0o751), ("copied", 0o753)] {
        let path = bench.path("rootfs").join(name);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("file"), "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    bench.mount("/asked", "tmpfs", "tmpfs", &["tmpcopyup", "mode=1770"]);
    bench.mount("/new", "tmpfs", "tmpfs", &["tmpcopyup"]);
    bench.mount("/old", "tmpfs", "tmpfs", &[]);
    bench.mount("/copied", "tmpfs", "tmpfs", &["tmpcopyup"]);
    assert_eq!(bench.run(), (0, "1770\n1777\n751\n753\nfile\n".to_owned()));
}

#[test]
fn options_longer_than_the_newer_call_takes() {
    let mut bench = Bench::script("cat /merged/lower; echo new > /merged/x && cat /merged/x");
    let long = bench.path(&"l".repeat(200));
    for directory in ["upper", "work"] {
        fs::create_dir(bench.path(directory)).unwrap();
    }
    fs::create_dir_all(long.join("y".repeat(100))).unwrap();
    fs::write(long.join("y".repeat(100)).join("lower"), "below\n").unwrap();
    let tmpfs = bench.path("upper");
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "keelson-test"])
        .arg(&tmpfs)
        .status();
    assert!(mounted.unwrap().success());
    fs::create_dir(tmpfs.join("u")).unwrap();
    fs::create_dir(tmpfs.join("w")).unwrap();
    let options = [
        format!("lowerdir={}", long.join("y".repeat(100)).display()),
        format!("upperdir={}", tmpfs.join("u").display()),
        format!("workdir={}", tmpfs.join("w").display()),
    ];
    bench.mount(
        "/merged",
        "overlay",
        "overlay",
        &[&options[0], &options[1], &options[2], "nodev"],
    );
    let outcome = bench.run();
    let unmounted = Command::new("umount").arg(&tmpfs).status();
    assert!(unmounted.unwrap().success());
    assert_eq!(outcome, (0, "below\nnew\n".to_owned()));
}

#[test]
fn a_relative_destination_and_a_capability_of_tomorrow() {
    let mut bench = Bench::script("mount | grep -c /rel/ative");
    bench.mount("rel/ative", "tmpfs", "tmpfs", &[]);
    let sets = &mut bench.config["process"]["capabilities"];
    sets["bounding"]
        .as_array_mut()
        .unwrap()
        .push(json!("CAP_OF_TOMORROW"));
    assert_eq!(bench.run(), (0, "1\n".to_owned()));
}

#[test]
fn the_terminal_multiplexer_stays_the_containers() {
    let mut bench = Bench::script("readlink /dev/ptmx");
    bench.config["linux"]["devices"] =
        json!([{"path": "/dev/ptmx", "type": "c", "major": 5, "minor": 2, "fileMode": 0o666}]);
    assert_eq!(bench.run(), (0, "pts/ptmx\n".to_owned()));
}

/// What cannot be had shows when the container is made, not when it is started.
#[test]
fn a_process_that_cannot_be_is_not_created() {
    let mut bench = Bench::new(&["true"]);
    bench.config["process"]["rlimits"] =
        json!([{"type": "RLIMIT_NOFILE", "soft": 99_999_999_u64, "hard": 99_999_999_u64}]);
    assert!(!bench.create());
    let mut bench = Bench::new(&["true"]);
    bench.config["process"]["cwd"] = json!("/etc/passwd");
    assert!(!bench.create());
}

#[test]
fn a_configuration_that_is_no_plain_file() {
    let bench = Bench::new(&["true"]);
    nix::unistd::mkfifo(&bench.path("config.json"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let bundle = bench.directory.path().to_str().unwrap();
    let inner = bench.command(&["run", "-b", bundle, &bench.id]);
    let mut command = Command::new("timeout");
    command
        .args(["-s", "KILL", "10"])
        .arg(inner.get_program())
        .args(inner.get_args());
    let output = command.output().unwrap();
    if is_ours() {
        assert_eq!(output.status.code(), Some(1)); // others wait for a writer
        assert!(String::from_utf8_lossy(&output.stderr).contains("not a regular file"));
    }
}

#[test]
fn parameters_of_the_hosts_own_namespaces() {
    for (kind, path, name) in [
        ("network", "/proc/self/ns/net", "net.ipv4.ip_forward"),
        ("ipc", "/proc/self/ns/ipc", "kernel.shmmax"),
        ("uts", "/proc/self/ns/uts", "kernel.domainname"),
    ] {
        let mut bench = Bench::new(&["true"]);
        bench.namespace(kind, Some(path));
        bench.config.as_object_mut().unwrap().remove("hostname");
        bench.config["linux"]["sysctl"] = json!({name: "1"});
        let (code, text) = bench.run();
        assert!(code != 0, "{name}: {text}");
    }
}

/// A hook that kills the first process while it is being set up.
#[test]
fn a_first_process_that_is_killed_is_not_created() {
    let mut bench = Bench::new(&["sleep", "1000"]);
    bench.without_namespace("pid");
    bench.config["hooks"] =
        json!({"createContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "kill -9 $PPID"]}]});
    assert!(!bench.create());
    let known = bench.command(&["state", &bench.id]).output().unwrap();
    assert!(!known.status.success(), "nothing is left");
}

#[test]
fn a_paused_container_is_not_started() {
    if !is_ours() {
        return; // crun does not work with this host's hybrid cgroups
    }
    let bench = Bench::new(&["sleep", "1000"]);
    assert!(bench.create());
    bench.ok(&["pause", &bench.id]);
    assert_eq!(bench.status(), "paused");
    let started = bench.command(&["start", &bench.id]).output().unwrap();
    assert!(!started.status.success());
    bench.ok(&["resume", &bench.id]);
    assert_eq!(bench.status(), "created");
    bench.ok(&["start", &bench.id]);
}
