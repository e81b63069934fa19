//! EndpointSlices, Leases, PodDisruptionBudgets, PriorityClasses: groups with one kind each that the cluster needs.

mod disruption;
mod endpoint_slice;
mod lease;
mod priority_class;

use super::Kind;

/// Their kinds.
pub(super) fn kinds() -> Vec<Kind> {
    vec![
        endpoint_slice::kind(),
        lease::kind(),
        disruption::kind(),
        priority_class::kind(),
    ]
}
