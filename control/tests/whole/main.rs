//! The whole control plane in one process, with hollow nodes: API server, scheduler and controllers do their real
//! work, and a stand-in for the kubelet says that pods run.

mod batch;
mod collector;
mod cron_policies;
mod hollow;
mod network;
mod nodes;
mod runtime_classes;
mod workloads;
