//! The parent's half of a launch: everything the child will need, as C strings and open descriptors.

use std::ffi::CString;
use std::os::fd::OwnedFd;

use super::plan::{Capabilities, MountSource, Plan, Process, Rlimit, TargetKind};
use super::sources::open_bind;
use super::spawn::SpawnError;
use crate::sys::{self, Attributes, Errno};

/// A null-terminated array of C strings, as exec wants it.
#[derive(Debug)]
pub struct CStringArray {
    // Held for the pointers below, which point into these strings' heap memory.
    _strings: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

impl CStringArray {
    /// Converts; an inner NUL is an error.
    pub fn new(items: &[String]) -> Result<Self, SpawnError> {
        let strings = items
            .iter()
            .map(|item| c_string(item))
            .collect::<Result<Vec<_>, _>>()?;
        let mut pointers: Vec<_> = strings.iter().map(|s| s.as_ptr()).collect();
        pointers.push(std::ptr::null());
        Ok(Self {
            _strings: strings,
            pointers,
        })
    }

    /// The array.
    pub fn as_slice(&self) -> &[*const libc::c_char] {
        &self.pointers
    }
}

/// A C string; an inner NUL is `EINVAL`.
pub(super) fn c_string(text: &str) -> Result<CString, SpawnError> {
    CString::new(text)
        .map_err(|_| SpawnError::new(format!("{text:?} contains a NUL byte"), Errno(libc::EINVAL)))
}

/// A process, ready to exec.
#[derive(Debug)]
pub(super) struct PreparedProcess {
    pub candidates: Vec<CString>,
    pub argv: CStringArray,
    pub envp: CStringArray,
    pub cwd: CString,
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    pub capabilities: Capabilities,
    pub own_permitted: u64,
    pub no_new_privileges: bool,
    pub seccomp: Vec<Vec<u64>>,
    pub rlimits: Vec<Rlimit>,
    pub oom_score_adj: Option<CString>,
    pub umask: u32,
    pub terminal: bool,
    pub size: Option<(u16, u16)>,
}

/// The files that exec will try for `program`: itself if it has a slash, else one per `PATH` entry of its environment.
fn candidates(program: &str, env: &[String]) -> Vec<String> {
    if program.contains('/') {
        return vec![program.to_owned()];
    }
    let path = env
        .iter()
        .rev()
        .find_map(|entry| entry.strip_prefix("PATH="))
        .unwrap_or("");
    path.split(':')
        .filter(|dir| !dir.is_empty() && !program.is_empty())
        .map(|dir| format!("{dir}/{program}"))
        .collect()
}

impl PreparedProcess {
    pub(super) fn new(process: &Process) -> Result<Self, SpawnError> {
        let Some(program) = process.args.first() else {
            return Err(SpawnError::new(
                "no command specified".to_owned(),
                Errno(libc::EINVAL),
            ));
        };
        let own = sys::get_permitted()
            .map_err(|errno| SpawnError::new("reading capabilities".to_owned(), errno))?;
        // Only what we hold ourselves can be given on: asking for more would fail for want of a privilege that the
        // container may never use.
        let wanted = process.capabilities;
        let capabilities = Capabilities {
            bounding: wanted.bounding & own,
            effective: wanted.effective & own,
            permitted: wanted.permitted & own,
            inheritable: wanted.inheritable & own,
            ambient: wanted.ambient & own,
        };
        Ok(Self {
            candidates: candidates(program, &process.env)
                .iter()
                .map(|path| c_string(path))
                .collect::<Result<_, _>>()?,
            argv: CStringArray::new(&process.args)?,
            envp: CStringArray::new(&process.env)?,
            cwd: c_string(if process.cwd.is_empty() { "/" } else { &process.cwd })?,
            uid: process.uid,
            gid: process.gid,
            groups: process.groups.clone(),
            capabilities,
            own_permitted: own,
            no_new_privileges: process.no_new_privileges,
            seccomp: process.seccomp.clone(),
            rlimits: process.rlimits.clone(),
            oom_score_adj: process
                .oom_score_adj
                .map(|score| c_string(&score.to_string()))
                .transpose()?,
            umask: process.umask,
            terminal: process.terminal,
            size: process.size,
        })
    }
}

/// Source of a mount as the child gets it.
#[derive(Debug)]
pub(super) enum PreparedSource {
    Filesystem {
        kind: CString,
        options: Vec<(CString, Option<CString>)>,
    },
    Tree(OwnedFd),
}

/// One mount, ready to attach.
#[derive(Debug)]
pub(super) struct PreparedMount {
    pub target: CString,
    pub source: PreparedSource,
    pub kind: TargetKind,
    pub attributes: Attributes,
    pub recursive: bool,
    /// A target on which symlinks are refused outright: `/proc` and `/sys` themselves.
    pub plain_target: bool,
    /// Whether the target may lie on procfs (a few read-only information files).
    pub may_cover_proc: bool,
}

/// Files of procfs over which a bind mount is harmless, and in use (lxcfs): runc's list.
const COVERABLE_PROC_FILES: [&str; 11] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/net/dev",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

/// A device node, ready to make.
#[derive(Debug)]
pub(super) struct PreparedDevice {
    pub path: CString,
    pub mode: u32,
    pub number: u64,
    pub uid: u32,
    pub gid: u32,
}

/// A whole container, ready for its child.
#[derive(Debug)]
pub(super) struct PreparedContainer {
    pub attach_point: CString,
    pub rootfs: OwnedFd,
    pub join: Vec<(i32, OwnedFd)>,
    pub cgroup_namespace: bool,
    pub mounts: Vec<PreparedMount>,
    pub devices: Vec<PreparedDevice>,
    pub links: Vec<(CString, CString)>,
    pub masked: Vec<CString>,
    pub read_only: Vec<CString>,
    pub read_only_root: bool,
    pub hostname: Option<String>,
    pub sysctls: Vec<(CString, CString)>,
    pub console: bool,
    pub process: PreparedProcess,
}

impl PreparedContainer {
    pub(super) fn new(plan: &Plan, rootfs: OwnedFd) -> Result<Self, SpawnError> {
        let paths = |list: &[String]| list.iter().map(|p| c_string(p)).collect::<Result<Vec<_>, _>>();
        let pairs = |list: &[(String, String)]| {
            list.iter()
                .map(|(a, b)| Ok((c_string(a)?, c_string(b)?)))
                .collect::<Result<Vec<_>, SpawnError>>()
        };
        let mut join = Vec::new();
        for (kind, path) in &plan.namespaces.join {
            let file = std::fs::File::open(path)
                .map_err(|e| SpawnError::new(format!("opening namespace {path}"), Errno::from(e)))?;
            join.push((*kind as i32, OwnedFd::from(file)));
        }
        Ok(Self {
            attach_point: c_string(&plan.attach_point)?,
            rootfs,
            join,
            cgroup_namespace: plan.namespaces.cgroup,
            mounts: plan.mounts.iter().map(prepare_mount).collect::<Result<_, _>>()?,
            devices: plan
                .devices
                .iter()
                .map(|d| {
                    let path = c_string(&d.path)?;
                    Ok(PreparedDevice {
                        path,
                        mode: d.mode,
                        number: d.number,
                        uid: d.uid,
                        gid: d.gid,
                    })
                })
                .collect::<Result<_, SpawnError>>()?,
            links: pairs(&plan.links)?,
            masked: paths(&plan.masked)?,
            read_only: paths(&plan.read_only)?,
            read_only_root: plan.read_only_root,
            hostname: plan.hostname.clone(),
            sysctls: plan
                .sysctls
                .iter()
                .map(|(file, value)| Ok((c_string(&format!("proc/sys/{file}"))?, c_string(value)?)))
                .collect::<Result<_, SpawnError>>()?,
            console: plan.console,
            process: PreparedProcess::new(&plan.process)?,
        })
    }
}

fn prepare_mount(mount: &super::Mount) -> Result<PreparedMount, SpawnError> {
    let (source, kind, plain_target, proc_like) = match &mount.source {
        MountSource::Filesystem { kind, options } => {
            let options = options
                .iter()
                .map(|(key, value)| Ok((c_string(key)?, value.as_deref().map(c_string).transpose()?)))
                .collect::<Result<_, SpawnError>>()?;
            let kernel_view = kind == "proc" || kind == "sysfs";
            let source = PreparedSource::Filesystem {
                kind: c_string(kind)?,
                options,
            };
            (
                source,
                TargetKind::Directory,
                kernel_view,
                kind == "proc" || kind == "mqueue",
            )
        }
        MountSource::Bind {
            path,
            sub_path,
            recursive,
        } => {
            let (tree, kind) = open_bind(path, sub_path.as_deref(), *recursive)?;
            (PreparedSource::Tree(tree), kind, false, false)
        }
    };
    Ok(PreparedMount {
        target: c_string(&mount.target)?,
        source,
        kind,
        attributes: Attributes {
            set: mount.set,
            clear: mount.clear,
            propagation: mount.propagation,
        },
        recursive: mount.recursive,
        plain_target,
        may_cover_proc: proc_like || COVERABLE_PROC_FILES.contains(&mount.target.as_str()),
    })
}
