//! The whole agent with the real runtime, against an API server and a netd of the test's own. Needs root.
//!
//! The API server here is a stand-in of a few verbs (`api`), so that a test can take it away and bring it back; the
//! real one meets the agent in the workspace's whole-system tests. Pods use the host's network: netd has nothing to
//! attach.

mod api;
mod lifecycle;
mod netd;
mod node;
mod restart;
