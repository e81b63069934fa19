//! The core group: pods, services, nodes, namespaces, configuration, events.

mod config_map;
mod endpoints;
mod event;
mod namespace;
mod node;
mod pod;
mod pod_template;
mod secret;
mod service;
mod service_account;

use super::Kind;

/// Its kinds.
pub(super) fn kinds() -> Vec<Kind> {
    vec![
        config_map::kind(),
        endpoints::kind(),
        event::core(),
        namespace::kind(),
        node::kind(),
        pod::kind(),
        pod_template::kind(),
        secret::kind(),
        service::kind(),
        service_account::kind(),
    ]
}

/// The second form of core events.
pub(super) fn events() -> Kind {
    event::events()
}
