//! The commands, and a container's life through them.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Bench, is_ours};

#[test]
fn run_to_the_end() {
    let bench = Bench::new(&["sh", "-c", "echo hello; hostname; id -u; exit 17"]);
    assert_eq!(bench.run(), (17, "hello\nkeelson\n0\n".to_owned()));
    assert!(
        !bench.path("state").join(&bench.id).exists(),
        "run removes the container"
    );
}

#[test]
fn the_life_of_a_container() {
    let bench = Bench::new(&["sh", "-c", "echo started; exec sleep 1000"]);
    assert!(bench.create());
    assert_eq!(bench.status(), "created");
    assert!(!bench.create(), "the id is taken");
    assert_eq!(
        fs::read_to_string(bench.path("out"))
            .unwrap()
            .lines()
            .filter(|l| *l == "started")
            .count(),
        0
    );
    bench.ok(&["start", &bench.id]);
    assert_eq!(bench.status(), "running");
    let pid: i32 = fs::read_to_string(bench.path("pid")).unwrap().parse().unwrap();
    let state: Value = serde_json::from_str(&bench.ok(&["state", &bench.id])).unwrap();
    assert_eq!(state["pid"], json!(pid));
    assert!(
        !bench
            .command(&["start", &bench.id])
            .output()
            .unwrap()
            .status
            .success()
    );
    assert!(
        !bench
            .command(&["delete", &bench.id])
            .output()
            .unwrap()
            .status
            .success()
    );
    assert!(bench.ok(&["list", "-q"]).contains(&bench.id));
    bench.ok(&["kill", &bench.id, "KILL"]);
    bench.wait_for("stopped");
    bench.ok(&["delete", &bench.id]);
    assert!(
        !bench
            .command(&["state", &bench.id])
            .output()
            .unwrap()
            .status
            .success()
    );
    assert!(fs::read_to_string(bench.path("out")).unwrap().contains("started"));
}

#[test]
fn exec_in_a_container() {
    let bench = Bench::new(&["sleep", "1000"]);
    assert!(bench.create());
    bench.ok(&["start", &bench.id]);
    let output = bench
        .command(&[
            "exec",
            "-e",
            "A=b",
            "--cwd",
            "/tmp",
            &bench.id,
            "/bin/sh", // crun looks for a bare name in the environment of the options only
            "-c",
            "pwd; echo $A; cat /proc/self/status; exit 9",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.code() == Some(9) && text.starts_with("/tmp\nb\n"),
        "{text}"
    );
    let main = fs::read_to_string(format!(
        "/proc/{}/status",
        fs::read_to_string(bench.path("pid")).unwrap()
    ))
    .unwrap();
    for key in [
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
        "NoNewPrivs",
        "Seccomp",
    ] {
        let line = main.lines().find(|l| l.starts_with(key)).unwrap();
        assert!(text.contains(line), "{line} not in {text}");
    }
    let missing = bench.command(&["exec", &bench.id, "nonsense"]).output().unwrap();
    assert!(!missing.status.success());
    for user in ["4294967296", "", "root", "-1"] {
        if is_ours() {
            assert!(
                !bench
                    .command(&["exec", &format!("--user={user}"), &bench.id, "id"])
                    .output()
                    .unwrap()
                    .status
                    .success(),
                "{user:?}"
            );
        }
    }
    assert!(bench.ok(&["ps", &bench.id]).contains("sleep"));
}

#[test]
fn a_program_that_is_not_there() {
    for (program, words) in [("nonsense", "executable file"), ("/no/such", "o such file")] {
        let bench = Bench::new(&[program]);
        let (code, text) = bench.run();
        assert!(code != 0 && text.contains(words), "{code} {text}");
        assert!(!bench.create());
        assert!(!bench.path("state").join(&bench.id).exists());
    }
}

#[test]
fn a_terminal_goes_to_the_console_socket() {
    let mut bench = Bench::new(&[
        "sh",
        "-c",
        "test -t 0 && test -c /dev/console && echo on a terminal; sleep 1000",
    ]);
    bench.config["process"]["terminal"] = json!(true);
    fs::write(bench.path("config.json"), bench.config.to_string()).unwrap();
    let listener = UnixListener::bind(bench.path("console")).unwrap();
    let bundle = bench.directory.path().to_str().unwrap().to_owned();
    bench.ok(&[
        "create",
        "-b",
        &bundle,
        "--console-socket",
        bench.path("console").to_str().unwrap(),
        &bench.id,
    ]);
    let (socket, _) = listener.accept().unwrap();
    let mut fds: Vec<OwnedFd> = Vec::new();
    keelson_runtime::sys::receive_with_fds(socket.as_fd(), &mut [0; 64], &mut fds).unwrap();
    bench.ok(&["start", &bench.id]);
    let mut buffer = [0; 64];
    let n = keelson_runtime::sys::read_fd(fds[0].as_fd(), &mut buffer).unwrap();
    assert!(String::from_utf8_lossy(&buffer[..n]).contains("on a terminal"));
}

#[test]
fn what_is_not_supported_is_refused() {
    if !is_ours() {
        return;
    }
    let change: [fn(&mut Value); 5] = [
        |c| c["linux"]["intelRdt"] = json!({"closID": "x"}),
        |c| c["process"]["apparmorProfile"] = json!("x"),
        |c| c["linux"]["sysctl"] = json!({"kernel.panic": "1"}),
        |c| c["process"]["cwd"] = json!("tmp"),
        |c| c["process"] = Value::Null,
    ];
    for change in change {
        let mut bench = Bench::new(&["true"]);
        change(&mut bench.config);
        let (code, text) = bench.run();
        assert!(code == 1 && text.contains("keelson runtime: "), "{text}");
    }
    let bench = Bench::new(&["true"]);
    for id in ["", "..", "a/b"] {
        assert!(
            !bench
                .output(&["run", "-b", bench.directory.path().to_str().unwrap(), "--", id])
                .status
                .success(),
            "{id}"
        );
    }
}

#[test]
fn capabilities_are_exactly_those_named() {
    let mut bench = Bench::new(&["cat", "/proc/self/status"]);
    bench.config["process"]["capabilities"] = Value::Null;
    let (_, text) = bench.run();
    assert!(
        text.contains("CapBnd:\t0000000000000000") && text.contains("CapEff:\t0000000000000000"),
        "{text}"
    );
}

#[test]
fn errors_go_to_the_log() {
    let bench = Bench::new(&["nonsense"]);
    fs::write(bench.path("config.json"), bench.config.to_string()).unwrap();
    let log = bench.path("log.json");
    let args = [
        "--log",
        log.to_str().unwrap(),
        "--log-format",
        "json",
        "run",
        "-b",
        bench.directory.path().to_str().unwrap(),
        &bench.id,
    ];
    assert!(!bench.command(&args).output().unwrap().status.success());
    let line: Value =
        serde_json::from_str(fs::read_to_string(&log).unwrap().lines().last().unwrap()).unwrap();
    assert!(
        line["msg"].as_str().unwrap().contains("executable file"),
        "{line}"
    );
}

#[test]
fn the_callers_program_is_not_the_containers() {
    let own = Path::new(env!("CARGO_BIN_EXE_keelson-oci"));
    let before = fs::read(own).unwrap();
    let bench = Bench::new(&["/bin/evil"]);
    fs::write(bench.path("rootfs/bin/evil"), "#!/proc/self/exe\n").unwrap();
    fs::set_permissions(
        bench.path("rootfs/bin/evil"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let (code, _) = bench.run();
    assert!(code != 0 && fs::read(own).unwrap() == before);
}
