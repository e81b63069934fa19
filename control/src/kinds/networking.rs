//! The networking group.

mod address;
mod ingress;
mod policy;

use super::Kind;

/// Its kinds.
pub(super) fn kinds() -> Vec<Kind> {
    vec![
        ingress::ingress(),
        ingress::class(),
        address::ip_address(),
        policy::kind(),
        address::service_cidr(),
    ]
}
