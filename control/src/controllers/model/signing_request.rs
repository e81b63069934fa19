//! CertificateSigningRequests.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Meta;
use crate::controllers::informer::Object;

/// A request, whole: what is decided about it is written back with everything else as it was.
#[derive(Debug, Clone, Default)]
pub struct CertificateRequest {
    /// Metadata.
    pub metadata: Meta,
    /// The whole object.
    pub value: Value,
}

impl<'de> Deserialize<'de> for CertificateRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let metadata = Meta::deserialize(&value).map_err(serde::de::Error::custom)?;
        Ok(Self { metadata, value })
    }
}

impl CertificateRequest {
    /// Whether it has a condition.
    pub fn is(&self, condition: &str) -> bool {
        let conditions = self.value["status"]["conditions"].as_array();
        conditions
            .into_iter()
            .flatten()
            .any(|one| one["type"] == condition)
    }

    /// Whether its certificate is there.
    pub fn is_issued(&self) -> bool {
        self.value["status"]["certificate"]
            .as_str()
            .is_some_and(|certificate| !certificate.is_empty())
    }

    /// A text of its spec.
    pub fn spec(&self, field: &str) -> &str {
        self.value["spec"][field].as_str().unwrap_or_default()
    }

    /// `spec.usages`.
    pub fn usages(&self) -> Vec<&str> {
        let usages = self.value["spec"]["usages"].as_array();
        usages.into_iter().flatten().filter_map(Value::as_str).collect()
    }
}

impl Object for CertificateRequest {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}
