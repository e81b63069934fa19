//! PersistentVolumes.

use serde::Deserialize;

use super::Meta;
use super::meta::metadata;
use crate::controllers::informer::Object;

/// A PersistentVolume.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Volume {
    /// Metadata.
    #[serde(deserialize_with = "metadata")]
    pub metadata: Meta,
    /// Phase.
    pub status: VolumeStatus,
}

/// `status`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct VolumeStatus {
    /// Available, Bound, Released or Failed.
    pub phase: String,
}

impl Object for Volume {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}
