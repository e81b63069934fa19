//! Options, exit codes, words and shapes that callers rely on.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Bench, is_ours};

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn started(args: &[&str]) -> Bench {
    let bench = Bench::new(args);
    assert!(bench.create());
    bench.ok(&["start", &bench.id]);
    bench
}

#[test]
fn errors_in_the_words_that_callers_look_for() {
    let bench = Bench::new(&["true"]);
    for args in [
        ["state", "absent"],
        ["start", "absent"],
        ["delete", "absent"],
        ["kill", "absent"],
    ] {
        let output = bench.command(&args).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(
            words(&output).contains("does not exist"),
            "{args:?}: {}",
            words(&output)
        );
    }
    assert!(
        bench
            .command(&["delete", "--force", "absent"])
            .status()
            .unwrap()
            .success()
    );
    assert!(bench.create());
    bench.ok(&["start", &bench.id]);
    bench.wait_for("stopped");
    if is_ours() {
        // containerd's list; crun has other words.
        let output = bench.command(&["kill", &bench.id]).output().unwrap();
        assert!(
            words(&output).contains("container not running"),
            "{}",
            words(&output)
        );
        let output = bench.command(&["exec", &bench.id, "true"]).output().unwrap();
        assert!(!output.status.success() && words(&output).contains("not running"));
        let output = bench.command(&["start", &bench.id]).output().unwrap();
        assert!(words(&output).contains("has stopped"), "{}", words(&output));
        for refused in ["checkpoint", "restore"] {
            let output = bench.command(&[refused, &bench.id]).output().unwrap();
            assert!(output.status.code() == Some(1) && words(&output).contains("not supported"));
        }
        for wrong in [
            &["nonsense"][..],
            &["run"],
            &["run", "--nonsense", "x"],
            &["state", "a", "b"],
        ] {
            assert_eq!(
                bench.command(wrong).output().unwrap().status.code(),
                Some(1),
                "{wrong:?}"
            );
        }
    }
}

#[test]
fn options_before_and_after() {
    let bench = Bench::new(&["sh", "-c", "exit 3"]);
    fs::write(bench.path("config.json"), bench.config.to_string()).unwrap();
    let bundle = bench.directory.path().to_str().unwrap();
    let long = format!("--bundle={bundle}");
    let forms: &[&[&str]] = &[
        &["run", "-b", bundle, &bench.id],
        &["run", &long, &bench.id],
        &["run", &bench.id, "--bundle", bundle],
        &["run", &bench.id, &long],
    ];
    for form in forms {
        assert_eq!(
            bench.command(form).output().unwrap().status.code(),
            Some(3),
            "{form:?}"
        );
    }
    assert!(bench.create());
    bench.ok(&["delete", &bench.id, "--force"]);
}

#[test]
fn version_as_callers_take_it_apart() {
    let bench = Bench::new(&["true"]);
    let text = bench.ok(&["--version"]);
    let mut lines = text.lines();
    let first: Vec<&str> = lines.next().unwrap().split(' ').collect();
    assert_eq!(first[1], "version", "{text}");
    assert!(lines.any(|line| line.starts_with("spec: 1.")), "{text}");
}

#[test]
fn state_list_and_ps() {
    let mut bench = Bench::new(&["sleep", "1000"]);
    bench.config["annotations"] = json!({"a": "b"});
    assert!(bench.create());
    bench.ok(&["start", &bench.id]);
    let state: Value = serde_json::from_str(&bench.ok(&["state", &bench.id])).unwrap();
    assert_eq!(state["annotations"], json!({"a": "b"}));
    assert_eq!(state["bundle"], json!(bench.directory.path()));
    assert!(state["rootfs"].as_str().unwrap().ends_with("/rootfs"));
    assert!(state["created"].as_str().unwrap().ends_with('Z'), "{state}");
    let pid = state["pid"].as_i64().unwrap();
    let listed: Value = serde_json::from_str(&bench.ok(&["list", "--format", "json"])).unwrap();
    assert_eq!(
        (listed[0]["id"].clone(), listed[0]["pid"].clone()),
        (json!(bench.id), json!(pid))
    );
    let table = bench.ok(&["list"]);
    let header: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert!(header.starts_with(&["ID", "PID", "STATUS", "BUNDLE"]), "{table}");
    assert_eq!(bench.ok(&["list", "-q"]).trim(), bench.id);
    let pids: Vec<i64> = serde_json::from_str(&bench.ok(&["ps", "--format", "json", &bench.id])).unwrap();
    assert_eq!(pids, [pid]);
    if is_ours() {
        let text = bench.ok(&["ps", &bench.id, "-o", "pid,comm", "-e"]);
        assert!(
            text.contains(&format!("{pid} sleep")) && text.lines().count() == 2,
            "{text}"
        );
    }
}

#[test]
fn signals_by_every_name() {
    for (signal, trapped) in [
        ("TERM", "TERM"),
        ("SIGUSR1", "USR1"),
        ("12", "USR2"),
        ("hup", "HUP"),
    ] {
        let script = format!("trap 'exit 0' {trapped}; touch /ready; while :; do sleep 0.01; done");
        let bench = started(&["sh", "-c", &script]);
        let deadline = Instant::now() + Duration::from_secs(20);
        while !bench.path("rootfs/ready").exists() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        bench.ok(&["kill", &bench.id, signal]);
        bench.wait_for("stopped");
    }
    let bench = started(&["sleep", "1000"]);
    assert!(
        !bench
            .command(&["kill", &bench.id, "NONSENSE"])
            .output()
            .unwrap()
            .status
            .success()
    );
    bench.ok(&["kill", "--all", &bench.id, "KILL"]);
    bench.wait_for("stopped");
}

#[test]
fn exec_options() {
    let bench = started(&["sleep", "1000"]);
    let exec = |args: &[&str]| {
        let output = bench.command(&[&["exec"], args].concat()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &words(&output);
        (output.status.code(), text)
    };
    let id = bench.id.as_str();
    assert_eq!(exec(&["-u", "5:6", id, "id"]).1, "uid=5 gid=6\n");
    assert_eq!(
        exec(&["--env", "A=1", "-e", "B=2", id, "sh", "-c", "echo $A$B"]).1,
        "12\n"
    );
    assert_eq!(
        exec(&[id, "sh", "-c", "kill -TERM $$"]).0,
        Some(128 + libc::SIGTERM)
    );
    assert_eq!(exec(&["--cwd=/bin", id, "pwd"]).1, "/bin\n");
    let process = json!({"args": ["sh", "-c", "echo $X; exit 4"], "cwd": "/", "user": {"uid": 0, "gid": 0},
        "env": ["PATH=/bin", "X=y"]});
    fs::write(bench.path("process.json"), process.to_string()).unwrap();
    let file = bench.path("process.json");
    assert_eq!(
        exec(&["--process", file.to_str().unwrap(), id]),
        (Some(4), "y\n".to_owned())
    );
    let pid_file = bench.path("exec.pid");
    let detached = [
        "-d",
        "--pid-file",
        pid_file.to_str().unwrap(),
        id,
        "sleep",
        "1000",
    ];
    let mut command = bench.command(&[&["exec"], &detached[..]].concat());
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    let pid = fs::read_to_string(&pid_file).unwrap();
    assert!(
        fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .unwrap()
            .contains("sleep")
    );
    if is_ours() {
        let (code, text) = exec(&[
            "-g",
            "77",
            "--cap",
            "CAP_SYS_TIME",
            id,
            "sh",
            "-c",
            "id -G; grep Cap /proc/self/status",
        ]);
        assert!(code == Some(0) && text.starts_with("0 77\n"), "{text}");
        assert!(
            text.contains("CapInh:\t0000000000000000") && text.contains("CapAmb:\t0000000000000000"),
            "{text}"
        );
        assert_eq!(exec(&["--cgroup", "../x", id, "true"]).0, Some(255));
    }
}

#[test]
fn pause_and_resume() {
    if !is_ours() {
        return; // crun does not work with this host's hybrid cgroups
    }
    let bench = started(&["sleep", "1000"]);
    bench.ok(&["pause", &bench.id]);
    assert_eq!(bench.status(), "paused");
    let output = bench.command(&["exec", &bench.id, "true"]).output().unwrap();
    assert!(!output.status.success() && words(&output).contains("paused"));
    assert!(
        !bench
            .command(&["pause", &bench.id])
            .output()
            .unwrap()
            .status
            .success()
    );
    bench.ok(&["resume", &bench.id]);
    assert_eq!(bench.status(), "running");
    bench.ok(&["pause", &bench.id]);
    bench.ok(&["delete", "--force", &bench.id]);
}

#[test]
fn events_in_runcs_shape() {
    if !is_ours() {
        return;
    }
    let bench = started(&["sleep", "1000"]);
    let event: Value = serde_json::from_str(&bench.ok(&["events", "--stats", &bench.id])).unwrap();
    assert_eq!(
        (event["type"].clone(), event["id"].clone()),
        (json!("stats"), json!(bench.id))
    );
    assert_eq!(event["data"]["pids"]["current"], json!(1), "{event}");
    for path in [
        "/data/cpu/usage/total",
        "/data/memory/usage/usage",
        "/data/blkio",
        "/data/hugetlb",
    ] {
        assert!(event.pointer(path).is_some(), "{path} in {event}");
    }
    let mut stream = bench.command(&["events", "--interval", "20ms", &bench.id]);
    let mut child = stream.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let line = lines.next().unwrap().unwrap();
        assert!(serde_json::from_str::<Value>(&line).is_ok(), "{line}");
    }
    bench.ok(&["kill", &bench.id, "KILL"]);
    for line in lines {
        assert!(serde_json::from_str::<Value>(&line.unwrap()).is_ok());
    }
    assert!(child.wait().unwrap().success(), "it ends with the container");
}

#[test]
fn update_is_remembered() {
    if !is_ours() {
        return;
    }
    let bench = started(&["sleep", "1000"]);
    bench.ok(&["update", "--memory", "64m", "--cpu-quota=5000", &bench.id]);
    let mut child = bench
        .command(&["update", "--resources", "-", &bench.id])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let json = json!({"pids": {"limit": 7}});
    child
        .stdin
        .take()
        .unwrap()
        .write_all(json.to_string().as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success());
    let stored = fs::read_to_string(bench.path("state").join(&bench.id).join("container.json")).unwrap();
    let stored: Value = serde_json::from_str(&stored).unwrap();
    let resources = &stored["spec"]["linux"]["resources"];
    assert_eq!(resources["memory"]["limit"], json!(64 << 20));
    assert_eq!(resources["cpu"]["quota"], json!(5000));
    assert_eq!(resources["pids"]["limit"], json!(7));
    for wrong in [
        &["--memory", "x"][..],
        &["--cpu-rt-runtime", "5"],
        &["--l3-cache-schema", "x"],
    ] {
        let output = bench
            .command(&[&["update"], wrong, &[&bench.id]].concat())
            .output()
            .unwrap();
        assert!(!output.status.success(), "{wrong:?}");
    }
}

#[test]
fn a_template_for_users() {
    if !is_ours() {
        return;
    }
    let bench = Bench::new(&["true"]);
    let directory = bench.path("template-2");
    fs::create_dir(&directory).unwrap();
    bench.ok(&["spec", "--rootless", "--bundle", directory.to_str().unwrap()]);
    let config: Value = serde_json::from_slice(&fs::read(directory.join("config.json")).unwrap()).unwrap();
    let namespaces = config["linux"]["namespaces"].as_array().unwrap();
    assert!(
        namespaces.contains(&json!({"type": "user"})) && !namespaces.contains(&json!({"type": "network"}))
    );
    assert_eq!(config["linux"]["uidMappings"][0]["size"], json!(1));
}

#[test]
fn a_kept_container() {
    if !is_ours() {
        return; // crun 1.8 has no such option
    }
    let bench = Bench::new(&["true"]);
    let bundle = bench.directory.path().to_str().unwrap();
    assert!(
        bench
            .output(&["run", "--keep", "-b", bundle, &bench.id])
            .status
            .success()
    );
    assert_eq!(bench.status(), "stopped");
    bench.ok(&["delete", &bench.id]);
}

#[test]
fn a_foreground_run_passes_signals_on() {
    let bench = Bench::new(&[
        "sh",
        "-c",
        "trap 'exit 33' TERM; touch /ready; while :; do sleep 0.01; done",
    ]);
    fs::write(bench.path("config.json"), bench.config.to_string()).unwrap();
    let bundle = bench.directory.path().to_str().unwrap();
    let mut child = bench.command(&["run", "-b", bundle, &bench.id]).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !bench.path("rootfs/ready").exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    keelson_runtime::sys::kill_pid(child.id() as i32, libc::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(33));
}

#[test]
fn features_name_what_there_is() {
    if !is_ours() {
        return; // crun 1.8 has no such command
    }
    let bench = Bench::new(&["true"]);
    let features: Value = serde_json::from_str(&bench.ok(&["features"])).unwrap();
    assert_eq!(features["linux"]["cgroup"]["v2"], json!(true));
    assert_eq!(features["ociVersionMin"], json!("1.0.0"));
    assert!(features["linux"]["seccomp"]["actions"].as_array().unwrap().len() > 5);
}

#[test]
fn installed_as_a_file_it_is_the_same_runtime() {
    if !is_ours() {
        return; // a command of ours
    }
    let bench = Bench::new(&["sh", "-c", "echo installed"]);
    let file = bench.path("runtime");
    fs::write(&file, "an older one").unwrap();
    bench.ok(&["install", file.to_str().unwrap()]);
    bench.output(&["--version"]); // writes config.json
    let run = |program: &std::path::Path, args: &[&str]| {
        let mut command = Command::new(program);
        command.arg("--root").arg(bench.path("state")).args(args);
        command.output().unwrap()
    };
    let bundle = bench.directory.path().to_str().unwrap();
    let output = run(&file, &["run", "-b", bundle, &bench.id]);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "installed\n",
        "{}",
        words(&output)
    );
    // Nothing is left beside it, and it can pass itself on.
    let again = bench.path("again");
    assert!(run(&file, &["install", again.to_str().unwrap()]).status.success());
    assert_eq!(fs::read(&file).unwrap(), fs::read(&again).unwrap());
    let left = fs::read_dir(bench.directory.path()).unwrap();
    assert!(
        !left
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().starts_with(".runtime"))
    );
    assert!(!run(&file, &["install"]).status.success());
    assert!(!run(&file, &["install", "/proc/no/such"]).status.success());
}
