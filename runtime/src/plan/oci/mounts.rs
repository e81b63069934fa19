//! `mounts` and `linux.devices`.

use std::path::Path;

use oci_spec::runtime::{
    Linux, LinuxDevice, LinuxDeviceType, LinuxNamespaceType as Kind, Mount as OciMount, Spec,
};

use super::namespaces::{has, ranges};
use super::{OciPaths, PlanError, checked, invalid, text};
use crate::launch::{Device, IdMap, Mount, MountSource, Namespaces};
use crate::plan::mount_options::{self, MountOptions};
use crate::sys::Attributes;

/// What all mounts of a container have in common.
struct Common<'a> {
    bundle: &'a Path,
    /// The container's own cgroup, for a cgroup mount without a cgroup namespace.
    cgroup: Option<&'a str>,
    own_cgroup_namespace: bool,
    own_user_namespace: bool,
    /// Propagation of a bind mount that does not name one.
    propagation: u64,
    /// SELinux context of filesystems.
    label: Option<&'a str>,
}

pub(super) fn compile(
    spec: &Spec,
    linux: &Linux,
    paths: &OciPaths,
    namespaces: &Namespaces,
    root_propagation: Option<u64>,
) -> Result<Vec<Mount>, PlanError> {
    let label = linux.mount_label().as_deref().filter(|label| !label.is_empty());
    if let Some(label) = label {
        checked(label, 4096, "mountLabel")?;
    }
    let isolated =
        root_propagation.is_some_and(|flags| flags & (libc::MS_PRIVATE | libc::MS_UNBINDABLE) != 0);
    let common = Common {
        bundle: &paths.bundle,
        cgroup: paths.cgroup.as_deref(),
        own_cgroup_namespace: has(namespaces, Kind::Cgroup),
        own_user_namespace: has(namespaces, Kind::User),
        // As in runc, where bind mounts inherit it from a root that is a slave of the host's: what the host mounts is
        // seen, nothing comes back.
        propagation: libc::MS_REC
            | if isolated {
                libc::MS_PRIVATE
            } else {
                libc::MS_SLAVE
            },
        label,
    };
    spec.mounts()
        .iter()
        .flatten()
        .map(|m| mount(m, &common))
        .collect()
}

fn mount(mount: &OciMount, common: &Common<'_>) -> Result<Mount, PlanError> {
    let options = mount.options().as_deref().unwrap_or_default();
    for option in options {
        checked(option, 4096, "mount option")?;
    }
    let options = mount_options::parse(options)?;
    let mut target = text(mount.destination())?;
    if !target.starts_with('/') {
        target.insert(0, '/'); // config.md, mounts
    }
    if target.split('/').all(|part| part.is_empty() || part == ".") {
        return Err(invalid("a mount cannot replace the root filesystem itself"));
    }
    let kind = mount
        .typ()
        .as_deref()
        .filter(|kind| !kind.is_empty())
        .unwrap_or("none");
    let ids = id_map(mount, &options, common)?;
    let source = source(mount, kind, &options, &target, common)?;
    let bind = matches!(source, MountSource::Bind { .. });
    if options.copy_up && kind != "tmpfs" {
        return Err(PlanError(format!("mount {target}: tmpcopyup is for tmpfs only")));
    }
    let mut made = Mount {
        set: options.set,
        clear: options.clear,
        set_all: options.set_all,
        clear_all: options.clear_all,
        propagation: options
            .propagation
            .unwrap_or(if bind { common.propagation } else { 0 }),
        ids,
        copy_up: options.copy_up,
        ..Mount::new(target, source)
    };
    if kind == "cgroup" && bind && options.bind.eq(&false) {
        made.set |= Attributes::READ_ONLY; // its own cgroup, but seen from the host's hierarchy
        made.clear &= !Attributes::READ_ONLY;
    }
    Ok(made)
}

fn source(
    mount: &OciMount,
    kind: &str,
    options: &MountOptions,
    target: &str,
    common: &Common<'_>,
) -> Result<MountSource, PlanError> {
    if options.remount {
        let data = if options.bind {
            Vec::new()
        } else {
            options.data.clone()
        };
        return Ok(MountSource::Remount { options: data });
    }
    if options.bind || kind == "bind" || kind == "rbind" {
        let path = mount
            .source()
            .as_ref()
            .filter(|path| !path.as_os_str().is_empty());
        let path = path.ok_or_else(|| PlanError(format!("bind mount {target} has no source")))?;
        // An option for the filesystem has no meaning on a bind mount; mount(2) leaves it out as well.
        return Ok(MountSource::Bind {
            path: text(&common.bundle.join(path))?,
            sub_path: None,
            recursive: options.bind_recursive || !options.bind,
        });
    }
    if kind == "cgroup"
        && !common.own_cgroup_namespace
        && let Some(cgroup) = common.cgroup
    {
        return Ok(MountSource::Bind {
            path: cgroup.to_owned(),
            sub_path: None,
            recursive: false,
        });
    }
    if kind == "none" {
        return Err(PlanError(format!("mount {target} has no type")));
    }
    checked(kind, 256, "mount type")?;
    let mut data = options.data.clone();
    if let Some(source) = mount.source() {
        data.insert(0, ("source".to_owned(), Some(text(source)?)));
    }
    let labelled = matches!(kind, "tmpfs" | "mqueue" | "devpts" | "ramfs" | "overlay");
    if let Some(label) = common.label.filter(|_| labelled) {
        data.push(("context".to_owned(), Some(label.to_owned())));
    }
    let kind = if kind == "cgroup" { "cgroup2" } else { kind };
    Ok(MountSource::Filesystem {
        kind: kind.to_owned(),
        options: data,
    })
}

/// The id mapping of a mount: mappings of its own, or `idmap` for the container's user namespace.
fn id_map(mount: &OciMount, options: &MountOptions, common: &Common<'_>) -> Result<Option<IdMap>, PlanError> {
    let uids = ranges(
        mount.uid_mappings().as_deref().unwrap_or_default(),
        "a mount's uidMappings",
    )?;
    let gids = ranges(
        mount.gid_mappings().as_deref().unwrap_or_default(),
        "a mount's gidMappings",
    )?;
    let shown = mount.destination().display();
    if uids.is_empty() != gids.is_empty() {
        return Err(PlanError(format!(
            "mount {shown}: uidMappings and gidMappings go together"
        )));
    }
    if uids.is_empty() && options.id_map.is_none() {
        return Ok(None);
    }
    let bind = options.bind || mount.typ().as_deref() == Some("bind");
    if !bind {
        return Err(PlanError(format!(
            "mount {shown}: only a bind mount can be id-mapped"
        )));
    }
    if uids.is_empty() && !common.own_user_namespace {
        return Err(PlanError(format!(
            "mount {shown}: idmap needs mappings, or a user namespace of the container"
        )));
    }
    Ok(Some(IdMap {
        recursive: options.id_map.unwrap_or(false),
        uids,
        gids,
    }))
}

/// One entry of `linux.devices`.
pub(super) fn device(device: &LinuxDevice) -> Result<Device, PlanError> {
    let kind = match device.typ() {
        LinuxDeviceType::C | LinuxDeviceType::U => libc::S_IFCHR,
        LinuxDeviceType::B => libc::S_IFBLK,
        LinuxDeviceType::P => libc::S_IFIFO,
        LinuxDeviceType::A => return Err(invalid("a device node cannot have type \"a\"")),
    };
    let path = text(device.path())?;
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    if !path
        .strip_prefix('/')
        .is_some_and(|rest| rest.split('/').all(plain))
    {
        return Err(PlanError(format!(
            "device path {path:?} is not an absolute path of a file"
        )));
    }
    // The kernel's device numbers have 12 and 20 bits.
    let number = |n: i64, bits: u32| {
        let number = u32::try_from(n).ok().filter(|n| *n >> bits == 0);
        number.ok_or_else(|| PlanError(format!("device {path}: number {n} is out of range")))
    };
    let number = if kind == libc::S_IFIFO {
        0
    } else {
        libc::makedev(number(device.major(), 12)?, number(device.minor(), 20)?)
    };
    let owner = |id: Option<u32>| match id.unwrap_or(0) {
        u32::MAX => Err(PlanError(format!(
            "device {path}: owner {} is out of range",
            u32::MAX
        ))),
        id => Ok(id),
    };
    Ok(Device {
        mode: kind | device.file_mode().unwrap_or(0o666) & 0o777,
        number,
        uid: owner(device.uid())?,
        gid: owner(device.gid())?,
        path,
    })
}
