//! Device nodes of the host, for containers that get some or all of them.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::{ContainerSpec, Error};
use crate::cgroup::{DeviceRule, default_device_rules, device_filter};
use crate::launch::Device;

/// Directories below `/dev` that are no devices of the host, or a container's own (containerd's list).
const SKIPPED: [&str; 8] = [
    "/dev/pts",
    "/dev/shm",
    "/dev/fd",
    "/dev/mqueue",
    "/dev/.lxc",
    "/dev/.lxd-mounts",
    "/dev/.udev",
    "/dev/console",
];

/// The devices that a container asks for; all of the host's if it is privileged.
pub(super) fn wanted(spec: &ContainerSpec) -> Result<Vec<Device>, Error> {
    let mut devices = Vec::new();
    if spec.privileged {
        collect(Path::new("/dev"), &mut devices);
    }
    for (host, target, _) in &spec.devices {
        let device = device(host, target)
            .ok_or_else(|| Error::Invalid(format!("{} is not a device node", host.display())))?;
        devices.retain(|known: &Device| known.path != device.path);
        devices.push(device);
    }
    Ok(devices)
}

/// The device filter of a container's cgroup: the default and what it asks for. `None` for a privileged one, which may
/// use every device.
pub(super) fn filter(spec: &ContainerSpec) -> Option<Vec<u64>> {
    let mut rules = default_device_rules();
    for (host, target, access) in &spec.devices {
        rules.extend(device(host, target).map(|device| DeviceRule::of(&device, access)));
    }
    (!spec.privileged).then(|| device_filter(&rules))
}

fn device(host: &Path, target: &Path) -> Option<Device> {
    let metadata = fs::metadata(host).ok()?;
    let kind = metadata.file_type();
    let bits = match (kind.is_char_device(), kind.is_block_device()) {
        (true, _) => libc::S_IFCHR,
        (_, true) => libc::S_IFBLK,
        _ => return None,
    };
    Some(Device {
        path: target.to_str()?.to_owned(),
        mode: bits | metadata.mode() & 0o777,
        number: metadata.rdev(),
        uid: metadata.uid(),
        gid: metadata.gid(),
    })
}

fn collect(directory: &Path, devices: &mut Vec<Device>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if SKIPPED.iter().any(|skipped| path == Path::new(skipped)) {
            continue;
        }
        if kind.is_dir() {
            collect(&path, devices);
        } else if kind.is_char_device() || kind.is_block_device() {
            devices.extend(device(&path, &path));
        }
    }
}
