//! `httpGet`.

mod tls;

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION, HOST, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;

use super::runner::Verdict;
use super::target::Target;
use super::tcp;

/// Redirects followed, as Go's client does.
const MAX_REDIRECTS: usize = 10;
/// Longest wait for a connection: bounded by the probe's timeout anyway.
const CONNECT: Duration = Duration::from_mins(1);

pub(super) async fn probe(target: &Target, timeout: Duration) -> Verdict {
    let shown = format!("Get {:?}", target.url());
    match tokio::time::timeout(timeout, get(target)).await {
        Ok(Ok(status)) if (200..400).contains(&status) => Verdict::Success,
        Ok(Ok(status)) => Verdict::Failure(format!("HTTP probe failed with statuscode: {status}")),
        Ok(Err(error)) => Verdict::Failure(format!("{shown}: {error}")),
        Err(_) => Verdict::Failure(format!(
            "{shown}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        )),
    }
}

/// Makes the request and gives the status code. Redirects are followed on the same host; one to elsewhere counts as
/// the answer.
pub async fn get(target: &Target) -> Result<u16, String> {
    let mut target = target.clone();
    for _ in 0..MAX_REDIRECTS {
        let (status, location) = request(&target).await?;
        let redirect = matches!(status, 301 | 302 | 303 | 307 | 308);
        match location
            .filter(|_| redirect)
            .and_then(|location| follow(&target, &location))
        {
            Some(next) => target = next,
            None => return Ok(status),
        }
    }
    Err(format!("stopped after {MAX_REDIRECTS} redirects"))
}

/// The next target if it is on the same host.
pub(super) fn follow(from: &Target, location: &str) -> Option<Target> {
    let uri: http::Uri = location.parse().ok()?;
    let path = uri
        .path_and_query()
        .map_or_else(|| "/".to_owned(), ToString::to_string);
    let mut next = Target { path, ..from.clone() };
    if let Some(host) = uri.host() {
        if host.trim_matches(['[', ']']) != from.host {
            return None;
        }
        next.tls = uri.scheme_str() == Some("https");
        next.port = uri.port_u16().unwrap_or(if next.tls { 443 } else { 80 });
    } else if !next.path.starts_with('/') {
        return None;
    }
    Some(next)
}

async fn request(target: &Target) -> Result<(u16, Option<String>), String> {
    let stream = tcp::connect(&target.host, target.port, CONNECT).await?;
    if target.tls {
        let stream = tls::connect(stream, &target.host).await?;
        exchange(target, TokioIo::new(stream)).await
    } else {
        exchange(target, TokioIo::new(stream)).await
    }
}

async fn exchange<S>(target: &Target, stream: S) -> Result<(u16, Option<String>), String>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream)
        .await
        .map_err(|e| text(&e))?;
    let mut request = http::Request::get(&target.path)
        .body(Empty::<Bytes>::new())
        .map_err(|e| text(&e))?;
    let headers = request.headers_mut();
    let authority = format!("{}:{}", target.url_host(), target.port);
    headers.insert(HOST, HeaderValue::from_str(&authority).map_err(|e| text(&e))?);
    headers.insert(USER_AGENT, HeaderValue::from_static("kube-probe/1.33"));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let mut replaced = Vec::new();
    for (name, value) in &target.headers {
        let name: HeaderName = name.parse().map_err(|e| text(&e))?;
        let value = HeaderValue::from_str(value).map_err(|e| text(&e))?;
        // The first of a name replaces our own, further ones add to it.
        if replaced.contains(&name) {
            headers.append(name, value);
        } else {
            headers.insert(name.clone(), value);
            replaced.push(name);
        }
    }
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|e| text(&e))?;
        let location = response
            .headers()
            .get(LOCATION)
            .and_then(|l| l.to_str().ok())
            .map(str::to_owned);
        // The body does not matter; the connection closes with it unread.
        Ok((response.status().as_u16(), location))
    };
    let mut exchange = std::pin::pin!(exchange);
    // The connection is driven here and not in a task of its own, so that nothing outlives the probe.
    tokio::select! {
        biased;
        result = &mut exchange => result,
        ended = connection => match ended {
            // It may have ended in the very step that brought the answer.
            Ok(()) => exchange.await,
            Err(error) => Err(error.to_string()),
        },
    }
}
