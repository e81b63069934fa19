//! Control groups v2 (kernel: `Documentation/admin-guide/cgroup-v2.rst`): finding the hierarchy, making, filling, reading
//! and removing directories of it. Nothing here knows of pods or of the OCI command line: `crate::node` and `crate::oci`
//! decide where a cgroup lies.

mod devices;
mod error;
mod hierarchy;
mod removal;

pub use devices::{DeviceRule, default_device_rules, device_filter, filter_devices};
pub use error::Error;
pub use hierarchy::mount_point;
pub use removal::{kill, remove};
