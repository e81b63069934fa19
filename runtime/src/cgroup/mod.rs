//! Control groups v2 (kernel: `Documentation/admin-guide/cgroup-v2.rst`): finding the hierarchy, making, filling, reading
//! and removing directories of it, with or without systemd as their owner. Nothing here knows of pods or of the OCI
//! command line: `crate::node` and `crate::oci` decide where a cgroup lies.

mod apply;
mod devices;
mod error;
mod files;
mod freezer;
mod hierarchy;
mod io;
mod removal;
mod settings;
pub mod systemd;

pub use apply::{apply, check_memory};
pub use devices::{DeviceRule, default_device_rules, device_filter, filter_devices, rules as device_rules};
pub use error::Error;
pub use files::{keyed, number, pids, pressure};
pub use freezer::{freeze, is_frozen};
pub use hierarchy::{Hierarchy, Made, mount_point};
pub use settings::{Setting, cpu_weight, settings};

use std::path::Path;

/// Kills everything in a cgroup and below; an absent one has nothing.
pub fn kill(path: &Path) -> Result<(), Error> {
    Ok(removal::kill(path)?)
}

/// Kills everything in a cgroup, waits until it is empty, and removes it and those below. Absent is fine.
pub fn remove(path: &Path) -> Result<(), Error> {
    Ok(removal::remove(path)?)
}
