//! Bodies: reading requests within limits, and making answers.

use std::convert::Infallible;
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, EXPECT, HeaderValue, RETRY_AFTER, VARY};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Collected, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::{Body as _, Frame, SizeHint};
use keelson_api::status::Status;
use serde_json::Value;

use super::accept::Encoding;
use super::outgo::takes;
use super::protobuf;

/// What a compressor holds, about.
const COMPRESSOR: usize = 320 << 10;

/// An error that ends a body early.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// A request's or answer's body.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// Largest request body (upstream: 3 MiB).
pub const MOST_BYTES: usize = 3 << 20;
/// Largest piece of an answer that is made while it is sent.
pub const FRAME: usize = 64 << 10;
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

/// The body, and something that is to be there as long as it is.
pub fn holding(body: Body, held: impl Send + 'static) -> Body {
    body.map_frame(move |frame| {
        let _ = &held;
        frame
    })
    .boxed_unsync()
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

/// A JSON answer, which ends with a new line as those of Go's encoder do.
pub fn json(code: StatusCode, document: impl Into<Bytes>) -> Response<Body> {
    const END: &[u8] = b"\n";
    let document = document.into();
    let size = document.len() + END.len();
    // What a large piece becomes on its way (compressed, indented) is not made at once.
    let body = if document.len() > FRAME {
        chunks([document, Bytes::from_static(END)].into_iter(), size)
    } else {
        let mut line = Vec::with_capacity(size);
        line.extend_from_slice(&document);
        line.extend_from_slice(END);
        full(line)
    };
    with_type(code, "application/json", body)
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
    made(match encoding {
        // A Value always serializes.
        Encoding::Json => json(code, serde_json::to_vec(value).unwrap_or_default()),
        Encoding::Yaml => yaml(code, value),
        Encoding::Protobuf => match protobuf::document(value) {
            Some(bytes) => with_type(code, keelson_api::protobuf::MEDIA_TYPE, full(bytes)),
            // The few documents that are no kind have no other form; clients tell by the content type.
            None => json(code, serde_json::to_vec(value).unwrap_or_default()),
        },
    })
}

/// An answer whose bytes are nobody else's: all of them count, not a chunk alone.
pub fn made(mut response: Response<Body>) -> Response<Body> {
    let size = response.body().size_hint().upper().unwrap_or(0);
    let more = usize::try_from(size).unwrap_or(usize::MAX).saturating_sub(FRAME);
    takes(&mut response, more);
    response
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
    takes(&mut response, COMPRESSOR);
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
                    Some(Err(error)) => return Some((Err(error), (body, None))),
                    None => return Some((Ok(Bytes::from(encoder.finish().ok()?)), (body, None))),
                };
                if !out.is_empty() {
                    return Some((Ok(Bytes::from(out)), (body, Some(encoder))));
                }
            }
        });
        StreamBody::new(pieces.map(|piece: Result<Bytes, BoxError>| piece.map(Frame::data))).boxed_unsync()
    })
}

/// Collects pieces into chunks, so that a long list is sent in few writes and never copied as a whole. `size` is that of
/// all together.
pub fn chunks(pieces: impl Iterator<Item = Bytes> + Send + 'static, size: usize) -> Body {
    Chunks {
        pieces: Box::new(pieces),
        large: Bytes::new(),
        left: size as u64,
    }
    .boxed_unsync()
}

/// A body whose size is known.
struct Chunks {
    pieces: Box<dyn Iterator<Item = Bytes> + Send>,
    /// What is left of a large piece, which is sent as it is: it may be stored bytes, which cost nothing.
    large: Bytes,
    left: u64,
}

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        const LARGE: usize = 16 << 10;
        let mut chunk = BytesMut::new();
        while self.large.is_empty() && chunk.len() < FRAME - LARGE {
            match self.pieces.next() {
                Some(piece) if piece.len() >= LARGE => self.large = piece,
                Some(piece) => chunk.extend_from_slice(&piece),
                None => break,
            }
        }
        let chunk = if chunk.is_empty() {
            let size = self.large.len().min(FRAME);
            self.large.split_to(size)
        } else {
            chunk.freeze()
        };
        self.left = self.left.saturating_sub(chunk.len() as u64);
        Poll::Ready((!chunk.is_empty()).then(|| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Reads what is left of a body that nobody wants, within bounds: a client that is still sending when its connection ends
/// does not see the answer. Who waits to be asked for the body is not.
pub async fn drain(headers: &HeaderMap, mut body: Body) {
    const PATIENCE: Duration = Duration::from_secs(2);
    let waits = headers
        .get(EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if waits || body.is_end_stream() {
        return;
    }
    let mut left = MOST_BYTES;
    let rest = async {
        while let Some(Ok(frame)) = body.frame().await {
            let read = frame.data_ref().map_or(0, Bytes::len);
            left = left.saturating_sub(read);
            if left == 0 {
                return;
            }
        }
    };
    // The timer ends clients that send slowly: they have had their chance.
    drop(tokio::time::timeout(PATIENCE, rest).await);
}
