//! Files that are not what was written: each is one clear error, and never an older or another state.

use std::fs;
use std::path::{Path, PathBuf};

use redb::ReadableTable;

use super::*;

/// A store with some hundred objects of several sizes, and what it holds.
fn filled(dir: &Path) -> (PathBuf, Model) {
    let store = Embedded::open(dir, &options()).unwrap();
    let writes = (0..300).map(|number| {
        let data = "long ".repeat(number * 7 % 400);
        store.write(put(("a", &format!("o{number}")), Expect::Absent, &data))
    });
    for stored in wait(futures::future::join_all(writes)) {
        stored.unwrap();
    }
    for number in 0..20 {
        let key = format!("a/o{number}");
        let revision = Store::get(&store, &configmaps(), &key).unwrap().resource_version;
        wait(store.write(delete(("a", &format!("o{number}")), revision))).unwrap();
    }
    let state = snapshot(&store, &Range::all(None)).unwrap();
    drop(store);
    (dir.join("store.redb"), state)
}

/// The same, ended by the loss of its process: the file as it is while the store has it open.
fn filled_unclean(dir: &Path) -> (PathBuf, Model) {
    let (file, _) = filled(dir);
    let store = Embedded::open(dir, &options()).unwrap();
    for number in 0..5 {
        wait(store.write(put(("b", &format!("o{number}")), Expect::Absent, "late"))).unwrap();
    }
    let state = snapshot(&store, &Range::all(None)).unwrap();
    let bytes = fs::read(&file).unwrap();
    drop(store);
    fs::write(&file, bytes).unwrap();
    (file, state)
}

/// Opens the store: its state, or the error, which must name the file.
fn open(file: &Path) -> Result<Model, String> {
    match Embedded::open(file.parent().unwrap(), &options()) {
        Ok(store) => Ok(snapshot(&store, &Range::all(None)).unwrap()),
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains(file.to_str().unwrap()), "names no file: {text}");
            Err(text)
        }
    }
}

/// Damages the file and opens it, twice: what the first start makes of it must not mislead the second one.
fn damaged(file: &Path, whole: &[u8], witness: &[u8], state: &Model, what: &str) -> bool {
    let mut refused = false;
    for start in 0..2 {
        match open(file) {
            Ok(found) => assert!(found == *state, "{what}, start {start}: another state was served"),
            Err(_) => refused = true,
        }
    }
    fs::write(file, whole).unwrap();
    fs::write(file.with_extension("revision"), witness).unwrap();
    refused
}

/// One bit, at many places of the file.
fn flips(file: &Path, state: &Model) {
    let whole = fs::read(file).unwrap();
    let witness = fs::read(file.with_extension("revision")).unwrap();
    assert_eq!(open(file).as_ref(), Ok(state), "unharmed");
    fs::write(file, &whole).unwrap();
    // All of the head, and places all over the rest that are not a multiple of a page apart.
    let used = whole.len() - whole.iter().rev().take_while(|byte| **byte == 0).count();
    let places = (0..320).step_by(5).chain((320..used).step_by(used / 100));
    let mut refused = 0;
    for at in places {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(file, bytes).unwrap();
        let what = format!("bit at {at} of {used}");
        refused += usize::from(damaged(file, &whole, &witness, state, &what));
    }
    assert!(refused > 20, "only {refused} flips were noticed");
}

#[test]
fn a_flipped_bit_is_noticed_after_an_orderly_end() {
    let dir = tempfile::tempdir().unwrap();
    let (file, state) = filled(dir.path());
    flips(&file, &state);
}

#[test]
fn a_flipped_bit_is_noticed_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let (file, state) = filled_unclean(dir.path());
    flips(&file, &state);
}

#[test]
fn a_file_that_was_cut_is_refused() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for (file, state) in [filled(dirs[0].path()), filled_unclean(dirs[1].path())] {
        let whole = fs::read(&file).unwrap();
        let witness = fs::read(file.with_extension("revision")).unwrap();
        let lengths = [0, 1, 9, 100, 320, 4095, 4096, 8192, 100_000];
        for length in lengths
            .into_iter()
            .chain((8192..whole.len()).step_by(whole.len() / 20))
        {
            fs::write(&file, &whole[..length]).unwrap();
            let what = format!("cut to {length}");
            damaged(&file, &whole, &witness, &state, &what);
        }
        // Nothing left at all must not be a new cluster.
        fs::write(&file, b"").unwrap();
        assert!(open(&file).unwrap_err().contains("had been stored"));
        fs::remove_file(&file).unwrap();
        assert!(open(&file).unwrap_err().contains("had been stored"));
        fs::write(&file, &whole).unwrap();
    }
}

/// Files that are whole, and in which somebody has written what no store writes.
#[test]
fn revisions_that_contradict_each_other_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (file, state) = filled(dir.path());
    let whole = fs::read(&file).unwrap();
    let witness = fs::read(file.with_extension("revision")).unwrap();
    let newest = state.values().map(|(revision, _)| *revision).max().unwrap() + 20;
    let forge = |change: &dyn Fn(&redb::WriteTransaction)| {
        fs::write(&file, &whole).unwrap();
        fs::write(file.with_extension("revision"), &witness).unwrap();
        let write = redb::Database::open(&file).unwrap().begin_write().unwrap();
        change(&write);
        write.commit().unwrap();
        open(&file)
    };
    let meta = |name: &'static str, revision: u64| {
        forge(&|write| {
            let mut meta = write.open_table(super::super::disk::META).unwrap();
            meta.insert(name, revision).unwrap();
        })
    };
    assert_eq!(meta("revision", newest), Ok(state.clone()));
    for (name, revision) in [
        ("revision", u64::MAX),
        ("revision", 1 << 63),
        ("revision", i64::MAX as u64),
        ("compacted", newest + 1),
    ] {
        let text = meta(name, revision).unwrap_err();
        assert!(text.contains("is damaged"), "{name} {revision}: {text}");
        // Nor is it remembered as what had been stored.
        fs::write(&file, &whole).unwrap();
        assert_eq!(open(&file).as_ref(), Ok(&state), "{name} {revision}");
    }
    let row = |revision: u64| {
        forge(&|write| {
            let mut objects = write.open_table(super::super::disk::OBJECTS).unwrap();
            let mut value = objects
                .get("/configmaps/a/o99")
                .unwrap()
                .unwrap()
                .value()
                .to_vec();
            value[9..17].copy_from_slice(&revision.to_le_bytes());
            objects.insert("/configmaps/a/o99", value.as_slice()).unwrap();
        })
    };
    assert!(
        row(newest + 1)
            .unwrap_err()
            .contains("younger than the newest one")
    );
    let changed = |revision: u64| {
        forge(&|write| {
            let mut changed = write.open_table(super::super::disk::CHANGED).unwrap();
            changed.insert("/configmaps/", revision).unwrap();
        })
    };
    assert_eq!(changed(newest), Ok(state));
    assert!(changed(newest + 1).unwrap_err().contains("/configmaps/"));
}

#[test]
fn an_older_copy_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (file, _) = filled(dir.path());
    let old = fs::read(&file).unwrap();
    let store = Embedded::open(dir.path(), &options()).unwrap();
    wait(store.write(put(("b", "x"), Expect::Absent, "1"))).unwrap();
    let now = store.revision();
    drop(store);
    fs::write(&file, old).unwrap();
    let text = open(&file).unwrap_err();
    for part in [
        &format!("ends at revision {}", now - 1),
        &format!("revision {now} had been stored"),
        "store.revision",
        "keelson snapshot restore",
    ] {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
    // As the message says: without both files the cluster is empty, and starts.
    fs::remove_file(&file).unwrap();
    fs::remove_file(file.with_extension("revision")).unwrap();
    assert_eq!(open(&file), Ok(Model::new()));
}

#[test]
fn foreign_files_are_refused_and_left_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("store.redb");
    let mut header = vec![0xff; 64];
    header.resize(100_000, 0);
    let other = tempfile::tempdir().unwrap();
    let database = other.path().join("other");
    let write = redb::Database::create(&database).unwrap().begin_write().unwrap();
    let table = redb::TableDefinition::<&str, &str>::new("theirs");
    write.open_table(table).unwrap().insert("a", "b").unwrap();
    write.commit().unwrap();
    let files = [
        (
            b"this is not a database, but it is long enough to look like something".to_vec(),
            "damaged",
        ),
        (header, "damaged"),
        (b"SQLite format 3\0".repeat(4096), "damaged"),
        (fs::read(&database).unwrap(), "another program"),
    ];
    for (content, expected) in files {
        fs::write(&file, &content).unwrap();
        let text = open(&file).unwrap_err();
        assert!(text.contains(expected), "{text}");
        let left = fs::read(&file).unwrap();
        // redb notes in a file of its own kind that it was opened; nothing of its content changes.
        assert!(left == content || expected == "another program", "{text}");
    }
    let theirs = redb::Database::open(&file).unwrap();
    let names: Vec<_> = redb::ReadableDatabase::begin_read(&theirs)
        .unwrap()
        .list_tables()
        .unwrap()
        .map(|table| redb::TableHandle::name(&table).to_owned())
        .collect();
    assert_eq!(names, ["theirs"]);
}

#[test]
fn a_file_that_is_open_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (file, _) = filled(dir.path());
    let store = Embedded::open(dir.path(), &options()).unwrap();
    assert!(open(&file).unwrap_err().contains("in use by another process"));
    drop(store);
}

/// Without a witness (a store of an earlier version) everything goes on, and it gets one.
#[test]
fn a_witness_is_made_where_there_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let (file, state) = filled(dir.path());
    let witness = file.with_extension("revision");
    for content in [None, Some("nonsense"), Some("")] {
        fs::remove_file(&witness).unwrap();
        if let Some(content) = content {
            fs::write(&witness, content).unwrap();
        }
        assert_eq!(open(&file).as_ref(), Ok(&state));
        let made = fs::read_to_string(&witness).unwrap();
        let said = format!("keelson store revision {:020}", 321);
        assert!(made.starts_with(&said), "{made}");
        assert_eq!(super::super::witness::read(&file), Some(321));
        // That of the first versions had no more than that, and is believed.
        fs::write(&witness, format!("{said}\n")).unwrap();
        assert_eq!(super::super::witness::read(&file), Some(321));
    }
}

/// A damaged witness is no reason to refuse a sound store.
#[test]
fn a_flipped_bit_in_the_witness_accuses_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (file, state) = filled(dir.path());
    let witness = file.with_extension("revision");
    let whole = fs::read(&witness).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 7);
        fs::write(&witness, &bytes).unwrap();
        assert_eq!(super::super::witness::read(&file), None, "bit at {at}");
        if at % 6 == 0 {
            assert_eq!(open(&file).as_ref(), Ok(&state), "bit at {at}");
            assert_eq!(fs::read(&witness).unwrap(), whole, "it is made anew");
        }
    }
    for length in 0..whole.len() {
        fs::write(&witness, &whole[..length]).unwrap();
        assert_eq!(super::super::witness::read(&file), None, "cut to {length}");
    }
}
