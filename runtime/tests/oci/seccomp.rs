//! Seccomp: each action, several architectures, arguments, the agent behind a listener.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use serde_json::{Value, json};

use crate::support::{Bench, is_ours};

/// A container that tries to make a directory, under a profile that lets everything else be.
fn mkdir(action: &str, errno: Option<u32>) -> Bench {
    let mut bench = Bench::script("mkdir /made 2>&1; echo $?");
    let mut rule = json!({"names": ["mkdir", "mkdirat"], "action": action});
    if let Some(errno) = errno {
        rule["errnoRet"] = json!(errno);
    }
    bench.config["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]});
    bench
}

#[test]
fn actions() {
    for (action, errno, expected) in [
        (
            "SCMP_ACT_ERRNO",
            None,
            "mkdir: can't create directory '/made': Operation not permitted\n1\n",
        ),
        (
            "SCMP_ACT_ERRNO",
            Some(28),
            "mkdir: can't create directory '/made': No space left on device\n1\n",
        ),
        ("SCMP_ACT_KILL", None, "Bad system call\n159\n"),
        ("SCMP_ACT_KILL_THREAD", None, "Bad system call\n159\n"),
        ("SCMP_ACT_KILL_PROCESS", None, "Bad system call\n159\n"),
        ("SCMP_ACT_TRAP", None, "Bad system call\n159\n"),
        (
            "SCMP_ACT_TRACE",
            None,
            "mkdir: can't create directory '/made': Function not implemented\n1\n",
        ),
        ("SCMP_ACT_LOG", None, "0\n"),
    ] {
        let (code, output) = mkdir(action, errno).run();
        let told = output.replace("Bad system call (core dumped)", "Bad system call");
        assert!(
            code == 0 && sorted(&told) == sorted(expected),
            "{action}: {output}"
        );
    }
}

/// The shell's own words and those of its command come on two streams.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn also_without_no_new_privileges_and_for_a_user() {
    for no_new_privileges in [true, false] {
        let mut bench = mkdir("SCMP_ACT_ERRNO", Some(28));
        bench.config["process"]["noNewPrivileges"] = json!(no_new_privileges);
        bench.config["process"]["user"] = json!({"uid": 1000, "gid": 1000});
        bench.config["process"]["args"][2] =
            json!("mkdir /tmp/made 2>&1; grep -E 'Seccomp:|CapEff' /proc/self/status");
        fs::set_permissions(bench.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(bench.path("rootfs/tmp"), fs::Permissions::from_mode(0o777)).unwrap();
        let (_, output) = bench.run();
        assert!(
            output.contains("No space left")
                && output.contains("Seccomp:\t2")
                && output.contains("0000000000000000"),
            "{output}"
        );
    }
}

#[test]
fn arguments_and_a_default_that_denies() {
    // chmod's mode decides; everything that the program needs is allowed by exclusion.
    let mut bench = Bench::script(
        "chmod 600 /f && echo 600; chmod 644 /f 2>/dev/null || echo no 644; chmod 700 /f && echo 700",
    );
    fs::write(bench.path("rootfs/f"), "").unwrap();
    let rule = |op: &str, value: u32, two: u32| {
        json!({"names": ["chmod", "fchmodat"], "action": "SCMP_ACT_ERRNO",
            "args": [{"index": 1, "value": value, "valueTwo": two, "op": op}]})
    };
    bench.config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [rule("SCMP_CMP_MASKED_EQ", 0o077, 0o044)],
    });
    assert_eq!(bench.run(), (0, "600\nno 644\n700\n".to_owned()));
}

#[test]
fn exec_has_it_too() {
    let mut bench = mkdir("SCMP_ACT_ERRNO", Some(28));
    bench.config["process"]["args"] = json!(["sleep", "1000"]);
    bench.start();
    let output = bench
        .command(&["exec", &bench.id, "mkdir", "/made"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("No space left"));
}

#[test]
fn flags() {
    for flags in [
        json!(["SECCOMP_FILTER_FLAG_LOG"]),
        json!(["SECCOMP_FILTER_FLAG_TSYNC"]),
        json!(["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]),
        json!([]),
    ] {
        let mut bench = mkdir("SCMP_ACT_ERRNO", Some(28));
        bench.config["linux"]["seccomp"]["flags"] = flags.clone();
        assert!(bench.run().1.contains("No space left"), "{flags}");
    }
    let mut bench = mkdir("SCMP_ACT_ERRNO", None);
    bench.config["linux"]["seccomp"]["flags"] = json!(["SECCOMP_FILTER_FLAG_NONSENSE"]);
    assert_ne!(bench.run().0, 0);
}

/// A static 32-bit program that makes the directory `/m` and exits with the errno.
#[cfg(target_arch = "x86_64")]
fn program_for_i386() -> Vec<u8> {
    const BASE: u32 = 0x0804_8000;
    let mut code = vec![
        0xb8, 39, 0, 0, 0, // mov eax, mkdir
        0xbb, 0, 0, 0, 0, // mov ebx, path
        0xb9, 0xed, 1, 0, 0, // mov ecx, 0755
        0xcd, 0x80, // int 0x80
        0xf7, 0xd8, // neg eax
        0x89, 0xc3, // mov ebx, eax
        0xb8, 1, 0, 0, 0, // mov eax, exit
        0xcd, 0x80,
    ];
    let path = BASE + 84 + code.len() as u32;
    code[6..10].copy_from_slice(&path.to_le_bytes());
    code.extend(b"/m\0");
    let size = 84 + code.len() as u32;
    let mut file = b"\x7fELF\x01\x01\x01".to_vec();
    file.resize(16, 0);
    let half = |n: u16| n.to_le_bytes().to_vec();
    let word = |n: u32| n.to_le_bytes().to_vec();
    for part in [
        half(2),
        half(3),
        word(1),
        word(BASE + 84),
        word(52),
        word(0),
        word(0),
        half(52),
        half(32),
        half(1),
        half(0),
        half(0),
        half(0),
        // One segment, all of the file.
        word(1),
        word(0),
        word(BASE),
        word(BASE),
        word(size),
        word(size),
        word(5),
        word(0x1000),
    ] {
        file.extend(part);
    }
    assert_eq!(file.len(), 84);
    file.extend(code);
    file
}

#[test]
#[cfg(target_arch = "x86_64")]
fn other_architectures() {
    let run = |architectures: Value| {
        let mut bench = mkdir("SCMP_ACT_ERRNO", Some(28));
        bench.config["linux"]["seccomp"]["architectures"] = architectures;
        bench.config["process"]["args"] = json!(["/bin/program"]);
        fs::write(bench.path("rootfs/bin/program"), program_for_i386()).unwrap();
        fs::set_permissions(
            bench.path("rootfs/bin/program"),
            fs::Permissions::from_mode(0o755),
        )
        .unwrap();
        let (code, _) = bench.run();
        let made = bench.path("rootfs/m").exists();
        (code, made)
    };
    let mut plain = Bench::new(&["/bin/program"]);
    plain.config["process"]["noNewPrivileges"] = json!(false);
    fs::write(plain.path("rootfs/bin/program"), program_for_i386()).unwrap();
    fs::set_permissions(
        plain.path("rootfs/bin/program"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    if plain.run().0 != 0 {
        return; // a kernel without 32-bit programs
    }
    assert_eq!(
        run(json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"])),
        (28, false)
    );
    let (code, made) = run(json!(["SCMP_ARCH_X86_64"]));
    assert!(
        code >= 128 && !made,
        "what the filter does not know is killed: {code}"
    );
}

#[test]
fn an_agent_gets_the_listener() {
    for (create, no_new_privileges) in [(false, true), (true, true), (true, false)] {
        let mut bench = mkdir("SCMP_ACT_NOTIFY", None);
        bench.config["process"]["noNewPrivileges"] = json!(no_new_privileges);
        bench.config["annotations"] = json!({"a": "b"});
        let socket = bench.path("agent");
        bench.config["linux"]["seccomp"]["listenerPath"] = json!(socket);
        bench.config["linux"]["seccomp"]["listenerMetadata"] = json!("some \"metadata\"");
        let listener = UnixListener::bind(&socket).unwrap();
        let agent = std::thread::spawn(move || {
            let (connection, _) = listener.accept().unwrap();
            let mut fds: Vec<OwnedFd> = Vec::new();
            let mut text = vec![0; 4096];
            let n = keelson_runtime::sys::receive_with_fds(connection.as_fd(), &mut text, &mut fds).unwrap();
            text.truncate(n);
            // Nobody listens any more: the kernel answers ENOSYS.
            (serde_json::from_slice::<Value>(&text).unwrap(), fds.len())
        });
        let (pid, output) = if create {
            assert!(
                bench.create(),
                "{}",
                fs::read_to_string(bench.path("out")).unwrap()
            );
            let pid = bench.pid();
            bench.ok(&["start", &bench.id]);
            bench.wait_for("stopped");
            (Some(pid), fs::read_to_string(bench.path("out")).unwrap())
        } else {
            (None, bench.run().1)
        };
        let (state, fds) = agent.join().unwrap();
        assert!(output.contains("Function not implemented"), "{output}");
        assert_eq!(fds, 1);
        assert_eq!(
            (&state["fds"], &state["metadata"]),
            (&json!(["seccompFd"]), &json!("some \"metadata\""))
        );
        assert_eq!(state["state"]["id"], json!(bench.id));
        if let Some(pid) = pid {
            assert_eq!(
                (&state["pid"], &state["state"]["pid"]),
                (&json!(pid), &json!(pid))
            );
        }
        if is_ours() {
            // crun 1.8 leaves annotations out
            assert_eq!(state["state"]["annotations"], json!({"a": "b"}));
            assert_eq!(state["state"]["status"], json!("creating"));
        }
    }
}

#[test]
fn an_agent_of_an_exec() {
    if !is_ours() {
        return; // crun 1.8 does not hand on the listener of an exec
    }
    let mut bench = mkdir("SCMP_ACT_NOTIFY", None);
    bench.config["process"]["args"] = json!(["sleep", "1000"]);
    let socket = bench.path("agent");
    bench.config["linux"]["seccomp"]["listenerPath"] = json!(socket);
    let listener = UnixListener::bind(&socket).unwrap();
    let agent = std::thread::spawn(move || {
        let mut states = Vec::new();
        for _ in 0..2 {
            let (connection, _) = listener.accept().unwrap();
            let mut text = vec![0; 4096];
            let mut fds = Vec::new();
            let n = keelson_runtime::sys::receive_with_fds(connection.as_fd(), &mut text, &mut fds).unwrap();
            states.push(serde_json::from_slice::<Value>(&text[..n]).unwrap());
        }
        states
    });
    bench.start();
    let output = bench
        .command(&["exec", &bench.id, "mkdir", "/made"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("not implemented"));
    let states = agent.join().unwrap();
    assert_eq!(states[1]["state"]["status"], json!("running"));
    assert_eq!(states[1]["state"]["pid"], json!(bench.pid()));
    assert_ne!(states[1]["pid"], json!(bench.pid()));
}

#[test]
fn no_agent_no_container() {
    let mut bench = mkdir("SCMP_ACT_NOTIFY", None);
    bench.config["linux"]["seccomp"]["listenerPath"] = json!(bench.path("nobody"));
    assert!(!bench.create());
    assert!(!bench.path("state").join(&bench.id).exists());
}

/// A filter that denies everything, the end of a process included.
#[test]
fn a_filter_under_which_nothing_can_end() {
    let mut bench = Bench::new(&["true"]);
    bench.config["linux"]["seccomp"] =
        json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "syscalls": []});
    fs::write(bench.path("config.json"), bench.config.to_string()).unwrap();
    let inner = bench.command(&["run", "-b", bench.directory.path().to_str().unwrap(), &bench.id]);
    let mut command = std::process::Command::new("timeout");
    command
        .args(["-s", "KILL", "20"])
        .arg(inner.get_program())
        .args(inner.get_args());
    let code = command.output().unwrap().status.code();
    assert!(!matches!(code, Some(0 | 137) | None), "{code:?}");
}
