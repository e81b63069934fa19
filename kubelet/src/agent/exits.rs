//! The runtime's events, passed to the workers they concern.

use std::os::fd::{AsFd, AsRawFd, RawFd};

use keelson_runtime::node::{Event, Events};
use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

use super::dispatch::Dispatcher;
use crate::Error;
use crate::worker::last_word;

struct Source(Events);

impl AsRawFd for Source {
    fn as_raw_fd(&self) -> RawFd {
        self.0.fd().as_fd().as_raw_fd()
    }
}

/// Follows the events for as long as the agent runs.
pub(super) async fn follow(events: Events, dispatcher: Dispatcher) -> Result<(), Error> {
    let io = |source| Error::Io {
        what: "watch for runtime events".into(),
        source,
    };
    #[expect(
        deprecated,
        reason = "its replacement is unsafe; Events keeps one descriptor open until it is dropped"
    )]
    let mut source = AsyncFd::with_interest(Source(events), Interest::READABLE).map_err(io)?;
    loop {
        drop(ready(&source).await.map_err(io)?);
        while let Some(event) = source.get_mut().0.try_next()? {
            let (Event::Exited(id) | Event::Oom(id)) = &event;
            if matches!(event, Event::Exited(_)) {
                report(&dispatcher, id.clone());
            }
        }
    }
}

async fn ready(source: &AsyncFd<Source>) -> std::io::Result<AsyncFdReadyGuard<'_, Source>> {
    let mut guard = source.readable().await?;
    // Cleared before the events are taken: one that comes while they are taken sets it again.
    guard.clear_ready();
    Ok(guard)
}

fn report(dispatcher: &Dispatcher, id: String) {
    let dispatcher = dispatcher.clone();
    tokio::spawn(async move {
        // One that is removed already has nobody who waits for it.
        if let Some((uid, said)) = last_word(&dispatcher.context.runtime, &id).await {
            dispatcher.send(&uid, said);
        }
    });
}
