//! Hooks: when each runs, where, with what, and what its failure does.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{Bench, is_ours};

const POINTS: [&str; 6] = [
    "prestart",
    "createRuntime",
    "createContainer",
    "startContainer",
    "poststart",
    "poststop",
];

fn write_program(path: &Path, script: &str) {
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A bundle whose hooks each append a line to a file: their name, their argument, what `extra` prints, and keep their
/// state.
fn recorded(extra: &str) -> Bench {
    let mut bench = Bench::script("echo program >>/log/events; sleep 0.1");
    let log = bench.path("log");
    fs::create_dir(&log).unwrap();
    fs::set_permissions(&log, fs::Permissions::from_mode(0o777)).unwrap();
    bench.mount("/log", "bind", log.to_str().unwrap(), &["rbind"]);
    for (directory, root) in [(log.display().to_string(), ""), ("/log".to_owned(), "rootfs")] {
        let script = format!(
            "#!/bin/sh\necho \"$1 $WHO\" >>{directory}/events\ncat >{directory}/$1.json\n( {extra} ) >{directory}/$1.out 2>&1\n"
        );
        write_program(&bench.path(root).join("hook"), &script);
    }
    let outside = bench.path("hook").display().to_string();
    let mut hooks = json!({});
    for point in POINTS {
        let path = if point == "startContainer" {
            "/hook"
        } else {
            &outside
        };
        hooks[point] =
            json!([{"path": path, "args": ["hook", point], "env": ["WHO=me", "PATH=/bin:/usr/bin"]}]);
    }
    bench.config["hooks"] = hooks;
    bench.config["annotations"] = json!({"some.key": "some \"value\""});
    bench
}

impl Bench {
    fn events(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("log/events")).unwrap_or_default();
        text.lines()
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect()
    }

    fn state_of(&self, point: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(&format!("log/{point}.json"))).unwrap()).unwrap()
    }

    fn seen_by(&self, point: &str) -> String {
        fs::read_to_string(self.path(&format!("log/{point}.out"))).unwrap()
    }
}

#[test]
fn the_order_of_hooks() {
    let bench = recorded("true");
    let (code, output) = bench.run();
    assert_eq!(code, 0, "{output}");
    let mut events = bench.events();
    // The program and the poststart hook run side by side.
    if events[4] == "poststart" {
        events.swap(4, 5);
    }
    assert_eq!(
        events,
        [
            "prestart",
            "createRuntime",
            "createContainer",
            "startContainer",
            "program",
            "poststart",
            "poststop"
        ]
    );
    assert!(
        fs::read_to_string(bench.path("log/events"))
            .unwrap()
            .starts_with("prestart me\n")
    );
}

#[test]
fn each_at_its_moment() {
    let bench = recorded("true");
    assert!(bench.create());
    assert_eq!(bench.events(), ["prestart", "createRuntime", "createContainer"]);
    bench.ok(&["start", &bench.id]);
    assert!(bench.events().contains(&"startContainer".to_owned()));
    bench.wait_for("stopped");
    assert!(!bench.events().contains(&"poststop".to_owned()));
    bench.ok(&["delete", &bench.id]);
    assert_eq!(bench.events().last().unwrap(), "poststop");
}

#[test]
fn the_state_that_they_read() {
    let bench = recorded("true");
    let (code, output) = bench.run();
    assert_eq!(code, 0, "{output}");
    for point in POINTS {
        let state = bench.state_of(point);
        assert_eq!(state["id"], json!(bench.id), "{point}");
        if is_ours() || point != "startContainer" {
            assert_eq!(state["bundle"], json!(bench.directory.path()), "{point}"); // crun 1.8 says "/" there
        }
        assert_eq!(
            state["annotations"]["some.key"],
            json!("some \"value\""),
            "{point}"
        );
        assert!(state["ociVersion"].as_str().unwrap().starts_with("1."), "{point}");
        let pid = state["pid"].as_i64().unwrap_or(0);
        let (status, right_pid) = match point {
            "prestart" | "createRuntime" => ("creating", pid > 1),
            "createContainer" => ("creating", pid == 1),
            "startContainer" => ("created", pid == 1),
            "poststart" => ("running", pid > 1),
            _ => ("stopped", true),
        };
        if is_ours() {
            assert_eq!(
                (state["status"].as_str(), right_pid),
                (Some(status), true),
                "{point}: {state}"
            );
        } // crun 1.8 says "created" and "running" elsewhere, and gives all of them the pid of the host
    }
}

#[test]
fn the_namespaces_that_they_run_in() {
    let bench = recorded("readlink /proc/self/ns/net; test -e /etc/debian_version && echo host files; true");
    let (code, output) = bench.run();
    assert_eq!(code, 0, "{output}");
    let host = fs::read_link("/proc/self/ns/net").unwrap().display().to_string();
    for point in POINTS {
        let seen = bench.seen_by(point);
        let inside = point == "createContainer" || point == "startContainer";
        assert_eq!(seen.starts_with(&host), !inside, "{point}: {seen}");
        assert_eq!(
            seen.contains("host files"),
            point != "startContainer",
            "{point}: {seen}"
        );
    }
    assert_eq!(
        bench.seen_by("createContainer").lines().next(),
        bench.seen_by("startContainer").lines().next()
    );
}

#[test]
fn mounts_are_there_before_the_root_changes() {
    // What such hooks are for: changing the root filesystem, through the path that the bundle gives it.
    let mut bench = Bench::new(&[]);
    let root = bench.path("rootfs").display().to_string();
    let script = format!(
        "#!/bin/sh\nmount | grep -c ' {root}/proc '\ntouch {root}/made && mount -t tmpfs x {root}/tmp\n"
    );
    write_program(&bench.path("hook"), &script);
    let outside = bench.path("hook").display().to_string();
    bench.config["hooks"] = json!({"createContainer": [{"path": outside, "env": ["PATH=/bin:/usr/bin"]}]});
    bench.config["process"]["args"] = json!(["sh", "-c", "ls -d /made && grep ' /tmp ' /proc/mounts"]);
    let (code, output) = bench.run();
    assert!(
        code == 0 && output.contains("/made\n") && output.contains("/tmp tmpfs"),
        "{output}"
    );
}

#[test]
fn a_failure_before_the_start_ends_it() {
    for point in ["prestart", "createRuntime", "createContainer"] {
        let mut bench = recorded("true");
        bench.config["hooks"][point] =
            json!([{"path": "/bin/sh", "args": ["sh", "-c", "echo some reason >&2; exit 3"]}]);
        assert!(!bench.create(), "{point}");
        assert!(!bench.path("state").join(&bench.id).exists(), "{point}");
        assert!(!bench.events().contains(&"program".to_owned()));
        if is_ours() {
            // crun and runc leave poststop out here.
            assert_eq!(
                bench.events().last().map(String::as_str),
                Some("poststop"),
                "{point}"
            );
            let out = fs::read_to_string(bench.path("out")).unwrap();
            assert!(
                out.contains(point) && out.contains("status 3") && out.contains("some reason"),
                "{out}"
            );
        }
    }
}

#[test]
fn a_start_container_hook_that_fails() {
    let mut bench = recorded("true");
    bench.config["hooks"]["startContainer"] = json!([{"path": "/bin/false"}]);
    assert_ne!(bench.run().0, 0);
    assert!(!bench.events().contains(&"program".to_owned()));
    if !is_ours() {
        return; // crun cannot tell `start` of it
    }
    assert_eq!(bench.events().last().map(String::as_str), Some("poststop"));
    assert!(bench.create());
    let output = bench.command(&["start", &bench.id]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && text.contains("startContainer"),
        "{text}"
    );
    assert_eq!(bench.status(), "stopped");
}

#[test]
fn later_failures_are_only_told() {
    let mut bench = recorded("true");
    for point in ["poststart", "poststop"] {
        bench.config["hooks"][point] = json!([{"path": "/bin/false"}, {"path": "/bin/sh", "args":
            ["sh", "-c", format!("echo {point} >>{}", bench.path("log/events").display())]}]);
    }
    let (code, _) = bench.run();
    if is_ours() {
        // crun 1.8 fails at a poststart hook, runc 1.1 too.
        assert_eq!(code, 0);
        assert_eq!(
            bench.events().last().map(String::as_str),
            Some("poststop"),
            "the next ones run all the same"
        );
    }
    assert!(bench.events().contains(&"program".to_owned()));
}

#[test]
fn a_hook_that_takes_too_long() {
    let mut bench = recorded("true");
    bench.config["hooks"] = json!({"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", "exec sleep 100"],
        "env": ["PATH=/bin:/usr/bin"], "timeout": 1}]});
    let begun = Instant::now();
    let (code, output) = bench.run();
    assert!(code != 0 && begun.elapsed().as_secs() < 20, "{output}");
    if is_ours() {
        assert!(output.contains("not done within 1 seconds"), "{output}");
    }
}

#[test]
fn a_hook_that_leaves_something_behind_is_not_waited_for() {
    if !is_ours() {
        return; // runc waits for the end of its output
    }
    let mut bench = recorded("true");
    bench.config["hooks"] = json!({"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", "sleep 5 & exit 0"],
        "env": ["PATH=/bin:/usr/bin"]}]});
    let begun = Instant::now();
    assert_eq!(bench.run().0, 0);
    assert!(begun.elapsed().as_secs() < 4);
}

#[test]
fn hooks_that_cannot_be() {
    for hook in [
        json!({"path": "relative"}),
        json!({"path": "/no/such/hook"}),
        json!({"path": "/bin/true", "timeout": 0}),
    ] {
        let mut bench = Bench::new(&["true"]);
        bench.config["hooks"] = json!({"createRuntime": [hook]});
        if is_ours() || hook["path"] == "/no/such/hook" {
            assert_ne!(bench.run().0, 0, "{hook}");
        }
    }
}

#[test]
fn hooks_get_no_signals_blocked_and_no_descriptors() {
    let bench = recorded("grep -E 'SigBlk|SigIgn' /proc/self/status; ls -l /proc/self/fd");
    assert_eq!(bench.run().0, 0);
    for point in POINTS {
        let seen = bench.seen_by(point);
        assert!(seen.contains("SigBlk:\t0000000000000000"), "{point}: {seen}");
        if is_ours() {
            assert!(
                !seen.contains("socket:") && !seen.contains("fifo"),
                "{point}: {seen}"
            );
        }
    }
}
