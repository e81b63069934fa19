//! Bodies: reading requests within limits, and making answers.

use std::convert::Infallible;
use std::io::Write;

use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER, VARY};
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Collected, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::Frame;
use keelson_api::status::Status;
use serde_json::Value;

use super::accept::Encoding;
use super::protobuf;

/// An error that ends a body early.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// A request's or answer's body.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// Largest request body (upstream: 3 MiB).
pub const MOST_BYTES: usize = 3 << 20;
/// Answers from this size on are compressed for clients that take gzip (upstream: 128 KiB).
const COMPRESS_FROM: usize = 128 << 10;

/// A body of one piece.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// A body in pieces.
pub fn stream(pieces: impl Stream<Item = Bytes> + Send + 'static) -> Body {
    StreamBody::new(pieces.map(|piece| Ok(Frame::data(piece)))).boxed_unsync()
}

/// Reads a request's body.
pub async fn read(body: Body) -> Result<Bytes, Status> {
    // Boxed, because the compiler cannot see through `Limited`'s error conversion in the callers' futures.
    let collected: BoxFuture<'static, Result<Collected<Bytes>, BoxError>> =
        Limited::new(body, MOST_BYTES).collect().boxed();
    match collected.await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Status::too_large(&format!("limit is {MOST_BYTES}")))
        }
        Err(error) => Err(Status::bad_request(format!("unable to read the body: {error}"))),
    }
}

/// A JSON answer.
pub fn json(code: StatusCode, bytes: impl Into<Bytes>) -> Response<Body> {
    with_type(code, "application/json", full(bytes))
}

/// A plain text answer.
pub fn text(code: StatusCode, text: impl Into<String>) -> Response<Body> {
    with_type(code, "text/plain; charset=utf-8", full(text.into()))
}

/// An answer with a content type.
pub fn with_type(code: StatusCode, media: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    response
}

/// A Status as an answer.
pub fn status(encoding: Encoding, status: &Status) -> Response<Body> {
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let code = if status.code == 0 { StatusCode::OK } else { code };
    let mut response = match encoding {
        // A Status consists of strings and numbers, which always serialize.
        Encoding::Json => json(code, serde_json::to_vec(status).unwrap_or_default()),
        _ => value(code, encoding, &serde_json::to_value(status).unwrap_or_default()),
    };
    let retry = status
        .details
        .as_ref()
        .and_then(|details| details.retry_after_seconds);
    if let Some(seconds) = retry {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// A value as an answer.
pub fn value(code: StatusCode, encoding: Encoding, value: &Value) -> Response<Body> {
    match encoding {
        // A Value always serializes.
        Encoding::Json => json(code, serde_json::to_vec(value).unwrap_or_default()),
        Encoding::Yaml => yaml(code, value),
        Encoding::Protobuf => match protobuf::document(value) {
            Some(bytes) => with_type(code, keelson_api::protobuf::MEDIA_TYPE, full(bytes)),
            // The few documents that are no kind have no other form; clients tell by the content type.
            None => json(code, serde_json::to_vec(value).unwrap_or_default()),
        },
    }
}

/// A value as YAML.
pub fn yaml(code: StatusCode, value: &Value) -> Response<Body> {
    let text = serde_yaml_ng::to_string(value).unwrap_or_default();
    with_type(code, "application/yaml", full(text))
}

/// Compresses an answer that is large enough, piece by piece. `size` is that of the whole body.
pub fn compress(mut response: Response<Body>, size: usize, wanted: bool) -> Response<Body> {
    if !wanted || size < COMPRESS_FROM {
        return response;
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    response.map(|body| {
        let encoder = Some(GzEncoder::new(Vec::new(), Compression::fast()));
        let pieces = futures::stream::unfold((body, encoder), |(mut body, encoder)| async move {
            let mut encoder = encoder?;
            loop {
                let frame = body.frame().await;
                // Writing into memory cannot fail.
                let out = match frame {
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data() {
                            encoder.write_all(&data).ok()?;
                        }
                        std::mem::take(encoder.get_mut())
                    }
                    Some(Err(_)) => return None,
                    None => return Some((Bytes::from(encoder.finish().ok()?), (body, None))),
                };
                if !out.is_empty() {
                    return Some((Bytes::from(out), (body, Some(encoder))));
                }
            }
        });
        stream(pieces)
    })
}

/// Collects pieces into chunks, so that a long list is sent in few writes and never copied as a whole.
pub fn chunks(mut pieces: impl Iterator<Item = Bytes> + Send + 'static) -> Body {
    const CHUNK: usize = 64 << 10;
    stream(futures::stream::iter(std::iter::from_fn(move || {
        let mut chunk = BytesMut::new();
        while chunk.len() < CHUNK {
            match pieces.next() {
                Some(piece) => chunk.extend_from_slice(&piece),
                None => break,
            }
        }
        (!chunk.is_empty()).then(|| chunk.freeze())
    })))
}
