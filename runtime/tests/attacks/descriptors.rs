//! Descriptors that lead out: a working directory behind one (CVE-2024-21626), and those that arrive in the container.

use std::os::unix::fs::symlink;
use std::process::Command;

use keelson_runtime::node::*;

use crate::bundle::{Bundle, Outcome};
use crate::payload;
use crate::runtimes::{Runtime, attack};
use crate::support::Node;
use crate::witness::SECRET;

/// Reads the witness from wherever the working directory is, and lists the descriptors.
const LOOK: &str =
    "cat witness ./treasure/witness ../treasure/witness ../witness 2>/dev/null; echo fds $(ls /proc/self/fd)";

/// The runtime called by somebody with the treasure, its parent and `/` open on descriptors without close-on-exec.
fn leaky(bundle: &Bundle, args: &[&str]) -> Outcome {
    let mut command = Command::new("sh");
    let script = format!(
        "exec 4<'{0}' 5<'{0}/..' 7</ 9<'{0}/deep'; exec timeout -s KILL 30 \"$@\"",
        bundle.treasure.path.display()
    );
    command.args(["-c", &script, "sh"]).args(bundle.runtime.words());
    command.arg("--root").arg(bundle.path("state")).args(args);
    command.stdin(std::process::Stdio::null());
    Bundle::outcome(&mut command)
}

fn check(outcome: &Outcome, cwd: &str) {
    assert!(
        !outcome.text.contains(SECRET),
        "cwd {cwd:?} reads the host: {}",
        outcome.text
    );
    if let Some((_, fds)) = outcome.text.split_once("fds ") {
        // 3 is the directory that `ls` itself reads.
        assert_eq!(
            fds.split_whitespace().take(5).collect::<Vec<_>>(),
            ["0", "1", "2", "3"],
            "{cwd:?}"
        );
    }
}

/// Why crun 1.8.1 falls.
const CWD: &str =
    "it enters the working directory while descriptors of its caller are open, as runc did in CVE-2024-21626";

fn directories() -> impl Iterator<Item = String> {
    let fixed = [
        "/sneaky",
        "/proc/1/cwd",
        "/proc/self/root/..",
        "/proc/thread-self/fd/7",
    ];
    let numbered = (3..24).flat_map(|n| {
        [
            format!("/proc/self/fd/{n}"),
            format!("/proc/self/fd/{n}/../treasure"),
        ]
    });
    fixed.into_iter().map(str::to_owned).chain(numbered)
}

/// In `run`.
fn as_working_directory_of_start(runtime: &Runtime) {
    let mut bundle = Bundle::shell(runtime, LOOK);
    symlink("/proc/self/fd/7", bundle.rootfs("sneaky")).unwrap();
    for cwd in directories() {
        bundle.config["process"]["cwd"] = cwd.clone().into();
        bundle.write_config();
        check(
            &leaky(&bundle, &["run", "-b", bundle.bundle_argument(), &bundle.id]),
            &cwd,
        );
        bundle.delete();
    }
    bundle.treasure.check("cwd");
}
attack!(as_working_directory_of_start, CWD);

/// In `exec`.
fn as_working_directory_of_exec(runtime: &Runtime) {
    let bundle = Bundle::new(runtime, &["sleep", "100"]);
    symlink("/proc/self/fd/7", bundle.rootfs("sneaky")).unwrap();
    assert!(bundle.start().ok());
    for cwd in directories() {
        let args = ["exec", "--cwd", &cwd, &bundle.id, "/bin/sh", "-c", LOOK];
        check(&leaky(&bundle, &args), &cwd);
    }
    bundle.treasure.check("cwd");
}
attack!(as_working_directory_of_exec, CWD);

/// Nothing of the caller's arrives but 0 to 2.
fn only_the_declared_ones_arrive(runtime: &Runtime) {
    let bundle = Bundle::new(runtime, &["/bin/sh", "-c", LOOK]);
    bundle.write_config();
    let outcome = leaky(&bundle, &["run", "-b", bundle.bundle_argument(), &bundle.id]);
    assert!(outcome.text.contains("fds "), "{}", outcome.text);
    check(&outcome, "/");
    // One more by request: what came on 3 is there, what came on 4 and above is not.
    let outcome = leaky(
        &bundle,
        &[
            "run",
            "--preserve-fds",
            "2",
            "-b",
            bundle.bundle_argument(),
            &bundle.id,
        ],
    );
    if let Some((_, fds)) = outcome.text.split_once("fds ") {
        let fds: Vec<&str> = fds
            .split_whitespace()
            .take_while(|word| word.parse::<u32>().is_ok())
            .collect();
        assert!(!fds.contains(&"7") && !fds.contains(&"9"), "{fds:?}");
    } else {
        println!("--preserve-fds is refused: {}", outcome.text);
    }
}
attack!(only_the_declared_ones_arrive);

/// What a process that holds something of the host's is seen with, from a process namespace that it shares: a container
/// that is created and waits, and one that is made beside a container that may trace it.
fn of_a_container_that_waits(runtime: &Runtime) {
    let mut bundle = Bundle::new(runtime, &["sleep", "100"]);
    bundle.capabilities(&[&crate::bundle::DEFAULT_CAPABILITIES[..], &["CAP_SYS_PTRACE"]].concat());
    bundle.write_config();
    assert!(bundle.create(&[]).ok());
    let look = "for fd in /proc/1/fd/*; do echo \"$fd $(readlink $fd)\"; done; cat /proc/1/fd/*/witness /proc/1/fd/*/treasure/witness /proc/1/root/witness; \
        grep -E '^(CapEff|NoNewPrivs)' /proc/1/status; for fd in /proc/1/fd/*; do ls -d $fd/../../../../../../../../../proc/1/root/witness; done";
    let outcome = bundle.exec(&[], &["/bin/sh", "-c", look]);
    let led: Vec<&str> = outcome
        .text
        .lines()
        .filter(|line| line.starts_with("/proc/1/fd/"))
        .filter_map(|line| line.split_once(' '))
        .map(|(_, to)| to)
        .collect();
    assert!(led.len() >= 3, "{}", outcome.text);
    // Its streams are the caller's own: files in the bundle.
    let outward = |to: &&&str| {
        to.starts_with('/') && **to != "/dev/null" && !to.contains("/keelson-attack-") && **to != "/"
    };
    assert!(led.iter().find(outward).is_none(), "{}", outcome.text);
    assert!(!outcome.text.contains("memfd"), "{}", outcome.text);
    // All capabilities of the host's root are gone by now.
    let capabilities = outcome.text.lines().find_map(|line| line.strip_prefix("CapEff:"));
    assert_eq!(
        capabilities.map(str::trim),
        Some("00000000a80c25fb"),
        "{}",
        outcome.text
    );
}
attack!(
    of_a_container_that_waits,
    "crun 1.8 takes the container's capabilities only when it is started"
);

/// The same call on a runtime that changes the root and enters the directory with the descriptors open.
#[test]
fn control() {
    let Some(naive) = payload::compile("naive") else {
        return;
    };
    let bundle = Bundle::shell(&Runtime::keelson(), LOOK);
    symlink("/proc/self/fd/7", bundle.rootfs("escape")).unwrap();
    std::fs::create_dir(bundle.rootfs("dev")).unwrap();
    std::fs::write(bundle.rootfs("dev/null"), "").unwrap(); // for the shell
    let script = format!(
        "mount -t proc proc '{root}/proc' && exec 7<'{treasure}' && exec '{naive}' run '{root}' /escape /bin/sh -c \"$1\"",
        root = bundle.rootfs("").display(),
        treasure = bundle.treasure.path.display(),
        naive = naive.display(),
    );
    let outcome = Bundle::outcome(Command::new("unshare").args(["-m", "sh", "-c", &script, "sh", LOOK]));
    assert!(outcome.text.contains(SECRET), "{}", outcome.text);
}

/// An image's working directory, in a pod.
#[test]
fn of_a_pods_container() {
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
    // An open directory with close-on-exec off in the caller must not reach the container either.
    let leak = std::fs::File::open("/").unwrap();
    let _inherited = nix::unistd::dup(&leak).unwrap();
    // The second list shows that the first could have had more. (The shell would become its last command.)
    let (_, output) = node.run_in("pod", &node.shell("ls /proc/1/fd; exec 3</; ls /proc/1/fd; :"));
    assert_eq!(output, "0\n1\n2\n0\n1\n2\n3\n", "{output}");
}

/// More descriptors are to be passed on than the caller has: those that the runtime opens itself must not take their
/// places.
fn more_than_there_are(runtime: &Runtime) {
    let script = "exec 3</dev/null; exec \"$@\"";
    let preserved = |bundle: &Bundle, args: &[&str]| {
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).args(bundle.runtime.words());
        command.arg("--root").arg(bundle.path("state")).args(args);
        command.stdin(std::process::Stdio::null());
        Bundle::outcome(&mut command)
    };
    let look = "for fd in /proc/self/fd/*; do echo \"$fd $(readlink $fd)\"; done";
    let check = |outcome: &Outcome, what: &str| {
        let strange = |line: &&str| line.contains("memfd") || line.contains("lock") || line.contains("state");
        let found = outcome
            .text
            .lines()
            .filter(|line| line.starts_with("/proc/self/fd"))
            .find(strange);
        assert!(found.is_none(), "{what}: {}", outcome.text);
    };
    for count in ["2", "3", "5", "9"] {
        let bundle = Bundle::shell(runtime, look);
        bundle.write_config();
        let args = [
            "run",
            "--preserve-fds",
            count,
            "-b",
            bundle.bundle_argument(),
            &bundle.id,
        ];
        check(&preserved(&bundle, &args), &format!("run with {count}"));
    }
    let bundle = Bundle::new(runtime, &["sleep", "100"]);
    assert!(bundle.start().ok());
    for count in ["2", "3", "5", "9"] {
        let args = ["exec", "--preserve-fds", count, &bundle.id, "/bin/sh", "-c", look];
        check(&preserved(&bundle, &args), &format!("exec with {count}"));
    }
}
attack!(more_than_there_are);
