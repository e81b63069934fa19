//! The `Host` header of HTTP/1.1, of which there is exactly one (RFC 9112, section 3.2), as Go's server demands.

use http::header::{CONNECTION, HOST, HeaderValue};
use http::{Request, Response, StatusCode, Version};

use super::body::{self, Body};

/// The refusal of a request that does not say which host it means, or says two. The connection ends with it: another
/// server on the way may have understood something else.
pub fn check<T>(request: &Request<T>) -> Result<(), Response<Body>> {
    let hosts = request.headers().get_all(HOST).iter().count();
    let why = match (request.version(), hosts) {
        (Version::HTTP_11, 0) => "missing required Host header",
        (_, 0 | 1) => return Ok(()),
        _ => "too many Host headers",
    };
    let mut refused = body::text(StatusCode::BAD_REQUEST, format!("400 Bad Request: {why}"));
    refused
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    Err(refused)
}
