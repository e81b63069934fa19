//! Requests whose work is long, in threads of their own: the event loop has one, and answers the others meanwhile.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;

use futures::future::BoxFuture;
use http::Response;
use keelson_api::status::Status;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};

use super::body::Body;

/// Bodies from this size on, and queries: each of thousands of conditions is asked of each object.
const LARGE_BODY: usize = 32 << 10;
const LONG_QUERY: usize = 4 << 10;
/// Most threads: so many large requests are worked on at a time, the others wait.
const MOST: usize = 2;
/// As the main thread's: objects may be deep.
const STACK: usize = 8 << 20;

/// The places for them.
#[derive(Debug)]
pub struct Apart(Arc<Semaphore>);

impl Default for Apart {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

/// Whether a request with a body and a query of these sizes is one of them.
pub fn is_large(body: usize, query: usize) -> bool {
    body >= LARGE_BODY || query >= LONG_QUERY
}

impl Apart {
    /// Runs the work in a thread. It goes on, and keeps its place, when nobody waits for it any more.
    pub async fn run(
        &self,
        work: BoxFuture<'static, Result<Response<Body>, Status>>,
    ) -> Result<Response<Body>, Status> {
        let place = Arc::clone(&self.0).acquire_owned().await;
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
            Ok(Ok(answer)) => answer,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => Err(Status::internal("a large request was given up")),
        }
    }
}
