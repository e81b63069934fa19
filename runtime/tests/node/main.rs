//! The node runtime on real containers. Needs root.
//!
//! Every test has a runtime of its own (directories, cgroup), which its guard resets.

mod basics;
mod busybox;
mod confinement;
mod faults;
mod logs;
mod sessions;
mod support;
