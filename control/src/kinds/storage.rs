//! The storage group.

mod attachment;
mod capacity;
mod class;
mod csi_driver;
mod csi_node;

use super::Kind;

const GROUP: &str = "storage.k8s.io/v1";

/// Its kinds.
pub(super) fn kinds() -> Vec<Kind> {
    vec![
        csi_driver::kind(),
        csi_node::kind(),
        capacity::kind(),
        class::kind(),
        attachment::kind(),
    ]
}
