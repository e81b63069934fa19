//! Waiting for a descriptor to become readable.

#![allow(unsafe_code)] // tokio asks for a promise about the descriptor that an `OwnedFd` keeps.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::unix::AsyncFd;

/// Registers `fd` (a socket, an inotify instance) with the runtime.
pub(crate) fn readiness(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open and gives the same number until it is dropped; `AsyncFd` owns it and unregisters it
    // first.
    unsafe { AsyncFd::register(fd) }.map_err(io::Error::from)
}
