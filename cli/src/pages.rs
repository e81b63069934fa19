//! What a daemon does with the pages of its program between two pieces of work.
//!
//! A page of code that is touched brings fifteen neighbours into the process's memory, because the kernel maps 64 KB around
//! each fault from the page cache. Our code is spread over 35 MB, so that a control process which had done a little of
//! everything kept 25 MB of the program, a third of it touched, for as long as it ran.

use std::time::Duration;

use keelson_runtime::sys::release_program_pages;

/// How long pages may stay: what an idle daemon touches in that time is a few megabytes, and to map again what a busy one
/// needs takes it less than a ten-thousandth of that time.
const PERIOD: Duration = Duration::from_secs(10);

/// Takes the program's pages out of this process's memory again and again; what is in use is back at once.
///
/// By the clock, because there is no event to wait for: neither the kernel nor the event loop says that a piece of work was
/// the last for a while.
pub async fn release() {
    loop {
        tokio::time::sleep(PERIOD).await;
        if let Err(error) = release_program_pages() {
            tracing::debug!(%error, "the pages of the program stay in memory");
            return; // locked into memory by somebody: nothing that the next time would change
        }
    }
}
