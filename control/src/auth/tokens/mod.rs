//! Service-account tokens: issuing them (the `serviceaccounts/token` subresource, and legacy token secrets) and
//! finding the caller behind one.

mod legacy;
mod request;
mod uses;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use keelson_api::status::{Status, go_quote};
use keelson_api::time::format as timestamp;
use rustls_pki_types::PrivateKeyDer;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use self::legacy::LegacyClaims;
pub use self::legacy::{LAST_USED, day};
use self::request::{BoundRef, Spec};
pub use self::uses::{Counters, Use, Uses};
use super::UserInfo;
use super::bootstrap_token::BootstrapError;
use super::jws::{JwsError, Key};
use super::resources::{NODES, PODS, SECRETS, SERVICE_ACCOUNTS};
use super::service_account::{self, Audiences, Bound, Claims, Reference, Refusal, user_name};
use crate::object::{Object, Reader};

/// The life that kubelets ask for on behalf of pods ([`crate::admission`] writes it into them); seconds.
const PROJECTED_LIFE: i64 = 3607;
/// The life that such a token for the API server gets, because there are clients that read it once and never again. The
/// one that was asked for is in the claim `warnafter`.
const EXTENDED_LIFE: i64 = 365 * 24 * 60 * 60;

/// Signatures that were verified lately, by the token's digest. A pod asks with one token thousands of times; what
/// the token is bound to is looked up each time all the same. At 32 bytes and about 500 of claims each this stays
/// below a megabyte; when full it starts over.
const VERIFIED_MAX: usize = 1024;

/// Why a token does not stand for anybody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token of ours.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// Signed by us, but not a service-account token.
    #[error("unexpected claims")]
    Claims,
    /// From another issuer.
    #[error("unknown issuer")]
    Issuer,
    /// No longer valid, or not here.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A bootstrap token that is not good.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
}

/// Issues and checks tokens with the cluster's key.
#[derive(Debug)]
pub struct Tokens {
    key: Key,
    issuer: String,
    reader: Arc<dyn Reader>,
    verified: Mutex<HashMap<[u8; 32], Arc<Verified>>>,
    uses: Uses,
    counters: Counters,
}

#[derive(Debug)]
enum Verified {
    Bound(Box<Claims>),
    Legacy(LegacyClaims),
}

#[derive(Deserialize)]
struct Issuer {
    iss: String,
}

impl Tokens {
    /// With `PKI_DIR/sa.key`, as the issuer `https://kubernetes.default.svc.DOMAIN`.
    pub fn new(pki_dir: &Path, domain: &str, reader: Arc<dyn Reader>) -> Result<Self, crate::Error> {
        let path = pki_dir.join("sa.key");
        let unusable = |why: String| crate::Error::Pki(format!("{}: {why}", path.display()));
        let PrivateKeyDer::Pkcs8(der) = crate::pki::private_key(&path)? else {
            return Err(unusable(JwsError::Key.to_string()));
        };
        let key = Key::new(der.secret_pkcs8_der()).map_err(|error| unusable(error.to_string()))?;
        let issuer = format!("https://kubernetes.default.svc.{domain}");
        Ok(Self {
            key,
            issuer,
            reader,
            verified: Mutex::default(),
            uses: Uses::default(),
            counters: Counters::default(),
        })
    }

    /// Secrets whose tokens were used, for who writes that down.
    pub fn uses(&self) -> &Uses {
        &self.uses
    }

    /// How often tokens were used.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The issuer, which is also the API server's own audience.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The public keys (`/openid/v1/jwks`).
    pub fn jwks(&self) -> Value {
        self.key.jwks()
    }

    /// The caller behind `token`, which must be meant for one of `audiences`. Without `system:authenticated`.
    pub fn user(&self, token: &str, audiences: &[String], now: i64) -> Result<UserInfo, TokenError> {
        match &*self.verify(token)? {
            Verified::Bound(claims) => {
                let user = service_account::user(claims, audiences, self.reader.as_ref(), now)?;
                match claims.kubernetes.warnafter {
                    Some(at) if now > at => self.counters.stale.add(),
                    Some(_) => self.counters.valid.add(),
                    None => {}
                }
                Ok(user)
            }
            Verified::Legacy(claims) => self.legacy_user(token, claims, audiences, now),
        }
    }

    /// The audiences of a valid token; those of a legacy one are the API server's own.
    pub fn audiences(&self, token: &str) -> Result<Vec<String>, TokenError> {
        match &*self.verify(token)? {
            Verified::Bound(claims) => Ok(claims.aud.as_slice().to_vec()),
            Verified::Legacy(_) => Ok(vec![self.issuer.clone()]),
        }
    }

    fn verify(&self, token: &str) -> Result<Arc<Verified>, TokenError> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        // A panic while the lock was held cannot have left a half-made entry.
        if let Some(known) = self
            .verified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&digest)
        {
            return Ok(known.clone());
        }
        let payload = self.key.verify(token)?;
        let Issuer { iss } = serde_json::from_slice(&payload).map_err(|_| TokenError::Claims)?;
        let claims = if iss == self.issuer {
            serde_json::from_slice(&payload)
                .map(Box::new)
                .map(Verified::Bound)
        } else if iss == legacy::ISSUER {
            serde_json::from_slice(&payload).map(Verified::Legacy)
        } else {
            return Err(TokenError::Issuer);
        };
        let claims = Arc::new(claims.map_err(|_| TokenError::Claims)?);
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.len() >= VERIFIED_MAX {
            verified.clear();
        }
        verified.insert(digest, claims.clone());
        Ok(claims)
    }

    /// Answers a `TokenRequest` for the service account `namespace/name`. Errors in upstream's words: 404 without the
    /// account or the bound object, 422 for a wrong life, 400 and 409 for a bound object that does not fit.
    pub fn issue(&self, namespace: &str, name: &str, request: &Value, now: i64) -> Result<Value, Status> {
        let account = self
            .reader
            .get(&SERVICE_ACCOUNTS, namespace, name)
            .ok_or_else(|| Status::not_found("", "serviceaccounts", name))?;
        let spec = Spec::read(request, name, &self.issuer)?;
        let (mut pod, mut secret, mut node) = (None, None, None);
        if let Some(bound) = &spec.bound {
            match (bound.api_version.as_str(), bound.kind.as_str()) {
                ("v1", "Pod") => {
                    let found = self.bound_object(&PODS, "Pod", namespace, bound)?;
                    let value = found.value();
                    if value["spec"]["serviceAccountName"].as_str().unwrap_or_default() != name {
                        return Err(Status::bad_request(format!(
                            "cannot bind token for serviceaccount {} to pod running with different serviceaccount name.",
                            go_quote(name)
                        )));
                    }
                    pod = Some(reference(&found));
                    if let Some(host) = value["spec"]["nodeName"].as_str().filter(|host| !host.is_empty()) {
                        let uid = self.reader.get(&NODES, "", host).map(|node| node.uid.clone());
                        node = Some(Reference {
                            name: host.to_owned(),
                            uid: uid.unwrap_or_default(),
                        });
                    }
                }
                ("v1", "Secret") => {
                    secret = Some(reference(
                        &*self.bound_object(&SECRETS, "Secret", namespace, bound)?,
                    ));
                }
                ("v1", "Node") => node = Some(reference(&*self.bound_object(&NODES, "Node", "", bound)?)),
                _ => {
                    return Err(Status::bad_request(format!(
                        "cannot bind token to object of type {}, Kind={}",
                        bound.api_version, bound.kind
                    )));
                }
            }
        }
        let expires = now.saturating_add(spec.life);
        let extended = pod.is_some()
            && spec.life == PROJECTED_LIFE
            && spec.audiences.iter().all(|audience| *audience == self.issuer);
        let (exp, warnafter) = if extended {
            (now.saturating_add(EXTENDED_LIFE), Some(expires))
        } else {
            (expires, None)
        };
        let claims = Claims {
            aud: Audiences::Many(spec.audiences.clone()),
            exp,
            iat: now,
            iss: self.issuer.clone(),
            jti: uuid()?,
            kubernetes: Bound {
                namespace: namespace.to_owned(),
                node,
                pod,
                secret,
                serviceaccount: reference(&account),
                warnafter,
            },
            nbf: now,
            sub: user_name(namespace, name),
        };
        let payload = serde_json::to_vec(&claims).map_err(|error| Status::internal(&error.to_string()))?;
        let token = self
            .key
            .sign(&payload)
            .map_err(|error| Status::internal(&error.to_string()))?;
        let mut answer = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "metadata": {"name": name, "namespace": namespace, "creationTimestamp": timestamp(now)},
            "spec": {"audiences": spec.audiences, "expirationSeconds": spec.life, "boundObjectRef": null},
            "status": {"token": token, "expirationTimestamp": timestamp(expires)},
        });
        if let Some(bound) = request["spec"].get("boundObjectRef") {
            answer["spec"]["boundObjectRef"] = bound.clone();
        }
        Ok(answer)
    }

    fn bound_object(
        &self,
        resource: &crate::object::GroupResource,
        kind: &str,
        namespace: &str,
        bound: &BoundRef,
    ) -> Result<Arc<Object>, Status> {
        let object = self
            .reader
            .get(resource, namespace, &bound.name)
            .ok_or_else(|| Status::not_found("", &resource.resource, &bound.name))?;
        if !bound.uid.is_empty() && bound.uid != object.uid {
            return Err(Status::conflict_because(
                "",
                kind,
                &bound.name,
                &format!(
                    "the UID in the bound object reference ({}) does not match the UID in record. The object might have \
                     been deleted and then recreated",
                    bound.uid
                ),
            ));
        }
        Ok(object)
    }
}

fn reference(object: &Object) -> Reference {
    Reference {
        name: object.name.clone(),
        uid: object.uid.clone(),
    }
}

/// A random (version 4) UUID.
fn uuid() -> Result<String, Status> {
    let mut bytes = [0u8; 16];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes)
        .map_err(|_| Status::internal("no random numbers"))?;
    let bits = (u128::from_be_bytes(bytes) & !(0xf << 76 | 0x3 << 62)) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    Ok(format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    ))
}
