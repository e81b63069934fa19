//! The process: who it is, what it may, how it is scheduled, what it inherits.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;

use serde_json::{Value, json};

use crate::support::{Bench, is_ours};

fn with(process: &[(&str, Value)], script: &str) -> Bench {
    let mut bench = Bench::script(script);
    for (key, value) in process {
        bench.config["process"][key] = value.clone();
    }
    bench
}

#[test]
fn user_groups_umask_and_directory() {
    let bench = with(
        &[
            (
                "user",
                json!({"uid": 1000, "gid": 1000, "additionalGids": [10, 77], "umask": 0o027}),
            ),
            ("cwd", json!("/home/bob")),
            ("env", json!(["PATH=/bin", "A=b c"])),
        ],
        "id; umask; pwd; echo $A; env | grep -c .",
    );
    fs::set_permissions(
        bench.directory.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let (code, output) = bench.run();
    let expected = "uid=1000(bob) gid=1000(bob) groups=10(wheel),77\n0027\n/home/bob\nb c\n";
    assert!(code == 0 && output.starts_with(expected), "{output}");
}

#[test]
fn users_that_are_none() {
    if !is_ours() {
        return; // crun 1.8 and runc 1.1 start these, the first as root
    }
    for user in [
        json!({"uid": 4_294_967_295_u32, "gid": 0}),
        json!({"uid": 0, "gid": 4_294_967_295_u32}),
        json!({"uid": 0, "gid": 0, "additionalGids": [4_294_967_295_u32]}),
        json!({"uid": 4_294_967_296_u64, "gid": 0}),
        json!({"uid": -1, "gid": 0}),
    ] {
        let (code, output) = with(&[("user", user.clone())], "id").run();
        assert!(code != 0 && !output.contains("uid="), "{user}: {output}");
    }
}

fn line<'a>(status: &'a str, key: &str) -> &'a str {
    let line = status.lines().find(|line| line.starts_with(key));
    line.unwrap_or_else(|| panic!("{key} not in {status}"))
        .split_whitespace()
        .last()
        .unwrap()
}

#[test]
fn all_five_capability_sets() {
    let sets = json!({
        "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_SETUID"],
        "permitted": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"],
        "inheritable": ["CAP_CHOWN", "CAP_KILL"],
        "effective": ["CAP_CHOWN", "CAP_KILL"],
        "ambient": ["CAP_KILL"],
    });
    let bench = with(
        &[
            ("capabilities", sets),
            ("user", json!({"uid": 1000, "gid": 1000})),
            ("args", json!(["cat", "/proc/self/status"])),
        ],
        "",
    );
    fs::set_permissions(
        bench.directory.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let (code, output) = bench.run();
    assert_eq!(code, 0, "{output}");
    let set = |key| u64::from_str_radix(line(&output, key), 16).unwrap();
    assert_eq!(
        (set("CapBnd"), set("CapInh"), set("CapAmb")),
        (0x20a1, 0x21, 0x20)
    );
    assert_eq!(
        (set("CapPrm"), set("CapEff")),
        (0x20, 0x20),
        "what exec leaves to a user who is not root"
    );
}

#[test]
fn limits_and_scores() {
    let bench = with(
        &[
            (
                "rlimits",
                json!([
                    {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
                    {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
                    {"type": "RLIMIT_STACK", "soft": 1_048_576, "hard": 2_097_152},
                ]),
            ),
            ("oomScoreAdj", json!(321)),
            ("noNewPrivileges", json!(true)),
        ],
        "ulimit -n; ulimit -Hn; ulimit -c; cat /proc/self/oom_score_adj; grep NoNewPrivs /proc/self/status; grep 'Max stack' /proc/self/limits",
    );
    let (code, output) = bench.run();
    let words: Vec<&str> = output.split_whitespace().collect();
    assert_eq!(code, 0, "{output}");
    assert_eq!(words[..6], ["100", "200", "0", "321", "NoNewPrivs:", "1"]);
    assert_eq!(words[6..11], ["Max", "stack", "size", "1048576", "2097152"]);
}

#[test]
fn scheduling() {
    if !is_ours() {
        return; // crun 1.8 and runc 1.1 do not know these
    }
    // Fields of proc_pid_stat(5): 19 nice, 40 realtime priority, 41 policy.
    let stat = "set -- $(cut -d' ' -f19,40,41 /proc/self/stat); echo $*";
    let run = |scheduler: Value| with(&[("scheduler", scheduler)], &stat.replace("cut", "busybox cut")).run();
    assert_eq!(
        run(json!({"policy": "SCHED_BATCH", "nice": 5})),
        (0, "5 0 3\n".to_owned())
    );
    assert!(run(json!({"policy": "SCHED_IDLE"})).1.ends_with(" 0 5\n"));
    let fifo = run(json!({"policy": "SCHED_FIFO", "priority": 7, "flags": ["SCHED_RESET_ON_FORK"]}));
    // The flag keeps it from what the shell starts; without realtime share in the cgroup the kernel refuses.
    assert!(
        fifo.1.ends_with(" 0 0\n") || fifo.1.contains("setting the scheduler"),
        "{fifo:?}"
    );
    let (code, output) = with(
        &[("ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 6}))],
        "busybox ionice -p $$",
    )
    .run();
    assert_eq!((code, output.as_str()), (0, "best-effort: prio 6\n"));
}

#[test]
fn personality_and_names() {
    let mut bench = Bench::script("uname -m; hostname; cat /proc/sys/kernel/domainname");
    bench.config["hostname"] = json!("somehost");
    if is_ours() {
        bench.config["domainname"] = json!("some.domain"); // runc 1.1 does not know it
    }
    if cfg!(target_arch = "x86_64") && is_ours() {
        bench.config["linux"]["personality"] = json!({"domain": "LINUX32"});
    }
    let applet = bench.path("rootfs/bin/uname");
    std::os::unix::fs::symlink("busybox", applet).unwrap();
    let (code, output) = bench.run();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!((code, lines[1]), (0, "somehost"));
    if is_ours() {
        assert_eq!((lines[0], lines[2]), ("i686", "some.domain"));
    }
}

#[test]
fn sysctls() {
    let mut bench = Bench::script(
        "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shm_rmid_forced /proc/sys/kernel/msgmax",
    );
    bench.config["linux"]["sysctl"] =
        json!({"net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1", "kernel.msgmax": "9999"});
    assert_eq!(bench.run(), (0, "1\n1\n9999\n".to_owned()));
    assert_ne!(fs::read_to_string("/proc/sys/kernel/msgmax").unwrap(), "9999\n");
}

#[test]
fn the_size_of_a_terminal() {
    let bench = with(
        &[
            ("terminal", json!(true)),
            ("consoleSize", json!({"width": 91, "height": 33})),
        ],
        "stty size",
    );
    assert!(crate::support::on_a_terminal(&bench).contains("33 91"));
}

#[test]
fn affinity_of_what_joins() {
    if !is_ours() {
        return; // crun 1.8 and runc 1.1 do not know it
    }
    let allowed = fs::read_to_string("/proc/self/status").unwrap();
    if line(&allowed, "Cpus_allowed_list") == "0" {
        return; // one processor leaves nothing to choose
    }
    let mut bench = Bench::new(&["sleep", "1000"]);
    bench.config["process"]["execCPUAffinity"] = json!({"initial": "0-1", "final": "0"});
    bench.start();
    let own = fs::read_to_string(format!("/proc/{}/status", bench.pid())).unwrap();
    assert_eq!(
        line(&own, "Cpus_allowed_list"),
        line(&allowed, "Cpus_allowed_list"),
        "not the first"
    );
    let joined = bench.ok(&["exec", &bench.id, "cat", "/proc/self/status"]);
    assert_eq!(line(&joined, "Cpus_allowed_list"), "0");
    bench.config["process"]["execCPUAffinity"] = json!({"final": "0,,1"});
    let (code, _) = bench.run();
    assert_ne!(code, 0);
}

#[test]
fn memory_policy() {
    if !is_ours() {
        return; // later than crun 1.8 and runc 1.1
    }
    let mut bench = Bench::script("busybox grep -m1 -o 'bind:0' /proc/self/numa_maps");
    bench.config["linux"]["memoryPolicy"] = json!({"mode": "MPOL_BIND", "nodes": "0"});
    let (code, output) = bench.run();
    // A kernel without NUMA has no such call.
    assert!(
        (code, output.as_str()) == (0, "bind:0\n") || output.contains("setting the memory policy"),
        "{output}"
    );
}

/// Duplicates an open file to a number that exec keeps, in a command to be.
fn run_with_descriptors(bench: &Bench, more: &[&str], files: &[&fs::File]) -> (i32, String) {
    fs::write(bench.path("config.json"), bench.config.to_string()).unwrap();
    let bundle = bench.directory.path().to_str().unwrap();
    let mut command = bench.command(&["run", "-b", bundle]);
    command.args(more).arg(&bench.id);
    // The shell puts them on 3 and 4: a child of ours cannot be told to without unsafe code.
    let mut line = String::from("exec \"$0\" \"$@\"");
    for (index, file) in files.iter().enumerate() {
        let path = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
        line = format!("{line} {}<{}", index + 3, path.display());
    }
    let mut shell = std::process::Command::new("bash");
    shell
        .arg("-c")
        .arg(line)
        .arg(command.get_program())
        .args(command.get_args());
    shell.arg0("bash");
    let output = shell.output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), text)
}

#[test]
fn descriptors_are_passed_on_only_if_asked_for() {
    let bench = Bench::script("{ cat <&3; } 2>/dev/null || echo none");
    fs::write(bench.path("passed"), "passed\n").unwrap();
    let file = fs::File::open(bench.path("passed")).unwrap();
    let (_, output) = run_with_descriptors(&bench, &[], &[&file]);
    assert_eq!(output, "none\n");
}

#[test]
fn preserved_descriptors() {
    let bench = Bench::script("cat <&3; cat <&4; ls /proc/self/fd | grep -c .");
    for name in ["one", "two"] {
        fs::write(bench.path(name), format!("{name}\n")).unwrap();
    }
    let files = ["one", "two"].map(|name| fs::File::open(bench.path(name)).unwrap());
    let (code, output) = run_with_descriptors(&bench, &["--preserve-fds", "2"], &[&files[0], &files[1]]);
    if is_ours() && output.contains("unexpected argument") {
        return; // the option comes with the command line
    }
    assert_eq!((code, output.as_str()), (0, "one\ntwo\n6\n"));
    let (code, _) = run_with_descriptors(&bench, &["--preserve-fds", "3"], &[&files[0]]);
    if is_ours() {
        assert_ne!(code, 0, "descriptor 5 is not there"); // crun leaves it out
    }
}

#[test]
fn labels_that_the_kernel_does_not_have() {
    if !is_ours() {
        return; // the peers leave out what the kernel does not have
    }
    if fs::metadata("/sys/module/apparmor/parameters/enabled").is_err() {
        let (code, output) = with(&[("apparmorProfile", json!("some-profile"))], "true").run();
        assert!(
            code != 0 && output.contains("AppArmor is not enabled"),
            "{output}"
        );
    }
    if fs::metadata("/sys/fs/selinux/enforce").is_err() {
        let label = json!("system_u:system_r:container_t:s0");
        let (code, output) = with(&[("selinuxLabel", label.clone())], "true").run();
        assert!(code != 0 && output.contains("SELinux is not enabled"), "{output}");
        let mut bench = Bench::new(&["true"]);
        bench.config["linux"]["mountLabel"] = label;
        let (code, output) = bench.run();
        assert!(code != 0 && output.contains("SELinux is not enabled"), "{output}");
    }
    let (code, _) = with(&[("apparmorProfile", json!("unconfined"))], "true").run();
    assert_eq!(code, 0);
}
