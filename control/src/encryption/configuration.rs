//! `EncryptionConfiguration` of `apiserver.config.k8s.io/v1`.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use serde::Deserialize;
use serde_json::Value;

use super::EncryptionError;

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Configuration {
    /// `apiserver.config.k8s.io/v1`.
    pub api_version: String,
    /// `EncryptionConfiguration`.
    pub kind: String,
    /// Which resources have which providers.
    #[serde(default)]
    pub resources: Vec<Resources>,
}

/// Resources and their providers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// `secrets`, `deployments.apps`, `*.` (the core group), `*.apps`, `*.*`.
    #[serde(default)]
    pub resources: Vec<String>,
    /// The first one writes, all read.
    #[serde(default)]
    pub providers: Vec<Provider>,
}

/// One provider: exactly one of these.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// AES-GCM with a random nonce, bound to the storage path.
    pub aesgcm: Option<Keys>,
    /// AES-CBC with PKCS#7 padding.
    pub aescbc: Option<Keys>,
    /// XSalsa20 and Poly1305.
    pub secretbox: Option<Keys>,
    /// Plain.
    pub identity: Option<Identity>,
    /// A key management service; refused.
    pub kms: Option<Value>,
}

/// The keys of a provider, the one that writes first.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// The keys.
    #[serde(default)]
    pub keys: Vec<Key>,
}

/// A key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Its name, which is stored with what it encrypts.
    #[serde(default)]
    pub name: String,
    /// The key in base64.
    #[serde(default)]
    pub secret: String,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Settings of the identity provider: none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {}

impl Configuration {
    /// Reads a file of YAML or JSON; unknown fields are errors, as upstream decodes it strictly.
    pub fn read(path: &Path) -> Result<Self, EncryptionError> {
        let text = std::fs::read_to_string(path).map_err(|source| EncryptionError::Read {
            path: path.to_owned(),
            source,
        })?;
        if text.trim().is_empty() {
            return Err(EncryptionError::Empty(path.to_owned()));
        }
        let decode = |why: String| EncryptionError::Decode {
            path: path.to_owned(),
            why,
        };
        let found: Self = serde_yaml_ng::from_str(&text).map_err(|error| decode(error.to_string()))?;
        if found.api_version != "apiserver.config.k8s.io/v1" || found.kind != "EncryptionConfiguration" {
            return Err(decode(format!(
                "no kind {:?} is registered for version {:?}",
                found.kind, found.api_version
            )));
        }
        Ok(found)
    }
}

/// The text of a configuration with a new random key, which encrypts Secrets and still reads those that were stored
/// before there was one. `None` if the system has no random numbers.
///
/// Secretbox, because its nonces are long enough to be random for any number of writes.
pub fn with_new_key() -> Option<String> {
    let mut key = [0; 32];
    SystemRandom::new().fill(&mut key).ok()?;
    Some(format!(
        "# How Secrets are encrypted in the store; made at first start. Without this file they cannot be read: keep it\n\
         # with every backup. To change the key: put a new one before it, restart, write all Secrets again\n\
         # (kubectl get secrets -A -o json | kubectl replace -f -), remove the old one, restart.\n\
         apiVersion: apiserver.config.k8s.io/v1\n\
         kind: EncryptionConfiguration\n\
         resources:\n\
         - resources: [secrets]\n  \
           providers:\n  \
           - secretbox:\n      \
               keys:\n      \
               - name: key1\n        \
                 secret: {}\n  \
           - identity: {{}}\n",
        STANDARD.encode(key)
    ))
}
