//! Answering what a registry asks for (Docker's token authentication specification; RFC 7617 for passwords).

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Response, Uri};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::Deserialize;

use super::Credentials;
use super::challenge::Challenge;
use super::client::{Registry, SILENCE, full};
use super::failure::{self, Failure};

/// Largest answer of a token service.
const SMALL: usize = 64 << 10;

/// A token service's answer.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Registry {
    fn denied(&self) -> Failure {
        let action = if self.actions == "pull" { "pull" } else { "push" };
        Failure::lasting(failure::denied(action))
    }

    /// The header that answers a challenge.
    pub(super) async fn authorize(&self, challenge: Option<Challenge>) -> Result<HeaderValue, Failure> {
        if let Credentials::RegistryToken(token) = &self.access.credentials {
            return secret(&format!("Bearer {token}"));
        }
        let basic = match &self.access.credentials {
            Credentials::Password(user, password) => Some(secret(&format!(
                "Basic {}",
                BASE64.encode(format!("{user}:{password}"))
            ))?),
            _ => None,
        };
        match challenge {
            Some(Challenge::Basic) => basic.ok_or_else(|| self.denied()),
            Some(Challenge::Bearer {
                realm,
                service,
                scope,
            }) => {
                let token = self.token(&realm, service, self.scope(scope), basic).await?;
                secret(&format!("Bearer {token}"))
            }
            None => Err(Failure::lasting(
                "the registry wants an unknown kind of authentication",
            )),
        }
    }

    /// What we want to be allowed: a registry asks only for what the first request needs.
    fn scope(&self, asked: Option<String>) -> Option<String> {
        if self.actions == "pull" && asked.is_some() {
            asked
        } else {
            Some(format!("repository:{}:{}", self.repository, self.actions))
        }
    }

    async fn token(
        &self,
        realm: &str,
        service: Option<String>,
        scope: Option<String>,
        basic: Option<HeaderValue>,
    ) -> Result<String, Failure> {
        let mut parameters: Vec<String> = [("service", service), ("scope", scope)]
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", encode(&value?))))
            .collect();
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let (method, url, body) = if let Credentials::IdentityToken(refresh) = &self.access.credentials {
            parameters.push("grant_type=refresh_token&client_id=keelson".to_owned());
            parameters.push(format!("refresh_token={}", encode(refresh)));
            headers.insert(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            );
            (Method::POST, realm.to_owned(), parameters.join("&"))
        } else {
            if let Some(basic) = basic {
                headers.insert(AUTHORIZATION, basic);
            }
            let separator = if realm.contains('?') { '&' } else { '?' };
            let url = format!("{realm}{separator}{}", parameters.join("&"));
            (Method::GET, url, String::new())
        };
        let url: Uri = url
            .parse()
            .map_err(|error| Failure::lasting(format!("{realm:.200}: {error}")))?;
        let answer = self.send(&method, &url, &headers, full(body.into())).await?;
        let status = answer.status();
        if !status.is_success() {
            return Err(if status.is_server_error() {
                Failure::answer(method.as_str(), realm, status, answer.headers())
            } else {
                self.denied()
            });
        }
        let body = read_small(answer).await?;
        let token: Token = serde_json::from_slice(&body)
            .map_err(|error| Failure::lasting(format!("token of {realm:.200}: {error}")))?;
        token
            .token
            .or(token.access_token)
            .ok_or_else(|| Failure::lasting(format!("{realm:.200} gave no token")))
    }
}

/// A header that no log shows.
fn secret(text: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| Failure::lasting("the credentials cannot be sent in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

async fn read_small(answer: Response<Incoming>) -> Result<Bytes, Failure> {
    let body = tokio::time::timeout(SILENCE, Limited::new(answer.into_body(), SMALL).collect()).await;
    let body = body.map_err(|_| Failure::passing("the token service stalls"))?;
    body.map(http_body_util::Collected::to_bytes)
        .map_err(|error| Failure::passing(format!("the answer of the token service: {error}")))
}

/// Percent-encodes a value of a query.
pub(super) fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
