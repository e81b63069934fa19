//! Secrets of type `kubernetes.io/service-account-token`: a token that does not expire, for those who need one.
//!
//! Upstream's token controller fills such a secret some time after it was made; here it is complete at once. A secret
//! for an account that does not exist is refused, where upstream's controller would delete it.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keelson_api::status::{Status, go_quote};
use serde_json::{Map, Value};

use super::Request;
use super::fields::{map, text};
use crate::Config;
use crate::auth::resources::SERVICE_ACCOUNTS;
use crate::auth::tokens::Tokens;
use crate::object::Reader;

const TYPE: &str = "kubernetes.io/service-account-token";
const NAME: &str = "kubernetes.io/service-account.name";
const UID: &str = "kubernetes.io/service-account.uid";

/// Completes token secrets.
#[derive(Debug)]
pub struct TokenSecrets {
    pki_dir: PathBuf,
    cluster_domain: String,
    reader: Arc<dyn Reader>,
}

impl TokenSecrets {
    /// With the keys that the configuration names. They are read when a token secret is made, which is rare.
    pub fn new(config: &Config, reader: Arc<dyn Reader>) -> Self {
        Self {
            pki_dir: config.pki_dir.clone(),
            cluster_domain: config.cluster_domain.clone(),
            reader,
        }
    }

    /// Fills in token, certificate and namespace.
    pub fn admit(&self, request: &mut Request<'_>) -> Result<(), Status> {
        if !request.creates("", "secrets") || text(request.object(), "/type") != TYPE {
            return Ok(());
        }
        let annotations = &request.object()["metadata"]["annotations"];
        let (name, uid) = (
            annotations[NAME].as_str().unwrap_or_default(),
            annotations[UID].as_str(),
        );
        if name.is_empty() {
            // Validation says that the annotation is required.
            return Ok(());
        }
        let account = self.reader.get(&SERVICE_ACCOUNTS, request.namespace, name);
        let Some(account) =
            account.filter(|account| uid.is_none_or(|uid| uid.is_empty() || uid == account.uid))
        else {
            return Err(request.forbidden(&format!("serviceaccount {} not found", go_quote(name))));
        };
        let failed = |error: &dyn std::fmt::Display| Status::internal(&error.to_string());
        let tokens = Tokens::new(&self.pki_dir, &self.cluster_domain, self.reader.clone())
            .map_err(|error| failed(&error))?;
        let authority = std::fs::read(self.pki_dir.join("ca.crt")).map_err(|error| failed(&error))?;
        let token = tokens
            .issue_legacy(request.namespace, request.name, &account.name, &account.uid)
            .map_err(|error| failed(&error))?;
        let namespace = request.namespace.to_owned();
        let Some(secret) = request.object.as_deref_mut() else {
            return Ok(());
        };
        if let Some(data) = map(secret, "data") {
            put(data, "token", token.as_bytes());
            put(data, "ca.crt", &authority);
            put(data, "namespace", namespace.as_bytes());
        }
        let annotations = map(secret, "metadata").and_then(|metadata| metadata.get_mut("annotations"));
        if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
            annotations.insert(UID.to_owned(), account.uid.as_str().into());
        }
        Ok(())
    }
}

fn put(data: &mut Map<String, Value>, key: &str, content: &[u8]) {
    data.insert(key.to_owned(), STANDARD.encode(content).into());
}
