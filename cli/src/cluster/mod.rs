//! A cluster as one machine knows it: the file `DIR/cluster.json`, and the paths below `DIR`.
//!
//! The id follows from the directory alone, so that `reset` finds interfaces, tables and cgroups even when the file is
//! gone.

pub mod config;
mod etcd;
mod ranges;

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use etcd::Etcd;
pub use ranges::Ranges;

/// The file that marks a data directory as ours.
pub const MARKER: &str = ".keelson";

/// What `DIR/cluster.json` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cluster {
    /// The directory itself; not in the file, so that a moved directory does not lie.
    #[serde(skip)]
    pub dir: PathBuf,
    /// Name of the node on this machine.
    pub node_name: String,
    /// Its address.
    pub node_ip: IpAddr,
    /// Where the API server listens.
    pub listen: SocketAddr,
    /// Address ranges.
    #[serde(flatten)]
    pub ranges: Ranges,
    /// The administrator's kubeconfig.
    pub kubeconfig: PathBuf,
    /// The etcd that holds the cluster's objects, if they are not in the embedded store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etcd: Option<Etcd>,
}

impl Cluster {
    /// Reads the cluster in `dir`; `None` if there is none.
    pub fn load(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join("cluster.json");
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        let mut cluster: Self = serde_json::from_slice(&bytes).with_context(|| {
            format!(
                "{} is damaged; restore it, or remove the cluster with: keelson reset --data-dir {}",
                path.display(),
                dir.display()
            )
        })?;
        cluster.dir = canonical(dir)?;
        Ok(Some(cluster))
    }

    /// Reads the cluster in `dir`, which must exist.
    pub fn require(dir: &Path) -> Result<Self> {
        match Self::load(dir)? {
            Some(cluster) => Ok(cluster),
            None => bail!(
                "no cluster in {}; start one with: keelson up --data-dir {0}",
                dir.display()
            ),
        }
    }

    /// Writes `cluster.json` so that a reader sees the old or the new file, never half of one.
    pub fn save(&self) -> Result<()> {
        let path = self.dir.join("cluster.json");
        let bytes = serde_json::to_vec_pretty(self).context("encoding cluster.json")?;
        write_atomically(&path, &bytes).with_context(|| format!("writing {}", path.display()))
    }

    /// Short id on this host, `kl` and four hexadecimal digits: prefix of interfaces, tables, cgroups.
    pub fn id(&self) -> String {
        id_of(&self.dir)
    }

    /// Volatile files of this cluster.
    pub fn run_dir(&self) -> PathBuf {
        run_dir_of(&self.id())
    }

    /// URL of the API server for clients on this machine.
    pub fn server_url(&self) -> String {
        let ip = match self.listen.ip() {
            ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            ip => ip,
        };
        format!("https://{}", SocketAddr::new(ip, self.listen.port()))
    }
}

/// Creates the data directory if needed (mode 0711: containers with user namespaces traverse it, nobody lists it), marks
/// it as ours, and returns its canonical path. A directory that holds something else is refused, because `reset` removes
/// what it finds under our names in a directory of ours.
pub fn create_dir(dir: &Path) -> Result<PathBuf> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o711)
        .create(dir)
        .with_context(|| format!("creating the data directory {}", dir.display()))?;
    let dir = canonical(dir)?;
    if !is_ours(&dir) {
        let entries = std::fs::read_dir(&dir).with_context(|| format!("reading {}", dir.display()))?;
        // A fresh ext4 file system of its own has this one.
        let foreign = entries.flatten().find(|entry| entry.file_name() != "lost+found");
        if let Some(entry) = foreign {
            bail!(
                "{} holds no cluster but other files ({}); choose an empty directory with --data-dir",
                dir.display(),
                entry.file_name().display()
            );
        }
        std::fs::write(
            dir.join(MARKER),
            "A data directory of keelson; `keelson reset` removes it.\n",
        )
        .with_context(|| format!("writing to {}", dir.display()))?;
    }
    Ok(dir)
}

/// Fails if the run directory belongs to another data directory, whose path has the same short hash.
pub fn check_owner(run_dir: &Path, dir: &Path) -> Result<()> {
    match std::fs::read(run_dir.join("data-dir")) {
        Ok(owner) if owner != dir.as_os_str().as_encoded_bytes() => bail!(
            "{} has the same id on this machine as the cluster in {}; choose another --data-dir",
            dir.display(),
            String::from_utf8_lossy(&owner)
        ),
        _ => Ok(()),
    }
}

/// Whether the directory was made by us.
pub fn is_ours(dir: &Path) -> bool {
    dir.join(MARKER).exists() || dir.join("cluster.json").exists()
}

/// The id that belongs to a data directory, given as its canonical path.
pub fn id_of(dir: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let digest = Sha256::digest(dir.as_os_str().as_bytes());
    format!("kl{:02x}{:02x}", digest[0], digest[1])
}

/// The run directory that belongs to an id.
pub fn run_dir_of(id: &str) -> PathBuf {
    Path::new("/run").join(format!("keelson-{id}"))
}

/// Absolute path without symbolic links; works for a directory that no longer exists, so that `reset` can run twice.
pub fn canonical(dir: &Path) -> Result<PathBuf> {
    match dir.canonicalize() {
        Ok(path) => Ok(path),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let absolute = std::path::absolute(dir)?;
            let parent = absolute.parent().map(Path::to_owned).unwrap_or_default();
            let parent = parent.canonicalize().unwrap_or(parent);
            Ok(parent.join(absolute.file_name().unwrap_or_default()))
        }
        Err(error) => Err(error).with_context(|| format!("resolving {}", dir.display())),
    }
}

/// Replaces a file in one step: temporary file beside it, fsync, rename. Mode 0600.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let temporary = path.with_extension(format!("tmp{}", std::process::id()));
    let write = || {
        let mut file = std::fs::File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().inspect_err(|_| {
        // The first error is the one to report; a left-over temporary file is not worth another.
        let _ = std::fs::remove_file(&temporary);
    })
}

#[cfg(test)]
mod tests;
