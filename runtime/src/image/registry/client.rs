//! HTTP towards one registry: authentication, redirects, limits.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, LOCATION, USER_AGENT, WWW_AUTHENTICATE};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;

use super::challenge::Challenge;
use crate::image::Reference;

/// Waits for a connection: a registry that is not there is an error soon.
const CONNECT: Duration = Duration::from_secs(10);
/// Waits for an answer, and for each further piece of it.
pub(super) const SILENCE: Duration = Duration::from_mins(1);
/// Redirects of one request; registries send blobs to their storage.
const REDIRECTS: usize = 5;
/// Largest answer of a token service, and largest error text that is read.
const SMALL: usize = 64 << 10;
/// What we call ourselves.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("keelson/", env!("CARGO_PKG_VERSION")));

/// A token service's answer.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// A registry and what it needs to know of us.
pub(super) struct Registry {
    http: HyperClient<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    base: String,
    /// Plain HTTP: only on this machine.
    plain: bool,
    credentials: Option<(String, String)>,
    authorization: Option<HeaderValue>,
}

impl Registry {
    /// The registry of a reference. `credentials` are user and password.
    pub(super) fn new(reference: &Reference, credentials: Option<(String, String)>) -> Result<Self, String> {
        let host = match reference.domain.as_str() {
            "docker.io" => "registry-1.docker.io",
            host => host,
        };
        let plain = is_this_machine(host);
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT));
        let provider = rustls::crypto::ring::default_provider();
        let tls = HttpsConnectorBuilder::new();
        let tls = if plain {
            // No authorities: a machine without their certificates can still pull from itself.
            let config = rustls::ClientConfig::builder_with_provider(provider.into())
                .with_safe_default_protocol_versions()
                .map_err(|error| error.to_string())?
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth();
            tls.with_tls_config(config).https_or_http()
        } else {
            tls.with_provider_and_native_roots(provider)
                .map_err(|error| format!("no certificates of public authorities on this machine: {error}"))?
                .https_only()
        };
        let http =
            HyperClient::builder(TokioExecutor::new()).build(tls.enable_http1().wrap_connector(connector));
        let scheme = if plain { "http" } else { "https" };
        Ok(Self {
            http,
            base: format!("{scheme}://{host}/v2/{}", reference.path),
            plain,
            credentials,
            authorization: None,
        })
    }

    /// Gets a path below the repository. Errors are in words.
    pub(super) async fn get(&mut self, path: &str, accept: &str) -> Result<Response<Incoming>, String> {
        let url = format!("{}/{path}", self.base);
        let answer = self.follow(&url, accept).await?;
        if answer.status() != StatusCode::UNAUTHORIZED || self.authorization.is_some() {
            return Self::check(&url, answer);
        }
        let challenges = answer.headers().get_all(WWW_AUTHENTICATE).iter();
        let challenge = challenges
            .filter_map(|value| value.to_str().ok())
            .find_map(Challenge::parse);
        self.authorization = Some(self.authorize(challenge).await?);
        let answer = self.follow(&url, accept).await?;
        Self::check(&url, answer)
    }

    /// Sends a request, and again to where it is redirected. Credentials stay with the registry.
    async fn follow(&self, url: &str, accept: &str) -> Result<Response<Incoming>, String> {
        let mut url: Uri = url.parse().map_err(|error| format!("{url}: {error}"))?;
        let home = url.authority().cloned();
        for _ in 0..=REDIRECTS {
            let authorization = self
                .authorization
                .as_ref()
                .filter(|_| url.authority() == home.as_ref());
            let answer = self.send(&url, accept, authorization).await?;
            if !answer.status().is_redirection() {
                return Ok(answer);
            }
            let location = answer
                .headers()
                .get(LOCATION)
                .and_then(|location| location.to_str().ok());
            url = target(&url, location.ok_or("a redirect without a location")?)?;
        }
        Err("too many redirects".to_owned())
    }

    async fn send(
        &self,
        url: &Uri,
        accept: &str,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response<Incoming>, String> {
        if url.scheme_str() != Some("https") && !(self.plain && url.host().is_some_and(is_this_machine)) {
            return Err(format!("refusing to go on without encryption to {url}"));
        }
        let mut request = Request::get(url.clone())
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, accept);
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
        let answer = tokio::time::timeout(SILENCE, self.http.request(request)).await;
        let answer = answer.map_err(|_| format!("{url}: no answer within {} s", SILENCE.as_secs()))?;
        answer.map_err(|error| {
            format!(
                "failed to do request: Get {:?}: {}",
                url.to_string(),
                chain(&error)
            )
        })
    }

    /// The header that answers a challenge.
    async fn authorize(&self, challenge: Option<Challenge>) -> Result<HeaderValue, String> {
        let denied =
            || "pull access denied, repository does not exist or may require authorization".to_owned();
        let basic = self.credentials.as_ref().map(|(user, password)| {
            let mut value =
                HeaderValue::from_str(&format!("Basic {}", BASE64.encode(format!("{user}:{password}"))))
                    .map_err(|error| error.to_string())?;
            value.set_sensitive(true);
            Ok::<_, String>(value)
        });
        let basic = basic.transpose()?;
        let (realm, service, scope) = match challenge {
            Some(Challenge::Basic) => return basic.ok_or_else(denied),
            Some(Challenge::Bearer {
                realm,
                service,
                scope,
            }) => (realm, service, scope),
            None => return Err("the registry wants an unknown kind of authentication".to_owned()),
        };
        let parameters: Vec<String> = [("service", service), ("scope", scope)]
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", encode(&value?))))
            .collect();
        let separator = if realm.contains('?') { '&' } else { '?' };
        let url = format!("{realm}{separator}{}", parameters.join("&"));
        let url: Uri = url.parse().map_err(|error| format!("{realm}: {error}"))?;
        let answer = self.send(&url, "application/json", basic.as_ref()).await?;
        if !answer.status().is_success() {
            return Err(denied());
        }
        let body = read_small(answer).await?;
        let token: Token =
            serde_json::from_slice(&body).map_err(|error| format!("token of {realm}: {error}"))?;
        let token = token
            .token
            .or(token.access_token)
            .ok_or_else(|| format!("{realm} gave no token"))?;
        let mut value =
            HeaderValue::from_str(&format!("Bearer {token}")).map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn check(url: &str, answer: Response<Incoming>) -> Result<Response<Incoming>, String> {
        match answer.status() {
            status if status.is_success() => Ok(answer),
            StatusCode::NOT_FOUND => Err("not found".to_owned()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(
                "pull access denied, repository does not exist or may require authorization: authorization failed"
                    .to_owned(),
            ),
            StatusCode::TOO_MANY_REQUESTS => Err(format!("{url}: too many requests; the registry limits pulls")),
            status => Err(format!("unexpected status from GET request to {url}: {status}")),
        }
    }
}

async fn read_small(answer: Response<Incoming>) -> Result<Bytes, String> {
    let body = tokio::time::timeout(SILENCE, Limited::new(answer.into_body(), SMALL).collect()).await;
    let body = body.map_err(|_| "the token service stalls".to_owned())?;
    body.map(http_body_util::Collected::to_bytes)
        .map_err(|error| error.to_string())
}

/// Where a redirect leads: a whole URL, or a path on the same host.
fn target(from: &Uri, location: &str) -> Result<Uri, String> {
    let bad = || format!("redirect to {location:.200?}");
    let location = if location.starts_with('/') {
        let authority = from.authority().ok_or_else(bad)?;
        format!("{}://{authority}{location}", from.scheme_str().unwrap_or("https"))
    } else {
        location.to_owned()
    };
    location.parse().map_err(|_| bad())
}

/// `localhost` and loopback addresses, with or without a port.
fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost"
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn encode(text: &str) -> String {
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

/// An error with its causes: hyper hides the interesting one.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        words = format!("{words}: {error}");
        source = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_goes_without_encryption() {
        for host in [
            "localhost",
            "localhost:5000",
            "127.0.0.1:5000",
            "127.9.9.9",
            "[::1]:5000",
        ] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "example.com",
            "10.0.0.1:5000",
            "localhost.example.com",
            "[fd00::1]",
            "",
        ] {
            assert!(!is_this_machine(host), "{host}");
        }
    }

    #[test]
    fn redirects() {
        let from: Uri = "https://a.test/v2/x".parse().unwrap();
        assert_eq!(target(&from, "/y?z=1").unwrap(), "https://a.test/y?z=1");
        assert_eq!(target(&from, "https://b.test/y").unwrap(), "https://b.test/y");
        assert!(target(&from, "\u{7f}").is_err());
    }
}
