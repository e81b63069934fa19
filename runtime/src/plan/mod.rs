//! Deciding what a container will be: specification in, [`Plan`](crate::launch::Plan) out. Pure functions over plain
//! data; nothing here touches the system. `crate::launch` carries the plan out.

mod capabilities;
#[cfg(feature = "node")]
mod container;
mod defaults;
mod mount_options;
mod oci;
mod seccomp;
mod signal;
mod sysctl;
#[cfg(feature = "node")]
mod user;

pub use capabilities::{
    ALL as ALL_CAPABILITIES, NAMES as CAPABILITY_NAMES, bit as capability_bit, set as capability_set,
};
#[cfg(feature = "node")]
pub use container::{BundleProcess, Context, container};
pub use defaults::{MASKED as MASKED_PATHS, READ_ONLY as READ_ONLY_PATHS};
pub use oci::{OCI_VERSION, OciPaths, features, oci, oci_hooks, oci_process, oci_state};
pub use seccomp::{SeccompError, default_filter, profile_filter};
pub use signal::signal_number;
pub use sysctl::is_ipc_sysctl;
#[cfg(feature = "node")]
pub use sysctl::sandbox_sysctls;
#[cfg(feature = "node")]
pub use user::{Accounts, ResolvedUser, resolve as resolve_user};

/// A specification that cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PlanError(pub String);
