//! What the kubelet keeps of the API besides its own pods: just the objects that pods refer to.

mod objects;
mod services;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};

pub use objects::{Changed, ObjectCache};
pub use services::ServiceCache;

/// Kind of a referenced object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// ConfigMap.
    ConfigMap,
    /// Secret.
    Secret,
}

impl Kind {
    /// `ConfigMap`, `Secret`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }

    /// As messages name it: `configmap`, `secret`.
    pub fn lower(self) -> &'static str {
        match self {
            Self::ConfigMap => "configmap",
            Self::Secret => "secret",
        }
    }
}

/// The data of a ConfigMap or Secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object {
    /// All keys: what a volume shows.
    pub data: BTreeMap<String, Vec<u8>>,
    /// Keys of `binaryData`, which the environment does not see.
    binary: Vec<String>,
}

impl Object {
    /// The value of a key as an environment variable has it.
    pub fn text(&self, key: &str) -> Option<String> {
        let value = self
            .data
            .get(key)
            .filter(|_| !self.binary.iter().any(|b| b == key))?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    /// All values for the environment.
    pub fn texts(&self) -> impl Iterator<Item = (&str, String)> {
        self.data
            .keys()
            .filter_map(|key| Some((key.as_str(), self.text(key)?)))
    }
}

impl From<ConfigMap> for Object {
    fn from(map: ConfigMap) -> Self {
        let binary: Vec<String> = map
            .binary_data
            .iter()
            .flatten()
            .map(|(key, _)| key.clone())
            .collect();
        let texts = map
            .data
            .into_iter()
            .flatten()
            .map(|(key, text)| (key, text.into_bytes()));
        let data = texts
            .chain(
                map.binary_data
                    .into_iter()
                    .flatten()
                    .map(|(key, bytes)| (key, bytes.0)),
            )
            .collect();
        Self { data, binary }
    }
}

impl From<Secret> for Object {
    fn from(secret: Secret) -> Self {
        let data = secret
            .data
            .into_iter()
            .flatten()
            .map(|(key, bytes)| (key, bytes.0))
            .collect();
        Self {
            data,
            binary: Vec::new(),
        }
    }
}
