//! Disks that fill up, and disks that lose what they took.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use redb::{Database, StorageBackend};

use super::super::disk::{CACHE_BYTES, Medium};
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
    fn open(&self) -> Result<Database, redb::DatabaseError> {
        Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(self.clone())
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
#[derive(Debug, Clone, Default)]
struct LosingDisk {
    cached: Arc<Mutex<Vec<u8>>>,
    durable: Arc<Mutex<Vec<u8>>>,
    fails: Arc<AtomicBool>,
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
        if self.fails.swap(false, Ordering::SeqCst) {
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
    fn open(&self) -> Result<Database, redb::DatabaseError> {
        Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(self.clone())
    }
    fn name(&self) -> String {
        "a disk that loses writes".to_owned()
    }
    fn forget_cache(&self) {
        let durable = self.durable.lock().unwrap().clone();
        *self.cached.lock().unwrap() = durable;
    }
}

#[test]
fn a_write_that_was_lost_by_a_failed_synchronization_is_not_acknowledged() {
    let disk = LosingDisk::default();
    let store = Embedded::open_medium(Box::new(disk.clone()), &options()).unwrap();
    wait(store.write(put(("a", "x"), Expect::Absent, "1"))).unwrap();
    disk.fails.store(true, Ordering::SeqCst);
    let refused = wait(store.write(put(("a", "y"), Expect::Absent, "1"))).unwrap_err();
    assert!(matches!(refused, StoreError::Failed(_)), "{refused}");
    assert!(Store::get(&store, &configmaps(), "a/y").is_none());
    wait(store.write(put(("a", "z"), Expect::Absent, "1"))).unwrap();
    let acknowledged = snapshot(&store, &Range::all(None)).unwrap().len();
    drop(store);
    disk.forget_cache(); // the machine loses its power
    let again = Embedded::open_medium(Box::new(disk), &options()).unwrap();
    assert_eq!(snapshot(&again, &Range::all(None)).unwrap().len(), acknowledged);
}
