//! Roles and their bindings.

mod binding;
mod role;

use super::Kind;

/// Its kinds.
pub(super) fn kinds() -> Vec<Kind> {
    vec![
        role::cluster_role(),
        binding::cluster_role_binding(),
        role::role(),
        binding::role_binding(),
    ]
}
