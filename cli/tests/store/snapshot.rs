//! `keelson snapshot` as operators use it: a cluster that runs, one that stopped, and one that is restored.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::sys::signal::Signal;

use crate::place::Place;

#[test]
fn a_cluster_is_saved_while_it_runs_and_restored() {
    let mut place = Place::new();
    let data = place.data();
    let data = data.to_str().unwrap();
    let none = place.fails(&["save", "none.db", "--data-dir", data]);
    assert!(none.contains("there is no store in"), "{none}");
    place.start();
    let names: Vec<String> = (0..20).map(|number| format!("map{number:02}")).collect();
    for name in &names {
        place.create(name);
    }
    let (_, listed) = place.list();
    let said = place.ok(&["save", "online.db", "--data-dir", data]);
    assert!(said.starts_with("saved online.db: revision "), "{said}");
    let mode = fs::metadata(place.path("online.db"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600, "it holds secrets");
    let status = place.status("online.db");
    assert!(status["revision"].as_u64().unwrap() >= listed, "{status}");
    assert!(status["totalKey"].as_u64().unwrap() > 100, "{status}");
    assert_eq!(
        status["totalSize"],
        fs::metadata(place.path("online.db")).unwrap().len()
    );
    let table = place.ok(&["status", "online.db"]);
    assert!(
        table.contains("|   HASH   | REVISION | TOTAL KEYS | TOTAL SIZE |"),
        "{table}"
    );
    let hash = format!("| {:08x} |", status["hash"].as_u64().unwrap());
    assert!(table.contains(&hash), "{table}");

    // With an administrator's kubeconfig from elsewhere; with a node's it is refused.
    let kubeconfig = place.kubeconfig();
    place.ok(&["save", "remote.db", "--kubeconfig", kubeconfig.to_str().unwrap()]);
    let denied = place.fails(&["save", "denied.db", "--kubeconfig", "node.kubeconfig"]);
    assert!(denied.contains("forbidden"), "{denied}");
    assert!(!place.path("denied.db").exists());

    // What happens after the snapshot is seen by clients, and not in it.
    let late = place.create("late");
    let used = place.fails(&["restore", "online.db", "--data-dir", data, "--force"]);
    assert!(used.contains("in use by another process"), "{used}");
    place.stop(Signal::SIGTERM);

    let said = place.ok(&["save", "offline.db", "--data-dir", data]);
    assert!(said.starts_with("saved offline.db"), "{said}");
    assert!(place.status("offline.db")["revision"].as_u64().unwrap() >= late);
    let refused = place.fails(&["restore", "online.db", "--data-dir", data]);
    assert!(
        refused.contains("holds a store already") && refused.contains("--force"),
        "{refused}"
    );
    place.start();
    assert_eq!(place.list().0.len(), 21, "and nothing was changed");
    place.stop(Signal::SIGKILL);

    let said = place.ok(&["restore", "online.db", "--data-dir", data, "--force"]);
    assert!(said.starts_with("restored "), "{said}");
    place.start();
    let (found, revision) = place.list();
    assert_eq!(found, names);
    assert!(revision > late + 1_000_000, "{revision}");
    assert_eq!(place.watch_error(late), Some(410));
    assert_eq!(place.watch_error(revision), None);
    assert!(place.create("late") > late);
    place.stop(Signal::SIGTERM);

    // A new directory, as on another machine.
    let fresh = place.path("fresh");
    place.ok(&["restore", "offline.db", "--data-dir", fresh.to_str().unwrap()]);
    assert!(fresh.join("control/store.redb").is_file());
    assert!(fresh.join(".keelson").is_file());
    assert_eq!(place.leftovers(), Vec::<String>::new());
}

#[test]
fn a_file_that_is_no_sound_snapshot_restores_nothing() {
    let mut place = Place::new();
    let data = place.data();
    let data = data.to_str().unwrap();
    place.start();
    place.stop(Signal::SIGTERM);
    place.ok(&["save", "good.db", "--data-dir", data]);
    let whole = fs::read(place.path("good.db")).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 4;
    let cases: [(&str, &[u8], &str); 4] = [
        ("cut.db", &whole[..whole.len() - 100], "not complete"),
        ("flipped.db", &flipped, "damaged"),
        ("empty.db", b"", "not a snapshot"),
        ("foreign.db", b"SQLite format 3\0 and so on", "not a snapshot"),
    ];
    for (name, bytes, expected) in cases {
        fs::write(place.path(name), bytes).unwrap();
        let target = place.path("target");
        for arguments in [
            vec!["status", name],
            vec!["restore", name, "--data-dir", target.to_str().unwrap()],
            vec!["restore", name, "--data-dir", data, "--force"],
        ] {
            let complaint = place.fails(&arguments);
            assert!(complaint.contains(expected), "{arguments:?}: {complaint}");
            assert!(complaint.contains(name), "names no file: {complaint}");
        }
        assert!(!target.exists(), "{name}");
    }
    let missing = place.fails(&["status", "missing.db"]);
    assert!(missing.contains("missing.db"), "{missing}");
    place.start();
    place.stop(Signal::SIGTERM);

    // Other people's directories are left alone.
    let foreign = place.path("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("thesis.tex"), "").unwrap();
    let refused = place.fails(&["restore", "good.db", "--data-dir", foreign.to_str().unwrap()]);
    assert!(refused.contains("thesis.tex"), "{refused}");

    // A save that fails leaves the older snapshot, and nothing of its own.
    fs::write(Path::new(data).join("control/store.redb"), "damaged").unwrap();
    let failed = place.fails(&["save", "good.db", "--data-dir", data]);
    assert!(failed.contains("store.redb is damaged"), "{failed}");
    assert_eq!(fs::read(place.path("good.db")).unwrap(), whole);
    assert_eq!(place.leftovers(), Vec::<String>::new());
    place.fails(&["save", "no/such/dir.db", "--data-dir", data]);

    // As the message says.
    place.ok(&["restore", "good.db", "--data-dir", data, "--force"]);
    place.start();
}

/// A cluster on etcd has nothing that could be saved here; what to do instead is said with its endpoints.
#[test]
fn a_cluster_on_etcd_is_told_to_use_etcdctl() {
    let place = Place::new();
    let data = place.data();
    let file = data.join("cluster.json");
    let mut cluster: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    cluster["etcd"] = serde_json::json!({
        "servers": ["https://10.0.0.1:2379", "https://10.0.0.2:2379"],
        "caFile": "/etc/etcd/ca.crt", "certFile": "/etc/etcd/us.crt", "keyFile": "/etc/etcd/us.key",
        "prefix": "/registry",
    });
    fs::write(&file, cluster.to_string()).unwrap();
    let data = data.to_str().unwrap();
    let said = place.fails(&["save", "some.db", "--data-dir", data]);
    for part in [
        "are in etcd (https://10.0.0.1:2379, https://10.0.0.2:2379)",
        "etcdctl --endpoints=https://10.0.0.1:2379 --cacert=/etc/etcd/ca.crt --cert=/etc/etcd/us.crt \
         --key=/etc/etcd/us.key snapshot save some.db",
    ] {
        assert!(said.contains(part), "no {part:?} in: {said}");
    }
    assert_eq!(place.leftovers(), Vec::<String>::new());

    // A store that nobody would read is not restored, and etcd's own snapshots are known.
    let mut theirs = vec![0; 16];
    theirs.extend(0xED0C_DAED_u32.to_le_bytes());
    theirs.resize(20_000, 0);
    fs::write(place.path("etcd.db"), theirs).unwrap();
    for arguments in [
        vec!["status", "etcd.db"],
        vec!["restore", "etcd.db", "--data-dir", data, "--force"],
    ] {
        let said = place.fails(&arguments);
        assert!(
            said.contains("a snapshot of etcd") && said.contains("etcdctl snapshot"),
            "{said}"
        );
    }
    assert!(!place.data().join("control/store.redb").exists());
}
