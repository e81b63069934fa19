//! Bootstrap tokens: `ID.SECRET`, kept in Secrets of a type of their own in kube-system, with which a machine
//! introduces itself before it has a certificate.
//!
//! Source: kubernetes.io, "Authenticating with Bootstrap Tokens"; `plugin/pkg/auth/authenticator/token/bootstrap`.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keelson_api::time;
use serde::Deserialize;

use super::UserInfo;
use super::resources::SECRETS;
use crate::object::Reader;

/// Type of the Secrets.
pub const TYPE: &str = "bootstrap.kubernetes.io/token";
/// Namespace of the Secrets.
pub const NAMESPACE: &str = "kube-system";
/// Before the id in a Secret's name.
pub const NAME_PREFIX: &str = "bootstrap-token-";
/// Group of all who come with such a token; further groups begin with it.
const GROUP: &str = "system:bootstrappers";

/// Why a token does not stand for anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BootstrapError {
    /// Not `ID.SECRET`.
    #[error("not a bootstrap token")]
    Form,
    /// No Secret of that id, or of another type, or one that is being deleted.
    #[error("there is no such bootstrap token")]
    Unknown,
    /// The secret part is wrong.
    #[error("the bootstrap token's secret is wrong")]
    Secret,
    /// It was valid once.
    #[error("the bootstrap token has expired")]
    Expired,
    /// It is for signing, not for logging in.
    #[error("the bootstrap token is not marked usage-bootstrap-authentication=true")]
    Usage,
    /// It names groups that it may not name.
    #[error("the bootstrap token's auth-extra-groups are invalid")]
    Groups,
}

/// When a token ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// Never.
    Never,
    /// So many seconds from now.
    In(u64),
    /// It has ended, or its end cannot be read.
    Past,
}

/// The data of a token's Secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Data(BTreeMap<String, Option<String>>);

impl Data {
    /// A value as text; empty if it is missing.
    pub fn text(&self, key: &str) -> String {
        let encoded = self.0.get(key).and_then(Option::as_deref).unwrap_or_default();
        let decoded = STANDARD.decode(encoded).unwrap_or_default();
        String::from_utf8(decoded).unwrap_or_default()
    }

    /// When it ends.
    pub fn expiry(&self, now: i64) -> Expiry {
        let text = self.text("expiration");
        if text.is_empty() {
            return Expiry::Never;
        }
        match time::parse(&text).map(|at| at - now) {
            Some(left) if left > 0 => Expiry::In(left.unsigned_abs()),
            // Who cannot tell when it ends must not go on for ever.
            _ => Expiry::Past,
        }
    }

    /// The id and secret of a token that may sign `cluster-info`; `name` is the Secret's.
    pub fn signer(&self, name: &str, now: i64) -> Option<(String, String)> {
        let (id, secret) = (self.text("token-id"), self.text("token-secret"));
        let usable = !secret.is_empty()
            && name.strip_prefix(NAME_PREFIX) == Some(id.as_str())
            && self.expiry(now) != Expiry::Past
            && self.text("usage-bootstrap-signing") == "true";
        usable.then_some((id, secret))
    }

    fn groups(&self) -> Result<Vec<String>, BootstrapError> {
        let mut groups = BTreeSet::from([GROUP.to_owned()]);
        let extra = self.text("auth-extra-groups");
        for group in extra.split(',').filter(|_| !extra.is_empty()) {
            if !is_group(group) {
                return Err(BootstrapError::Groups);
            }
            groups.insert(group.to_owned());
        }
        Ok(groups.into_iter().collect())
    }
}

/// `\Asystem:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]\z`
fn is_group(group: &str) -> bool {
    let inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b':' | b'-');
    group
        .strip_prefix(GROUP)
        .and_then(|rest| rest.strip_prefix(':'))
        .is_some_and(|rest| {
            (1..=256).contains(&rest.len())
                && rest.bytes().all(inner)
                && rest
                    .bytes()
                    .next_back()
                    .is_some_and(|byte| byte.is_ascii_alphanumeric())
        })
}

/// The two parts of a token, `[a-z0-9]{6}.[a-z0-9]{16}`.
pub fn parse(token: &str) -> Option<(&str, &str)> {
    let (id, secret) = token.split_once('.')?;
    let plain = |part: &str| {
        part.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    (id.len() == 6 && secret.len() == 16 && plain(id) && plain(secret)).then_some((id, secret))
}

#[derive(Deserialize)]
struct Secret {
    metadata: Metadata,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    data: Data,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    deletion_timestamp: Option<String>,
}

/// The caller behind a token, without `system:authenticated`.
pub fn user(token: &str, reader: &dyn Reader, now: i64) -> Result<UserInfo, BootstrapError> {
    let (id, secret) = parse(token).ok_or(BootstrapError::Form)?;
    let stored = reader
        .get(&SECRETS, NAMESPACE, &format!("{NAME_PREFIX}{id}"))
        .ok_or(BootstrapError::Unknown)?;
    let stored: Secret = serde_json::from_slice(&stored.bytes).map_err(|_| BootstrapError::Unknown)?;
    if stored.metadata.deletion_timestamp.is_some() || stored.kind != TYPE {
        return Err(BootstrapError::Unknown);
    }
    let data = stored.data;
    // Not a comparison that ends at the first difference: its time would tell how much of a guess is right.
    if !equal(data.text("token-secret").as_bytes(), secret.as_bytes()) {
        return Err(BootstrapError::Secret);
    }
    if data.text("token-id") != id {
        return Err(BootstrapError::Unknown);
    }
    if data.expiry(now) == Expiry::Past {
        return Err(BootstrapError::Expired);
    }
    if data.text("usage-bootstrap-authentication") != "true" {
        return Err(BootstrapError::Usage);
    }
    Ok(UserInfo {
        name: format!("system:bootstrap:{id}"),
        groups: data.groups()?,
        ..UserInfo::default()
    })
}

/// Whether two texts are equal, in a time that depends on their lengths only.
fn equal(left: &[u8], right: &[u8]) -> bool {
    let differences = left
        .iter()
        .zip(right)
        .fold(0, |differences, (left, right)| differences | (left ^ right));
    left.len() == right.len() && std::hint::black_box(differences) == 0
}
