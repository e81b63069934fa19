//! Signals and limits that a program finds (found in peers): SIGPIPE default, nothing blocked, limits as declared, and
//! no failure for want of a privilege that nobody asked for.

use std::process::Command;

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::payload;
use crate::privileges::{node_exec, status};
use crate::runtimes::{Runtime, attack};
use crate::support::Node;

const NONE: &str = "0000000000000000";
const SHOW: [&str; 2] = ["cat", "/proc/self/status"];

/// The runtime called by somebody who ignores SIGPIPE and blocks everything.
fn deafened(bundle: &Bundle, args: &[&str]) -> Option<String> {
    let naive = payload::compile("naive")?;
    let mut command = Command::new(naive);
    command
        .args(["signals", "/usr/bin/env"])
        .args(bundle.runtime.words());
    command.arg("--root").arg(bundle.path("state")).args(args);
    command.stdin(std::process::Stdio::null());
    Some(Bundle::outcome(&mut command).text)
}

/// Of `run` and `exec`.
fn signals(runtime: &Runtime) {
    let bundle = Bundle::new(runtime, &SHOW);
    bundle.write_config();
    let Some(text) = deafened(&bundle, &["run", "-b", bundle.bundle_argument(), &bundle.id]) else {
        return;
    };
    let found = status(&text);
    assert_eq!(
        [&found["SigBlk"], &found["SigIgn"], &found["ShdPnd"]],
        [NONE; 3],
        "run"
    );
    let bundle = Bundle::new(runtime, &["sleep", "100"]);
    assert!(bundle.start().ok());
    let text = deafened(&bundle, &["exec", &bundle.id, "cat", "/proc/self/status"]).unwrap();
    let found = status(&text);
    assert_eq!(
        [&found["SigBlk"], &found["SigIgn"], &found["ShdPnd"]],
        [NONE; 3],
        "exec"
    );
    // What it comes to: `yes` ends when nobody reads any more.
    let mut bundle = Bundle::shell(runtime, "yes | head -1; echo done");
    bundle.config["process"]["env"] = json!(["PATH=/bin"]);
    assert_eq!(bundle.run().text, "y\ndone\n");
}
attack!(
    signals,
    "crun 1.8.1 leaves the two signals ignored that the C library keeps for itself, if its caller ignored them"
);

/// The same call without a runtime between: the payload sees what the caller had.
#[test]
fn control() {
    let Some(naive) = payload::compile("naive") else {
        return;
    };
    let args = ["signals", "/bin/cat", "/proc/self/status"];
    let found = status(&Bundle::outcome(Command::new(naive).args(args)).text);
    assert!(found["SigBlk"] != NONE && found["SigIgn"] != NONE, "{found:?}");
}

fn limits(text: &str, name: &str) -> (String, String) {
    let line = text
        .lines()
        .find(|line| line.starts_with(name))
        .unwrap_or_else(|| panic!("no {name} in {text}"));
    let mut words = line[name.len()..].split_whitespace();
    (words.next().unwrap().to_owned(), words.next().unwrap().to_owned())
}

/// Soft and hard limits as declared, in `run` and `exec`; others as the caller's.
fn declared_limits(runtime: &Runtime) {
    let mut bundle = Bundle::shell(runtime, "cat /proc/self/limits; sleep 100");
    bundle.config["process"]["rlimits"] = json!([
        {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
        {"type": "RLIMIT_NPROC", "soft": 50, "hard": 60},
    ]);
    let started = bundle.start();
    assert!(started.ok(), "{}", started.text);
    let first = bundle.wait_for("Max realtime timeout");
    let second = bundle.exec(&[], &["cat", "/proc/self/limits"]).text;
    for (text, which) in [(&first, "run"), (&second, "exec")] {
        let pair = |soft: &str, hard: &str| (soft.to_owned(), hard.to_owned());
        assert_eq!(limits(text, "Max open files"), pair("100", "200"), "{which}");
        assert_eq!(limits(text, "Max core file size"), pair("0", "0"), "{which}");
        assert_eq!(limits(text, "Max processes"), pair("50", "60"), "{which}");
    }
}
attack!(
    declared_limits,
    "exec of crun 1.8.1 does not set the limits of the container"
);

/// The same limit twice, a soft limit above the hard one, and a limit that the caller may not raise: an error.
fn impossible_limits(runtime: &Runtime) {
    let own = std::fs::read_to_string("/proc/self/limits").unwrap();
    let hard = limits(&own, "Max open files").1.parse::<u64>().unwrap_or(1 << 20);
    for what in [
        json!([{"type": "RLIMIT_NOFILE", "soft": 300, "hard": 200}]),
        json!([{"type": "RLIMIT_NOFILE", "soft": hard * 1024, "hard": hard * 1024 * 1024}]),
        json!([{"type": "RLIMIT_NONSENSE", "soft": 1, "hard": 1}]),
    ] {
        let mut bundle = Bundle::new(runtime, &["cat", "/proc/self/limits"]);
        bundle.config["process"]["rlimits"] = what.clone();
        let outcome = bundle.run();
        assert!(!outcome.ok(), "{what} came to {}", outcome.text);
    }
}
attack!(impossible_limits);

/// A container that asks for little starts though its runtime has little: no capability but those it takes to make one.
fn little_privilege_is_enough(runtime: &Runtime) {
    let mut bundle = Bundle::new(runtime, &SHOW);
    bundle.config["process"]["capabilities"] = Value::Null;
    bundle.config["process"]["oomScoreAdj"] = json!(0);
    bundle.config["linux"]["resources"] = Value::Null;
    bundle.write_config();
    let keep = "-all,+sys_admin,+sys_chroot,+setuid,+setgid,+setpcap,+chown,+dac_override,+mknod,+fowner,+net_admin,+kill";
    let mut command = Command::new("/usr/bin/setpriv");
    command
        .arg(format!("--bounding-set={keep}"))
        .arg(format!("--inh-caps={}", "-all"))
        .args(bundle.runtime.words());
    command.arg("--root").arg(bundle.path("state"));
    command
        .args(["run", "-b", bundle.bundle_argument(), &bundle.id])
        .stdin(std::process::Stdio::null());
    let outcome = Bundle::outcome(&mut command);
    assert!(
        outcome.text.contains("CapEff:\t0000000000000000"),
        "{}",
        outcome.text
    );
}
attack!(little_privilege_is_enough);

/// A pod's container and exec.
#[test]
fn of_a_pods_container() {
    let node = Node::new();
    let main = node.shell("cat /proc/self/status; sleep 1000");
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    node.runtime.create_container("pod", &main).unwrap();
    node.runtime.start_container(&main.id).unwrap();
    let joined = node_exec(&node, &main.id, &SHOW);
    while !Node::log(&main).contains("nonvoluntary") {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    for text in [Node::log(&main), joined] {
        let found = status(&text);
        assert_eq!([&found["SigBlk"], &found["SigIgn"], &found["ShdPnd"]], [NONE; 3]);
    }
    assert_eq!(
        node_exec(&node, &main.id, &["sh", "-c", "yes | head -1; echo done"]),
        "y\ndone\n"
    );
}
