//! The control plane over HTTPS, driven by the real kubectl and by raw requests. One private cluster per test.

mod applies;
mod cluster;
mod custom;
mod deletes;
mod greedy;
mod hardening;
mod kubectl;
mod lists;
mod protobuf;
mod restarts;
mod streams;
mod watches;
mod writes;
