//! Answers on their way out. What one user's and what all answers hold in memory is bounded, as it is on the way in
//! ([`super::intake`]): who asks for much and takes none of it would otherwise fill the memory with the right to read.
//!
//! An answer counts with what it holds while its client takes nothing: a chunk of a large one, which is made as it is
//! taken ([`super::later`]), and all of a small one. It counts until its last byte has left, not until it was handed on.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use hyper::body::{Body as _, Frame, SizeHint};
use keelson_api::status::Status;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::body::{Body, BoxError, FRAME};
use super::cut::{self, Sending};
use super::deadline;
use super::each::Each;
use super::refusal::Refusal;

/// Most bytes that the answers of one user hold.
const MOST_OF_ONE: usize = 8 << 20;
/// Most bytes that all answers hold.
const MOST_OF_ALL: usize = 128 << 20;
/// A read that answers no more than this is not held up: four users who take nothing would keep all others from reading.
const SMALL_READ: usize = 4 << 10;
/// Most reads of one user that wait for room: each holds its answer.
const MOST_WAITING: usize = 32;
/// In which they are counted.
const UNIT: usize = 1 << 10;
const ONE: u32 = (MOST_OF_ONE / UNIT) as u32;
const ALL: u32 = (MOST_OF_ALL / UNIT) as u32;

/// What an answer holds besides the chunk that is being sent; an extension of the response.
#[derive(Debug, Clone, Copy, Default)]
pub struct Takes(pub usize);

/// Notes that this answer holds so many bytes more.
pub fn takes(response: &mut Response<Body>, bytes: usize) {
    response.extensions_mut().get_or_insert_default::<Takes>().0 += bytes;
}

/// The answers under way.
#[derive(Debug)]
pub struct Outgo {
    each: Each,
    waiting: Each,
    all: Arc<Semaphore>,
}

impl Default for Outgo {
    fn default() -> Self {
        Self {
            each: Each::new(MOST_OF_ONE / UNIT),
            waiting: Each::new(MOST_WAITING),
            all: Arc::new(Semaphore::new(MOST_OF_ALL / UNIT)),
        }
    }
}

/// What an answer holds; given back when it and all its frames are gone.
#[derive(Debug)]
pub struct Share {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Outgo {
    /// The answer with its share, once there is room. One that is larger than all room passes alone.
    pub async fn admit(
        &self,
        user: &str,
        mut answer: Response<Body>,
        reads: bool,
        until: Instant,
    ) -> Result<Response<Body>, Refusal> {
        let bytes = held_by(&answer);
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let own = self.each.of(user);
        // Nor is what has been done already, and answers little.
        if bytes <= if reads { SMALL_READ } else { FRAME } {
            if let (Ok(own), Ok(all)) = (
                own.try_acquire_many_owned(units),
                Arc::clone(&self.all).try_acquire_many_owned(units),
            ) {
                answer
                    .extensions_mut()
                    .insert(Arc::new(Share { _own: own, _all: all }));
            }
            return Ok(answer);
        }
        let refused = || {
            Err(Refusal::in_defence(Status::too_many_requests(
                "Too many large answers are under way, please try again later.",
                1,
            )))
        };
        let waiting = self.waiting.of(user).try_acquire_owned();
        if reads && waiting.is_err() {
            return refused();
        }
        let places = async {
            // The user's own first, so that nobody has more than those waiting for the others'.
            let own = own.acquire_many_owned(units.min(ONE)).await.ok()?;
            let all = Arc::clone(&self.all)
                .acquire_many_owned(units.min(ALL))
                .await
                .ok()?;
            Some(Arc::new(Share { _own: own, _all: all }))
        };
        // The timer ends the wait for other clients.
        match tokio::time::timeout_at(until, places).await {
            Ok(Some(share)) => {
                answer.extensions_mut().insert(share);
                Ok(answer)
            }
            // What has been written is not to be tried again as if it had not.
            _ if !reads => Err(Refusal::in_defence(deadline::late())),
            _ => refused(),
        }
    }
}

/// A chunk, or all of what is shorter, and what the answer has noted.
fn held_by(response: &Response<Body>) -> usize {
    let noted = response.extensions().get::<Takes>().map_or(0, |takes| takes.0);
    let size = response.body().size_hint().upper();
    let chunk = size.map_or(FRAME, |size| {
        usize::try_from(size).map_or(FRAME, |size| size.min(FRAME))
    });
    chunk + noted
}

/// The same body, whose frames keep the share.
pub fn counted(inner: Body, share: Arc<Share>) -> Body {
    use http_body_util::BodyExt;
    Counted { inner, share }.boxed_unsync()
}

struct Counted {
    inner: Body,
    share: Arc<Share>,
}

/// Bytes of an answer that has not been sent, with its share.
struct Kept {
    bytes: Bytes,
    _sending: Option<Sending>,
    _share: Arc<Share>,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl hyper::body::Body for Counted {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx));
        let share = &self.share;
        let keep = |bytes: Bytes| {
            Bytes::from_owner(Kept {
                bytes,
                _sending: cut::sending(),
                _share: Arc::clone(share),
            })
        };
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(keep))))
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
    use std::time::Duration;

    use futures::future::poll_immediate;
    use http_body_util::BodyExt;

    use super::super::body::full;
    use super::*;

    fn answer(bytes: usize) -> Response<Body> {
        let mut response = Response::new(full(""));
        takes(&mut response, bytes);
        response
    }

    /// Whether an answer is let through with a share; else the code of the refusal.
    async fn admit(outgo: &Outgo, user: &str, bytes: usize, reads: bool) -> Result<Option<Arc<Share>>, u16> {
        let admitted = outgo.admit(user, answer(bytes), reads, Instant::now()).await;
        let share = |mut answer: Response<Body>| answer.extensions_mut().remove();
        admitted.map(share).map_err(|refusal| refusal.status.code)
    }

    #[tokio::test]
    async fn answers_are_bounded_for_each_user_and_together() {
        let outgo = Outgo::default();
        let mut shares = Vec::new();
        for user in 0..MOST_OF_ALL / MOST_OF_ONE {
            let user = format!("u{user}");
            let user = user.as_str();
            for _ in 0..2 {
                shares.push(admit(&outgo, user, MOST_OF_ONE / 2, true).await.unwrap());
            }
            assert_eq!(
                admit(&outgo, user, SMALL_READ + 1, true).await.unwrap_err(),
                429,
                "{user}"
            );
        }
        // All room is taken by others.
        let later = Instant::now() + Duration::from_hours(1);
        let mut waits = Box::pin(outgo.admit("e", answer(SMALL_READ + 1), true, later));
        assert!(poll_immediate(&mut waits).await.is_none());
        // So many wait, and no more: they would hold what nobody has room for.
        let wait = || Box::pin(outgo.admit("w", answer(SMALL_READ + 1), true, later));
        let mut waiting: Vec<_> = (0..=MOST_WAITING).map(|_| wait()).collect();
        let last = waiting.pop().unwrap();
        for one in &mut waiting {
            assert!(poll_immediate(one).await.is_none());
        }
        assert_eq!(last.await.unwrap_err().status.code, 429);
        drop(waiting);
        // A small read passes.
        assert!(admit(&outgo, "e", SMALL_READ, true).await.unwrap().is_none());
        // What has been done already is not refused, and not held up unless it is large.
        assert!(admit(&outgo, "e", 1, false).await.unwrap().is_none());
        assert_eq!(admit(&outgo, "e", FRAME + 1, false).await.unwrap_err(), 504);
        shares.pop();
        assert!(waits.await.is_ok());
        shares.clear();
        // One that is too large passes alone.
        let whole = admit(&outgo, "a", MOST_OF_ALL * 2, true).await.unwrap();
        assert_eq!(admit(&outgo, "a", SMALL_READ + 1, true).await.unwrap_err(), 429);
        drop(whole);
        assert_eq!(outgo.all.available_permits(), ALL as usize);
    }

    #[tokio::test]
    async fn an_answer_counts_until_its_bytes_are_gone() {
        let outgo = Outgo::default();
        let response = Response::new(full(vec![0; 3 * FRAME]));
        let admitted = outgo.admit("a", response, true, Instant::now()).await;
        let mut response = admitted.unwrap_or_else(|refusal| panic!("{:?}", refusal.status));
        let held = || (ALL as usize - outgo.all.available_permits()) * UNIT;
        assert_eq!(held(), FRAME);
        let share = response.extensions_mut().remove().unwrap();
        let mut body = counted(response.into_body(), share);
        assert_eq!(body.size_hint().exact(), Some(3 * FRAME as u64));
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        drop(body);
        assert_eq!(held(), FRAME);
        drop(frame);
        assert_eq!(held(), 0);
    }
}
