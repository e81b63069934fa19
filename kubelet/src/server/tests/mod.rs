//! The whole server on real containers, through TLS. Needs root.

mod access;
mod exec;
mod forward;
mod logs;
mod parting;
mod support;
