//! The control plane over HTTPS, driven by the real kubectl and by raw requests. One private cluster per test.

mod answers;
mod applies;
mod bootstrap_tokens;
mod changes;
mod cluster;
mod collector;
mod commands;
mod conditions;
mod custom;
mod deletes;
mod encryption;
mod events;
mod front_proxy;
mod greedy;
mod hardening;
mod identity;
mod kubectl;
mod limits;
mod lists;
mod monitoring;
mod namespaces;
mod operations;
#[path = "../peers/etcd.rs"]
mod peer;
mod pod_security;
mod protobuf;
mod quotas;
mod replication;
mod restarts;
mod storage;
mod streams;
mod surface;
mod warnings;
mod watches;
mod writes;
