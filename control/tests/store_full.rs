//! The embedded store on a file system that is really full: a small tmpfs in a mount namespace of its own (needs root).

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use keelson_control::object::{GroupResource, Object};
use keelson_control::store::{Change, Embedded, Expect, Options, Range, Store, StoreError, Write};

/// Tells the child where the file system is.
const DIR: &str = "KEELSON_FULL_DIR";

fn open(dir: &Path) -> Embedded {
    Embedded::open(dir, &Options::new(|_, _| BTreeMap::new())).unwrap()
}

fn resource() -> Arc<GroupResource> {
    Arc::new(GroupResource::new("", "configmaps"))
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn creation(number: usize, bytes: usize) -> Write {
    let filler = "x".repeat(bytes);
    let text = format!(
        "{{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{{\"resourceVersion\":\"\",\"name\":\"o{number}\",\
         \"namespace\":\"a\"}},\"data\":{{\"filler\":\"{filler}\"}}}}"
    );
    let object = Object::describe(&serde_json::from_str(&text).unwrap(), text.into());
    Write {
        resource: resource(),
        key: format!("a/o{number}"),
        expect: Expect::Absent,
        change: Change::Put {
            object,
            expires: None,
        },
    }
}

fn create(store: &Embedded, number: usize, bytes: usize) -> Result<u64, StoreError> {
    wait(store.write(creation(number, bytes))).map(|stored| stored.resource_version)
}

fn deletion(number: usize, revision: u64) -> Write {
    Write {
        resource: resource(),
        key: format!("a/o{number}"),
        expect: Expect::Revision(revision),
        change: Change::Delete,
    }
}

fn delete(store: &Embedded, number: usize, revision: u64) -> Result<(), StoreError> {
    wait(store.write(deletion(number, revision))).map(drop)
}

/// What is in it.
fn names(store: &Embedded) -> Vec<String> {
    let page = store.range(&resource(), &Range::all(None)).unwrap();
    page.objects.iter().map(|object| object.name.clone()).collect()
}

/// Creates objects until there is no room; their revisions.
fn fill(store: &Embedded, from: usize, bytes: usize) -> BTreeMap<usize, u64> {
    let mut stored = BTreeMap::new();
    for number in from.. {
        match create(store, number, bytes) {
            Ok(revision) => drop(stored.insert(number, revision)),
            Err(StoreError::Full(_)) => break,
            Err(error) => panic!("{error}"),
        }
    }
    stored
}

#[test]
fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let dir = Path::new(&dir);
    let mut store = open(dir);
    let mut stored = fill(&store, 0, 20_000);
    // Down to the last page.
    stored.extend(fill(&store, 10_000, 100));
    assert!(stored.len() > 20, "{}", stored.len());
    let whole = |store: &Embedded, stored: &BTreeMap<usize, u64>| {
        let mut expected: Vec<String> = stored.keys().map(|number| format!("o{number}")).collect();
        expected.sort();
        assert_eq!(names(store), expected);
    };
    whole(&store, &stored);
    // An orderly end, and a start without room: everything is there.
    for _ in 0..2 {
        drop(store);
        store = open(dir);
        whole(&store, &stored);
    }
    // Deletions have room, one by one; what they leave has room for others, and after that for deletions again.
    for cycle in 0..100 {
        for _ in 0..=cycle % 3 {
            let (number, revision) = stored.pop_first().unwrap();
            let deleted = delete(&store, number, revision);
            assert!(deleted.is_ok(), "{cycle}: {deleted:?}");
        }
        stored.extend(fill(&store, 20_000 + cycle * 1000, 1000));
        if cycle % 40 == 39 {
            whole(&store, &stored);
            drop(store);
            store = open(dir);
        }
    }
    whole(&store, &stored);
    // Also if somebody else takes all that is left; and a start in between changes nothing.
    let mut other = std::fs::File::create(dir.join("other")).unwrap();
    let taken = std::iter::repeat_with(|| other.write(&[0; 4096])).take_while(Result::is_ok);
    println!("somebody else takes {} pages", taken.count());
    for round in 0..20 {
        let (number, revision) = stored.pop_first().unwrap();
        let deleted = delete(&store, number, revision);
        assert!(deleted.is_ok(), "{round}: {deleted:?}");
        if round == 10 {
            drop(store);
            store = open(dir);
        }
    }
    whole(&store, &stored);
    // Many at once, among creations that are refused.
    let (mut deletions, mut creations) = (Vec::new(), Vec::new());
    for round in 0..10 {
        let (number, revision) = stored.pop_first().unwrap();
        creations.push(store.write(creation(300_000 + round, 1 << 20)));
        deletions.push(store.write(deletion(number, revision)));
    }
    for deleted in wait(futures::future::join_all(deletions)) {
        deleted.unwrap();
    }
    for created in wait(futures::future::join_all(creations)) {
        assert!(matches!(created, Err(StoreError::Full(_))), "{created:?}");
    }
    whole(&store, &stored);
    // Room that somebody else makes is used at once.
    let grown = Command::new("mount")
        .args(["-o", "remount,size=6m"])
        .arg(dir)
        .status();
    assert!(grown.unwrap().success());
    stored.insert(400_000, create(&store, 400_000, 20_000).unwrap());
    whole(&store, &stored);
    drop(store);
    whole(&open(dir), &stored);
    println!("DONE");
}

#[test]
fn a_full_file_system_loses_nothing_and_is_left_again() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: only root can mount a file system of its own");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c"])
        .arg("mount -t tmpfs -o size=3m keelson-full \"$0\" && exec \"$1\" child --exact --nocapture")
        .arg(dir.path())
        .arg(std::env::current_exe().unwrap())
        .env(DIR, dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("DONE"),
        "{said}\n{complaint}"
    );
    println!("{said}");
}
