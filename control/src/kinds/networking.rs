//! The networking group.

mod address;
mod ingress;
mod ingress_class;
mod policy;

use super::Kind;

/// Its kinds.
pub(super) fn kinds() -> Vec<Kind> {
    vec![
        ingress::kind(),
        ingress_class::kind(),
        address::ip_address(),
        policy::kind(),
        address::service_cidr(),
    ]
}
