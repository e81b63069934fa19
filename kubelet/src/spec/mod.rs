//! Reading pod specifications: which containers there are, what they ask for. Pure; nothing here touches the host.

mod containers;
mod expand;
pub mod quantity;
mod resources;

pub use containers::{Role, containers, find, restart_policy};
pub use expand::expand;
pub use resources::{container_resources, pod_request, pod_resources, qos_class, qos_name};

#[cfg(test)]
mod tests;
