//! Descriptors in the event loop.

use std::io;
use std::os::fd::AsRawFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers a descriptor that `owner` owns.
pub(super) fn watch<T: AsRawFd>(owner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    // Deprecated because a type might close its descriptor while it is registered. Ours keep theirs until they are
    // dropped with the registration; the replacement is unsafe, and this crate has no unsafe code.
    #[allow(deprecated)]
    AsyncFd::with_interest(owner, interest)
}
