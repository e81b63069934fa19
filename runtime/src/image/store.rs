//! The store on disk.

use std::path::{Path, PathBuf};

use super::Error;

/// An image that is present and unpacked.
#[derive(Debug, Clone)]
pub struct Image {
    /// Digest of the image configuration, `sha256:...`: the image id.
    pub id: String,
    /// Names, normalized (`docker.io/library/busybox:1.36`).
    pub tags: Vec<String>,
    /// `name@sha256:...` forms.
    pub digests: Vec<String>,
    /// Bytes of the layers on disk.
    pub size: u64,
    /// The image configuration (OCI image spec, config.md).
    pub config: oci_spec::image::ImageConfiguration,
    /// Unpacked layer directories, lowest first.
    pub layers: Vec<PathBuf>,
}

/// The store below one directory. Safe to open from several processes at once.
#[derive(Debug, Clone)]
pub struct ImageStore {
    root: PathBuf,
}

impl ImageStore {
    /// Opens or creates the store.
    pub fn open(root: &Path) -> Result<Self, Error> {
        Ok(Self {
            root: root.to_owned(),
        })
    }

    /// Imports an OCI bundle directory, OCI layout directory, oci-archive or docker-archive tar under a name.
    pub fn import(&self, path: &Path, tag: &str) -> Result<Image, Error> {
        unimplemented!("{path:?} {tag} {:?}", self.root)
    }

    /// Finds an image by name (normalized first), `name@digest` or id.
    pub fn get(&self, reference: &str) -> Result<Option<Image>, Error> {
        unimplemented!("{reference}")
    }

    /// All images.
    pub fn list(&self) -> Result<Vec<Image>, Error> {
        unimplemented!()
    }

    /// Removes a name, and the image with its unshared layers when it was the last name.
    pub fn remove(&self, reference: &str) -> Result<(), Error> {
        unimplemented!("{reference}")
    }

    /// Fetches an image from its registry. `auth` is user and password from imagePullSecrets.
    pub fn pull(&self, reference: &str, auth: Option<(String, String)>) -> Result<Image, Error> {
        unimplemented!("{reference} {auth:?}")
    }
}

/// `busybox` -> `docker.io/library/busybox:latest`, as Docker's reference grammar says.
pub fn normalize_reference(reference: &str) -> Result<String, Error> {
    unimplemented!("{reference}")
}
