//! Tests of the whole daemon in namespaces of their own, with real traffic.

mod attach;
mod bench;
mod changes;
mod dns;
mod hostile;
mod services;
mod tables;
