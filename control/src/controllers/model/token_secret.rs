//! Secrets of bootstrap tokens.

use serde::Deserialize;

use super::Meta;
use super::meta::metadata;
use crate::auth::bootstrap_token::Data;
use crate::controllers::informer::Object;

/// The Secret of a bootstrap token; no other Secret is ever cached.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct TokenSecret {
    /// Metadata.
    #[serde(deserialize_with = "metadata")]
    pub metadata: Meta,
    /// Id, secret, usages and expiry.
    pub data: Data,
}

impl Object for TokenSecret {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}
