//! Pushing to and pulling from a real registry: Debian's docker-registry, on loopback, for each test its own.

mod push;
mod server;
mod transport;
