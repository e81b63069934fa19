use serde_json::{Value, json};

use super::*;
use crate::launch::IdRange;

/// A small configuration, changed.
fn plan(change: impl FnOnce(&mut Value)) -> Result<Plan, PlanError> {
    let mut config = json!({
        "ociVersion": "1.2.0",
        "process": {"args": ["true"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
        "root": {"path": "rootfs"},
        "mounts": [],
        "linux": {"namespaces": [{"type": "mount"}, {"type": "uts"}, {"type": "ipc"}, {"type": "network"}]},
    });
    change(&mut config);
    let spec: Spec = serde_json::from_value(config).map_err(|e| PlanError(e.to_string()))?;
    oci(
        &spec,
        OciPaths {
            id: "x".to_owned(),
            bundle: "/bundle".into(),
            attach_point: "/attach".to_owned(),
            cgroup: Some("/cgroup".to_owned()),
        },
    )
}

fn namespace(config: &mut Value, value: Value) {
    config["linux"]["namespaces"].as_array_mut().unwrap().push(value);
}

fn error(change: impl FnOnce(&mut Value)) -> String {
    plan(change).expect_err("accepted").0
}

#[test]
fn versions() {
    for good in ["1.0.0", "1.0.2-dev", "1.2.1", "1.99.0", "1.1.0-rc.2+build"] {
        assert!(plan(|c| c["ociVersion"] = json!(good)).is_ok(), "{good}");
    }
    for bad in [
        "", "2.0.0", "0.9.0", "1", "1.2", "1.x.0", "v1.0.0", "1.0.0.0", "10.0.0", "1..0",
    ] {
        assert!(
            error(|c| c["ociVersion"] = json!(bad)).contains("ociVersion"),
            "{bad}"
        );
    }
}

#[test]
fn what_must_be_there() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 9] = [
        ("no process", |c| c["process"] = Value::Null),
        ("no root", |c| c["root"] = Value::Null),
        ("no linux section", |c| c["linux"] = Value::Null),
        ("root.path is empty", |c| c["root"]["path"] = json!("")),
        ("no command", |c| c["process"]["args"] = json!([])),
        ("no command", |c| c["process"]["args"] = json!([""])),
        ("not absolute", |c| c["process"]["cwd"] = json!("tmp")),
        ("mount namespace", |c| c["linux"]["namespaces"] = json!([])),
        ("listed twice", |c| namespace(c, json!({"type": "uts"}))),
    ];
    for (words, change) in cases {
        let message = error(change);
        assert!(message.contains(words), "{message:?} instead of {words:?}");
    }
}

#[test]
fn contradictions() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 20] = [
        ("UTS", |c| {
            c["hostname"] = json!("x");
            c["linux"]["namespaces"] = json!([{"type": "mount"}]);
        }),
        ("UTS", |c| {
            c["domainname"] = json!("x");
            c["linux"]["namespaces"] = json!([{"type": "mount"}]);
        }),
        ("need a user namespace", |c| {
            c["linux"]["uidMappings"] = json!([{"containerID": 0, "hostID": 1, "size": 1}]);
        }),
        ("either a path or", |c| namespace(c, json!({"type": "user"}))),
        ("time namespace", |c| {
            c["linux"]["timeOffsets"] = json!({"boottime": {"secs": 1}});
        }),
        ("unknown clock", |c| {
            namespace(c, json!({"type": "time"}));
            c["linux"]["timeOffsets"] = json!({"realtime": {"secs": 1}});
        }),
        ("not absolute", |c| {
            namespace(c, json!({"type": "pid", "path": "ns/pid"}));
        }),
        ("twice", |c| {
            let limit = json!({"type": "RLIMIT_CORE", "soft": 1, "hard": 1});
            c["process"]["rlimits"] = json!([limit, limit]);
        }),
        ("above hard limit", |c| {
            c["process"]["rlimits"] = json!([{"type": "RLIMIT_CORE", "soft": 2, "hard": 1}]);
        }),
        ("-1000 to 1000", |c| c["process"]["oomScoreAdj"] = json!(1001)),
        ("umask", |c| c["process"]["user"]["umask"] = json!(0o1000)),
        ("priority", |c| {
            c["process"]["scheduler"] = json!({"policy": "SCHED_OTHER", "priority": 5});
        }),
        ("nice", |c| {
            c["process"]["scheduler"] = json!({"policy": "SCHED_OTHER", "nice": 20});
        }),
        ("SCHED_ISO", |c| {
            c["process"]["scheduler"] = json!({"policy": "SCHED_ISO"});
        }),
        ("level", |c| {
            c["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_BE", "priority": 8});
        }),
        ("no flags", |c| {
            c["linux"]["personality"] = json!({"domain": "LINUX32", "flags": ["x"]});
        }),
        ("contradict", |c| {
            c["linux"]["memoryPolicy"] = json!({"mode": "MPOL_BIND"});
        }),
        ("intelRdt", |c| c["linux"]["intelRdt"] = json!({"closID": "x"})),
        ("rootfsPropagation", |c| {
            c["linux"]["rootfsPropagation"] = json!("up");
        }),
        ("sysctl", |c| {
            c["linux"]["sysctl"] = json!({"kernel.msgmaxx": "1"});
        }),
    ];
    for (words, change) in cases {
        let message = error(change);
        assert!(message.contains(words), "{message:?} instead of {words:?}");
    }
}

#[test]
fn nothing_is_cut_short() {
    type Change = fn(&mut Value, String);
    let long = "x".repeat(200 << 10);
    let cases: [Change; 10] = [
        |c, s| c["process"]["args"] = json!([s]),
        |c, s| c["process"]["env"] = json!([format!("A={s}")]),
        |c, s| c["process"]["cwd"] = json!(format!("/{s}")),
        |c, s| c["hostname"] = json!(&s[..65]),
        |c, s| c["annotations"] = json!({s: "x"}),
        |c, s| c["mounts"] = json!([{"destination": format!("/{s}"), "type": "tmpfs"}]),
        |c, s| c["mounts"] = json!([{"destination": "/x", "type": "bind", "source": format!("/{s}")}]),
        |c, s| c["linux"]["maskedPaths"] = json!([format!("/{s}")]),
        |c, s| c["process"]["apparmorProfile"] = json!(s),
        |c, _| c["linux"]["maskedPaths"] = json!(["/a\0b"]),
    ];
    for (index, change) in cases.iter().enumerate() {
        let message = error(|c| change(c, long.clone()));
        assert!(
            message.contains("too long") || message.contains("NUL"),
            "{index}: {message:.100}"
        );
        assert!(message.len() < 300, "{index}");
    }
    // As many ranges as make the map longer than a netlink message or a page (CVE-2021-43784).
    let ranges: Vec<Value> = (0..4000)
        .map(|n| json!({"containerID": n, "hostID": n, "size": 1}))
        .collect();
    let message = error(|c| {
        namespace(c, json!({"type": "user"}));
        c["linux"]["uidMappings"] = json!(ranges);
        c["linux"]["gidMappings"] = json!(ranges);
    });
    assert!(message.contains("ranges"), "{message:.200}");
}

#[test]
fn user_namespaces() {
    let mapped = |uids: Value, gids: Value| {
        plan(|c| {
            namespace(c, json!({"type": "user"}));
            c["linux"]["uidMappings"] = uids;
            c["linux"]["gidMappings"] = gids;
        })
    };
    let range = |inside: u32, outside: u32, size: u32| json!({"containerID": inside, "hostID": outside, "size": size});
    let made = mapped(
        json!([range(0, 1000, 1), range(1, 100_000, 65536)]),
        json!([range(0, 5, 10)]),
    )
    .unwrap();
    assert_ne!(made.namespaces.fresh & libc::CLONE_NEWUSER as u64, 0);
    assert_eq!(
        made.namespaces.gid_map,
        [IdRange {
            inside: 0,
            outside: 5,
            size: 10
        }]
    );
    let good = json!([range(0, 0, 1)]);
    for bad in [
        json!([]),
        json!([range(1, 0, 1)]),
        json!([range(0, 0, 0)]),
        json!([range(0, 4_294_967_290, 10)]),
        json!([range(0, 0, 10), range(5, 100, 10)]),
        json!([range(0, 0, 10), range(100, 5, 10)]),
    ] {
        assert!(mapped(bad.clone(), good.clone()).is_err(), "{bad}");
        assert!(mapped(good.clone(), bad.clone()).is_err(), "{bad}");
    }
    let joined = plan(|c| namespace(c, json!({"type": "user", "path": "/proc/1/ns/user"}))).unwrap();
    assert_eq!(
        joined.namespaces.join,
        [(libc::CLONE_NEWUSER as u64, "/proc/1/ns/user".to_owned())]
    );
}

#[test]
fn clocks() {
    let made = plan(|c| {
        namespace(c, json!({"type": "time"}));
        c["linux"]["timeOffsets"] = json!({"boottime": {"secs": -5, "nanosecs": 7}});
    })
    .unwrap();
    assert!(made.namespaces.time);
    assert_eq!(made.namespaces.time_offsets, "boottime -5 7\n");
}

#[allow(clippy::needless_pass_by_value)] // a literal
fn mounted(mount: Value) -> Result<Mount, PlanError> {
    plan(|c| c["mounts"] = json!([mount])).map(|mut plan| plan.mounts.remove(0))
}

use crate::launch::Mount;

#[test]
fn mounts() {
    let bind = mounted(json!({"destination": "/x", "source": "data", "options": ["rbind", "ro"]})).unwrap();
    assert_eq!(
        bind.source,
        MountSource::Bind {
            path: "/bundle/data".to_owned(),
            sub_path: None,
            recursive: true
        }
    );
    assert_eq!(bind.propagation, libc::MS_SLAVE | libc::MS_REC, "what runc gives");
    let own = mounted(json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "options": ["rw"]})).unwrap();
    assert!(matches!(own.source, MountSource::Bind { ref path, .. } if path == "/cgroup"));
    assert_eq!(
        (own.set & 1, own.clear & 1),
        (1, 0),
        "read-only without a cgroup namespace"
    );
    let whole = plan(|c| {
        namespace(c, json!({"type": "cgroup"}));
        c["mounts"] = json!([{"destination": "/sys/fs/cgroup", "type": "cgroup", "options": ["rw"]}]);
    })
    .unwrap();
    assert!(matches!(&whole.mounts[0].source, MountSource::Filesystem { kind, .. } if kind == "cgroup2"));
    for (words, bad) in [
        (
            "root filesystem itself",
            json!({"destination": "//.", "type": "tmpfs"}),
        ),
        ("no source", json!({"destination": "/x", "type": "bind"})),
        ("no type", json!({"destination": "/x"})),
        (
            "tmpfs only",
            json!({"destination": "/x", "type": "proc", "options": ["tmpcopyup"]}),
        ),
        (
            "only a bind mount",
            json!({"destination": "/x", "type": "tmpfs", "options": ["idmap"]}),
        ),
        (
            "needs mappings",
            json!({"destination": "/x", "source": "/", "options": ["bind", "idmap"]}),
        ),
        (
            "go together",
            json!({"destination": "/x", "source": "/", "options": ["bind"],
            "uidMappings": [{"containerID": 0, "hostID": 0, "size": 1}]}),
        ),
    ] {
        let message = mounted(bad).expect_err(words).0;
        assert!(message.contains(words), "{message:?} instead of {words:?}");
    }
}

#[test]
fn devices() {
    let made = |device: Value| {
        plan(|c| c["linux"]["devices"] = json!([device])).map(|plan| plan.devices.last().unwrap().clone())
    };
    let null =
        made(json!({"path": "/dev/null", "type": "u", "major": 1, "minor": 5, "fileMode": 0o600})).unwrap();
    assert_eq!(
        (null.mode, null.number),
        (libc::S_IFCHR | 0o600, libc::makedev(1, 5))
    );
    let all =
        plan(|c| c["linux"]["devices"] = json!([{"path": "/dev/null", "type": "c", "major": 1, "minor": 5}]));
    assert_eq!(all.unwrap().devices.len(), 6, "it takes the place of the default");
    let fifo = made(json!({"path": "/dev/f", "type": "p", "major": 9, "minor": 9})).unwrap();
    assert_eq!((fifo.mode & libc::S_IFMT, fifo.number), (libc::S_IFIFO, 0));
    for bad in [
        json!({"path": "dev/x", "type": "c", "major": 1, "minor": 5}),
        json!({"path": "/dev/../x", "type": "c", "major": 1, "minor": 5}),
        json!({"path": "/dev/", "type": "c", "major": 1, "minor": 5}),
        json!({"path": "/dev/x", "type": "a", "major": 1, "minor": 5}),
        json!({"path": "/dev/x", "type": "c", "major": 4096, "minor": 5}),
        json!({"path": "/dev/x", "type": "c", "major": -1, "minor": 5}),
        json!({"path": "/dev/x", "type": "c", "major": 1, "minor": 5, "uid": u32::MAX}),
    ] {
        assert!(made(bad.clone()).is_err(), "{bad}");
    }
    // A /dev of the host is left alone.
    let bound = plan(|c| {
        c["mounts"] = json!([{"destination": "/dev", "source": "/dev", "options": ["rbind"]}]);
        c["linux"]["devices"] = json!([{"path": "/dev/x", "type": "c", "major": 1, "minor": 5}]);
    })
    .unwrap();
    assert!(bound.devices.is_empty() && bound.links.is_empty());
}

#[test]
fn process_details() {
    let process = plan(|c| {
        c["process"]["scheduler"] = json!({"policy": "SCHED_DEADLINE", "runtime": 1, "deadline": 2, "period": 3,
            "flags": ["SCHED_FLAG_RECLAIM"]});
        c["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_RT", "priority": 3});
        c["process"]["execCPUAffinity"] = json!({"initial": "0-2,65", "final": "1"});
        c["process"]["selinuxLabel"] = json!("a:b:c:d");
        c["process"]["apparmorProfile"] = json!("unconfined");
        c["linux"]["personality"] = json!({"domain": "LINUX32"});
        c["linux"]["memoryPolicy"] = json!({"mode": "MPOL_INTERLEAVE", "nodes": "0-1", "flags": ["MPOL_F_STATIC_NODES"]});
    })
    .unwrap()
    .process;
    let scheduler = process.scheduler.unwrap();
    assert_eq!((scheduler.policy, scheduler.flags, scheduler.period), (6, 2, 3));
    assert_eq!(process.io_priority, Some(1 << 13 | 3));
    assert!(
        process.initial_affinity.is_empty() && process.final_affinity.is_empty(),
        "for those that join"
    );
    assert_eq!(process.selinux.as_deref(), Some("a:b:c:d"));
    assert_eq!(process.apparmor, None);
    assert_eq!(process.personality, Some(8));
    assert_eq!(process.memory_policy, Some((3 | 1 << 15, vec![3])));
    let joins: oci_spec::runtime::Process = serde_json::from_value(json!({"args": ["x"], "cwd": "/",
        "user": {"uid": 0, "gid": 0}, "execCPUAffinity": {"initial": "0-2,65", "final": "1"}}))
    .unwrap();
    let joins = oci_process(&joins, None).unwrap();
    assert_eq!(
        (joins.initial_affinity, joins.final_affinity),
        (vec![7, 2], vec![2])
    );
}

#[test]
fn hooks() {
    let hooks = |value: Value| plan(|c| c["hooks"] = value).map(|plan| plan.hooks);
    let made = hooks(json!({
        "createRuntime": [{"path": "/bin/x", "args": ["x", "y"], "env": ["A=b"], "timeout": 5}],
        "poststop": [{"path": "/bin/z"}],
    }))
    .unwrap();
    assert_eq!(made.create_runtime[0].args, ["x", "y"]);
    assert_eq!(made.create_runtime[0].timeout, 5);
    assert_eq!(made.poststop[0].args, ["/bin/z"]);
    let state: Value = serde_json::from_str(&format!("{},\"status\":\"x\"}}", made.state)).unwrap();
    assert_eq!((&state["id"], &state["bundle"]), (&json!("x"), &json!("/bundle")));
    for bad in [
        json!({"path": "x"}),
        json!({"path": "/x", "timeout": 0}),
        json!({"path": "/x", "timeout": -1}),
    ] {
        assert!(hooks(json!({"poststart": [bad.clone()]})).is_err(), "{bad}");
    }
    let early = plan(|c| c["hooks"] = json!({"createContainer": [{"path": "/x"}]})).unwrap();
    assert_eq!(
        early.attach_point, "/bundle/rootfs",
        "where such hooks look for it"
    );
    assert_eq!(plan(|_| {}).unwrap().attach_point, "/attach");
}

#[test]
fn features_are_those_that_there_are() {
    let features = features(false);
    let options = features["mountOptions"].as_array().unwrap();
    for option in [
        "ro",
        "rro",
        "ridmap",
        "tmpcopyup",
        "rnostrictatime",
        "runbindable",
        "remount",
    ] {
        assert!(options.contains(&json!(option)), "{option}");
    }
    assert_eq!(features["linux"]["namespaces"].as_array().unwrap().len(), 8);
    assert_eq!(features["hooks"].as_array().unwrap().len(), 6);
    assert!(
        features["linux"]["seccomp"]["actions"]
            .as_array()
            .unwrap()
            .contains(&json!("SCMP_ACT_NOTIFY"))
    );
    // The library's own idea of the structure takes it.
    let parsed: oci_spec::runtime::Features = serde_json::from_value(features).unwrap();
    assert_eq!(parsed.oci_version_max(), OCI_VERSION);
}
