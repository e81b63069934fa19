//! Tokens in secrets, which never expire: they are good as long as their secret holds them, and their use is told, so
//! that an administrator (or upstream's cleaner) finds those that nobody needs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keelson_api::time::format as timestamp;
use serde::{Deserialize, Serialize};

use super::{TokenError, Tokens, Verified};
use crate::auth::UserInfo;
use crate::auth::jws::JwsError;
use crate::auth::resources::{SECRETS, SERVICE_ACCOUNTS};
use crate::auth::service_account::{self, Refusal, user_name};
use crate::object::Object;

/// Issuer of tokens in secrets.
pub(super) const ISSUER: &str = "kubernetes/serviceaccount";
/// Label of a secret: the day on which its token was last used.
pub const LAST_USED: &str = "kubernetes.io/legacy-token-last-used";
/// Label of a secret whose token is not good any more, though it is kept for a while.
const INVALID_SINCE: &str = "kubernetes.io/legacy-token-invalid-since";
/// A day.
const DAY: i64 = 24 * 60 * 60;
/// What the user of a token is told that was made for the account, as upstream once did for all of them.
const ADVICE: &str = "Use tokens from the TokenRequest API or manually created secret-based tokens instead of \
                      auto-generated secret-based tokens.";

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LegacyClaims {
    iss: String,
    #[serde(rename = "kubernetes.io/serviceaccount/namespace")]
    namespace: String,
    #[serde(rename = "kubernetes.io/serviceaccount/secret.name")]
    secret: String,
    #[serde(rename = "kubernetes.io/serviceaccount/service-account.name")]
    account: String,
    #[serde(rename = "kubernetes.io/serviceaccount/service-account.uid")]
    uid: String,
    sub: String,
}

/// The day of a time, as the labels write it.
pub fn day(time: i64) -> String {
    timestamp(time).chars().take_while(|char| *char != 'T').collect()
}

fn is_alive(object: &Object) -> bool {
    object.value()["metadata"]["deletionTimestamp"].is_null()
}

/// Whether an account lists a secret as its own, as it lists those that were made for it.
fn lists(account: &Object, secret: &str) -> bool {
    let account = account.value();
    let mut listed = account["secrets"].as_array().into_iter().flatten();
    listed.any(|reference| reference["name"] == secret)
}

impl Tokens {
    /// A token in a secret is valid as long as the secret holds exactly it, and the account lives.
    pub(super) fn legacy_user(
        &self,
        token: &str,
        claims: &LegacyClaims,
        audiences: &[String],
        now: i64,
    ) -> Result<UserInfo, TokenError> {
        if !audiences.contains(&self.issuer) {
            return Err(Refusal::Audience(vec![self.issuer.clone()]).into());
        }
        if claims.sub != user_name(&claims.namespace, &claims.account) {
            return Err(Refusal::Subject.into());
        }
        let secret = self
            .reader
            .get(&SECRETS, &claims.namespace, &claims.secret)
            .filter(|secret| {
                let value = secret.value();
                let held = STANDARD.decode(value["data"]["token"].as_str().unwrap_or_default());
                value["metadata"]["deletionTimestamp"].is_null()
                    && held.is_ok_and(|held| held == token.as_bytes())
            })
            .ok_or(Refusal::Gone("the secret"))?;
        let account = self
            .reader
            .get(&SERVICE_ACCOUNTS, &claims.namespace, &claims.account)
            .filter(|account| account.uid == claims.uid && is_alive(account))
            .ok_or(Refusal::Gone("the service account"))?;
        // Also that of one that is refused: somebody has not noticed yet.
        self.note_use(&secret, now);
        let counters = &self.counters;
        if secret
            .labels
            .get(INVALID_SINCE)
            .is_some_and(|since| !since.is_empty())
        {
            counters.invalid_legacy.add();
            return Err(Refusal::Invalidated {
                secret: format!("{}/{}", claims.namespace, claims.secret),
                account: format!("{}/{}", claims.namespace, claims.account),
            }
            .into());
        }
        counters.legacy.add();
        if lists(&account, &claims.secret) {
            counters.auto_legacy.add();
        } else {
            counters.manual_legacy.add();
        }
        Ok(service_account::account(
            &claims.namespace,
            &claims.account,
            &claims.uid,
        ))
    }

    /// Has the day written to the secret if it is not there yet. That of tomorrow is another server's whose clock is
    /// ahead.
    fn note_use(&self, secret: &Object, now: i64) {
        let today = day(now);
        let noted = secret.labels.get(LAST_USED);
        if noted != Some(today.as_str()) && noted != Some(day(now + DAY).as_str()) {
            self.uses.note(secret, today);
        }
    }

    /// What the user of a good token is to be told.
    pub fn warning(&self, token: &str) -> Option<&'static str> {
        let verified = self.verify(token).ok()?;
        let Verified::Legacy(claims) = &*verified else {
            return None;
        };
        let account = self
            .reader
            .get(&SERVICE_ACCOUNTS, &claims.namespace, &claims.account)?;
        lists(&account, &claims.secret).then_some(ADVICE)
    }

    /// A token for a secret of type `kubernetes.io/service-account-token`.
    pub fn issue_legacy(
        &self,
        namespace: &str,
        secret: &str,
        account: &str,
        uid: &str,
    ) -> Result<String, JwsError> {
        let claims = LegacyClaims {
            iss: ISSUER.to_owned(),
            namespace: namespace.to_owned(),
            secret: secret.to_owned(),
            account: account.to_owned(),
            uid: uid.to_owned(),
            sub: user_name(namespace, account),
        };
        self.key.sign(&serde_json::to_vec(&claims).unwrap_or_default())
    }
}
