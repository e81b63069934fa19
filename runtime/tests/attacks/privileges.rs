//! Capabilities of `run` and `exec` (CVE-2022-29162, 2022-27650), and that what is exec'd is as confined as the
//! container's first process.

use std::collections::BTreeMap;
use std::fs;

use keelson_runtime::node::*;
use serde_json::{Value, json};

use crate::bundle::{Bundle, Outcome};
use crate::runtimes::{Runtime, attack};
use crate::support::Node;

const NONE: &str = "0000000000000000";
/// Docker's default set.
const DEFAULT: &str = "00000000a80425fb";
const NET_ADMIN: u64 = 1 << 12;

/// `Key: value` lines of `/proc/self/status`.
pub fn status(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|l| l.split_once(':'))
        .map(|(k, v)| (k.to_owned(), v.trim().to_owned()))
        .collect()
}

/// Permitted, effective, bounding, and the two sets that pass through exec.
fn sets(outcome: &Outcome) -> [String; 5] {
    let status = status(&outcome.text);
    ["CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb"].map(|key| {
        status
            .get(key)
            .cloned()
            .unwrap_or_else(|| panic!("no {key} in {}", outcome.text))
    })
}

fn running(runtime: &Runtime, change: impl FnOnce(&mut Value)) -> Bundle {
    let mut bundle = Bundle::new(runtime, &["sleep", "100"]);
    change(&mut bundle.config);
    let started = bundle.start();
    assert!(started.ok(), "{}", started.text);
    bundle
}

const SHOW: [&str; 2] = ["cat", "/proc/self/status"];

/// In `run` and in `exec`, plainly, with added capabilities, and with a process of its own.
fn capabilities(runtime: &Runtime) {
    let mut bundle = Bundle::new(runtime, &SHOW);
    assert_eq!(sets(&bundle.run()), [DEFAULT, DEFAULT, DEFAULT, NONE, NONE]);
    bundle.config["process"]["capabilities"] = Value::Null;
    assert_eq!(sets(&bundle.run()), [NONE; 5], "missing capabilities are none");
    bundle.config["process"]["capabilities"] = json!({});
    assert_eq!(sets(&bundle.run()), [NONE; 5], "empty capabilities are none");

    let bundle = running(runtime, |_| {});
    assert_eq!(
        sets(&bundle.exec(&[], &SHOW)),
        [DEFAULT, DEFAULT, DEFAULT, NONE, NONE]
    );
    let added = sets(&bundle.exec(&["--cap", "CAP_NET_ADMIN"], &SHOW));
    assert_eq!(
        [&added[3], &added[4]],
        [NONE; 2],
        "added capabilities are not inheritable"
    );
    assert!(
        u64::from_str_radix(&added[1], 16).unwrap() & NET_ADMIN != 0,
        "{added:?}"
    );

    let process = json!({"cwd": "/", "args": SHOW, "user": {"uid": 0, "gid": 0},
        "env": ["PATH=/bin"]});
    fs::write(bundle.path("process.json"), process.to_string()).unwrap();
    let path = bundle.path("process.json");
    let named = bundle.call(&["exec", "--process", path.to_str().unwrap(), &bundle.id]);
    assert_eq!(sets(&named), [NONE; 5], "a process without capabilities has none");

    let bundle = running(runtime, |config| config["process"]["capabilities"] = Value::Null);
    assert_eq!(
        sets(&bundle.exec(&[], &SHOW)),
        [NONE; 5],
        "exec gives no more than the container has"
    );
}
attack!(
    capabilities,
    "crun 1.8.1 gives an exec'd process that names no capabilities those of the container"
);

/// A user who is not root has no capabilities after exec, and a file capability does not give what is not inheritable.
fn of_another_user(runtime: &Runtime) {
    let mut bundle = Bundle::new(runtime, &SHOW);
    bundle.config["process"]["user"] = json!({"uid": 1000, "gid": 1000});
    let found = sets(&bundle.run());
    assert_eq!(
        [&found[0], &found[1], &found[3], &found[4]],
        [NONE; 4],
        "{found:?}"
    );
    let bundle = running(runtime, |config| {
        config["process"]["user"] = json!({"uid": 1000, "gid": 1000});
    });
    let found = sets(&bundle.exec(&["--cap", "CAP_NET_ADMIN"], &SHOW));
    assert_eq!([&found[3], &found[4]], [NONE; 2], "{found:?}");
}
attack!(of_another_user);

/// What a process is confined by, except for ids and counters.
const CONFINED: &str = "grep -E '^(Cap|Seccomp|NoNewPrivs|Uid|Gid|Groups|SigBlk|SigIgn|Umask)' /proc/self/status; \
    cat /proc/self/cgroup; for n in cgroup ipc mnt net pid uts user; do readlink /proc/self/ns/$n; done; \
    cat /proc/self/attr/current 2>/dev/null; mkdir /tmp/forbidden 2>/dev/null && echo MADE && rmdir /tmp/forbidden; \
    cat /proc/self/oom_score_adj; echo end";

/// A second process has the filter, capabilities, no-new-privileges, cgroup, namespaces and labels of the first.
fn of_exec(runtime: &Runtime) {
    let mut bundle = Bundle::shell(runtime, &format!("{CONFINED}; sleep 100"));
    bundle.config["process"]["noNewPrivileges"] = json!(true);
    bundle.config["process"]["oomScoreAdj"] = json!(300);
    bundle.config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}],
    });
    assert!(bundle.start().ok());
    let first = bundle.wait_for("end\n");
    assert!(
        first.contains("Seccomp:\t2") && first.contains("NoNewPrivs:\t1") && !first.contains("MADE"),
        "{first}"
    );
    let second = bundle.exec(&[], &["/bin/sh", "-c", CONFINED]);
    assert_eq!(second.text, first);
    // A process of its own may have other capabilities, not another filter.
    let process = json!({"cwd": "/", "args": ["/bin/sh", "-c", CONFINED], "user": {"uid": 0, "gid": 0},
        "env": ["PATH=/bin"], "noNewPrivileges": false,
        "capabilities": {"bounding": crate::bundle::DEFAULT_CAPABILITIES}});
    fs::write(bundle.path("process.json"), process.to_string()).unwrap();
    let path = bundle.path("process.json");
    let named = bundle
        .call(&["exec", "--process", path.to_str().unwrap(), &bundle.id])
        .text;
    assert!(
        named.contains("Seccomp:\t2") && !named.contains("MADE"),
        "{named}"
    );
    let namespaces = |text: &str| {
        text.lines()
            .filter(|l| l.contains(":[") || l.contains("::/"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(namespaces(&named), namespaces(&first));
    // With a terminal and as another user the filter is there as well.
    let other = bundle
        .exec(&["--user", "1000:1000"], &["/bin/sh", "-c", CONFINED])
        .text;
    assert!(
        other.contains("Seccomp:\t2") && other.contains("NoNewPrivs:\t1") && !other.contains("MADE"),
        "{other}"
    );
}
attack!(
    of_exec,
    "exec of crun 1.8.1 sets neither the no-new-privileges nor the oom_score_adj of the container"
);

/// The comparison sees a process that was put into the namespaces and nothing else.
#[test]
fn control() {
    let mut bundle = Bundle::shell(&Runtime::keelson(), &format!("{CONFINED}; sleep 100"));
    bundle.config["process"]["noNewPrivileges"] = json!(true);
    assert!(bundle.start().ok());
    let first = bundle.wait_for("end\n");
    let pid = bundle.pid().to_string();
    let args = [
        "-t", &pid, "-m", "-p", "-u", "-i", "-n", "/bin/sh", "-c", CONFINED,
    ];
    let joined = Bundle::outcome(std::process::Command::new("nsenter").args(args)).text;
    assert_ne!(joined, first);
    assert!(
        joined.contains("NoNewPrivs:\t0") && joined.contains("MADE"),
        "{joined}"
    );
}

/// A pod's container: default privileges of start and exec.
#[test]
fn of_a_pods_container() {
    let node = Node::new();
    let (_, output) = node.run(&node.container(&SHOW));
    let started = status(&output);
    for key in ["CapBnd", "CapEff", "CapPrm"] {
        assert_eq!(started[key], DEFAULT, "{key}");
    }
    assert_eq!(
        (started["CapInh"].as_str(), started["CapAmb"].as_str()),
        (NONE, NONE)
    );
    assert_eq!(
        (started["Seccomp"].as_str(), started["NoNewPrivs"].as_str()),
        ("2", "0")
    );
    assert_eq!(started["Seccomp_filters"], "1");
    assert_eq!(
        (started["SigBlk"].as_str(), started["SigIgn"].as_str()),
        (NONE, NONE)
    );
    assert_eq!(
        (started["Pid"].as_str(), started["Umask"].as_str()),
        ("1", "0022")
    );

    let main = node.container(&["sleep", "1000"]);
    node.runtime.create_container("pod", &main).unwrap();
    node.runtime.start_container(&main.id).unwrap();
    let joined = status(&node_exec(&node, &main.id, &SHOW));
    for key in [
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
        "Seccomp",
        "Seccomp_filters",
        "NoNewPrivs",
        "Uid",
        "Gid",
        "Groups",
        "SigBlk",
        "SigIgn",
        "Umask",
        "Cpus_allowed",
    ] {
        assert_eq!(started[key], joined[key], "{key}");
    }
}

/// Output of an exec.
pub fn node_exec(node: &Node, id: &str, args: &[&str]) -> String {
    let spec = ExecSpec {
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        stdout: true,
        ..ExecSpec::default()
    };
    let mut session = node.runtime.exec(id, &spec).unwrap();
    let text = std::io::read_to_string(fs::File::from(session.stdout.take().unwrap())).unwrap();
    session.wait().unwrap();
    text
}

/// A pod's exec: cgroup and namespaces.
#[test]
fn of_a_pods_exec() {
    let node = Node::new();
    let look = "cat /proc/self/cgroup; for n in cgroup ipc mnt net pid uts; do readlink /proc/self/ns/$n; done; readlink /proc/1/ns/mnt";
    let spec = node.shell(&format!("{look}; sleep 1000"));
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    node.runtime.create_container("pod", &spec).unwrap();
    node.runtime.start_container(&spec.id).unwrap();
    let joined = node_exec(&node, &spec.id, &["sh", "-c", look]);
    while Node::log(&spec).lines().count() < joined.lines().count() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(Node::log(&spec), joined);
    assert!(
        joined.contains("0::/\n"),
        "the cgroup namespace begins at the container's own: {joined}"
    );
    for name in ["cgroup", "ipc", "mnt", "net", "pid", "uts"] {
        let host = fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        assert!(!joined.contains(host.to_str().unwrap()), "{name} is the host's");
    }
}
