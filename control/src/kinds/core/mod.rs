//! The core group: pods, services, nodes, namespaces, configuration, events.

mod claim;
mod component_status;
mod config_map;
pub(in crate::kinds) mod endpoints;
mod event;
mod limits;
mod namespace;
mod node;
mod pod;
mod pod_template;
mod quota;
mod replication_controller;
mod secret;
mod service;
mod service_account;
mod volume;

pub(in crate::kinds) use claim::spec as claim_spec;
pub(in crate::kinds) use service::ingress_point;
pub(crate) use service::{changed_addresses, related_addresses};
pub(in crate::kinds) use volume::inline as inline_volume;

use super::Kind;

/// Its kinds.
pub(super) fn kinds() -> Vec<Kind> {
    vec![
        component_status::kind(),
        config_map::kind(),
        endpoints::kind(),
        event::core(),
        limits::limit_range(),
        quota::kind(),
        namespace::kind(),
        node::kind(),
        pod::kind(),
        pod_template::kind(),
        replication_controller::kind(),
        secret::kind(),
        service::kind(),
        service_account::kind(),
        volume::kind(),
        claim::kind(),
    ]
}

/// The second form of core events.
pub(super) fn events() -> Kind {
    event::events()
}
