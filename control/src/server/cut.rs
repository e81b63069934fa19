//! Answers of which the client takes nothing are cut off after a while, as upstream cuts off whatever takes longer than a
//! request may: on HTTP/2 the stream, on HTTP/1.1 the connection. Watches and streams are not: they may have nothing to say.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;

use super::body::{Body, BoxError};
use super::since::Since;

/// How long a client may take nothing.
pub const PATIENCE: Duration = Duration::from_mins(1);

tokio::task_local! {
    /// Of the HTTP/2 stream or HTTP/1.1 connection that is served.
    static CURRENT: Cut;
}

/// When a stream is cut off.
#[derive(Debug, Default)]
pub struct Cut {
    /// When something was taken last of the answer that is being sent, if one is.
    taken: Arc<Since>,
    unsent: Arc<Unsent>,
}

/// The frames that a connection has been given and has not sent. Those of an answer's end outlive its stream on HTTP/2, so
/// a connection on which none leaves for twice the patience is closed.
#[derive(Debug, Default)]
pub struct Unsent {
    frames: Mutex<usize>,
    /// When there began to be some, or one left last.
    left: Since,
}

/// A frame that has not been sent.
#[derive(Debug)]
pub struct Sending(Arc<Unsent>);

impl Unsent {
    fn count(&self, change: impl FnOnce(usize) -> usize) {
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *frames;
        *frames = change(before);
        if *frames == 0 {
            self.left.note(None);
        } else if before == 0 || *frames < before {
            self.left.note(Some(Instant::now()));
        }
    }

    /// Resolves when none has left for so long.
    pub async fn stalled(&self, patience: Duration) {
        self.left.longer_than(patience).await;
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.count(|frames| frames - 1);
    }
}

/// A frame for the connection that is served here; none in this process.
pub fn sending() -> Option<Sending> {
    let unsent = CURRENT.try_with(|cut| Arc::clone(&cut.unsent)).ok()?;
    unsent.count(|frames| frames + 1);
    Some(Sending(unsent))
}

/// Where hyper runs the streams of HTTP/2 connections.
#[derive(Debug, Clone)]
pub struct Streams {
    /// How long a client may take nothing.
    pub patience: Duration,
    /// What the connection has not sent.
    pub unsent: Arc<Unsent>,
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        let (patience, unsent) = (self.patience, Arc::clone(&self.unsent));
        tokio::spawn(async move {
            Cut::unless(patience, unsent, stream).await;
        });
    }
}

/// Notes that an answer is being sent on this stream.
pub fn watched(body: Body) -> Body {
    let Ok(taken) = CURRENT.try_with(|cut| Arc::clone(&cut.taken)) else {
        // Of this process.
        return body;
    };
    taken.note(Some(Instant::now()));
    Watched { inner: body, taken }.boxed_unsync()
}

impl Cut {
    /// Serves, unless an answer is not taken for so long; dropping what serves resets the stream or closes the connection.
    pub async fn unless<T>(
        patience: Duration,
        unsent: Arc<Unsent>,
        serves: impl Future<Output = T>,
    ) -> Option<T> {
        let cut = Self {
            unsent,
            ..Self::default()
        };
        let taken = Arc::clone(&cut.taken);
        tokio::select! {
            biased;
            ended = CURRENT.scope(cut, serves) => Some(ended),
            () = taken.longer_than(patience) => None,
        }
    }
}

/// An answer that is being sent.
struct Watched {
    inner: Body,
    taken: Arc<Since>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.taken.note(None);
    }
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        // It is asked for more when what came before has been taken. What is still being made keeps the client waiting.
        let frame = Pin::new(&mut self.inner).poll_frame(cx);
        self.taken.note(frame.is_ready().then(Instant::now));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_on_which_no_frame_leaves_has_stalled() {
        let unsent = Arc::<Unsent>::default();
        let patience = Duration::from_millis(50);
        let waits = || tokio::time::timeout(4 * patience, unsent.stalled(patience));
        assert!(waits().await.is_err(), "nothing is to be sent");
        let frames = async { [sending(), sending()] };
        let frames = Cut::unless(PATIENCE, Arc::clone(&unsent), frames).await.unwrap();
        assert!(waits().await.is_ok());
        drop(frames);
        assert!(waits().await.is_err(), "all has been sent");
        assert!(sending().is_none(), "no connection");
    }
}
