//! The cgroup of a container of the command line: where it lies, who makes it, what limits it gets.

use std::path::Path;

use oci_spec::runtime::{LinuxResources, Spec};

use super::Error;
use super::arguments::Global;
use super::state::Stored;
use crate::cgroup::systemd::{self, Bus, Unit};
use crate::cgroup::{self, Hierarchy, device_filter, device_rules};
use crate::sys;

fn resources(spec: &Spec) -> Option<&LinuxResources> {
    spec.linux().as_ref()?.resources().as_ref()
}

fn cgroups_path(spec: &Spec) -> &str {
    let path = spec
        .linux()
        .as_ref()
        .and_then(|linux| linux.cgroups_path().as_ref());
    path.and_then(|path| path.to_str()).unwrap_or("")
}

/// A process that keeps a fresh scope alive until the container's first process is in it; killed when dropped, and when
/// this process ends.
#[derive(Debug)]
pub(super) struct Placeholder(sys::Child);

impl Placeholder {
    fn new() -> Result<Self, Error> {
        let child = sys::clone_process(&sys::CloneRequest::default(), || {
            let _ = sys::set_parent_death_signal(libc::SIGKILL);
            sys::pause();
        });
        child
            .map(Self)
            .map_err(Error::io("making a process for the scope"))
    }

    /// Leaves it to somebody else to end it.
    pub(super) fn hand_over(self) -> i32 {
        let pid = self.0.pid;
        std::mem::forget(self);
        pid
    }
}

impl Drop for Placeholder {
    fn drop(&mut self) {
        use std::os::fd::AsFd;
        let _ = sys::pidfd_signal(self.0.pidfd.as_fd(), libc::SIGKILL);
        let _ = sys::wait_pidfd(self.0.pidfd.as_fd());
    }
}

/// A container's cgroup to be.
#[derive(Debug)]
pub(super) struct Plan {
    hierarchy: Hierarchy,
    unit: Option<(Unit, Bus)>,
}

/// Decides where the cgroup will lie and notes it in `stored`. `None`: there is no hierarchy.
pub(super) fn plan(global: &Global, spec: &Spec, stored: &mut Stored) -> Result<Option<Plan>, Error> {
    let Some(hierarchy) = Hierarchy::find() else {
        return Ok(None);
    };
    let path = cgroups_path(spec);
    let unit = if global.systemd_cgroup && !hierarchy.hybrid {
        let unit = Unit::parse(path, &stored.id, global.rootless)?;
        let mut bus = Bus::open(global.rootless)?;
        let manager = bus.control_group()?;
        let above = hierarchy.mount.join(manager.trim_start_matches('/'));
        stored.cgroup = Some(above.join(unit.path()));
        stored.unit = Some(unit.name.clone());
        stored.user_unit = global.rootless;
        Some((unit, bus))
    } else {
        let path = match path.split(':').collect::<Vec<_>>().as_slice() {
            // Asked of systemd, on a host where it does not own this hierarchy.
            [_, _, _] if global.systemd_cgroup => {
                Unit::parse(path, &stored.id, false)?.path().display().to_string()
            }
            [""] if global.rootless => stored.id.clone(),
            [""] => format!("/keelson-oci/{}", stored.id),
            _ => path.to_owned(),
        };
        let absolute = if global.systemd_cgroup {
            format!("/{}", path.trim_start_matches('/'))
        } else {
            path
        };
        stored.cgroup = Some(hierarchy.place(Path::new(&absolute))?);
        None
    };
    let existing = stored.cgroup.as_deref().map(cgroup::pids).unwrap_or_default();
    stored.cgroup_shared = !existing.is_empty();
    Ok(Some(Plan { hierarchy, unit }))
}

impl Plan {
    /// Makes it, with limits and device rules. Without the right to, a user goes on without cgroup if none and no limits
    /// were asked for, as with runc.
    pub(super) fn make(
        mut self,
        global: &Global,
        spec: &Spec,
        stored: &mut Stored,
    ) -> Result<Option<Placeholder>, Error> {
        let Some(path) = stored.cgroup.clone() else {
            return Ok(None);
        };
        let mut placeholder = None;
        if let Some((unit, bus)) = &mut self.unit {
            let keeper = Placeholder::new()?;
            let mut extra = resources(spec)
                .map(systemd::limit_properties)
                .transpose()?
                .unwrap_or_default();
            extra.extend(systemd::annotation_properties(
                spec.annotations()
                    .as_ref()
                    .unwrap_or(&std::collections::HashMap::new()),
            )?);
            systemd::start(bus, unit, &stored.id, keeper.0.pid, extra)?;
            placeholder = Some(keeper);
        }
        if let Err(error) = self.hierarchy.make(&path) {
            let wanted = !cgroups_path(spec).is_empty() || resources(spec).is_some_and(limits_anything);
            if global.rootless && !wanted {
                stored.cgroup = None;
                return Ok(None);
            }
            return Err(error.into());
        }
        let empty = LinuxResources::default();
        let resources = resources(spec).unwrap_or(&empty);
        for warning in cgroup::apply(&self.hierarchy, &path, &cgroup::settings(resources)?)? {
            global.warn(&warning);
        }
        let rules = device_rules(resources.devices().as_deref().unwrap_or_default())?;
        match cgroup::filter_devices(&path, &device_filter(&rules)) {
            // A user may not load programs, and has no devices to fear for either.
            Err(_) if global.rootless => {}
            other => other?,
        }
        Ok(placeholder)
    }
}

fn limits_anything(resources: &LinuxResources) -> bool {
    cgroup::settings(resources).is_ok_and(|settings| !settings.is_empty())
}

/// Removes a container's cgroup with everything in it, and its unit.
pub(super) fn remove(stored: &Stored) -> Result<(), Error> {
    if let Some(path) = stored.own_cgroup() {
        cgroup::kill(path)?;
    }
    if let Some(unit) = &stored.unit {
        Bus::open(stored.user_unit)?.stop_unit(unit)?;
    }
    if let Some(path) = stored.own_cgroup() {
        cgroup::remove(path)?;
    }
    Ok(())
}

/// Applies changed limits.
pub(super) fn update(global: &Global, stored: &Stored, resources: &LinuxResources) -> Result<(), Error> {
    let (Some(hierarchy), Some(path)) = (Hierarchy::find(), &stored.cgroup) else {
        return Err(Error::Invalid("the container has no cgroup".to_owned()));
    };
    cgroup::check_memory(path, resources)?;
    if let Some(unit) = &stored.unit {
        let properties = systemd::limit_properties(resources)?;
        Bus::open(stored.user_unit)?.set_properties(unit, &properties)?;
    }
    for warning in cgroup::apply(&hierarchy, path, &cgroup::settings(resources)?)? {
        global.warn(&warning);
    }
    Ok(())
}
