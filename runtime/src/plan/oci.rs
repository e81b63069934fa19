//! An OCI configuration (`config.json`) compiled into a plan. What is asked for is done or refused, never left out.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{
    Capabilities as CapabilitySet, Linux, LinuxDeviceType, LinuxNamespaceType, PosixRlimitType,
    Process as OciProcess, Spec,
};

use super::{ALL_CAPABILITIES, PlanError, capability_bit, defaults, mount_options, profile_filters};
use crate::launch::{Capabilities, Device, Mount, MountSource, Namespaces, Plan, Process, Rlimit};
use crate::sys::Attributes;

/// Paths that the configuration does not give.
#[derive(Debug, Clone)]
pub struct OciPaths {
    /// The bundle directory, absolute: relative sources begin there.
    pub bundle: PathBuf,
    /// Directory to attach the root filesystem on.
    pub attach_point: String,
    /// The container's cgroup directory.
    pub cgroup: Option<String>,
}

fn unsupported(what: &str) -> PlanError {
    PlanError(format!("{what} is not supported"))
}

fn text(path: &Path) -> Result<String, PlanError> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| PlanError(format!("path {} is not UTF-8", path.display())))
}

/// Compiles a container.
pub fn oci(spec: &Spec, paths: OciPaths) -> Result<Plan, PlanError> {
    let process = spec
        .process()
        .as_ref()
        .ok_or_else(|| PlanError("config.json has no process".to_owned()))?;
    let linux = spec
        .linux()
        .as_ref()
        .ok_or_else(|| PlanError("config.json has no linux section".to_owned()))?;
    let root = spec
        .root()
        .as_ref()
        .ok_or_else(|| PlanError("config.json has no root".to_owned()))?;
    if spec.hooks().as_ref().is_some_and(has_hooks) {
        return Err(unsupported("hooks"));
    }
    if linux
        .rootfs_propagation()
        .as_deref()
        .is_some_and(|p| p.ends_with("shared"))
    {
        return Err(unsupported("a shared rootfsPropagation"));
    }
    if spec.domainname().is_some() {
        return Err(unsupported("domainname"));
    }
    if linux.intel_rdt().is_some() || linux.personality().is_some() || linux.memory_policy().is_some() {
        return Err(unsupported("intelRdt, personality or memoryPolicy"));
    }
    let namespaces = namespaces(linux)?;
    let mounts = spec
        .mounts()
        .iter()
        .flatten()
        .map(|m| mount(m, &paths.bundle))
        .collect::<Result<Vec<_>, _>>()?;
    let bound_dev = mounts
        .iter()
        .any(|m| m.target == "/dev" && matches!(m.source, MountSource::Bind { .. }));
    let own_uts = namespaces.fresh & LinuxNamespaceType::Uts as u64 != 0;
    let hostname = spec.hostname().clone().filter(|name| !name.is_empty());
    if hostname.is_some() && !own_uts {
        return Err(PlanError("hostname needs a new UTS namespace".to_owned()));
    }
    let mut devices = if bound_dev {
        Vec::new()
    } else {
        defaults::devices()
    };
    for device in linux.devices().iter().flatten() {
        let made = self::device(device)?;
        devices.retain(|known| known.path != made.path);
        devices.push(made);
    }
    let terminal = process.terminal().unwrap_or(false);
    let sysctls = linux
        .sysctl()
        .iter()
        .flatten()
        .map(|(name, value)| (name.replace('.', "/"), value.clone()));
    let sysctls: Vec<_> = sysctls.collect();
    if let Some((bad, _)) = sysctls.iter().find(|(file, _)| !namespaced(file, &namespaces)) {
        return Err(PlanError(format!(
            "sysctl {bad:?} is not of a namespace of this container"
        )));
    }
    let links = if bound_dev { &[] } else { defaults::LINKS };
    Ok(Plan {
        attach_point: paths.attach_point,
        namespaces,
        cgroup: paths.cgroup,
        mounts,
        devices,
        links: links
            .iter()
            .map(|(path, target)| ((*path).to_owned(), (*target).to_owned()))
            .collect(),
        masked: linux.masked_paths().clone().unwrap_or_default(),
        read_only: linux.readonly_paths().clone().unwrap_or_default(),
        read_only_root: root.readonly().unwrap_or(false),
        hostname,
        sysctls,
        console: terminal && !bound_dev,
        process: oci_process(process, Some(linux))?,
    })
}

fn has_hooks(hooks: &oci_spec::runtime::Hooks) -> bool {
    let lists = [
        hooks.create_runtime(),
        hooks.create_container(),
        hooks.start_container(),
        hooks.poststart(),
        hooks.poststop(),
    ];
    lists
        .iter()
        .any(|list| list.as_ref().is_some_and(|list| !list.is_empty()))
}

fn namespaced(file: &str, namespaces: &Namespaces) -> bool {
    let has = |kind: LinuxNamespaceType| {
        namespaces.fresh & kind as u64 != 0
            || namespaces.join.iter().any(|(joined, _)| *joined == kind as u64)
    };
    let ipc = ["kernel/shm", "kernel/msg", "fs/mqueue/"]
        .iter()
        .any(|p| file.starts_with(p))
        || file == "kernel/sem";
    let plain = file
        .split('/')
        .all(|part| !part.is_empty() && part != "." && part != "..");
    plain
        && ((file.starts_with("net/") && has(LinuxNamespaceType::Network))
            || (ipc && has(LinuxNamespaceType::Ipc)))
}

fn namespaces(linux: &Linux) -> Result<Namespaces, PlanError> {
    let mut all = Namespaces::default();
    for namespace in linux.namespaces().iter().flatten() {
        let kind = namespace.typ();
        match (kind, namespace.path()) {
            (LinuxNamespaceType::User, _) => return Err(unsupported("a user namespace")),
            (LinuxNamespaceType::Time, _) => return Err(unsupported("a time namespace")),
            (LinuxNamespaceType::Mount, Some(_)) => return Err(unsupported("joining a mount namespace")),
            (LinuxNamespaceType::Cgroup, None) => all.cgroup = true,
            (kind, Some(path)) => all.join.push((kind as u64, text(path)?)),
            (kind, None) => all.fresh |= kind as u64,
        }
    }
    if all.fresh & LinuxNamespaceType::Mount as u64 == 0 {
        return Err(PlanError(
            "a container needs a mount namespace of its own".to_owned(),
        ));
    }
    Ok(all)
}

fn mount(mount: &oci_spec::runtime::Mount, bundle: &Path) -> Result<Mount, PlanError> {
    let options = mount_options::parse(mount.options().as_deref().unwrap_or_default())?;
    let target = text(mount.destination())?;
    if !target.starts_with('/') {
        return Err(PlanError(format!("mount destination {target:?} is not absolute")));
    }
    if mount.uid_mappings().is_some() || mount.gid_mappings().is_some() {
        return Err(unsupported("an id-mapped mount"));
    }
    let kind = mount.typ().as_deref().unwrap_or("none");
    let source = if options.bind || kind == "bind" {
        let path = mount
            .source()
            .as_ref()
            .ok_or_else(|| PlanError(format!("mount {target} has no source")))?;
        // An option for the filesystem has no meaning on a bind mount; mount(2) leaves it out as well.
        MountSource::Bind {
            path: text(&bundle.join(path))?,
            sub_path: None,
            recursive: options.bind_recursive || !options.bind,
        }
    } else {
        let mut data = options.data;
        if let Some(source) = mount.source() {
            data.insert(0, ("source".to_owned(), Some(text(source)?)));
        }
        let kind = if kind == "cgroup" { "cgroup2" } else { kind };
        MountSource::Filesystem {
            kind: kind.to_owned(),
            options: data,
        }
    };
    let access_time = options.set & Attributes::ATIME_MASK != 0;
    // A bind mount that says nothing of propagation is a slave, as with runc: with the host's peer group, what is mounted
    // inside would appear on the host.
    let is_bind = matches!(source, MountSource::Bind { .. });
    let propagation = match options.propagation {
        0 if is_bind => libc::MS_SLAVE,
        asked => asked,
    };
    Ok(Mount {
        target,
        source,
        set: options.set,
        clear: options.clear | if access_time { Attributes::ATIME_MASK } else { 0 },
        propagation,
        recursive: options.recursive,
    })
}

fn device(device: &oci_spec::runtime::LinuxDevice) -> Result<Device, PlanError> {
    let kind = match device.typ() {
        LinuxDeviceType::C | LinuxDeviceType::U => libc::S_IFCHR,
        LinuxDeviceType::B => libc::S_IFBLK,
        LinuxDeviceType::P => libc::S_IFIFO,
        LinuxDeviceType::A => return Err(PlanError("a device node cannot have type \"a\"".to_owned())),
    };
    let number =
        |n: i64| u32::try_from(n).map_err(|_| PlanError(format!("device number {n} is out of range")));
    Ok(Device {
        path: text(device.path())?,
        mode: kind | device.file_mode().unwrap_or(0o666) & 0o777,
        number: libc::makedev(number(device.major())?, number(device.minor())?),
        uid: device.uid().unwrap_or(0),
        gid: device.gid().unwrap_or(0),
    })
}

/// Missing sets are empty: nothing is given that was not asked for.
fn capabilities(process: &OciProcess) -> Result<Capabilities, PlanError> {
    let Some(sets) = process.capabilities() else {
        return Ok(Capabilities::default());
    };
    let mask = |set: &Option<CapabilitySet>| -> Result<u64, PlanError> {
        let mut mask = 0;
        for capability in set.iter().flatten() {
            let name = capability.to_string();
            mask |= capability_bit(&name).ok_or_else(|| PlanError(format!("unknown capability {name}")))?;
        }
        Ok(mask & ALL_CAPABILITIES)
    };
    Ok(Capabilities {
        bounding: mask(sets.bounding())?,
        effective: mask(sets.effective())?,
        permitted: mask(sets.permitted())?,
        inheritable: mask(sets.inheritable())?,
        ambient: mask(sets.ambient())?,
    })
}

fn rlimit(kind: PosixRlimitType) -> u32 {
    match kind {
        PosixRlimitType::RlimitCpu => libc::RLIMIT_CPU,
        PosixRlimitType::RlimitFsize => libc::RLIMIT_FSIZE,
        PosixRlimitType::RlimitData => libc::RLIMIT_DATA,
        PosixRlimitType::RlimitStack => libc::RLIMIT_STACK,
        PosixRlimitType::RlimitCore => libc::RLIMIT_CORE,
        PosixRlimitType::RlimitRss => libc::RLIMIT_RSS,
        PosixRlimitType::RlimitNproc => libc::RLIMIT_NPROC,
        PosixRlimitType::RlimitNofile => libc::RLIMIT_NOFILE,
        PosixRlimitType::RlimitMemlock => libc::RLIMIT_MEMLOCK,
        PosixRlimitType::RlimitAs => libc::RLIMIT_AS,
        PosixRlimitType::RlimitLocks => libc::RLIMIT_LOCKS,
        PosixRlimitType::RlimitSigpending => libc::RLIMIT_SIGPENDING,
        PosixRlimitType::RlimitMsgqueue => libc::RLIMIT_MSGQUEUE,
        PosixRlimitType::RlimitNice => libc::RLIMIT_NICE,
        PosixRlimitType::RlimitRtprio => libc::RLIMIT_RTPRIO,
        PosixRlimitType::RlimitRttime => libc::RLIMIT_RTTIME,
    }
}

/// Compiles a process, with the seccomp filters of its container.
pub fn oci_process(process: &OciProcess, linux: Option<&Linux>) -> Result<Process, PlanError> {
    let args = process.args().clone().unwrap_or_default();
    if args.first().is_none_or(String::is_empty) {
        return Err(PlanError("no command specified".to_owned()));
    }
    let cwd = text(process.cwd())?;
    if !cwd.starts_with('/') {
        return Err(PlanError(format!("cwd {cwd:?} is not absolute")));
    }
    if process
        .apparmor_profile()
        .as_ref()
        .is_some_and(|p| !p.is_empty() && p != "unconfined")
    {
        return Err(unsupported("an AppArmor profile"));
    }
    if process
        .selinux_label()
        .as_ref()
        .is_some_and(|label| !label.is_empty())
    {
        return Err(unsupported("an SELinux label"));
    }
    if process.scheduler().is_some()
        || process.io_priority().is_some()
        || process.exec_cpu_affinity().is_some()
    {
        return Err(unsupported("scheduler, ioPriority or execCPUAffinity"));
    }
    let seccomp = match linux.and_then(|linux| linux.seccomp().as_ref()) {
        Some(profile) => profile_filters(profile).map_err(|e| PlanError(e.to_string()))?,
        None => Vec::new(),
    };
    let user = process.user();
    let limits = process.rlimits().iter().flatten();
    Ok(Process {
        args,
        env: process.env().clone().unwrap_or_default(),
        cwd,
        uid: user.uid(),
        gid: user.gid(),
        groups: user.additional_gids().clone().unwrap_or_default(),
        capabilities: capabilities(process)?,
        no_new_privileges: process.no_new_privileges().unwrap_or(false),
        seccomp,
        rlimits: limits
            .map(|limit| Rlimit {
                resource: rlimit(limit.typ()),
                soft: limit.soft(),
                hard: limit.hard(),
            })
            .collect(),
        oom_score_adj: process.oom_score_adj(),
        umask: user.umask().unwrap_or(0o022),
        terminal: process.terminal().unwrap_or(false),
        size: process
            .console_size()
            .as_ref()
            .map(|size| {
                (
                    size.width().min(u64::from(u16::MAX)) as u16,
                    size.height().min(u64::from(u16::MAX)) as u16,
                )
            })
            .filter(|(columns, rows)| *columns > 0 && *rows > 0),
    })
}
