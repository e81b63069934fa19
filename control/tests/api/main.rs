//! The control plane over HTTPS, driven by the real kubectl and by raw requests. One private cluster per test.

mod applies;
mod bootstrap_tokens;
mod cluster;
mod collector;
mod custom;
mod deletes;
mod encryption;
mod front_proxy;
mod greedy;
mod hardening;
mod identity;
mod kubectl;
mod limits;
mod lists;
mod namespaces;
#[path = "../peers/etcd.rs"]
mod peer;
mod protobuf;
mod quotas;
mod restarts;
mod storage;
mod streams;
mod watches;
mod writes;
