//! The `Store` trait with etcd semantics, and its embedded implementation.
