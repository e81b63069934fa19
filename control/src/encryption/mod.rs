//! Encryption of objects where they are stored, with upstream's configuration file, prefixes and semantics
//! (kubernetes.io, "Encrypting Confidential Data at Rest").
//!
//! A store calls [`Encryption::seal`] on what it hands to the disk or to etcd and [`Encryption::open`] on what comes
//! back; memory, watches and clients see plain objects only. The first provider of a resource writes, all of them
//! read. What was written by another one than the first is *stale*: an update writes it again even if nothing changes,
//! and so `kubectl get secrets -A -o json | kubectl replace -f -` completes a change of keys.
//!
//! - [`configuration`]: the file, and the one that is made at first start.
//! - [`validate`]: what is wrong with a file.
//! - [`provider`]: the ciphers; [`rules`]: which ones a resource has.
//! - [`follow`]: reading the file again when it changes.

pub mod configuration;
mod follow;
mod provider;
mod rules;
#[cfg(test)]
mod tests;
mod validate;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

pub use follow::follow;
pub use rules::Rules;

use crate::object::GroupResource;

/// Where the configuration comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// `--encryption-provider-config`; without it [`FILE`] in the directory of keys, if it is there.
    pub file: Option<PathBuf>,
    /// `--encryption-provider-config-automatic-reload`: read the file again when it changes.
    pub automatic_reload: bool,
}

/// Name of the configuration among the cluster's keys.
pub const FILE: &str = "encryption.yaml";

impl Settings {
    /// The file that counts: the one that is named, or the one among the cluster's keys if there is one.
    pub fn path(&self, pki_dir: &Path) -> Option<PathBuf> {
        self.file
            .clone()
            .or_else(|| Some(pki_dir.join(FILE)).filter(|path| path.exists()))
    }
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EncryptionError {
    /// The file cannot be read.
    #[error("error reading encryption provider configuration file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// There is nothing in it.
    #[error("encryption provider configuration file {} is empty", .0.display())]
    Empty(PathBuf),
    /// It is not an `EncryptionConfiguration`.
    #[error("error decoding encryption provider configuration file {}: {why}", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// It says something that cannot be carried out.
    #[error("encryption provider configuration file {}: {why}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl From<EncryptionError> for crate::Error {
    fn from(error: EncryptionError) -> Self {
        Self::Config(error.to_string())
    }
}

/// Why stored bytes could not be read. The texts are upstream's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// No provider of the resource knows what the bytes begin with.
    #[error("no matching prefix found")]
    NoPrefix,
    /// The bytes are encrypted and the resource is configured to be stored plain.
    #[error("identity transformer tried to read encrypted data")]
    Encrypted,
    /// No key has the name that the bytes carry.
    #[error("no matching key was found for the provided {0} transformer")]
    NoKey(&'static str),
    /// Shorter than the provider's shortest output.
    #[error("the stored data was shorter than the required size")]
    Short,
    /// Not whole blocks.
    #[error("the stored data is not a multiple of the block size")]
    BlockSize,
    /// The padding is wrong: another key, or damage.
    #[error("invalid padding on input")]
    Padding,
    /// The authentication failed: another key, another place, or damage.
    #[error("{0}")]
    Authentication(&'static str),
    /// Several keys have the name, and none fits.
    #[error("[{0}]")]
    Several(String),
}

/// An object could not be encrypted, and is therefore not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the object could not be encrypted: the system has no random numbers")]
pub struct SealError;

/// Stored bytes made plain.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened<'a> {
    /// The object.
    pub plain: Cow<'a, [u8]>,
    /// It was not written by the provider and key that would write it now.
    pub stale: bool,
}

/// How objects are encrypted now.
#[derive(Debug)]
pub struct Encryption {
    rules: RwLock<Arc<Rules>>,
}

impl Default for Encryption {
    /// Nothing is encrypted, and what is encrypted cannot be read.
    fn default() -> Self {
        Self::new(Rules::default())
    }
}

impl Encryption {
    /// By these rules.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules: RwLock::new(Arc::new(rules)),
        }
    }

    /// By a configuration file, or none.
    pub fn from_file(path: Option<&Path>) -> Result<Self, EncryptionError> {
        Ok(match path {
            Some(path) => Self::new(Rules::read(path)?),
            None => Self::default(),
        })
    }

    /// The bytes to store for an object of this resource. `path` is where it is stored (see [`path_of`]); some
    /// providers bind the bytes to it.
    pub fn seal<'a>(
        &self,
        resource: &GroupResource,
        path: &str,
        plain: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, SealError> {
        self.rules().of(resource).seal(path, plain)
    }

    /// The object behind stored bytes.
    pub fn open<'a>(
        &self,
        resource: &GroupResource,
        path: &str,
        stored: &'a [u8],
    ) -> Result<Opened<'a>, OpenError> {
        self.rules().of(resource).open(path, stored)
    }

    /// The rules as they are now.
    pub fn rules(&self) -> Arc<Rules> {
        // The lock is held for a moment only, to copy or to replace a pointer.
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Other rules from now on; returns those before.
    pub fn replace(&self, rules: Rules) -> Arc<Rules> {
        let mut current = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, Arc::new(rules))
    }
}

/// The storage path of an object, to which encryption binds it: `/registry/GROUP/RESOURCE/KEY`, without the group for
/// the core group.
pub fn path_of(resource: &GroupResource, key: &str) -> String {
    let GroupResource { group, resource } = resource;
    if group.is_empty() {
        format!("/registry/{resource}/{key}")
    } else {
        format!("/registry/{group}/{resource}/{key}")
    }
}
