//! The host's null device inside: root of a container owns its inode, and must not be able to change it, neither through
//! a stream that nobody wanted nor through a file that it masks.

use std::process::Command;

use crate::bundle::{Bundle, Outcome};
use crate::privileges::node_exec;
use crate::runtimes::{Runtime, attack};
use crate::support::Node;

/// Changes what it can of the inodes; to what they are, in case they are the host's.
const SPOIL: &str = "for f in /proc/self/fd/0 /proc/keys /proc/timer_list; do chmod 666 $f; chown 0:0 $f; touch $f; done; echo tried";

/// Runs a command in a mount namespace with a null device of its own, which is also its standard input, and says whether
/// that was changed.
fn with_own_null(bundle: &Bundle, args: &[&str]) -> Outcome {
    let script = "mount -t tmpfs none $0 && mknod -m 666 $0/null c 1 3 && mount --bind $0/null /dev/null && \
        before=$(stat -c '%z %a %u' $0/null) && sleep 0.05 && \"$@\" <$0/null; \
        [ \"$before\" = \"$(stat -c '%z %a %u' $0/null)\" ] && echo SAME || echo CHANGED";
    let place = bundle.path("own-null");
    let _ = std::fs::create_dir(&place);
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-c", script])
        .arg(place)
        .args(args_of(bundle, args));
    Bundle::outcome(&mut command)
}

fn args_of(bundle: &Bundle, args: &[&str]) -> Vec<std::ffi::OsString> {
    let mut words = bundle.runtime.words();
    words.extend(["--root".into(), bundle.path("state").into()]);
    words.extend(args.iter().map(|&arg| arg.into()));
    words
}

/// In `run` and `exec`.
fn cannot_be_changed(runtime: &Runtime) {
    let bundle = Bundle::shell(runtime, SPOIL);
    bundle.write_config();
    let outcome = with_own_null(&bundle, &["run", "-b", bundle.bundle_argument(), &bundle.id]);
    assert!(outcome.text.contains("tried"), "{}", outcome.text);
    assert!(outcome.text.contains("SAME"), "run: {}", outcome.text);
    let bundle = Bundle::new(runtime, &["sleep", "100"]);
    assert!(bundle.start().ok());
    let outcome = with_own_null(
        &bundle,
        &[
            "exec",
            &bundle.id,
            "/bin/sh",
            "-c",
            "chmod 666 /proc/self/fd/0; echo tried",
        ],
    );
    assert!(
        outcome.text.contains("tried") && outcome.text.contains("SAME"),
        "exec: {}",
        outcome.text
    );
    // It is still a null device, for reading and writing.
    let outcome = bundle.exec(
        &[],
        &["/bin/sh", "-c", "cat; echo x >&0; cat /proc/keys; echo ended"],
    );
    assert!(outcome.text.ends_with("ended\n"), "{}", outcome.text);
}
attack!(
    cannot_be_changed,
    "crun 1.8.1 leaves the caller's null device as standard input; over masked files it is read-only there, too"
);

/// The same from a process that has the device does change it.
#[test]
fn control() {
    let mut bundle = Bundle::new(&Runtime::keelson(), &["true"]);
    bundle.runtime.program = "/usr/bin/env".into();
    std::fs::create_dir(bundle.path("own-null")).unwrap();
    let script = "mount -t tmpfs none $0 && mknod -m 666 $0/null c 1 3 && before=$(stat -c %z $0/null) && sleep 0.05 && \
        chmod 666 /proc/self/fd/3 3<$0/null; [ \"$before\" = \"$(stat -c %z $0/null)\" ] && echo SAME || echo CHANGED";
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-c", script])
        .arg(bundle.path("own-null"));
    let text = Bundle::outcome(&mut command).text;
    assert!(text.contains("CHANGED"), "{text}");
}

/// A pod's container and exec. What others do to the host's device meanwhile is not looked at, only what is let happen.
#[test]
fn of_a_pods_container() {
    let spoil = "for f in /proc/self/fd/0 /proc/keys /proc/timer_list; do chmod 666 $f 2>/dev/null && echo SPOILED $f; done; \
        stat -L -c %t:%T /proc/self/fd/0 /proc/keys; chmod 666 /dev/zero && echo tried";
    let expected = "1:3\n1:3\ntried\n";
    let node = Node::new();
    let main = node.shell(&format!("{spoil}; cat; sleep 1000"));
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    node.runtime.create_container("pod", &main).unwrap();
    node.runtime.start_container(&main.id).unwrap();
    assert_eq!(node_exec(&node, &main.id, &["sh", "-c", spoil]), expected, "exec");
    while !Node::log(&main).contains("tried") {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(Node::log(&main), expected, "start");
}
