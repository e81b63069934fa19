//! Leases: layers and blobs that must stay although no image may name them any more.
//!
//! A lease names its holder, a file or directory that exists for as long as the lease counts: a container's own
//! directory, or the staging directory of a pull. Nobody has to give a lease back, so a kill cannot make one last too
//! long or end it too early.
//!
//! Granting and sweeping exclude each other by a lock of their own (shared by those who take leases): a container that
//! starts never waits for an import that is being made durable.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ImageStore;
use super::staging::Lock;
use crate::image::{Digest, Error, Limits};

/// One lease, as it is on disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Lease {
    /// Exists as long as the lease counts.
    pub holder: PathBuf,
    /// Whether the holder is a container, which an image's removal must ask about.
    pub container: bool,
    /// Chain ids, lowest first.
    pub layers: Vec<Digest>,
    #[serde(default)]
    pub blobs: Vec<Digest>,
}

/// All leases that count.
#[derive(Debug, Default)]
pub(super) struct Leases(Vec<Lease>);

impl Leases {
    pub(super) fn layers(&self) -> BTreeSet<Digest> {
        self.0
            .iter()
            .flat_map(|lease| lease.layers.iter().copied())
            .collect()
    }

    pub(super) fn blobs(&self) -> BTreeSet<Digest> {
        self.0
            .iter()
            .flat_map(|lease| lease.blobs.iter().copied())
            .collect()
    }

    /// Names of the containers whose highest layer is `top`: a chain id stands for all the layers below as well.
    pub(super) fn containers(&self, top: Option<Digest>) -> Vec<String> {
        self.0
            .iter()
            .filter(|lease| lease.container && top.is_some() && lease.layers.last().copied() == top)
            .filter_map(|lease| Some(lease.holder.file_name()?.to_string_lossy().into_owned()))
            .collect()
    }
}

/// Keeps `layers`, unpacked directories of an image store lowest first, in place for as long as the directory `holder`
/// exists, be the image removed meanwhile. Directories that belong to no store are nobody's to remove, and left alone.
///
/// # Errors
/// [`Error::NotFound`] if a layer has been removed already.
pub fn hold_layers(layers: &[PathBuf], holder: &Path) -> Result<(), Error> {
    let mut held: Option<(ImageStore, Vec<Digest>)> = None;
    for layer in layers {
        let Some((root, chain_id)) = store_of(layer) else {
            continue;
        };
        let store = ImageStore {
            root,
            limits: Limits::default(),
        };
        let entry = held.get_or_insert((store, Vec::new()));
        entry.1.push(chain_id);
    }
    match held {
        None => Ok(()),
        Some((store, layers)) => store.grant(&Lease {
            holder: holder.to_owned(),
            container: true,
            layers,
            blobs: Vec::new(),
        }),
    }
}

/// Root of the store that has an unpacked layer, and the layer's chain id: `ROOT/layers/HEX/diff`.
fn store_of(layer: &Path) -> Option<(PathBuf, Digest)> {
    let chain = layer.parent().filter(|_| layer.ends_with("diff"))?;
    let layers = chain.parent().filter(|layers| layers.ends_with("layers"))?;
    let chain_id = format!("sha256:{}", chain.file_name()?.to_str()?).parse().ok()?;
    let root = layers.parent()?;
    root.join("lock").exists().then(|| (root.to_owned(), chain_id))
}

impl ImageStore {
    /// Grants a lease on layers and blobs that exist.
    pub(super) fn grant(&self, lease: &Lease) -> Result<(), Error> {
        let directory = self.leases_dir();
        let failed = |source: std::io::Error| Error::path("writing a lease in", &directory, source);
        fs::create_dir_all(&directory).map_err(failed)?;
        let _lock = Lock::shared(&self.lease_lock())?;
        let missing = lease
            .layers
            .iter()
            .map(|chain_id| self.layer(*chain_id))
            .chain(lease.blobs.iter().map(|digest| self.blob(*digest)))
            .find(|path| !path.exists());
        if let Some(path) = missing {
            return Err(Error::NotFound(path.display().to_string()));
        }
        let name = Digest::of(lease.holder.as_os_str().as_encoded_bytes()).hex();
        let bytes = serde_json::to_vec(lease).map_err(|error| failed(error.into()))?;
        // Not synchronized: after a crash of the machine nothing is mounted. One cut short by a kill is dropped by the
        // next sweep, and its holder never got to use it.
        fs::write(directory.join(name), bytes).map_err(failed)
    }

    /// Reads all leases, and forgets those whose holder is gone or among `dead`. With the lease lock held for good.
    pub(super) fn leases(&self, _lock: &Lock, dead: &[PathBuf]) -> Result<Leases, Error> {
        let directory = self.leases_dir();
        let mut alive = Vec::new();
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Leases::default()),
            Err(source) => return Err(Error::path("reading", &directory, source)),
        };
        for entry in entries {
            let path = entry
                .map_err(|source| Error::path("reading", &directory, source))?
                .path();
            let bytes = fs::read(&path).map_err(|source| Error::path("reading", &path, source))?;
            let lease = serde_json::from_slice::<Lease>(&bytes).ok();
            let counts = |lease: &Lease| lease.holder.exists() && !dead.contains(&lease.holder);
            match lease.filter(counts) {
                Some(lease) => alive.push(lease),
                None => fs::remove_file(&path).map_err(|source| Error::path("removing", &path, source))?,
            }
        }
        Ok(Leases(alive))
    }

    pub(super) fn lease_lock(&self) -> PathBuf {
        self.root.join("leases.lock")
    }

    fn leases_dir(&self) -> PathBuf {
        self.root.join("leases")
    }
}
