//! The store of a control plane as an operator meets it: snapshots, and a disk that fails.

mod failing_disk;
mod place;
mod snapshot;
