//! The cgroup of a container of the command line.

use std::fs;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxDeviceType, LinuxResources, Spec};

use super::Error;
use super::arguments::Global;
use crate::cgroup::{self, DeviceRule, default_device_rules, device_filter};
use crate::node::{Resources, cgroups};

/// Directory of a container's cgroup below the hierarchy's root: `cgroupsPath`, systemd's form turned into a path.
fn cgroup_path(global: &Global, id: &str, path: Option<&Path>) -> Result<PathBuf, Error> {
    let Some(path) = path.and_then(Path::to_str).filter(|path| !path.is_empty()) else {
        return Ok(Path::new("keelson-oci").join(id));
    };
    let parts: Vec<&str> = path.split(':').collect();
    let path = match (global.systemd_cgroup, parts.as_slice()) {
        (true, [slice, prefix, name]) => {
            let slice = if slice.is_empty() { "system.slice" } else { slice };
            PathBuf::from(slice).join(format!("{prefix}-{name}.scope"))
        }
        _ => PathBuf::from(path.trim_start_matches('/')),
    };
    let plain = path
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_)));
    if plain {
        Ok(path)
    } else {
        Err(Error::Invalid(format!("invalid cgroupsPath {}", path.display())))
    }
}

/// Makes the container's cgroup, with its limits where the host's controllers allow them and its device rules.
pub(super) fn make_cgroup(global: &Global, id: &str, spec: &Spec) -> Result<Option<PathBuf>, Error> {
    let Some(hierarchy) = cgroup::mount_point() else {
        return Ok(None);
    };
    let linux = spec.linux().as_ref();
    let path = hierarchy.join(cgroup_path(
        global,
        id,
        linux.and_then(|l| l.cgroups_path().as_deref()),
    )?);
    fs::create_dir_all(&path).map_err(Error::io(format!("making cgroup {}", path.display())))?;
    let Some(resources) = linux.and_then(|l| l.resources().as_ref()) else {
        return Ok(Some(path));
    };
    for (file, value) in cgroups::limit_files(&limits(resources)) {
        let file = path.join(file);
        // A controller that this host lacks, or has not turned on: the limit cannot be, and its absence is said.
        if file.exists() {
            fs::write(&file, &value).map_err(Error::io(format!("writing {value} to {}", file.display())))?;
        }
    }
    if let Some(rules) = device_rules(resources) {
        cgroup::filter_devices(&path, &device_filter(&rules))?;
    }
    Ok(Some(path))
}

fn limits(resources: &LinuxResources) -> Resources {
    let cpu = resources.cpu().as_ref();
    Resources {
        cpu_shares: cpu.and_then(oci_spec::runtime::LinuxCpu::shares),
        cpu_quota: cpu.and_then(oci_spec::runtime::LinuxCpu::quota),
        cpu_period: cpu.and_then(oci_spec::runtime::LinuxCpu::period),
        memory_limit: resources
            .memory()
            .as_ref()
            .and_then(oci_spec::runtime::LinuxMemory::limit),
        pids_limit: resources.pids().as_ref().map(oci_spec::runtime::LinuxPids::limit),
        ..Resources::default()
    }
}

/// The allow-list that a list of rules comes to: `None` when everything is allowed. As in runc, a rule that denies
/// everything begins the list; single denials are not expressible and left to that.
fn device_rules(resources: &LinuxResources) -> Option<Vec<DeviceRule>> {
    let mut rules = default_device_rules();
    let mut restricted = false;
    for rule in resources.devices().iter().flatten() {
        let kind = rule.typ().unwrap_or(LinuxDeviceType::A);
        let number = |n: Option<i64>| n.and_then(|n| u32::try_from(n).ok());
        match (rule.allow(), kind) {
            (true, LinuxDeviceType::A) => return None,
            (false, LinuxDeviceType::A) => restricted = true,
            (true, kind) => {
                let access = rule.access().as_deref().unwrap_or("rwm");
                let block = kind == LinuxDeviceType::B;
                rules.push(DeviceRule::new(
                    block,
                    number(rule.major()),
                    number(rule.minor()),
                    access,
                ));
            }
            (false, _) => {}
        }
    }
    restricted.then_some(rules)
}
