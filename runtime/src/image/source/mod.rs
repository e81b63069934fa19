//! Where images come from. Every form is reduced to a [`Resolved`]: a manifest, a configuration and verified blobs
//! in a temporary directory of the store.
//!
//! - [`bundle`]: OCI runtime bundle directory.
//! - [`layout`]: OCI image layout, as a directory or in a tar.
//! - [`docker`]: `docker save`.
//! - [`files`]: the named files of the last two, wherever they are.

mod bundle;
mod docker;
mod files;
mod layout;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::digest::Hashing;
use super::limits::Budget;
use super::manifest::Platform;
use super::{Digest, Error, Reference, compression, manifest};
use files::Files;

/// A blob in a temporary directory, its digest computed from what is there.
#[derive(Debug, Clone)]
pub(super) struct Blob {
    pub digest: Digest,
    pub size: u64,
    pub path: PathBuf,
}

/// An image ready to be unpacked.
#[derive(Debug)]
pub(super) struct Resolved {
    /// What names the image in its registry: the digest of its index, or else of its manifest.
    pub digest: Digest,
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
    /// The configuration's bytes; their digest is the image id.
    pub config: Vec<u8>,
    /// Layer blobs, lowest first.
    pub layers: Vec<Blob>,
    /// Names that the source gives to the image.
    pub names: Vec<String>,
    /// `registry/repository` that all of this came from.
    pub origin: Option<String>,
}

/// Which of several images is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub name: Option<&'a Reference>,
    pub platform: &'a Platform,
}

/// Reads what is at `path`, whatever it is. `wanted` chooses among several images by name.
pub(super) fn open(
    path: &Path,
    wanted: &Wanted<'_>,
    staging: &Path,
    budget: &Budget,
) -> Result<Resolved, Error> {
    if path == Path::new("-") {
        return named_files(
            Files::stream(std::io::stdin().lock(), staging, budget)?,
            path,
            wanted,
        );
    }
    let metadata = std::fs::metadata(path).map_err(|source| Error::path("opening", path, source))?;
    if metadata.is_dir() && path.join("config.json").exists() && !path.join("oci-layout").exists() {
        return bundle::read(path, staging, budget);
    }
    let files = if metadata.is_dir() {
        Files::directory(path, staging, budget)?
    } else if metadata.is_file() {
        Files::archive(path, staging, budget)?
    } else {
        return Err(Error::Invalid(format!(
            "{} is neither a file nor a directory",
            path.display()
        )));
    };
    named_files(files, path, wanted)
}

fn named_files(mut files: Files, path: &Path, wanted: &Wanted<'_>) -> Result<Resolved, Error> {
    if let Some(index) = files.document("index.json")? {
        layout::read(&index, &mut files, wanted)
    } else if let Some(manifest) = files.document("manifest.json")? {
        docker::read(&manifest, &mut files, wanted.name)
    } else {
        Err(Error::Invalid(format!(
            "{} is no OCI bundle (config.json), OCI layout (index.json) or docker archive (manifest.json)",
            path.display()
        )))
    }
}

/// Writes a manifest for a configuration and layers that came without one.
fn assemble(config: Vec<u8>, layers: Vec<Blob>, names: Vec<String>) -> Result<Resolved, Error> {
    let descriptor = |media_type: &str, digest, size| manifest::Descriptor {
        media_type: media_type.to_owned(),
        digest,
        size,
        platform: None,
        annotations: BTreeMap::new(),
    };
    let layer = |blob: &Blob| {
        let file =
            std::fs::File::open(&blob.path).map_err(|source| Error::path("opening", &blob.path, source))?;
        let (compression, _) = compression::decompress(file)?;
        Ok(descriptor(compression.layer_media_type(), blob.digest, blob.size))
    };
    let manifest = manifest::Manifest {
        schema_version: 2,
        media_type: manifest::MANIFEST_TYPE.to_owned(),
        config: descriptor(manifest::CONFIG_TYPE, Digest::of(&config), config.len() as u64),
        layers: layers.iter().map(layer).collect::<Result<_, Error>>()?,
    };
    let manifest = to_json(&manifest)?;
    Ok(Resolved {
        digest: Digest::of(&manifest),
        manifest,
        config,
        layers,
        names,
        origin: None,
    })
}

fn to_json(document: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(document).map_err(|source| Error::Invalid(format!("writing a document: {source}")))
}

/// Writes a stream to a file of the staging directory that is named after its digest.
pub(super) fn stage(stream: impl std::io::Read, staging: &Path, budget: &Budget) -> Result<Blob, Error> {
    let temporary = tempfile::NamedTempFile::new_in(staging)
        .map_err(|source| Error::path("making a file in", staging, source))?;
    let mut hashing = Hashing::new(temporary);
    copy(&mut budget.reader(stream), &mut hashing)
        .map_err(|source| Error::stream("copying a blob", source))?;
    keep(hashing, staging)
}

/// Gives a written file the name of its digest.
pub(super) fn keep(written: Hashing<tempfile::NamedTempFile>, staging: &Path) -> Result<Blob, Error> {
    let (digest, size, temporary) = written.finish();
    let path = staging.join(digest.hex());
    temporary
        .persist(&path)
        .map_err(|failed| Error::path("renaming to", &path, failed.error))?;
    Ok(Blob { digest, size, path })
}

/// As [`std::io::copy`], in pieces that are worth a system call.
pub(super) fn copy(from: &mut impl std::io::Read, to: &mut impl std::io::Write) -> std::io::Result<u64> {
    let mut buffer = vec![0; 256 << 10];
    let mut copied = 0;
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        to.write_all(&buffer[..count])?;
        copied += count as u64;
    }
}
