//! HTTP towards one registry: which scheme, redirects, authentication when asked for.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, LOCATION, USER_AGENT, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::challenge::Challenge;
use super::failure::Failure;
use super::{Access, tls};
use crate::image::Reference;

/// Waits for a connection: a registry that is not there is an error soon.
pub(super) const CONNECT: Duration = Duration::from_secs(10);
/// Waits for an answer, and for each further piece of it.
pub(super) const SILENCE: Duration = Duration::from_mins(1);
/// Redirects of one request; registries send blobs to their storage.
const REDIRECTS: usize = 5;
/// What we call ourselves.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("keelson/", env!("CARGO_PKG_VERSION")));

/// What a request carries.
pub(super) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// A body that is in memory.
pub(super) fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// A registry and what it needs to know of us.
pub(super) struct Registry {
    http: HyperClient<HttpsConnector<HttpConnector>, Body>,
    /// `https://HOST`
    origin: String,
    pub(super) repository: String,
    /// Whether this registry is spoken to without encryption.
    plain: bool,
    pub(super) access: Access,
    /// `pull` or `pull,push`.
    pub(super) actions: &'static str,
    authorization: Mutex<Option<HeaderValue>>,
}

impl Registry {
    /// The registry of a reference; finds out whether it speaks TLS where it need not.
    pub(super) async fn connect(
        reference: &Reference,
        access: &Access,
        actions: &'static str,
    ) -> Result<Self, Failure> {
        let host = match reference.domain.as_str() {
            "docker.io" => "registry-1.docker.io",
            host => host,
        };
        let lenient = match access.tls_verify {
            Some(verify) => !verify,
            None => is_this_machine(host) && access.authorities.is_empty(),
        };
        let connector = tls::connector(!lenient, &access.authorities).map_err(Failure::lasting)?;
        let mut registry = Self {
            http: HyperClient::builder(TokioExecutor::new()).build(connector),
            origin: format!("https://{host}"),
            repository: reference.path.clone(),
            plain: false,
            access: access.clone(),
            actions,
            authorization: Mutex::new(None),
        };
        if lenient {
            // On this machine plain HTTP is the rule, elsewhere TLS.
            let order = if is_this_machine(host) {
                [true, false]
            } else {
                [false, true]
            };
            registry.choose_scheme(host, order).await?;
        }
        Ok(registry)
    }

    async fn choose_scheme(&mut self, host: &str, order: [bool; 2]) -> Result<(), Failure> {
        let mut first_failure = None;
        for plain in order {
            self.plain = plain;
            self.origin = format!("{}://{host}", if plain { "http" } else { "https" });
            let url: Uri = format!("{}/v2/", self.origin)
                .parse()
                .map_err(|error| Failure::lasting(format!("{host}: {error}")))?;
            let none = HeaderMap::new();
            match self.send(&Method::GET, &url, &none, full(Bytes::new())).await {
                // What servers answer to plain HTTP on their TLS port.
                Ok(answer) if plain && answer.status() == StatusCode::BAD_REQUEST => {}
                Ok(_) => return Ok(()),
                Err(failure) if failure.connecting && first_failure.is_none() => {
                    // Nobody there; but a TLS handshake that fails counts as a connection that fails, too.
                    if plain {
                        return Err(failure);
                    }
                    first_failure = Some(failure);
                }
                Err(failure) => {
                    first_failure.get_or_insert(failure);
                }
            }
        }
        Err(first_failure
            .unwrap_or_else(|| Failure::lasting(format!("{host} speaks neither HTTP nor HTTPS"))))
    }

    /// The URL of something in the repository: `blobs/...`, `manifests/...`.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}/v2/{}/{path}", self.origin, self.repository)
    }

    /// Gets a path below the repository; answers other than success are failures.
    pub(super) async fn get(&self, path: &str, headers: &HeaderMap) -> Result<Response<Incoming>, Failure> {
        let url = self.url(path);
        let answer = self
            .call(&Method::GET, &url, headers, &|| Ok(full(Bytes::new())))
            .await?;
        if answer.status().is_success() {
            Ok(answer)
        } else {
            Err(Failure::answer("GET", &url, answer.status(), answer.headers()))
        }
    }

    /// Sends a request, once more with authorization if that is asked for. `body` is called for each sending.
    pub(super) async fn call(
        &self,
        method: &Method,
        url: &str,
        headers: &HeaderMap,
        body: &dyn Fn() -> Result<Body, Failure>,
    ) -> Result<Response<Incoming>, Failure> {
        let sent = self.authorization();
        let (from, answer) = self.follow(method, url, headers, sent.as_ref(), body).await?;
        // Another host that a redirect led to may ask for what it likes: our credentials are not for it.
        if answer.status() != StatusCode::UNAUTHORIZED || !self.is_home(&from) {
            return Ok(answer);
        }
        // Another request may have got a token meanwhile.
        let known = self.authorization().filter(|known| Some(known) != sent.as_ref());
        let authorization = if let Some(known) = known {
            known
        } else {
            let challenges = answer.headers().get_all(WWW_AUTHENTICATE).iter();
            let challenge = challenges
                .filter_map(|value| value.to_str().ok())
                .find_map(Challenge::parse);
            self.authorize(challenge).await?
        };
        *self.lock() = Some(authorization.clone());
        let (_, answer) = self
            .follow(method, url, headers, Some(&authorization), body)
            .await?;
        Ok(answer)
    }

    fn authorization(&self) -> Option<HeaderValue> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<HeaderValue>> {
        // What it guards is replaced in one step.
        self.authorization
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Sends a request, and again to where it is redirected; also says who answered. Credentials stay with the registry.
    async fn follow(
        &self,
        method: &Method,
        url: &str,
        headers: &HeaderMap,
        authorization: Option<&HeaderValue>,
        body: &dyn Fn() -> Result<Body, Failure>,
    ) -> Result<(Uri, Response<Incoming>), Failure> {
        let mut url: Uri = url
            .parse()
            .map_err(|error| Failure::lasting(format!("{url:.300}: {error}")))?;
        for _ in 0..=REDIRECTS {
            let mut headers = headers.clone();
            if let Some(authorization) = authorization.filter(|_| self.is_home(&url)) {
                headers.insert(AUTHORIZATION, authorization.clone());
            }
            let answer = self.send(method, &url, &headers, body()?).await?;
            if !answer.status().is_redirection() {
                return Ok((url, answer));
            }
            let location = answer
                .headers()
                .get(LOCATION)
                .and_then(|location| location.to_str().ok());
            let location = location.ok_or_else(|| Failure::lasting("a redirect without a location"))?;
            url = target(&url, location).map_err(Failure::lasting)?;
        }
        Err(Failure::lasting("too many redirects"))
    }

    /// Whether a URL is of the registry itself.
    fn is_home(&self, url: &Uri) -> bool {
        let authority = url.authority().map_or("", http::uri::Authority::as_str);
        self.origin == format!("{}://{authority}", url.scheme_str().unwrap_or_default())
    }

    pub(super) async fn send(
        &self,
        method: &Method,
        url: &Uri,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response<Incoming>, Failure> {
        // Without encryption only to a registry that has none, or from there to this machine.
        let allowed = self.plain && (self.is_home(url) || url.host().is_some_and(is_this_machine));
        if url.scheme_str() != Some("https") && !allowed {
            return Err(Failure::lasting(format!(
                "refusing to go on without encryption to {url}"
            )));
        }
        let mut request = Request::builder()
            .method(method)
            .uri(url.clone())
            .header(USER_AGENT, AGENT)
            .body(body)
            .map_err(|error| Failure::lasting(error.to_string()))?;
        request.headers_mut().extend(headers.clone());
        let answer = tokio::time::timeout(SILENCE, self.http.request(request)).await;
        let answer = answer
            .map_err(|_| Failure::passing(format!("{url}: no answer within {} s", SILENCE.as_secs())))?;
        answer.map_err(|error| {
            let reason = format!("failed to do request: {method} \"{url}\": {}", chain(&error));
            if error.is_connect() {
                Failure::connecting(reason)
            } else {
                Failure::passing(reason)
            }
        })
    }
}

/// Where a redirect or an upload leads: a whole URL, or a path on the same host.
pub(super) fn target(from: &Uri, location: &str) -> Result<Uri, String> {
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
pub(super) fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost"
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
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
