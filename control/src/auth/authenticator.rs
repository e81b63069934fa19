//! From credentials to a caller.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, CONNECTION, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, HeaderName};
use keelson_api::status::Status;
use keelson_api::time::now;
use serde_json::{Value, json};

use super::bootstrap_token::{self, BootstrapError};
use super::certificate::Presented;
use super::front_proxy::{self, FrontProxy};
use super::service_account::USER_PREFIX;
use super::tokens::{TokenError, Tokens};
use super::{ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, UserInfo};
use crate::object::Reader;

/// Browsers cannot set `Authorization` on a WebSocket and send the token as a sub-protocol with this prefix.
const WEBSOCKET_PREFIX: &str = "base64url.bearer.authorization.k8s.io.";

/// Turns credentials into a caller.
#[derive(Debug)]
pub struct Authenticator {
    tokens: Tokens,
    reader: Arc<dyn Reader>,
    front_proxy: Option<FrontProxy>,
}

impl Authenticator {
    /// From the keys in `pki_dir`; service accounts, secrets and pods are looked up in `reader` so that a deleted
    /// one's token stops working. The cluster domain is `cluster.local`.
    pub fn new(pki_dir: &Path, reader: Arc<dyn Reader>) -> Result<Self, crate::Error> {
        Self::with_domain(pki_dir, "cluster.local", reader)
    }

    /// As [`Self::new`] in a cluster with another domain, which is part of the tokens' issuer.
    pub fn with_domain(pki_dir: &Path, domain: &str, reader: Arc<dyn Reader>) -> Result<Self, crate::Error> {
        Ok(Self {
            tokens: Tokens::new(pki_dir, domain, Arc::clone(&reader))?,
            reader,
            front_proxy: FrontProxy::load(pki_dir)?,
        })
    }

    /// The caller behind a TLS client certificate (already verified against the client CA) or a bearer token;
    /// impersonation headers are resolved by the server, which must authorize them. No credentials: the anonymous
    /// user. Wrong credentials: 401, unless another one is right.
    pub fn authenticate(
        &self,
        certificate: Option<&Presented>,
        headers: &HeaderMap,
    ) -> Result<UserInfo, Status> {
        let now = now();
        let mut refused = false;
        if let Some(certificate) = certificate {
            match certificate.user(now) {
                Ok(Some(user)) => return Ok(complete(user)),
                Ok(None) => {}
                Err(why) => {
                    tracing::debug!(why, "client certificate refused");
                    refused = true;
                }
            }
        }
        if let Some(token) = bearer(headers) {
            match self.token_user(&token, &[self.tokens.issuer().to_owned()]) {
                Ok(user) => return Ok(user),
                Err(error) => {
                    tracing::debug!(%error, "bearer token refused");
                    refused = true;
                }
            }
        }
        if refused {
            Err(Status::unauthorized())
        } else {
            Ok(UserInfo::anonymous())
        }
    }

    /// Whether a verified certificate is that of an authenticating proxy in front of this server, and no client's.
    pub fn is_front_proxy(&self, certificate: &Presented) -> bool {
        self.front_proxy
            .as_ref()
            .is_some_and(|proxy| proxy.issued(certificate))
    }

    /// The caller behind a request that came with such a certificate: whom the proxy names. Its headers are removed.
    pub fn proxied(&self, certificate: &Presented, headers: &mut HeaderMap) -> Result<UserInfo, Status> {
        let Some(proxy) = &self.front_proxy else {
            return Err(Status::unauthorized());
        };
        if let Some(user) = proxy.user(certificate, headers, now()) {
            front_proxy::strip(headers);
            return Ok(complete(user));
        }
        if proxy.is_client(certificate) {
            return self.authenticate(Some(certificate), headers);
        }
        // A certificate that proves nothing is refused, unless a token comes with it.
        match self.authenticate(None, headers)? {
            user if user.name == ANONYMOUS => Err(Status::unauthorized()),
            user => Ok(user),
        }
    }

    /// The caller behind a token that is meant for one of `audiences`.
    pub fn token_user(&self, token: &str, audiences: &[String]) -> Result<UserInfo, TokenError> {
        // The two forms have no token in common: one has two dots and the other has one.
        if bootstrap_token::parse(token).is_some() {
            if !audiences.iter().any(|audience| audience == self.tokens.issuer()) {
                // Tokens without audiences are for this server.
                return Err(BootstrapError::Unknown.into());
            }
            let user = bootstrap_token::user(token, self.reader.as_ref(), now())?;
            return Ok(complete(user));
        }
        self.tokens.user(token, audiences, now()).map(complete)
    }

    /// What the caller behind these headers is to be told about the token in them, if it is what the caller came with.
    pub fn token_warning(&self, user: &UserInfo, headers: &HeaderMap) -> Option<&'static str> {
        // Bound tokens name themselves, so only those in secrets are looked at again.
        if !user.name.starts_with(USER_PREFIX) || !user.extra.is_empty() {
            return None;
        }
        self.tokens.warning(&bearer(headers)?)
    }

    /// The audiences of a valid token.
    pub fn audiences(&self, token: &str) -> Vec<String> {
        if bootstrap_token::parse(token).is_some() {
            return vec![self.tokens.issuer().to_owned()];
        }
        self.tokens.audiences(token).unwrap_or_default()
    }

    /// The token issuer, for the `serviceaccounts/token` subresource.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Answers `POST serviceaccounts/NAME/token`.
    pub fn issue_token(&self, namespace: &str, name: &str, request: &Value) -> Result<Value, Status> {
        self.tokens.issue(namespace, name, request, now())
    }

    /// The document under `/openid/v1/jwks`.
    pub fn jwks(&self) -> Value {
        self.tokens.jwks()
    }

    /// The document under `/.well-known/openid-configuration`; `base` is the server's own URL without a slash at the
    /// end.
    pub fn openid_configuration(&self, base: &str) -> Value {
        json!({
            "issuer": self.tokens.issuer(),
            "jwks_uri": format!("{base}/openid/v1/jwks"),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })
    }
}

/// Adds the group of everybody who is known, as the last step of every authenticator.
pub fn complete(mut user: UserInfo) -> UserInfo {
    if user.name != ANONYMOUS && !user.is_in(AUTHENTICATED) && !user.is_in(UNAUTHENTICATED) {
        user.groups.push(AUTHENTICATED.to_owned());
    }
    user
}

/// The bearer token of a request.
fn bearer(headers: &HeaderMap) -> Option<String> {
    if let Some(value) = headers.get(AUTHORIZATION) {
        // A header that is not text names no scheme of ours and must not pass for no credentials.
        let Ok(text) = value.to_str() else {
            return Some(String::new());
        };
        let mut words = text.trim().split(' ');
        let scheme = words.next()?;
        let token = words.next().filter(|token| !token.is_empty())?;
        return scheme.eq_ignore_ascii_case("bearer").then(|| token.to_owned());
    }
    websocket_bearer(headers)
}

/// The token among the subprotocols of a request for WebSocket. A second one, one that stands alone (there would be no
/// protocol to answer with) and one that is no text is a wrong one (`apiserver/pkg/authentication/request/websocket`).
fn websocket_bearer(headers: &HeaderMap) -> Option<String> {
    let has = |name: HeaderName, word: &str| {
        let values = headers.get_all(name).into_iter();
        let words = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        words.map(str::trim).any(|own| own.eq_ignore_ascii_case(word))
    };
    if !has(UPGRADE, "websocket") || !has(CONNECTION, "upgrade") {
        return None;
    }
    let protocols = headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim);
    let (tokens, others): (Vec<&str>, Vec<&str>) =
        protocols.partition(|protocol| protocol.starts_with(WEBSOCKET_PREFIX));
    let encoded = tokens.first()?.strip_prefix(WEBSOCKET_PREFIX)?;
    let token = URL_SAFE_NO_PAD
        .decode(encoded)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|_| tokens.len() == 1 && !others.is_empty());
    Some(token.unwrap_or_default())
}
