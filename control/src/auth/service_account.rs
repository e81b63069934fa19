//! Whether what a token is bound to still exists, and the caller it stands for.
//!
//! Source: `pkg/serviceaccount` upstream; claims are documented in "Managing Service Accounts".

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::UserInfo;
use super::resources::{NODES, PODS, SECRETS, SERVICE_ACCOUNTS};
use crate::object::{GroupResource, Object, Reader};

/// How long a token outlives the deletion of what it is bound to: time for a pod to end gracefully.
const DELETION_LEEWAY: i64 = 60;
/// Difference of clocks that `exp`, `nbf` and `iat` tolerate.
const CLOCK_LEEWAY: i64 = 60;

/// Prefix of service accounts' user names.
pub const USER_PREFIX: &str = "system:serviceaccount:";

/// The claims of a service-account token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Audiences.
    pub aud: Audiences,
    /// Expiry, Unix seconds.
    pub exp: i64,
    /// Issued, Unix seconds.
    pub iat: i64,
    /// Issuer.
    pub iss: String,
    /// Id of this token.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub jti: String,
    /// What it is bound to.
    #[serde(rename = "kubernetes.io")]
    pub kubernetes: Bound,
    /// Valid from, Unix seconds.
    pub nbf: i64,
    /// User name.
    pub sub: String,
}

/// One audience or several; we write several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audiences {
    /// A list.
    Many(Vec<String>),
    /// A bare string.
    One(String),
}

impl Audiences {
    /// As a slice.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::Many(all) => all,
            Self::One(one) => std::slice::from_ref(one),
        }
    }
}

/// The private claims.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// Namespace of the account.
    pub namespace: String,
    /// The node that the pod runs on, or that the token is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Reference>,
    /// The pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Reference>,
    /// The secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Reference>,
    /// The account.
    pub serviceaccount: Reference,
    /// When a token that lives longer than was asked for should have been replaced, Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warnafter: Option<i64>,
}

/// An object by name and UID.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// Name.
    pub name: String,
    /// UID.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

/// Why a token is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Expired, or not valid yet.
    #[error("service account token has expired or is not valid yet")]
    Time,
    /// For somebody else.
    #[error("token audiences {0:?} is invalid for the target audiences")]
    Audience(Vec<String>),
    /// The subject is not the account that it is bound to.
    #[error("sub claim is invalid")]
    Subject,
    /// Something that it is bound to is gone.
    #[error("service account token has been invalidated: {0} is gone")]
    Gone(&'static str),
    /// It is in a secret that has been marked.
    #[error(
        "the token in secret {secret} for service account {account} has been marked invalid. Use tokens from the \
         TokenRequest API or manually created secret-based tokens, or remove the \
         'kubernetes.io/legacy-token-invalid-since' label from the secret to temporarily allow use of this token"
    )]
    Invalidated {
        /// Namespace and name of the secret.
        secret: String,
        /// Namespace and name of the account.
        account: String,
    },
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    deletion_timestamp: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Deletable {
    metadata: Metadata,
}

/// Whether the object was deleted longer than the leeway ago and only finalizers keep it.
fn is_dying(object: &Object, now: i64) -> bool {
    let Ok(Deletable { metadata }) = serde_json::from_slice(&object.bytes) else {
        return true;
    };
    let Some(deleted) = metadata.deletion_timestamp else {
        return false;
    };
    keelson_api::time::parse(&deleted).is_none_or(|deleted| deleted < now - DELETION_LEEWAY)
}

fn living(
    reader: &dyn Reader,
    resource: &GroupResource,
    namespace: &str,
    reference: &Reference,
    what: &'static str,
    now: i64,
) -> Result<Arc<Object>, Refusal> {
    let object = reader
        .get(resource, namespace, &reference.name)
        .ok_or(Refusal::Gone(what))?;
    if object.uid != reference.uid || is_dying(&object, now) {
        return Err(Refusal::Gone(what));
    }
    Ok(object)
}

/// The caller behind verified claims.
pub fn user(
    claims: &Claims,
    audiences: &[String],
    reader: &dyn Reader,
    now: i64,
) -> Result<UserInfo, Refusal> {
    if now > claims.exp.saturating_add(CLOCK_LEEWAY)
        || now < claims.nbf.saturating_sub(CLOCK_LEEWAY)
        || now < claims.iat.saturating_sub(CLOCK_LEEWAY)
    {
        return Err(Refusal::Time);
    }
    if !claims
        .aud
        .as_slice()
        .iter()
        .any(|audience| audiences.contains(audience))
    {
        return Err(Refusal::Audience(claims.aud.as_slice().to_vec()));
    }
    let Bound {
        namespace,
        node,
        pod,
        secret,
        serviceaccount,
        warnafter: _,
    } = &claims.kubernetes;
    if claims.sub != user_name(namespace, &serviceaccount.name) {
        return Err(Refusal::Subject);
    }
    if let Some(secret) = secret {
        living(reader, &SECRETS, namespace, secret, "the secret", now)?;
    }
    living(
        reader,
        &SERVICE_ACCOUNTS,
        namespace,
        serviceaccount,
        "the service account",
        now,
    )?;
    if let Some(pod) = pod {
        living(reader, &PODS, namespace, pod, "the pod", now)?;
    }
    // With a pod the node only tells where it runs; alone it is what the token is bound to.
    if let (Some(node), None) = (node, pod) {
        living(reader, &NODES, "", node, "the node", now)?;
    }
    let mut user = account(namespace, &serviceaccount.name, &serviceaccount.uid);
    let mut extra = |key: &str, value: &str| {
        if !value.is_empty() {
            user.extra.insert(
                format!("authentication.kubernetes.io/{key}"),
                vec![value.to_owned()],
            );
        }
    };
    if !claims.jti.is_empty() {
        extra("credential-id", &format!("JTI={}", claims.jti));
    }
    if let Some(pod) = pod {
        extra("pod-name", &pod.name);
        extra("pod-uid", &pod.uid);
    }
    if let Some(node) = node {
        extra("node-name", &node.name);
        extra("node-uid", &node.uid);
    }
    Ok(user)
}

/// The user of a service account, without `system:authenticated`.
pub fn account(namespace: &str, name: &str, uid: &str) -> UserInfo {
    UserInfo {
        name: user_name(namespace, name),
        uid: uid.to_owned(),
        groups: vec![
            "system:serviceaccounts".to_owned(),
            format!("system:serviceaccounts:{namespace}"),
        ],
        ..UserInfo::default()
    }
}

/// `system:serviceaccount:NAMESPACE:NAME`.
pub fn user_name(namespace: &str, name: &str) -> String {
    format!("{USER_PREFIX}{namespace}:{name}")
}

/// Namespace and name in a service account's user name.
pub fn split_user_name(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix(USER_PREFIX)?.split_once(':')?;
    (!namespace.is_empty() && !name.is_empty() && !name.contains(':')).then_some((namespace, name))
}
