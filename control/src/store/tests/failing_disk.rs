//! Disks that fill up, and disks that lose what they took.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use redb::{Builder, Database, StorageBackend};

use super::super::disk::Medium;
use super::*;

/// A disk in memory with room for so many bytes written beyond what is there.
#[derive(Debug, Clone)]
struct SmallDisk {
    data: Arc<Mutex<Vec<u8>>>,
    room: Arc<AtomicI64>,
}

impl StorageBackend for SmallDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.data.lock().unwrap().len() as u64)
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = offset as usize;
        out.copy_from_slice(&self.data.lock().unwrap()[start..start + out.len()]);
        Ok(())
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.data.lock().unwrap().resize(len as usize, 0);
        Ok(())
    }
    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.room.fetch_sub(data.len() as i64, Ordering::SeqCst) < data.len() as i64 {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        let start = offset as usize;
        self.data.lock().unwrap()[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }
}

impl Medium for SmallDisk {
    fn open(&self, builder: &Builder) -> Result<Database, redb::DatabaseError> {
        builder.create_with_backend(self.clone())
    }
    fn name(&self) -> String {
        "a small disk".to_owned()
    }
    fn forget_cache(&self) {}
}

#[test]
fn a_full_disk_fails_writes_and_nothing_else() {
    let disk = SmallDisk {
        data: Arc::default(),
        room: Arc::new(AtomicI64::new(64 << 20)),
    };
    let store = Embedded::open_medium(Box::new(disk.clone()), &options()).unwrap();
    wait(store.write(put(("a", "x"), Expect::Absent, "1"))).unwrap();
    let before = store.revision();
    disk.room.store(1000, Ordering::SeqCst);
    for _ in 0..3 {
        let refused = wait(store.write(put(("a", "y"), Expect::Absent, "1"))).unwrap_err();
        assert!(matches!(refused, StoreError::Full(_)), "{refused}");
    }
    assert_eq!(store.revision(), before);
    assert!(Store::get(&store, &configmaps(), "a/x").is_some(), "reads go on");
    assert!(Store::get(&store, &configmaps(), "a/y").is_none());
    disk.room.store(64 << 20, Ordering::SeqCst);
    let stored = wait(store.write(put(("a", "y"), Expect::Absent, "1"))).unwrap();
    assert!(stored.resource_version > before);
    drop(store);
    let again = Embedded::open_medium(Box::new(disk), &options()).unwrap();
    assert_eq!(snapshot(&again, &Range::all(None)).unwrap().len(), 2);
}

/// A disk below the kernel's page cache: reads are answered from the cache, and a failed synchronization leaves pages
/// in it that never reached the medium.
#[derive(Debug, Clone)]
struct LosingDisk {
    cached: Arc<Mutex<Vec<u8>>>,
    durable: Arc<Mutex<Vec<u8>>>,
    fails: Arc<AtomicBool>,
    /// How many synchronizations succeed before one fails.
    fails_after: Arc<AtomicI64>,
    /// Held to let no synchronization end.
    gate: Arc<Mutex<()>>,
    /// One has begun.
    under_way: Arc<AtomicBool>,
}

impl Default for LosingDisk {
    fn default() -> Self {
        Self {
            cached: Arc::default(),
            durable: Arc::default(),
            fails: Arc::default(),
            fails_after: Arc::new(AtomicI64::new(i64::MAX)),
            gate: Arc::default(),
            under_way: Arc::default(),
        }
    }
}

impl StorageBackend for LosingDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.cached.lock().unwrap().len() as u64)
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = offset as usize;
        out.copy_from_slice(&self.cached.lock().unwrap()[start..start + out.len()]);
        Ok(())
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.cached.lock().unwrap().resize(len as usize, 0);
        Ok(())
    }
    fn sync_data(&self) -> io::Result<()> {
        let counted = self.fails_after.fetch_sub(1, Ordering::SeqCst) == 0;
        let fails = self.fails.swap(false, Ordering::SeqCst) || counted;
        self.under_way.store(true, Ordering::SeqCst);
        drop(self.gate.lock().unwrap());
        if fails {
            return Err(io::Error::other("input/output error"));
        }
        let cached = self.cached.lock().unwrap().clone();
        *self.durable.lock().unwrap() = cached;
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let start = offset as usize;
        self.cached.lock().unwrap()[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }
}

impl Medium for LosingDisk {
    fn open(&self, builder: &Builder) -> Result<Database, redb::DatabaseError> {
        builder.create_with_backend(self.clone())
    }
    fn name(&self) -> String {
        "a disk that loses writes".to_owned()
    }
    fn forget_cache(&self) {
        let durable = self.durable.lock().unwrap().clone();
        *self.cached.lock().unwrap() = durable;
    }
}

/// What a failed synchronization leaves of a write is not known, so nothing more is promised: its writer is told, later
/// writes are refused, what is read was durable before, and whoever runs the store is told to start anew.
#[test]
fn a_failed_synchronization_is_the_end_of_the_store() {
    let disk = LosingDisk::default();
    let store = Embedded::open_medium(Box::new(disk.clone()), &options()).unwrap();
    wait(store.write(put(("a", "x"), Expect::Absent, "1"))).unwrap();
    let before = store.revision();
    assert!(store.failed().now_or_never().is_none());
    disk.fails.store(true, Ordering::SeqCst);
    for name in ["y", "z"] {
        // The disk would take the second one again.
        let refused = wait(store.write(put(("a", name), Expect::Absent, "1"))).unwrap_err();
        assert!(matches!(refused, StoreError::Failed(_)), "{refused}");
    }
    let why = wait(store.failed());
    assert!(
        why.contains("a disk that loses writes") && why.contains("input/output error"),
        "{why}"
    );
    assert_eq!(store.revision(), before);
    assert!(Store::get(&store, &configmaps(), "a/x").is_some(), "reads go on");
    assert!(Store::get(&store, &configmaps(), "a/y").is_none());
    assert!(
        store
            .changes(&configmaps(), before, 10)
            .unwrap()
            .events
            .is_empty()
    );
    assert!(wait(store.snapshot()).is_err());
    drop(store);
    // The page cache has the write that the disk never took; the next start must not see it.
    let again = Embedded::open_medium(Box::new(disk.clone()), &options()).unwrap();
    assert_eq!(snapshot(&again, &Range::all(None)).unwrap().len(), 1);
    wait(again.write(put(("a", "y"), Expect::Absent, "1"))).unwrap();
    drop(again);
    disk.forget_cache(); // the machine loses its power
    let again = Embedded::open_medium(Box::new(disk), &options()).unwrap();
    assert_eq!(snapshot(&again, &Range::all(None)).unwrap().len(), 2);
}

/// A refusal tells of the write that caused it, so it must not be given before that one is durable.
#[test]
fn a_refusal_because_of_a_write_under_way_waits_for_it() {
    for fails in [true, false] {
        let disk = LosingDisk::default();
        let store = Embedded::open_medium(Box::new(disk.clone()), &options()).unwrap();
        disk.under_way.store(false, Ordering::SeqCst);
        let gate = disk.gate.lock().unwrap();
        let first = store.write(put(("a", "first"), Expect::Absent, "1"));
        while !disk.under_way.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        // Both queue up for the next commit.
        let create = store.write(put(("a", "x"), Expect::Absent, "1"));
        let refused = store.write(put(("a", "x"), Expect::Absent, "2"));
        disk.fails.store(fails, Ordering::SeqCst);
        drop(gate);
        wait(first).unwrap();
        let (create, refused) = wait(async { (create.await, refused.await) });
        if fails {
            assert!(matches!(create, Err(StoreError::Failed(_))), "{create:?}");
            assert!(matches!(refused, Err(StoreError::Failed(_))), "{refused:?}");
        } else {
            create.unwrap();
            assert!(matches!(refused, Err(StoreError::Exists)), "{refused:?}");
        }
    }
}

/// Every write that was acknowledged is there after a power loss, whichever synchronization is the one that fails.
#[test]
fn whichever_synchronization_fails_nothing_acknowledged_is_lost() {
    let mut failures = 0;
    for nth in 0..40 {
        let disk = LosingDisk::default();
        drop(Embedded::open_medium(Box::new(disk.clone()), &options()).unwrap());
        disk.fails_after.store(nth, Ordering::SeqCst);
        let mut acknowledged = Vec::new();
        let opened = Embedded::open_medium(Box::new(disk.clone()), &options());
        if let Ok(store) = opened {
            for number in 0..8 {
                let name = format!("o{number}");
                if wait(store.write(put(("a", &name), Expect::Absent, "1"))).is_ok() {
                    acknowledged.push(name);
                }
            }
            failures += usize::from(acknowledged.len() < 8);
        }
        disk.fails_after.store(i64::MAX, Ordering::SeqCst);
        disk.forget_cache();
        let again = Embedded::open_medium(Box::new(disk), &options()).unwrap();
        for name in acknowledged {
            let key = format!("a/{name}");
            assert!(Store::get(&again, &configmaps(), &key).is_some(), "{nth}: {name}");
        }
    }
    assert!(failures >= 5, "the disk failed under {failures} stores only");
}

/// A thread that is gone writes nothing any more, and must not leave a server that seems well.
#[test]
fn a_panic_of_the_writer_is_the_end_of_the_store() {
    static PANICS: AtomicBool = AtomicBool::new(false);
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        clock: || {
            assert!(!PANICS.load(Ordering::SeqCst), "as asked for");
            0
        },
        ..options()
    };
    let store = Embedded::open(dir.path(), &options).unwrap();
    wait(store.write(put(("a", "x"), Expect::Absent, "1"))).unwrap();
    assert!(store.failed().now_or_never().is_none());
    PANICS.store(true, Ordering::SeqCst);
    let refused = wait(store.write(put(("a", "y"), Expect::Absent, "1"))).unwrap_err();
    assert!(matches!(refused, StoreError::Closed), "{refused}");
    let soon = std::time::Duration::from_secs(20);
    let why = wait(async { tokio::time::timeout(soon, store.failed()).await });
    assert!(why.unwrap().contains("panicked"));
    assert!(Store::get(&store, &configmaps(), "a/x").is_some(), "reads go on");
}
