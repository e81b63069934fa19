//! Exec and attach.

use std::fs::File;
use std::io::{Read, Write};
use std::time::Duration;

use keelson_runtime::node::*;

use crate::support::Node;

fn exec_spec(args: &[&str]) -> ExecSpec {
    ExecSpec {
        args: args.iter().map(|s| (*s).to_owned()).collect(),
        stdout: true,
        stderr: true,
        ..ExecSpec::default()
    }
}

/// Reads to the end; EIO is a terminal's end.
fn read_all(fd: Option<std::os::fd::OwnedFd>) -> String {
    let (mut file, mut all, mut chunk) = (File::from(fd.unwrap()), Vec::new(), [0; 4096]);
    while let Ok(n) = file.read(&mut chunk) {
        if n == 0 {
            break;
        }
        all.extend_from_slice(&chunk[..n]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

fn running(node: &Node, spec: &ContainerSpec) {
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    node.runtime.create_container("pod", spec).unwrap();
    node.runtime.start_container(&spec.id).unwrap();
}

#[test]
fn exec_streams_and_exit_codes() {
    let node = Node::new();
    let spec = node.container(&["sleep", "1000"]);
    running(&node, &spec);
    let mut session = node
        .runtime
        .exec(
            &spec.id,
            &exec_spec(&["sh", "-c", "echo out; echo err >&2; hostname; exit 42"]),
        )
        .unwrap();
    assert_eq!(read_all(session.stdout.take()), "out\nthe-pod\n");
    assert_eq!(read_all(session.stderr.take()), "err\n");
    assert_eq!(session.wait().unwrap(), 42);
    assert_eq!(session.wait().unwrap(), 42);

    let piped = ExecSpec {
        stdin: true,
        ..exec_spec(&["tr", "a-z", "A-Z"])
    };
    let mut session = node.runtime.exec(&spec.id, &piped).unwrap();
    let mut stdin = File::from(session.stdin.take().unwrap());
    stdin.write_all(b"hello").unwrap();
    drop(stdin);
    assert_eq!(read_all(session.stdout.take()), "HELLO");
    assert_eq!(session.wait().unwrap(), 0);

    let session = &mut node
        .runtime
        .exec(&spec.id, &exec_spec(&["sleep", "1000"]))
        .unwrap();
    session.kill().unwrap();
    assert_eq!(session.wait().unwrap(), 137);
    for (program, code) in [("nonsense", 127), ("/etc/passwd", 126)] {
        match node.runtime.exec(&spec.id, &exec_spec(&[program])) {
            Err(Error::Start { message, exit_code }) => {
                assert!(
                    exit_code == code && message.starts_with(&format!("exec: {program:?}: ")),
                    "{message}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(
        node.runtime.exec("no-such", &exec_spec(&["true"])),
        Err(Error::NotFound(_))
    ));
    node.runtime.stop_container(&spec.id, Duration::ZERO).unwrap();
    assert!(node.runtime.exec(&spec.id, &exec_spec(&["true"])).is_err());
}

#[test]
fn exec_on_a_terminal() {
    let node = Node::new();
    let spec = node.container(&["sleep", "1000"]);
    running(&node, &spec);
    let terminal = ExecSpec {
        tty: true,
        stdin: true,
        size: Some((99, 44)),
        ..exec_spec(&["sh", "-c", "tty; stty size; read x; stty size; echo got $x"])
    };
    let mut session = node.runtime.exec(&spec.id, &terminal).unwrap();
    assert!(session.stderr.is_none());
    let mut stdin = File::from(session.stdin.take().unwrap());
    let stdout = session.stdout.take().unwrap();
    let mut reader = File::from(stdout.try_clone().unwrap());
    let mut output = String::new();
    while !output.contains("44 99") {
        let mut buffer = [0; 100];
        let count = reader.read(&mut buffer).unwrap();
        assert!(count > 0, "ended after {output}");
        output += &String::from_utf8_lossy(&buffer[..count]);
    }
    session.resize(120, 50).unwrap();
    stdin.write_all(b"input\n").unwrap();
    output += &read_all(Some(stdout));
    assert!(
        output.contains("/dev/pts/")
            && output.contains("44 99")
            && output.contains("50 120")
            && output.contains("got input"),
        "{output}"
    );
    assert_eq!(session.wait().unwrap(), 0);
}

#[test]
fn attach_sees_output_and_gives_input_once() {
    let node = Node::new();
    let spec = ContainerSpec {
        stdin: true,
        stdin_once: true,
        ..node.shell("while read x; do echo got $x; done; echo end")
    };
    running(&node, &spec);
    let mut first = node.runtime.attach(&spec.id).unwrap();
    let mut second = node.runtime.attach(&spec.id).unwrap();
    let mut stdin = File::from(first.stdin.take().unwrap());
    stdin.write_all(b"one\ntwo\n").unwrap();
    drop(stdin);
    let output = read_all(first.stdout.take());
    assert_eq!(output, "got one\ngot two\nend\n");
    assert_eq!(read_all(second.stdout.take()), output);
    assert_eq!(first.wait().unwrap(), 0);
    assert_eq!(second.wait().unwrap(), 0);
    assert_eq!(node.wait(&spec.id), 0);
    assert_eq!(Node::log(&spec), output);
}

#[test]
fn attach_to_a_terminal() {
    let node = Node::new();
    let spec = ContainerSpec {
        stdin: true,
        tty: true,
        ..node.shell("test -c /dev/console && echo console; read x; stty size; echo got $x; exit 5")
    };
    running(&node, &spec);
    let mut session = node.runtime.attach(&spec.id).unwrap();
    assert!(session.stderr.is_none());
    session.resize(77, 33).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    File::from(session.stdin.take().unwrap())
        .write_all(b"line\n")
        .unwrap();
    let output = read_all(session.stdout.take());
    assert!(
        output.contains("33 77") && output.contains("got line"),
        "{output}"
    );
    assert_eq!(session.wait().unwrap(), 5);
    assert!(Node::log(&spec).contains("console"));
}

#[test]
fn big_input_is_neither_lost_nor_buffered() {
    let node = Node::new();
    let spec = ContainerSpec {
        stdin: true,
        stdin_once: true,
        ..node.shell("sleep 0.3; wc -c")
    };
    running(&node, &spec);
    let mut session = node.runtime.attach(&spec.id).unwrap();
    let mut stdin = File::from(session.stdin.take().unwrap());
    stdin.write_all(&vec![b'x'; 3 << 20]).unwrap();
    drop(stdin);
    assert_eq!(read_all(session.stdout.take()).trim(), (3 << 20).to_string());
}

#[test]
fn a_slow_attach_client_does_not_hold_up_the_container() {
    let node = Node::new();
    let spec = node.shell("sleep 0.2; head -c 5000000 /dev/zero | tr '\\0' x; echo; echo done");
    running(&node, &spec);
    let mut idle = node.runtime.attach(&spec.id).unwrap();
    assert_eq!(node.wait(&spec.id), 0);
    assert!(Node::log(&spec).ends_with("done\n") && Node::log(&spec).len() == 5_000_006);
    assert_eq!(idle.wait().unwrap(), 0);
}

#[test]
fn aborted_sessions_leave_nothing() {
    let node = Node::new();
    let spec = ContainerSpec {
        stdin: true,
        ..node.container(&["sleep", "1000"])
    };
    running(&node, &spec);
    let shim_fds = || {
        let lock = File::open(node.config.run_dir.join("pods/pod/shim.lock")).unwrap();
        let pid = keelson_runtime::sys::lock_holder(std::os::fd::AsFd::as_fd(&lock))
            .unwrap()
            .unwrap();
        std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
    };
    let before = shim_fds();
    for _ in 0..200 {
        drop(node.runtime.attach(&spec.id).unwrap());
        drop(
            node.runtime
                .exec(
                    &spec.id,
                    &ExecSpec {
                        stdin: true,
                        ..exec_spec(&["cat"])
                    },
                )
                .unwrap(),
        );
    }
    // The last ones may still be ending.
    for _ in 0..100 {
        if shim_fds() <= before && node.runtime.container_stats(&spec.id).unwrap().pids == 1 {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!(
        "{} descriptors, was {before}; {:?}",
        shim_fds(),
        node.runtime.container_stats(&spec.id)
    );
}

#[test]
fn the_first_to_attach_sees_what_came_before() {
    let node = Node::new();
    let spec = ContainerSpec {
        stdin: true,
        stdin_once: true,
        ..node.shell("echo early; echo oops >&2; read x; echo got $x")
    };
    running(&node, &spec);
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while Node::log(&spec).lines().count() < 2 {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut first = node.runtime.attach(&spec.id).unwrap();
    let mut second = node.runtime.attach(&spec.id).unwrap();
    File::from(first.stdin.take().unwrap())
        .write_all(b"it\n")
        .unwrap();
    assert_eq!(read_all(first.stdout.take()), "early\ngot it\n");
    assert_eq!(read_all(first.stderr.take()), "oops\n");
    assert_eq!(read_all(second.stdout.take()), "got it\n");
    assert_eq!(node.wait(&spec.id), 0);
}
