//! An OCI configuration (`config.json`) compiled into a plan. What is asked for is done or refused; left out is
//! only what the launch has not the privilege to grant (capabilities, a lower `oomScoreAdj`).

mod features;
mod hooks;
mod mounts;
mod namespaces;
mod process;
mod scheduling;
mod sysctls;

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Linux, LinuxNamespaceType, Spec};

pub use features::features;
pub use hooks::{oci_hooks, oci_state};
pub use process::oci_process;

use super::{PlanError, defaults};
use crate::launch::{Device, MountSource, Namespaces, Plan};

/// Paths and names that the configuration does not give.
#[derive(Debug, Clone)]
pub struct OciPaths {
    /// The container's id.
    pub id: String,
    /// The bundle directory, absolute: relative sources begin there.
    pub bundle: PathBuf,
    /// Directory to attach the root filesystem on.
    pub attach_point: String,
    /// The container's cgroup directory.
    pub cgroup: Option<String>,
}

/// The version of the specification that this follows.
pub const OCI_VERSION: &str = "1.2.1";
/// Longest string of a configuration that becomes a path, an argument or an environment entry (`MAX_ARG_STRLEN`).
const MAX_STRING: usize = 128 << 10;
/// Most annotations, and the longest of their keys and values.
const MAX_ANNOTATIONS: usize = 10_000;

fn unsupported(what: &str) -> PlanError {
    PlanError(format!("{what} is not supported"))
}

fn invalid(what: impl Into<String>) -> PlanError {
    PlanError(what.into())
}

/// A path as text without NUL, of a length that the kernel takes.
fn text(path: &Path) -> Result<String, PlanError> {
    let text = path
        .to_str()
        .ok_or_else(|| PlanError(format!("path {} is not UTF-8", path.display())))?;
    checked(text, libc::PATH_MAX as usize, "path")?;
    Ok(text.to_owned())
}

/// Refuses what would be cut short or misread on its way to the kernel.
fn checked(text: &str, limit: usize, what: &str) -> Result<(), PlanError> {
    if text.len() >= limit {
        let head: String = text.chars().take(40).collect();
        return Err(PlanError(format!(
            "{what} {head:?}... of {} bytes is too long (limit {limit})",
            text.len()
        )));
    }
    if text.contains('\0') {
        return Err(PlanError(format!("{what} {text:?} contains a NUL byte")));
    }
    Ok(())
}

/// Whether a version is one that this runtime can carry out: 1.x.y, by the rules of semantic versioning.
fn check_version(version: &str) -> Result<(), PlanError> {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<&str> = core.split('.').collect();
    let number = |part: &&str| !part.is_empty() && part.len() < 6 && part.bytes().all(|b| b.is_ascii_digit());
    if parts.len() != 3 || !parts.iter().all(number) {
        return Err(PlanError(format!("ociVersion {version:?} is not a version")));
    }
    if parts[0] != "1" {
        return Err(PlanError(format!(
            "ociVersion {version:?} is not supported: it is not 1.x"
        )));
    }
    Ok(())
}

fn check_annotations(spec: &Spec) -> Result<(), PlanError> {
    let annotations = spec.annotations().as_ref();
    if annotations.is_some_and(|all| all.len() > MAX_ANNOTATIONS) {
        return Err(invalid("too many annotations"));
    }
    for (key, value) in annotations.into_iter().flatten() {
        if key.is_empty() {
            return Err(invalid("an annotation's key is empty"));
        }
        checked(key, MAX_STRING, "annotation")?;
        if value.len() > 8 * MAX_STRING {
            return Err(PlanError(format!("annotation {key:?} is too long")));
        }
    }
    Ok(())
}

/// Compiles a container.
pub fn oci(spec: &Spec, paths: OciPaths) -> Result<Plan, PlanError> {
    check_version(spec.version())?;
    check_annotations(spec)?;
    let process = spec
        .process()
        .as_ref()
        .ok_or_else(|| invalid("config.json has no process"))?;
    let linux = spec
        .linux()
        .as_ref()
        .ok_or_else(|| invalid("config.json has no linux section"))?;
    let root = spec
        .root()
        .as_ref()
        .ok_or_else(|| invalid("config.json has no root"))?;
    if root.path().as_os_str().is_empty() {
        return Err(invalid("root.path is empty"));
    }
    refuse(linux)?;
    let namespaces = namespaces::compile(linux)?;
    let root_propagation = root_propagation(linux)?;
    let mounts = mounts::compile(spec, linux, &paths, &namespaces, root_propagation)?;
    let bound_dev = mounts
        .iter()
        .any(|m| m.target == "/dev" && matches!(m.source, MountSource::Bind { .. }));
    let (devices, links) = if bound_dev {
        (Vec::new(), &[][..]) // the host's own: nothing is made in it
    } else {
        (devices(linux)?, defaults::LINKS)
    };
    let (hostname, domainname) = names(spec, &namespaces)?;
    let hooks = hooks::oci_hooks(spec, &paths.id, &paths.bundle)?;
    let attach_point = if hooks.prestart.is_empty()
        && hooks.create_runtime.is_empty()
        && hooks.create_container.is_empty()
    {
        paths.attach_point
    } else {
        text(&paths.bundle.join(root.path()))? // where such hooks look for it
    };
    let mut first = oci_process(process, Some(linux))?;
    first.initial_affinity.clear(); // for those that join, says the specification
    first.final_affinity.clear();
    Ok(Plan {
        attach_point,
        cgroup: paths.cgroup,
        mounts,
        devices,
        links: links
            .iter()
            .map(|(path, target)| ((*path).to_owned(), (*target).to_owned()))
            .collect(),
        masked: hidden(linux.masked_paths().as_deref(), "maskedPaths")?,
        read_only: hidden(linux.readonly_paths().as_deref(), "readonlyPaths")?,
        read_only_root: root.readonly().unwrap_or(false),
        root_propagation: root_propagation.unwrap_or(0),
        hostname,
        domainname,
        sysctls: sysctls::compile(spec, linux, &namespaces)?,
        console: first.terminal && !bound_dev,
        hooks,
        process: first,
        namespaces,
    })
}

/// What the specification lets a runtime leave out, and this one does.
fn refuse(linux: &Linux) -> Result<(), PlanError> {
    if linux.intel_rdt().is_some() {
        return Err(unsupported("linux.intelRdt"));
    }
    if linux.net_devices().as_ref().is_some_and(|all| !all.is_empty()) {
        return Err(unsupported("linux.netDevices"));
    }
    Ok(())
}

/// `rootfsPropagation`, as `MS_*` flags of the root mount.
fn root_propagation(linux: &Linux) -> Result<Option<u64>, PlanError> {
    match linux.rootfs_propagation().as_deref() {
        None | Some("") => Ok(None),
        Some(name) => super::mount_options::propagation(name)
            .map(Some)
            .ok_or_else(|| PlanError(format!("unknown rootfsPropagation {name:?}"))),
    }
}

/// Host and domain name, which need a UTS namespace that is not the host's.
fn names(spec: &Spec, namespaces: &Namespaces) -> Result<(Option<String>, Option<String>), PlanError> {
    let own = namespaces::has(namespaces, LinuxNamespaceType::Uts);
    let name = |name: &Option<String>, what: &str| {
        let Some(name) = name.clone().filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        if !own {
            return Err(PlanError(format!(
                "{what} needs a UTS namespace of the container"
            )));
        }
        checked(&name, 65, what)?; // __NEW_UTS_LEN and a NUL
        Ok(Some(name))
    };
    Ok((
        name(spec.hostname(), "hostname")?,
        name(spec.domainname(), "domainname")?,
    ))
}

fn hidden(paths: Option<&[String]>, what: &str) -> Result<Vec<String>, PlanError> {
    let paths = paths.unwrap_or_default();
    for path in paths {
        checked(path, libc::PATH_MAX as usize, what)?;
        if !path.starts_with('/') {
            return Err(PlanError(format!("{what}: {path:?} is not absolute")));
        }
    }
    Ok(paths.to_vec())
}

/// The default devices, and `linux.devices`, which take the place of defaults with their path.
fn devices(linux: &Linux) -> Result<Vec<Device>, PlanError> {
    let mut devices = defaults::devices();
    for device in linux.devices().iter().flatten() {
        let made = mounts::device(device)?;
        if made.path == "/dev/ptmx" {
            continue; // a link to the container's own terminals, as in runc
        }
        devices.retain(|known| known.path != made.path);
        devices.push(made);
    }
    Ok(devices)
}

#[cfg(test)]
mod tests;
