//! Requests to the kubelet of a pod's node, and its refusals.

use std::fmt::Write;

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use keelson_api::status::{Outcome, Status};

use super::target::{self, Target};
use crate::object::GroupResource;
use crate::server::Api;
use crate::server::body::{self, Body};
use crate::server::call::Call;

/// Most bytes of a kubelet's error text.
const MOST_ERROR: usize = 8 << 10;

/// The kubelet of a node by name.
pub fn locate(api: &Api, node: &str) -> Result<Target, Status> {
    let object = api
        .store
        .get(&GroupResource::new("", "nodes"), node)
        .ok_or_else(|| Status::not_found("", "nodes", node))?;
    target::kubelet(&object.value())
}

/// A request to a kubelet.
pub fn request(
    path: &str,
    query: &[(&str, String)],
    method: &Method,
    headers: HeaderMap,
) -> Result<Request<Body>, Status> {
    let query: Vec<String> = query
        .iter()
        .map(|(name, value)| format!("{name}={}", percent_encode(value)))
        .collect();
    let uri = if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", query.join("&"))
    };
    let mut request = Request::builder()
        .method(method)
        .uri(uri)
        .body(body::full(bytes::Bytes::new()))
        .map_err(|error| Status::bad_request(error.to_string()))?;
    *request.headers_mut() = headers;
    if !request.headers().contains_key(http::header::HOST) {
        request
            .headers_mut()
            .insert(http::header::HOST, HeaderValue::from_static("kubelet"));
    }
    Ok(request)
}

/// Percent-encodes a query value.
fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte as char);
        } else {
            // Writing into a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The text of a kubelet's refusal.
pub async fn words(response: Response<Incoming>) -> String {
    match Limited::new(response.into_body(), MOST_ERROR).collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).trim_end().to_owned(),
        Err(_) => String::new(),
    }
}

/// Codes of failures; what else a kubelet calls a code is none.
pub const FAILURES: std::ops::Range<u16> = 400..600;

/// A kubelet's refusal as a Status, if that is what the text of an answer with this code is.
pub fn failure(text: &str, code: StatusCode) -> Option<Status> {
    let mut status: Status = serde_json::from_str(text).ok()?;
    if !FAILURES.contains(&status.code) {
        status.code = Some(code.as_u16())
            .filter(|code| FAILURES.contains(code))
            .unwrap_or(500);
    }
    (status.status == Outcome::Failure).then_some(status)
}

/// A kubelet's refusal in the API's terms (`rest.GenericHttpResponseChecker`).
pub async fn refused(call: &Call, response: Response<Incoming>) -> Status {
    let code = response.status();
    let text = words(response).await;
    if let Some(status) = failure(&text, code) {
        return status;
    }
    match code {
        StatusCode::INTERNAL_SERVER_ERROR => Status::internal(&text),
        StatusCode::BAD_REQUEST => Status::bad_request(text),
        code => {
            let message = if text.is_empty() {
                format!(
                    "the server responded with the status code {} but did not return more information",
                    code.as_u16()
                )
            } else {
                text
            };
            let reason = match code.as_u16() {
                401 => "Unauthorized",
                403 => "Forbidden",
                404 => "NotFound",
                _ => "Unknown",
            };
            let details =
                serde_json::from_value(serde_json::json!({"name": call.path.name, "kind": "pods"})).ok();
            Status::failure(code.as_u16().max(400), reason, message, details)
        }
    }
}
