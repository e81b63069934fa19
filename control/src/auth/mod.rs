//! Who is asking, and whether they may: authenticators, RBAC, tokens, upstream's default roles.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderMap;
use keelson_api::status::Status;
use rustls_pki_types::CertificateDer;

use crate::object::Reader;

/// The authenticated caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserInfo {
    /// User name.
    pub name: String,
    /// UID, if the authenticator knows one.
    pub uid: String,
    /// Groups, `system:authenticated` included.
    pub groups: Vec<String>,
    /// Extra attributes.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// What is asked, in the authorizer's terms.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    /// The caller.
    pub user: &'a UserInfo,
    /// Verb: get, list, watch, create, update, patch, delete, deletecollection, or the HTTP verb for paths.
    pub verb: &'a str,
    /// API group.
    pub group: &'a str,
    /// API version.
    pub version: &'a str,
    /// Plural resource; empty for a non-resource request.
    pub resource: &'a str,
    /// Subresource or empty.
    pub subresource: &'a str,
    /// Namespace or empty.
    pub namespace: &'a str,
    /// Object name or empty. On list and watch the name that the field selector `metadata.name=` asks for.
    pub name: &'a str,
    /// Field selector of a list, watch or deletecollection as the client wrote it, or empty: a node may list only the
    /// pods that are bound to it.
    pub field_selector: &'a str,
    /// Path of a non-resource request.
    pub path: &'a str,
}

/// The authorizer's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Allowed, with the rule that did it.
    Allow(String),
    /// Forbidden for good.
    Deny(String),
    /// Nobody allowed it, which forbids it too.
    NoOpinion(String),
}

/// Turns credentials into a caller.
#[derive(Debug)]
pub struct Authenticator {
    reader: Arc<dyn Reader>,
}

impl Authenticator {
    /// From the keys in `pki_dir`; service accounts, secrets and pods are looked up in `reader` so that a deleted
    /// one's token stops working.
    pub fn new(pki_dir: &std::path::Path, reader: Arc<dyn Reader>) -> Result<Self, crate::Error> {
        let _ = pki_dir;
        Ok(Self { reader })
    }

    /// The caller behind a TLS client certificate (already verified against the client CA) or a bearer token;
    /// impersonation headers are resolved by the server, which must authorize them. No credentials: the anonymous
    /// user. Wrong credentials: 401.
    pub fn authenticate(
        &self,
        certificate: Option<&CertificateDer<'_>>,
        headers: &HeaderMap,
    ) -> Result<UserInfo, Status> {
        unimplemented!("{certificate:?} {headers:?} {:?}", self.reader)
    }
}

/// Decides by RBAC (and, for nodes, by the node rules).
#[derive(Debug)]
pub struct Authorizer {
    reader: Arc<dyn Reader>,
}

impl Authorizer {
    /// An authorizer over the roles and bindings in `reader`.
    pub fn new(reader: Arc<dyn Reader>) -> Self {
        Self { reader }
    }

    /// The decision.
    pub fn authorize(&self, attributes: &Attributes<'_>) -> Decision {
        unimplemented!("{attributes:?} {:?}", self.reader)
    }
}
