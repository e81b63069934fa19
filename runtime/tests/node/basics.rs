//! Sandboxes and containers live, speak, end and go.

use std::fs;
use std::time::Duration;

use keelson_runtime::node::*;

use crate::support::Node;

#[test]
fn a_container_runs_and_is_logged() {
    let node = Node::new();
    let spec = node.shell("echo out; echo err >&2; hostname; printf tail; exit 7");
    let (code, output) = node.run(&spec);
    assert_eq!(code, 7, "{output}");
    assert!(
        output.contains("out\n") && output.contains("err\n") && output.contains("the-pod\n"),
        "{output}"
    );
    let raw = fs::read_to_string(spec.log_path.as_ref().unwrap()).unwrap();
    assert!(
        raw.contains(" stdout F out\n")
            && raw.contains(" stderr F err\n")
            && raw.contains(" stdout P tail\n"),
        "{raw}"
    );
    let state = node.runtime.container(&spec.id).unwrap().unwrap();
    assert!(state.started_at.is_some() && state.pid.is_none());
    node.runtime.remove_container(&spec.id).unwrap();
    node.runtime.remove_container(&spec.id).unwrap();
    assert!(node.runtime.container(&spec.id).unwrap().is_none());
    assert!(spec.log_path.unwrap().exists());
}

#[test]
fn signals_and_stopping() {
    let node = Node::new();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    let deaf = node.shell("trap '' TERM; sleep 1000 & wait; wait");
    let good = node.shell("trap 'exit 3' TERM; echo ready; while :; do sleep 1000 & wait; done");
    for spec in [&deaf, &good] {
        node.runtime.create_container("pod", spec).unwrap();
        assert_eq!(
            node.runtime.start_container(&spec.id).unwrap().phase,
            Phase::Running
        );
    }
    while !Node::log(&good).contains("ready") {
        std::thread::sleep(Duration::from_millis(5));
    }
    let state = node
        .runtime
        .stop_container(&good.id, Duration::from_secs(10))
        .unwrap();
    assert!(
        matches!(
            state.phase,
            Phase::Exited {
                exit_code: 3,
                signal: None,
                ..
            }
        ),
        "{:?}",
        state.phase
    );
    let state = node
        .runtime
        .stop_container(&deaf.id, Duration::from_millis(200))
        .unwrap();
    assert!(
        matches!(
            state.phase,
            Phase::Exited {
                exit_code: 137,
                signal: Some(9),
                ..
            }
        ),
        "{:?}",
        state.phase
    );
    node.runtime.signal(&deaf.id, 15).unwrap();
}

#[test]
fn programs_that_cannot_start() {
    let node = Node::new();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    fs::write(node.rootfs.join("etc/plain"), "no program").unwrap();
    for (program, words, code) in [
        ("foo", r#"exec: "foo": executable file not found in $PATH"#, 127),
        (
            "/no/such",
            r#"exec: "/no/such": stat /no/such: no such file or directory"#,
            127,
        ),
        ("/etc/plain", r#"exec: "/etc/plain": permission denied"#, 126),
    ] {
        let spec = node.container(&[program]);
        node.runtime.create_container("pod", &spec).unwrap();
        match node.runtime.start_container(&spec.id) {
            Err(Error::Start { message, exit_code }) => {
                assert_eq!((message.as_str(), exit_code), (words, code));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(node.wait(&spec.id), code);
    }
}

#[test]
fn sandboxes_are_idempotent_and_gone_after_removal() {
    let node = Node::new();
    let spec = Node::sandbox("pod");
    let first = node.runtime.create_sandbox(&spec).unwrap();
    assert!(first.ready && first.netns.as_ref().unwrap().exists());
    node.runtime.create_sandbox(&spec).unwrap();
    let other = SandboxSpec {
        hostname: "other".into(),
        ..spec.clone()
    };
    assert!(matches!(
        node.runtime.create_sandbox(&other),
        Err(Error::AlreadyExists(_))
    ));
    node.runtime
        .set_sandbox_ips("pod", &["10.42.0.9".parse().unwrap()])
        .unwrap();
    assert_eq!(node.runtime.sandbox("pod").unwrap().unwrap().ips.len(), 1);
    let running = node.container(&["sleep", "1000"]);
    node.runtime.create_container("pod", &running).unwrap();
    node.runtime.start_container(&running.id).unwrap();
    let pid = node.runtime.container(&running.id).unwrap().unwrap().pid.unwrap();
    node.runtime.remove_sandbox("pod").unwrap();
    node.runtime.remove_sandbox("pod").unwrap();
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert!(node.runtime.sandbox("pod").unwrap().is_none() && node.runtime.containers().unwrap().is_empty());
}

#[test]
fn a_new_caller_adopts_what_runs() {
    let node = Node::new();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    let spec = node.shell("sleep 1000; exit 1");
    node.runtime.create_container("pod", &spec).unwrap();
    node.runtime.start_container(&spec.id).unwrap();
    let second = NodeRuntime::open(node.config.clone()).unwrap();
    assert_eq!(second.containers().unwrap()[0].phase, Phase::Running);
    let mut events = second.events().unwrap();
    second.signal(&spec.id, 9).unwrap();
    assert_eq!(node.wait(&spec.id), 137);
    assert_eq!(events.try_next().unwrap(), Some(Event::Exited(spec.id.clone())));
}
