//! Leases on disk: `leases/<pod uid>` and the position in each range.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use tracing::warn;

use super::{Lease, Pool, gateway};
use crate::cidr::Cidr;

/// Why an address could not be given or freed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file could not be read or written.
    #[error("{what} {path}: {source}")]
    File {
        /// What was being done.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The UID cannot name a file.
    #[error("pod UID {0:?} is not valid: letters, digits, '-', '_' and '.' only, at most 128")]
    BadUid(String),
    /// Every address is in use.
    #[error("no free address in {0}")]
    Full(Cidr),
    /// The node has not been given a pod range yet.
    #[error("this node has no pod CIDR yet (Node.spec.podCIDRs is empty)")]
    NoCidr,
}

/// All leases of this node.
#[derive(Debug)]
pub(crate) struct Store {
    directory: PathBuf,
    leases: BTreeMap<String, Lease>,
    used: BTreeSet<IpAddr>,
    pools: Vec<Pool>,
}

impl Store {
    /// Reads the leases under `state_dir`, creating the directory. A file that cannot be understood is moved aside:
    /// it is not one of ours, or from a crash of the disk, and must not keep every other pod off the network.
    pub(crate) fn open(state_dir: &Path) -> Result<Self, Error> {
        let directory = state_dir.join("leases");
        fs::create_dir_all(&directory).map_err(file("create", &directory))?;
        let mut store = Self {
            directory: directory.clone(),
            leases: BTreeMap::new(),
            used: BTreeSet::new(),
            pools: Vec::new(),
        };
        for entry in fs::read_dir(&directory).map_err(file("list", &directory))? {
            let path = entry.map_err(file("list", &directory))?.path();
            store.load(&path)?;
        }
        Ok(store)
    }

    fn load(&mut self, path: &Path) -> Result<(), Error> {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if name.starts_with(".new-") {
            // Left by a crash between write and rename.
            return fs::remove_file(path).map_err(file("remove", path));
        }
        if name.starts_with('.') {
            return Ok(());
        }
        let text = fs::read(path).map_err(file("read", path))?;
        match serde_json::from_slice::<Lease>(&text) {
            Ok(lease) if lease.pod_uid == name && lease.ips.iter().all(|ip| !self.used.contains(ip)) => {
                self.used.extend(&lease.ips);
                self.leases.insert(name.to_owned(), lease);
            }
            outcome => {
                let aside = path.with_file_name(format!(".bad-{name}"));
                warn!(path = %path.display(), ?outcome, "lease is not usable, moved aside");
                fs::rename(path, &aside).map_err(file("move aside", path))?;
            }
        }
        Ok(())
    }

    /// Sets the ranges to allocate from. Leases outside them stay valid until they are freed.
    pub(crate) fn set_cidrs(&mut self, cidrs: &[Cidr]) {
        self.pools = cidrs
            .iter()
            .map(|&cidr| Pool {
                cidr,
                cursor: self.read_cursor(&cidr),
            })
            .collect();
    }

    /// The ranges, empty before [`Store::set_cidrs`].
    pub(crate) fn cidrs(&self) -> Vec<Cidr> {
        self.pools.iter().map(|p| p.cidr).collect()
    }

    /// The lease of a pod.
    pub(crate) fn get(&self, pod_uid: &str) -> Option<&Lease> {
        self.leases.get(pod_uid)
    }

    /// All leases.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Lease> {
        self.leases.values()
    }

    /// One free address of every range.
    pub(crate) fn allocate(&mut self) -> Result<Vec<IpAddr>, Error> {
        if self.pools.is_empty() {
            return Err(Error::NoCidr);
        }
        let mut ips = Vec::with_capacity(self.pools.len());
        for pool in &mut self.pools {
            debug_assert!(gateway(&pool.cidr).is_none_or(|g| !self.used.contains(&g)));
            ips.push(pool.allocate(&self.used).ok_or(Error::Full(pool.cidr))?);
        }
        for pool in &self.pools {
            let path = self.cursor_path(&pool.cidr);
            replace(&path, pool.cursor.to_string().as_bytes())?;
        }
        Ok(ips)
    }

    /// Writes a lease; from now on its addresses are in use.
    pub(crate) fn put(&mut self, lease: Lease) -> Result<(), Error> {
        let path = self.path(&lease.pod_uid)?;
        let text = serde_json::to_vec(&lease).map_err(|e| file("encode", &path)(e.into()))?;
        replace(&path, &text)?;
        if let Some(old) = self.leases.get(&lease.pod_uid) {
            for ip in &old.ips {
                self.used.remove(ip);
            }
        }
        self.used.extend(&lease.ips);
        self.leases.insert(lease.pod_uid.clone(), lease);
        Ok(())
    }

    /// Frees a pod's addresses and returns its lease; `None` when there was none.
    pub(crate) fn remove(&mut self, pod_uid: &str) -> Result<Option<Lease>, Error> {
        let path = self.path(pod_uid)?;
        if !self.leases.contains_key(pod_uid) {
            return Ok(None);
        }
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(file("remove", &path)(e)),
            _ => {}
        }
        let lease = self.leases.remove(pod_uid);
        for ip in lease.iter().flat_map(|l| &l.ips) {
            self.used.remove(ip);
        }
        Ok(lease)
    }

    fn path(&self, pod_uid: &str) -> Result<PathBuf, Error> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if pod_uid.is_empty()
            || pod_uid.len() > 128
            || pod_uid.starts_with('.')
            || !pod_uid.bytes().all(allowed)
        {
            return Err(Error::BadUid(pod_uid.chars().take(200).collect()));
        }
        Ok(self.directory.join(pod_uid))
    }

    fn cursor_path(&self, cidr: &Cidr) -> PathBuf {
        let family = if cidr.is_ipv6() { "cursor6" } else { "cursor4" };
        self.directory.with_file_name(family)
    }

    /// Losing the position is harmless: allocation starts over at the first free address.
    fn read_cursor(&self, cidr: &Cidr) -> u64 {
        fs::read_to_string(self.cursor_path(cidr))
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0)
    }
}

/// Writes `bytes` beside `path` and renames over it.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("x");
    let beside = path.with_file_name(format!(".new-{name}"));
    fs::write(&beside, bytes).map_err(file("write", &beside))?;
    fs::rename(&beside, path).map_err(file("rename", path))
}

fn file<'a>(what: &'static str, path: &'a Path) -> impl Fn(io::Error) -> Error + 'a {
    move |source| Error::File {
        what,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(uid: &str, ips: Vec<IpAddr>) -> Lease {
        Lease {
            pod_uid: uid.into(),
            namespace: "default".into(),
            name: "p".into(),
            netns: "/x".into(),
            ips,
            interface: "kl0000-1".into(),
            host_ports: vec![],
        }
    }

    fn open(dir: &Path) -> Store {
        let mut store = Store::open(dir).unwrap();
        store.set_cidrs(&["10.42.0.0/24".parse().unwrap()]);
        store
    }

    #[test]
    fn survives_restarts() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        let a = store.allocate().unwrap();
        store.put(lease("a", a.clone())).unwrap();
        let b = store.allocate().unwrap();
        store.put(lease("b", b.clone())).unwrap();
        store.remove("b").unwrap();
        let mut store = open(dir.path());
        assert_eq!(store.get("a").unwrap().ips, a);
        assert!(store.get("b").is_none());
        let c = store.allocate().unwrap();
        assert!(
            c != a && c != b,
            "a freed address is not used at once, even after a restart"
        );
        assert_eq!(store.remove("b").unwrap(), None);
    }

    #[test]
    fn crash_leftovers_and_garbage_do_no_harm() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        let ips = store.allocate().unwrap();
        store.put(lease("a", ips.clone())).unwrap();
        let leases = dir.path().join("leases");
        fs::write(leases.join(".new-b"), b"{half").unwrap();
        fs::write(leases.join("garbage"), b"\xff\x00").unwrap();
        let twin = serde_json::to_vec(&lease("twin", ips)).unwrap();
        fs::write(leases.join("zz-twin"), twin).unwrap();
        fs::write(dir.path().join("cursor4"), b"99999999999999999999").unwrap();
        let mut store = open(dir.path());
        assert_eq!(store.iter().count(), 1);
        assert!(store.allocate().is_ok());
    }

    #[test]
    fn hostile_uids_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        for uid in ["", ".", "..", "../x", "a/b", "a\0b", ".new-a", &"x".repeat(300)] {
            assert!(
                matches!(store.put(lease(uid, vec![])), Err(Error::BadUid(_))),
                "{uid:?}"
            );
            assert!(store.remove(uid).is_err());
        }
    }

    #[test]
    fn without_a_range_nothing_is_given() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(
            Store::open(dir.path()).unwrap().allocate(),
            Err(Error::NoCidr)
        ));
    }
}
