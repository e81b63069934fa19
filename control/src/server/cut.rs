//! Answers of which the client takes nothing are cut off after a while, as upstream cuts off whatever takes longer than a
//! request may: on HTTP/2 the stream, on HTTP/1.1 the connection. Watches and streams are not: they may have nothing to say.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::body::{Body, BoxError};

/// How long a client may take nothing.
pub const PATIENCE: Duration = Duration::from_mins(1);

tokio::task_local! {
    /// Of the HTTP/2 stream or HTTP/1.1 connection that is served.
    static CURRENT: Cut;
}

/// When a stream is cut off.
#[derive(Debug, Clone, Default)]
pub struct Cut(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// When something was taken last of the answer that is being sent, if one is.
    taken: Mutex<Option<Instant>>,
    began: Notify,
}

/// Where hyper runs the streams of HTTP/2 connections.
#[derive(Debug, Clone)]
pub struct Streams {
    /// How long a client may take nothing.
    pub patience: Duration,
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        let patience = self.patience;
        tokio::spawn(async move {
            Cut::unless(patience, stream).await;
        });
    }
}

/// Notes that an answer is being sent on this stream.
pub fn watched(body: Body) -> Body {
    let Ok(cut) = CURRENT.try_with(Clone::clone) else {
        // Of this process.
        return body;
    };
    cut.note(Some(Instant::now()));
    Watched { inner: body, cut }.boxed_unsync()
}

impl Cut {
    /// Serves, unless an answer is not taken for so long; dropping what serves resets the stream or closes the connection.
    pub async fn unless<T>(patience: Duration, serves: impl Future<Output = T>) -> Option<T> {
        let cut = Self::default();
        let due = cut.clone();
        tokio::select! {
            biased;
            ended = CURRENT.scope(cut, serves) => Some(ended),
            () = due.due(patience) => None,
        }
    }

    fn note(&self, taken: Option<Instant>) {
        let mut noted = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.is_none() && taken.is_some() {
            self.0.began.notify_one();
        }
        *noted = taken;
    }

    async fn due(&self, patience: Duration) {
        loop {
            let taken = *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
            match taken.map(|taken| taken + patience) {
                None => self.0.began.notified().await,
                Some(until) if Instant::now() >= until => return,
                // The timer is what the client has left.
                Some(until) => tokio::time::sleep_until(until).await,
            }
        }
    }
}

/// An answer that is being sent.
struct Watched {
    inner: Body,
    cut: Cut,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.cut.note(None);
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
        self.cut.note(frame.is_ready().then(Instant::now));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
