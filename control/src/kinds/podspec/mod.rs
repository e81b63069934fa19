//! What pods and pod templates share: defaults, quality of service, validation.

mod affinity;
pub(super) mod annotations;
pub(super) mod apparmor;
mod container_checks;
mod defaults;
mod ephemeral;
mod image;
mod label_keys;
mod pod_checks;
mod qos;
pub(super) mod sources;
mod system;
#[cfg(test)]
mod tests;
mod volume_checks;
mod volume_defaults;
mod windows;

pub(super) use affinity::node_selector;
pub(super) use container_checks::{overcommits, overhead};
pub(super) use defaults::{default_pod_spec, default_template, default_template_in};
pub(super) use ephemeral::claim_names;
pub(super) use label_keys::merge as merge_label_keys;
pub(super) use pod_checks::{tolerations, validate_pod_spec, validate_template, validate_template_metadata};
pub(super) use qos::qos_class;
pub(super) use volume_defaults::default_source;
