//! Kills a process that writes to the store, at random moments, and checks that everything it had been told is stored
//! is stored, and that revisions never go back.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use keelson_control::object::{GroupResource, Object};
use keelson_control::store::{Change, Embedded, Expect, Options, Range, Store, Write};

/// Tells the child which directory to write to.
const DIR: &str = "KEELSON_CRASH_DIR";
/// How often a child is started and killed.
const ROUNDS: u64 = 15;
/// Writers in the child.
const WRITERS: usize = 8;

fn options() -> Options {
    Options::new(|_, _| BTreeMap::new())
}

fn resource() -> Arc<GroupResource> {
    Arc::new(GroupResource::new("", "configmaps"))
}

fn object(name: &str, data: u64) -> Object {
    let text = format!(
        "{{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{{\"resourceVersion\":\"\",\"name\":\"{name}\",\
         \"namespace\":\"a\"}},\"data\":{{\"n\":\"{data}\",\"filler\":\"{}\"}}}}",
        "x".repeat((data % 3000) as usize)
    );
    let value = serde_json::from_str(&text).unwrap();
    Object::describe(&value, text.into())
}

/// The child: each writer creates an object, then updates it for ever, and says so after each acknowledgement.
#[test]
fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let store = Arc::new(Embedded::open(Path::new(&dir), &options()).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let writers = (0..WRITERS).map(|writer| {
        let store = Arc::clone(&store);
        async move {
            let name = format!("w{writer}");
            let key = format!("a/{name}");
            let mut expect = store
                .get(&resource(), &key)
                .map_or(Expect::Absent, |object| Expect::Revision(object.resource_version));
            for data in 0.. {
                let write = Write {
                    resource: resource(),
                    key: key.clone(),
                    expect,
                    change: Change::Put {
                        object: object(&name, data),
                        expires: None,
                    },
                };
                let stored = store.write(write).await.unwrap();
                expect = Expect::Revision(stored.resource_version);
                // One write(2) of a short line, so that a kill cannot cut it in the middle of a pipe.
                let line = format!("ACK {key} {} {data}\n", stored.resource_version);
                std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                std::io::stdout().flush().unwrap();
            }
        }
    });
    runtime.block_on(futures::future::join_all(writers));
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut highest = 0;
    let mut total = 0;
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let drain = std::thread::spawn(move || {
            let mut acknowledged: BTreeMap<String, (u64, u64)> = BTreeMap::new();
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap_or(0) > 0 {
                if let Some(at) = line.find("ACK ").filter(|_| line.ends_with('\n')) {
                    let mut words = line[at + 4..].split_whitespace();
                    let key = words.next().unwrap().to_owned();
                    let revision = words.next().unwrap().parse().unwrap();
                    let data = words.next().unwrap().parse().unwrap();
                    acknowledged.insert(key, (revision, data));
                }
                line.clear();
            }
            acknowledged
        });
        // Moments spread over start, load and commits; not random, so that a failure can be repeated.
        std::thread::sleep(Duration::from_millis(20 + (round * 37) % 190));
        child.kill().unwrap();
        child.wait().unwrap();
        let acknowledged = drain.join().unwrap();
        let store = Embedded::open(dir.path(), &options()).unwrap();
        assert!(store.revision() >= highest, "round {round}: revisions went back");
        for (key, (revision, data)) in &acknowledged {
            total += 1;
            highest = highest.max(*revision);
            assert!(store.revision() >= *revision, "round {round}: {key}");
            let found = store
                .get(&resource(), key)
                .expect("an acknowledged object is there");
            let value = found.value();
            let stored: u64 = value["data"]["n"].as_str().unwrap().parse().unwrap();
            assert!(
                found.resource_version >= *revision
                    && (found.resource_version > *revision || stored == *data),
                "round {round}: {key} was {revision}/{data}, is {}/{stored}",
                found.resource_version
            );
        }
        let page = store.range(&resource(), &Range::all(None)).unwrap();
        let last = page
            .objects
            .iter()
            .map(|object| object.resource_version)
            .max()
            .unwrap_or(0);
        assert!(store.revision() >= last);
        highest = highest.max(store.revision());
    }
    assert!(total > 0, "no child got as far as one acknowledgement");
}
