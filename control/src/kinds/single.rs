//! Groups with one kind each: certificates, coordination, discovery, node, policy, scheduling.

mod certificate;
mod disruption;
mod endpoint_slice;
mod lease;
mod priority_class;
mod runtime_class;
mod signing;

use super::Kind;

/// Their kinds.
pub(super) fn kinds() -> Vec<Kind> {
    vec![
        endpoint_slice::kind(),
        lease::kind(),
        certificate::kind(),
        disruption::kind(),
        priority_class::kind(),
        runtime_class::kind(),
    ]
}
