//! Forms of a user (CVE-2026-30892, 2024-40635, 2023-25173): exactly these ids and groups, or an error; never silently
//! root.

use std::fs;

use keelson_runtime::node::*;
use serde_json::{Value, json};

use crate::bundle::{Bundle, Outcome};
use crate::runtimes::{Runtime, attack};
use crate::support::Node;

/// Uids, gids and supplementary groups, the first two all four alike.
const SHOW: [&str; 4] = ["grep", "-E", "^(Uid|Gid|Groups):", "/proc/self/status"];

/// What the process ran as, or `None` where it was refused.
fn ran_as(outcome: &Outcome) -> Option<(u64, u64, Vec<u64>)> {
    let numbers = |key: &str| -> Option<Vec<u64>> {
        let line = outcome.text.lines().find(|line| line.starts_with(key))?;
        Some(
            line[key.len()..]
                .split_whitespace()
                .map(|n| n.parse().unwrap())
                .collect(),
        )
    };
    let (uids, gids, groups) = (numbers("Uid:")?, numbers("Gid:")?, numbers("Groups:")?);
    assert!(
        uids.iter().all(|id| *id == uids[0]) && gids.iter().all(|id| *id == gids[0]),
        "{}",
        outcome.text
    );
    Some((uids[0], gids[0], groups))
}

/// `exec --user`.
fn of_exec(runtime: &Runtime) {
    let bundle = Bundle::new(runtime, &["sleep", "100"]);
    assert!(bundle.start().ok());
    let exec = |user: &str| ran_as(&bundle.exec(&[&format!("--user={user}")], &SHOW));
    for (user, uid, gid) in [
        ("0", 0, 0),
        ("1000", 1000, 0),
        ("1000:50", 1000, 50),
        ("2147483647:2147483647", 2_147_483_647, 2_147_483_647),
    ] {
        let (is_uid, is_gid, groups) = exec(user).unwrap_or_else(|| panic!("{user:?} is refused"));
        assert_eq!((is_uid, is_gid), (uid, gid), "{user:?}");
        assert!(
            groups.iter().all(|group| *group == gid),
            "{user:?} has groups {groups:?}"
        );
    }
    let mut wrong = Vec::new();
    for user in [
        "",
        ":",
        "4294967296",
        "4294967296:0",
        "0:4294967296",
        "18446744073709551616",
        "4294967295",
        "-1",
        "-2",
        "1000:",
        ":1000",
        "1000:-1",
        "0x3e8",
        "1e3",
        "1000.5",
        " 1000",
        "1000 ",
        "+1000",
        "nobody",
        "root",
        "bob",
        "bob:wheel",
        "1000:50:60",
        "1000,0",
        "٣",
    ] {
        if let Some(ids) = exec(user) {
            // A number that fits is no guess, whatever stands around it; root is, unless root was asked for.
            let is_exact = user.split(':').next().and_then(|text| text.parse::<u64>().ok()) == Some(ids.0);
            let named = (user == "root" && ids.0 == 0) || (user.starts_with("bob") && ids.0 == 1000);
            if !(is_exact || named) {
                wrong.push(format!("{user:?} ran as {ids:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
attack!(
    of_exec,
    "crun 1.8.1 takes an empty user for root, cuts ids to 32 bits, and the highest of them to stay root (CVE-2026-30892's class)"
);

/// The user of `config.json`.
fn of_the_configuration(runtime: &Runtime) {
    let run = |user: Value| {
        let mut bundle = Bundle::new(runtime, &SHOW);
        bundle.config["process"]["user"] = user;
        ran_as(&bundle.run())
    };
    assert_eq!(
        run(json!({"uid": 7, "gid": 8, "additionalGids": [9, 10]})),
        Some((7, 8, vec![9, 10]))
    );
    assert_eq!(
        run(json!({"uid": 7, "gid": 8})),
        Some((7, 8, vec![])),
        "no group of the caller's stays"
    );
    let mut wrong = Vec::new();
    for user in [
        json!({"uid": 4_294_967_296_u64, "gid": 0}),
        json!({"uid": 4_294_967_295_u64, "gid": 5}),
        json!({"uid": -1, "gid": 0}),
        json!({"uid": 1.5, "gid": 0}),
        json!({"uid": "1000", "gid": 0}),
        json!({"uid": "root", "gid": 0}),
        json!({"uid": 1, "gid": 4_294_967_296_u64}),
        json!({"uid": 1, "gid": 1, "additionalGids": [4_294_967_296_u64]}),
        json!({"uid": [], "gid": 0}),
    ] {
        if let Some(ids) = run(user.clone()) {
            wrong.push(format!("{user} ran as {ids:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
attack!(
    of_the_configuration,
    "crun 1.8.1 takes ids that are no numbers for 0, and 4294967295 to stay root"
);

/// A pod's container: an image's USER and the pod's own.
#[test]
fn of_a_pods_container() {
    let node = Node::new();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    let spec = |user: &str| ContainerSpec {
        user: User {
            image_user: user.into(),
            ..User::default()
        },
        ..node.container(&SHOW)
    };
    for (user, uid, gid, groups) in [
        ("", 0, 0, vec![0]),
        ("bob", 1000, 1000, vec![10, 1000]),
        ("1000", 1000, 1000, vec![10, 1000]),
        ("1000:5", 1000, 5, vec![5, 10]),
        ("bob:wheel", 1000, 10, vec![10]),
        ("4242", 4242, 0, vec![0]),
        ("2147483647", 2_147_483_647, 0, vec![0]),
    ] {
        let (_, text) = node.run_in("pod", &spec(user));
        let (is_uid, is_gid, mut is_groups) = ran_as(&Outcome { code: 0, text }).unwrap();
        is_groups.sort_unstable();
        assert_eq!((is_uid, is_gid, is_groups), (uid, gid, groups), "{user:?}");
    }
    for user in [
        "4294967296",
        "2147483648",
        "4294967295",
        "18446744073709551616",
        "nobody",
        "bob:x",
        "bob:",
        ":",
        ":5",
        "-1",
        "0x10",
        "1e3",
        "+5",
        " ",
        "bob ",
        "1000:4294967296",
        "bob:wheel:x",
        "root\n",
        "bob\0",
        "../bob",
    ] {
        let spec = spec(user);
        let refused = node.runtime.create_container("pod", &spec);
        assert!(matches!(refused, Err(Error::Invalid(_))), "{user:?}: {refused:?}");
        assert!(node.runtime.container(&spec.id).unwrap().is_none());
    }
    // An entry of the image's account files with an id that does not fit is no entry.
    let lines = "root:x:0:0::/:/bin/sh\nbig:x:4294967296:0::/:\nminus:x:-1:0::/:\nempty:x::0::/:\nhigh:x:2147483648:0::/:\n";
    fs::write(node.rootfs.join("etc/passwd"), lines).unwrap();
    for user in ["big", "minus", "empty", "high"] {
        assert!(
            node.runtime.create_container("pod", &spec(user)).is_err(),
            "{user}"
        );
    }
    for number in [i64::from(u32::MAX), 2_147_483_648] {
        let user = User {
            uid: u32::try_from(number).ok(),
            ..User::default()
        };
        let spec = ContainerSpec {
            user,
            ..node.container(&SHOW)
        };
        assert!(node.runtime.create_container("pod", &spec).is_err(), "{number}");
    }
}
