//! The embedded store against a simple model, on a failing disk, and across restarts.

pub mod both;
mod clock;
mod damage;
mod failing_disk;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use both::{Model, snapshot};

pub fn options() -> Options {
    Options::new(|_, _| BTreeMap::new())
}

pub fn configmaps() -> Arc<GroupResource> {
    Arc::new(GroupResource::new("", "configmaps"))
}

pub fn object(namespace: &str, name: &str, data: &str) -> Object {
    let text = format!(
        "{{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{{\"resourceVersion\":\"\",\"name\":\"{name}\",\
         \"namespace\":\"{namespace}\"}},\"data\":{{\"k\":\"{data}\"}}}}"
    );
    let value = serde_json::from_str(&text).unwrap();
    Object::describe(&value, text.into())
}

pub fn put(key: (&str, &str), expect: Expect, data: &str) -> Write {
    Write {
        resource: configmaps(),
        key: key_of(key.0, key.1),
        expect,
        change: Change::Put {
            object: object(key.0, key.1, data),
            expires: None,
        },
    }
}

pub fn delete(key: (&str, &str), expect: u64) -> Write {
    Write {
        resource: configmaps(),
        key: key_of(key.0, key.1),
        expect: Expect::Revision(expect),
        change: Change::Delete,
    }
}

/// Runs a future on a small runtime.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

#[test]
fn an_unreadable_object_is_left_out_and_stays_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), &options()).unwrap();
    wait(store.write(put(("a", "x"), Expect::Absent, "1"))).unwrap();
    let mut deep = put(("a", "deep"), Expect::Absent, "1");
    if let Change::Put { object, .. } = &mut deep.change {
        let text = String::from_utf8(object.bytes.to_vec()).unwrap();
        let nested = format!("{}{}", "[".repeat(128), "]".repeat(128));
        object.bytes = text.replace("\"1\"", &nested).into();
    }
    wait(store.write(deep)).unwrap();
    let revision = store.revision();
    drop(store);
    for _ in 0..2 {
        let again = Embedded::open(dir.path(), &options()).unwrap();
        assert_eq!(again.revision(), revision);
        assert_eq!(snapshot(&again, &Range::all(None)).unwrap().len(), 1);
        assert!(Store::get(&again, &configmaps(), "a/deep").is_none());
    }
    let file = std::fs::read(super::disk::file_in(dir.path())).unwrap();
    assert!(
        file.windows(128).any(|bytes| bytes == [b'['; 128]),
        "the row stays"
    );
}

/// A file at the revision after it would be refused.
#[test]
fn nothing_is_stored_after_the_last_revision() {
    let dir = tempfile::tempdir().unwrap();
    let last = super::disk::NEWEST - 1;
    drop(Embedded::open(dir.path(), &options()).unwrap());
    let database = redb::Database::open(super::disk::file_in(dir.path())).unwrap();
    let write = database.begin_write().unwrap();
    write
        .open_table(super::disk::META)
        .unwrap()
        .insert("revision", last - 1)
        .unwrap();
    write.commit().unwrap();
    drop(database);
    let store = Embedded::open(dir.path(), &options()).unwrap();
    let stored = wait(store.write(put(("a", "x"), Expect::Absent, "1"))).unwrap();
    assert_eq!(stored.resource_version, last);
    for write in [put(("a", "y"), Expect::Absent, "1"), delete(("a", "x"), last)] {
        let refused = wait(store.write(write)).unwrap_err();
        assert!(refused.to_string().contains("last revision"), "{refused}");
    }
    drop(store);
    let again = Embedded::open(dir.path(), &options()).unwrap();
    assert_eq!((again.revision(), again.count(&configmaps())), (last, 1));
}
