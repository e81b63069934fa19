//! ResourceQuotas, whole: there are few, and their status is written back with everything else as it was.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Meta;
use crate::admission::resource_quota::{Amounts, amounts};
use crate::controllers::informer::Object;

/// A quota.
#[derive(Debug, Clone, Default)]
pub struct Quota {
    /// Metadata.
    pub metadata: Meta,
    /// The whole object.
    pub value: Value,
}

impl<'de> Deserialize<'de> for Quota {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let metadata = Meta::deserialize(&value).map_err(serde::de::Error::custom)?;
        Ok(Self { metadata, value })
    }
}

impl Quota {
    /// `spec.hard`.
    pub fn hard(&self) -> Amounts {
        amounts(&self.value["spec"]["hard"])
    }
}

impl Object for Quota {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}
