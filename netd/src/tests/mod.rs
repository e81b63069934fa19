//! Tests of the whole daemon in namespaces of their own, with real traffic.

mod attach;
mod dns;
mod services;
mod tables;
