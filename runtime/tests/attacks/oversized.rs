//! What is too large for where it goes (CVE-2021-43784): an error, never a part of it.

use std::time::{Duration, Instant};

use keelson_runtime::node::*;
use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::runtimes::{Runtime, attack};
use crate::support::{Node, volume};

/// A change to a configuration that asks too much.
type Change = (&'static str, fn(&mut Value));

fn long(length: usize) -> String {
    "x".repeat(length)
}

fn deep(components: usize) -> String {
    "/x".repeat(components)
}

/// None of these can be done as asked.
#[allow(clippy::semicolon_if_nothing_returned)] // a table of one-line changes
const IMPOSSIBLE: &[Change] = &[
    ("a component of 300 bytes", |c| {
        push_mount(c, &format!("/{}", long(300)))
    }),
    ("a destination of 5000 bytes", |c| push_mount(c, &deep(2500))),
    ("a destination of 70000 bytes", |c| push_mount(c, &deep(35_000))),
    ("a working directory of 5000 bytes", |c| {
        c["process"]["cwd"] = json!(deep(2500))
    }),
    ("a root of 5000 bytes", |c| c["root"]["path"] = json!(deep(2500))),
    ("a program of 5000 bytes", |c| {
        c["process"]["args"] = json!([deep(2500)])
    }),
    ("an argument of 200 KiB", |c| {
        c["process"]["args"] = json!(["/bin/true", long(200 << 10)])
    }),
    ("arguments of 8 MiB", |c| {
        c["process"]["args"] = json!(
            std::iter::once("/bin/true".to_owned())
                .chain((0..128).map(|_| long(64 << 10)))
                .collect::<Vec<_>>()
        )
    }),
    ("an environment of 8 MiB", |c| {
        c["process"]["env"] = json!(
            (0..128)
                .map(|n| format!("V{n}={}", long(64 << 10)))
                .collect::<Vec<_>>()
        )
    }),
    ("a host name of 100 bytes", |c| c["hostname"] = json!(long(100))),
    ("a cgroup path of 5000 bytes", |c| {
        c["linux"]["cgroupsPath"] = json!(deep(2500))
    }),
    (
        "a device path of 5000 bytes",
        |c| c["linux"]["devices"] = json!([{"path": deep(2500), "type": "c", "major": 1, "minor": 3}]),
    ),
    (
        "a device number of 33 bits",
        |c| {
            c["linux"]["devices"] =
                json!([{"path": "/dev/x", "type": "c", "major": 4_294_967_297_u64, "minor": 3}])
        },
    ),
    ("a mount option of 5000 bytes", |c| {
        push(
            c,
            &json!({"destination": "/t", "type": "tmpfs", "source": "t", "options": [format!("size={}", long(5000))]}),
        )
    }),
    ("an rlimit of 65 bits", |c| {
        c["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 1e20, "hard": 1e20}])
    }),
    ("a namespace path of 5000 bytes", |c| {
        c["linux"]["namespaces"][0]["path"] = json!(deep(2500))
    }),
    ("a mapping of 1000 lines", |c| {
        c["linux"]["namespaces"]
            .as_array_mut()
            .unwrap()
            .push(json!({"type": "user"}));
        let lines: Vec<Value> = (0..1000)
            .map(|n| json!({"containerID": n, "hostID": 100_000 + n, "size": 1}))
            .collect();
        c["linux"]["uidMappings"] = json!(lines);
        c["linux"]["gidMappings"] = json!(lines);
    }),
    ("a mapping of 33 bits", |c| {
        c["linux"]["namespaces"]
            .as_array_mut()
            .unwrap()
            .push(json!({"type": "user"}));
        c["linux"]["uidMappings"] = json!([{"containerID": 0, "hostID": 4_294_967_296_u64, "size": 1}]);
        c["linux"]["gidMappings"] = json!([{"containerID": 0, "hostID": 4_294_967_296_u64, "size": 1}]);
    }),
    ("a configuration of 40 MiB", |c| {
        c["annotations"] = json!({"large": long(40 << 20)})
    }),
    ("a deeply nested configuration", |c| {
        let mut value = json!(1);
        for _ in 0..120 {
            value = json!([value]);
        }
        c["process"]["args"] = value;
    }),
];

fn push(config: &mut Value, mount: &Value) {
    config["mounts"].as_array_mut().unwrap().push(mount.clone());
}

fn push_mount(config: &mut Value, destination: &str) {
    push(
        config,
        &json!({"destination": destination, "type": "tmpfs", "source": "tmpfs"}),
    );
}

fn is_refused(runtime: &Runtime) {
    let mut wrong = Vec::new();
    for (what, change) in IMPOSSIBLE {
        let mut bundle = Bundle::new(runtime, &["true"]);
        change(&mut bundle.config);
        let begin = Instant::now();
        let outcome = bundle.run();
        let mut say = |how: &str| wrong.push(format!("{what}: {how}: {:.200}", outcome.text));
        if outcome.ok() {
            say("done");
        }
        if outcome.text.contains("panicked") || outcome.code > 128 {
            say("crashed");
        }
        if outcome.text.len() > 256 << 10 {
            say("long message");
        }
        if begin.elapsed() > Duration::from_secs(10) {
            say("slow");
        }
        if bundle.path("state").join(&bundle.id).exists() {
            say("something is left");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
attack!(
    is_refused,
    "crun 1.8.1 cuts device numbers to 32 bits, and reads a configuration of any size"
);

/// Large things that fit arrive whole.
fn arrives_whole_or_not_at_all(runtime: &Runtime) {
    let text = long(100 << 10);
    let mut bundle = Bundle::new(
        runtime,
        &["/bin/sh", "-c", "echo ${#LARGE} ${#1}; sleep 100", "sh", &text],
    );
    bundle.config["process"]["env"] = json!(["PATH=/bin", format!("LARGE={text}")]);
    bundle.config["annotations"] = json!({"org.example.large": long(2 << 20)});
    let started = bundle.start();
    assert!(started.ok(), "{}", started.text);
    assert_eq!(bundle.wait_for("\n"), "102400 102400\n");
    let state: Value = serde_json::from_str(&bundle.call(&["state", &bundle.id]).text).unwrap();
    assert_eq!(
        state["annotations"]["org.example.large"].as_str().unwrap().len(),
        2 << 20
    );
    // An id longer than a file's name.
    let mut bundle = Bundle::new(runtime, &["true"]);
    bundle.id = long(2000);
    assert!(!bundle.run().ok());
}
attack!(arrives_whole_or_not_at_all);

/// A pod's container and sandbox.
#[test]
fn of_a_pods_container() {
    let node = Node::new();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    let good = || node.container(&["true"]);
    let specs: Vec<(&str, ContainerSpec)> = vec![
        (
            "id",
            ContainerSpec {
                id: long(300),
                ..good()
            },
        ),
        (
            "target",
            ContainerSpec {
                mounts: vec![volume("/tmp".as_ref(), &deep(2500))],
                ..good()
            },
        ),
        (
            "subPath",
            ContainerSpec {
                mounts: vec![VolumeMount {
                    sub_path: Some(deep(2500)[1..].into()),
                    ..volume("/tmp".as_ref(), "/x")
                }],
                ..good()
            },
        ),
        (
            "cwd",
            ContainerSpec {
                cwd: deep(2500),
                ..good()
            },
        ),
        (
            "environment beyond the shim's messages",
            ContainerSpec {
                env: (0..160).map(|n| format!("V{n}={}", long(64 << 10))).collect(),
                ..good()
            },
        ),
        (
            "environment beyond the kernel's",
            ContainerSpec {
                env: (0..100).map(|n| format!("V{n}={}", long(64 << 10))).collect(),
                ..good()
            },
        ),
        (
            "argument",
            ContainerSpec {
                args: vec!["/bin/true".into(), long(200 << 10)],
                ..good()
            },
        ),
    ];
    for (what, spec) in specs {
        let created = node.runtime.create_container("pod", &spec);
        let done = created.is_ok() && node.runtime.start_container(&spec.id).is_ok();
        assert!(!done, "{what}");
        if created.is_ok() {
            node.runtime.remove_container(&spec.id).unwrap();
        }
    }
    assert!(node.runtime.containers().unwrap().is_empty());
    let sandbox = SandboxSpec {
        hostname: long(100),
        ..Node::sandbox("other")
    };
    assert!(node.runtime.create_sandbox(&sandbox).is_err(), "host name");
    assert_eq!(
        node.run_in("pod", &node.shell("exit 5")).0,
        5,
        "the shim has survived it all"
    );
}

/// Whatever else is malformed is refused, and leaves nothing.
#[test]
fn malformed_specifications() {
    let node = Node::new();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    let good = || node.container(&["true"]);
    let missing = std::path::PathBuf::from("/no/such");
    for (name, spec) in [
        (
            "id",
            ContainerSpec {
                id: "../../evil".into(),
                ..good()
            },
        ),
        (
            "args",
            ContainerSpec {
                args: vec![],
                ..good()
            },
        ),
        (
            "NUL",
            ContainerSpec {
                args: vec!["a\0b".into()],
                ..good()
            },
        ),
        (
            "capability",
            ContainerSpec {
                cap_add: vec!["EVERYTHING".into()],
                ..good()
            },
        ),
        (
            "source",
            ContainerSpec {
                mounts: vec![volume(&missing, "/x")],
                ..good()
            },
        ),
        (
            "layers",
            ContainerSpec {
                rootfs: RootfsSource::Layers(vec![]),
                ..good()
            },
        ),
        (
            "layer",
            ContainerSpec {
                rootfs: RootfsSource::Layers(vec![missing.clone()]),
                ..good()
            },
        ),
        (
            "bundle",
            ContainerSpec {
                rootfs: RootfsSource::Bundle(missing.clone()),
                ..good()
            },
        ),
        (
            "seccomp",
            ContainerSpec {
                seccomp: Seccomp::Localhost(missing.clone()),
                ..good()
            },
        ),
    ] {
        assert!(node.runtime.create_container("pod", &spec).is_err(), "{name}");
    }
    assert!(node.runtime.containers().unwrap().is_empty());
    assert!(node.runtime.create_container("absent", &good()).is_err());
    for id in ["", "..", "a/b"] {
        assert!(node.runtime.create_sandbox(&Node::sandbox(id)).is_err());
        assert!(node.runtime.remove_sandbox(id).is_err());
    }
}
