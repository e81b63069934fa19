//! The pages of a daemon's program that only its start needed.
//!
//! A page of code that is touched brings fifteen neighbours into the process's memory, because the kernel maps 64 KB around
//! each fault from the page cache. A start touches much that is never needed again: of 25 MB of the program that a control
//! process kept, it had touched two fifths.

use std::time::Duration;

use keelson_runtime::sys::release_program_pages;

/// How long a start takes at most, with what follows it: caches are filled, the first objects written.
const SETTLED: Duration = Duration::from_secs(10);

/// Takes the program's pages out of this process's memory, once, when its start is over; what is in use is back at once.
pub async fn release() {
    // By the clock, because nothing says that a piece of work was the last of a start.
    tokio::time::sleep(SETTLED).await;
    if let Err(error) = release_program_pages() {
        // Locked into memory by somebody.
        tracing::debug!(%error, "the pages of the program stay in memory");
    }
}
