//! Requests whose work is long, in threads of their own: the event loop has one, and answers the others meanwhile.
//!
//! A place is held while the work waits for the store, too: what has been made of its body is in memory for as long.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;

use futures::future::BoxFuture;
use http::HeaderMap;
use keelson_api::status::Status;
use tokio::runtime::Handle;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, oneshot};

use super::accept::content_type;
use super::each::Each;

/// Bodies from this size on, and queries: each of thousands of conditions is asked of each object.
const LARGE_BODY: usize = 32 << 10;
const LONG_QUERY: usize = 4 << 10;
/// Most threads: so many large requests are worked on at a time, the others wait.
const MOST: u32 = 2;
/// YAML takes 80 times its size while it is read: from this size on, 40 MB.
const LARGE_YAML: usize = 512 << 10;
/// As the main thread's: objects may be deep.
const STACK: usize = 8 << 20;

/// The places for them.
#[derive(Debug)]
pub struct Apart {
    places: Arc<Semaphore>,
    /// Of which each user has one.
    turns: Each,
}

impl Default for Apart {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(MOST as usize)),
            turns: Each::new(1),
        }
    }
}

/// How many of the places a request takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// One.
    Usual,
    /// All of them, because of the memory that it needs.
    Whole,
}

/// The room for a request with these headers and a body of this size.
pub fn room(headers: &HeaderMap, body: usize) -> Room {
    if body >= LARGE_YAML && content_type(headers).ends_with("yaml") {
        Room::Whole
    } else {
        Room::Usual
    }
}

/// Whether a request with a body and a query of these sizes is one of them.
pub fn is_large(body: usize, query: usize) -> bool {
    body >= LARGE_BODY || query >= LONG_QUERY
}

impl Apart {
    /// Places are given in the order in which they are asked for. Each user asks for one thing at a time, so whoever has many
    /// waits for others' as often as they wait for its.
    async fn place(&self, user: &str, places: u32) -> Result<OwnedSemaphorePermit, AcquireError> {
        let turn = self.turns.of(user);
        let _turn = turn.acquire().await?;
        Arc::clone(&self.places).acquire_many_owned(places).await
    }

    /// Runs the work in a thread. It goes on, and keeps its place, when nobody waits for it any more.
    pub async fn run<T: Send + 'static>(
        &self,
        user: &str,
        work: BoxFuture<'static, T>,
        room: Room,
    ) -> Result<T, Status> {
        let places = match room {
            Room::Usual => 1,
            Room::Whole => MOST,
        };
        let place = self.place(user, places).await;
        let place = place.map_err(|_| Status::internal("the server is closed"))?;
        let (done, outcome) = oneshot::channel();
        let runtime = Handle::current();
        let body = move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| runtime.block_on(work)));
            drop(place);
            let _ = done.send(outcome);
        };
        thread::Builder::new()
            .name("large-request".to_owned())
            .stack_size(STACK)
            .spawn(body)
            .map_err(|error| Status::internal(&format!("no thread for a large request: {error}")))?;
        match outcome.await {
            Ok(Ok(made)) => Ok(made),
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => Err(Status::internal("a large request was given up")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures::FutureExt;
    use futures::future::poll_immediate;
    use http::header::CONTENT_TYPE;

    use super::*;

    #[test]
    fn much_yaml_needs_all_room() {
        let of = |media: &str, size: usize| {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, media.parse().unwrap())]);
            room(&headers, size)
        };
        for media in [
            "application/yaml",
            "application/apply-patch+yaml",
            "application/yaml; charset=utf-8",
        ] {
            assert_eq!(of(media, LARGE_YAML), Room::Whole, "{media}");
            assert_eq!(of(media, LARGE_YAML - 1), Room::Usual, "{media}");
        }
        assert_eq!(of("application/json", LARGE_YAML), Room::Usual);
    }

    #[tokio::test]
    async fn who_needs_all_room_waits_for_the_others() {
        let apart = Apart::default();
        let (finish, finished) = oneshot::channel();
        let ended = Arc::new(AtomicBool::new(false));
        let (first, second) = (Arc::clone(&ended), Arc::clone(&ended));
        let usual = async move {
            drop(finished.await);
            first.store(true, Ordering::SeqCst);
        };
        let whole = async move {
            assert!(second.load(Ordering::SeqCst), "beside another");
        };
        let mut usual = Box::pin(apart.run("a", usual.boxed(), Room::Usual));
        let mut whole = Box::pin(apart.run("b", whole.boxed(), Room::Whole));
        assert!(poll_immediate(&mut usual).await.is_none());
        assert!(poll_immediate(&mut whole).await.is_none());
        finish.send(()).unwrap();
        let (usual, whole) = futures::join!(usual, whole);
        assert!(usual.is_ok() && whole.is_ok());
    }

    #[tokio::test]
    async fn users_take_turns() {
        let apart = Apart::default();
        let all = Arc::clone(&apart.places).acquire_many_owned(MOST).await.unwrap();
        let order = Mutex::new(Vec::new());
        let mut waiting: Vec<_> = ["a", "a", "a", "b"]
            .into_iter()
            .map(|user| {
                let (apart, order) = (&apart, &order);
                Box::pin(async move {
                    let place = apart.place(user, MOST).await.unwrap();
                    order.lock().unwrap().push(user);
                    drop(place);
                })
            })
            .collect();
        for one in &mut waiting {
            assert!(poll_immediate(one).await.is_none());
        }
        drop(all);
        futures::future::join_all(waiting).await;
        assert_eq!(*order.lock().unwrap(), ["a", "b", "a", "a"]);
    }
}
