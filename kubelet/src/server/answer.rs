//! Answers of the server.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Response, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use keelson_streams::upgrade::ACCEPTED_PROTOCOLS;
use tokio::sync::mpsc;

/// A body of any kind.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;
/// An answer.
pub(super) type Answer = Response<Body>;
/// The writing end of a [`stream`].
pub(super) type Sender = mpsc::Sender<Bytes>;

/// Chunks of a streamed body that wait for the socket.
const CHUNKS: usize = 2;

/// A status and a text body.
pub(super) fn whole(status: u16, body: impl Into<Body>) -> Answer {
    let mut answer = Response::new(body.into());
    *answer.status_mut() =
        http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    answer
}

/// A failure in plain words, as upstream's kubelet answers.
pub(super) fn failure(status: u16, words: &str) -> Answer {
    whole(status, full(words.to_owned()))
}

/// 101, after which both ends speak something else.
pub(super) fn switch(answer: Response<()>) -> Answer {
    answer.map(|()| full(""))
}

/// 403 to a SPDY client that does not know the protocol over it.
pub(super) fn refuse_spdy(known: &'static str) -> Answer {
    let mut answer = failure(403, "unable to upgrade: unable to negotiate protocol");
    let known = header::HeaderValue::from_static(known);
    answer.headers_mut().insert(ACCEPTED_PROTOCOLS, known);
    answer
}

/// JSON.
pub(super) fn json(value: &impl serde::Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(bytes) => {
            let mut answer = whole(200, full(bytes));
            let json = header::HeaderValue::from_static("application/json");
            answer.headers_mut().insert(header::CONTENT_TYPE, json);
            answer
        }
        Err(error) => failure(500, &error.to_string()),
    }
}

/// A body that is there.
pub(super) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

/// A body that is written bit by bit. Sending waits for a slow client and fails when it is gone.
pub(super) fn stream() -> (Sender, Body) {
    let (sender, receiver) = mpsc::channel::<Bytes>(CHUNKS);
    let frames = futures::stream::unfold(receiver, |mut receiver| async {
        let chunk = receiver.recv().await?;
        Some((Ok(Frame::data(chunk)), receiver))
    });
    (sender, StreamBody::new(frames).boxed_unsync())
}
