//! The parent's half of a launch: everything the child will need, as C strings and open descriptors.

use std::ffi::CString;
use std::os::fd::OwnedFd;

use super::error::SpawnError;
use super::home::HomeEntry;
use super::hooks::PreparedHooks;
use super::ids::{self, MountNamespaces};
use super::labels::PreparedLabel;
use super::plan::{Capabilities, Device, Namespaces, Plan, Process, Rlimit, SeccompFilter};
use super::prepared_mount::{PreparedMount, prepare_mount};
use crate::sys::{Errno, SchedulerAttributes};

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
        Self::with(items, None)
    }

    /// As [`CStringArray::new`], with one more string that somebody else owns, and comes first: of two entries of an
    /// environment with one name, programs take that.
    pub(super) fn with(items: &[String], first: Option<*const libc::c_char>) -> Result<Self, SpawnError> {
        let strings = items
            .iter()
            .map(|item| c_string(item))
            .collect::<Result<Vec<_>, _>>()?;
        let mut pointers: Vec<_> = first.into_iter().collect();
        pointers.extend(strings.iter().map(|s| s.as_ptr()));
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
    /// An entry of `envp` that the child fills in.
    pub home: Option<HomeEntry>,
    pub cwd: CString,
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    pub capabilities: Capabilities,
    pub no_new_privileges: bool,
    pub seccomp: Option<SeccompFilter>,
    pub rlimits: Vec<Rlimit>,
    pub oom_score_adj: Option<CString>,
    pub umask: u32,
    pub terminal: bool,
    pub size: Option<(u16, u16)>,
    pub label: Option<PreparedLabel>,
    pub scheduler: Option<SchedulerAttributes>,
    pub io_priority: Option<u32>,
    pub personality: Option<u64>,
    pub affinity: Vec<u64>,
    pub memory_policy: Option<(u32, Vec<u64>)>,
    pub preserve_fds: u32,
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
        let home = HomeEntry::wanted(&process.env);
        Ok(Self {
            candidates: candidates(program, &process.env)
                .iter()
                .map(|path| c_string(path))
                .collect::<Result<_, _>>()?,
            argv: CStringArray::new(&process.args)?,
            envp: CStringArray::with(&process.env, home.as_ref().map(HomeEntry::as_ptr))?,
            home,
            cwd: c_string(if process.cwd.is_empty() { "/" } else { &process.cwd })?,
            uid: process.uid,
            gid: process.gid,
            groups: process.groups.clone(),
            capabilities: process.capabilities,
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
            label: PreparedLabel::new(process)?,
            scheduler: process.scheduler.map(|s| SchedulerAttributes {
                size: 0,
                policy: s.policy,
                flags: s.flags,
                nice: s.nice,
                priority: s.priority,
                runtime: s.runtime,
                deadline: s.deadline,
                period: s.period,
            }),
            io_priority: process.io_priority,
            personality: process.personality,
            affinity: process.final_affinity.clone(),
            memory_policy: process.memory_policy.clone(),
            preserve_fds: process.preserve_fds,
        })
    }
}

/// A device node, ready to make.
#[derive(Debug)]
pub(super) struct PreparedDevice {
    pub path: CString,
    pub mode: u32,
    pub number: u64,
    pub uid: u32,
    pub gid: u32,
}

/// Namespaces of a container, as its child gets them.
#[derive(Debug)]
pub(super) struct PreparedNamespaces {
    /// To enter in the child.
    pub join: Vec<(i32, OwnedFd)>,
    /// To enter before it is cloned.
    pub join_before: Vec<(i32, OwnedFd)>,
    /// User namespace to enter before everything else.
    pub join_user: Option<OwnedFd>,
    pub cgroup: bool,
    pub time: Option<CString>,
    /// The child is root of a user namespace that is not the parent's.
    pub other_user: bool,
    /// Its first user namespace is not the machine's.
    pub in_user: bool,
    /// The child has a mount namespace of its own, which it may change as it likes.
    pub own_mounts: bool,
}

impl PreparedNamespaces {
    fn new(namespaces: &Namespaces) -> Result<Self, SpawnError> {
        let fresh_user = namespaces.fresh & libc::CLONE_NEWUSER as u64 != 0;
        let (mut join, mut join_before, mut join_user) = (Vec::new(), Vec::new(), None);
        for (kind, path) in &namespaces.join {
            let kind = *kind as i32;
            let file = std::fs::File::open(path)
                .map_err(|e| SpawnError::new(format!("opening namespace {path}"), Errno::from(e)))?;
            let file = OwnedFd::from(file);
            match kind {
                // One's own cannot be entered, and need not be.
                libc::CLONE_NEWUSER if ids::is_own(&file) => {}
                libc::CLONE_NEWUSER => join_user = Some(file),
                libc::CLONE_NEWPID => join_before.push((kind, file)),
                // From inside a fresh user namespace those of the host could not be entered any more.
                libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP
                    if fresh_user =>
                {
                    join_before.push((kind, file));
                }
                _ => join.push((kind, file)),
            }
        }
        if join_user.is_some() {
            join_before.append(&mut join);
        }
        let other_user = fresh_user || join_user.is_some();
        Ok(Self {
            own_mounts: namespaces.fresh & libc::CLONE_NEWNS as u64 != 0,
            cgroup: namespaces.cgroup,
            time: namespaces
                .time
                .then(|| c_string(&namespaces.time_offsets))
                .transpose()?,
            other_user,
            in_user: other_user || ids::in_user_namespace(),
            join,
            join_before,
            join_user,
        })
    }
}

/// A whole container, ready for its child.
#[derive(Debug)]
pub(super) struct PreparedContainer {
    pub attach_point: CString,
    pub rootfs: OwnedFd,
    pub namespaces: PreparedNamespaces,
    pub mounts: Vec<PreparedMount>,
    pub devices: Vec<PreparedDevice>,
    pub links: Vec<(CString, CString)>,
    pub masked: Vec<CString>,
    pub read_only: Vec<CString>,
    pub read_only_root: bool,
    pub root_propagation: u64,
    pub hostname: Option<String>,
    pub domainname: Option<String>,
    pub sysctls: Vec<(CString, CString)>,
    pub console: bool,
    /// The parent has hooks to run.
    pub wait_for_hooks: bool,
    pub create_hooks: PreparedHooks,
    pub start_hooks: PreparedHooks,
    pub process: PreparedProcess,
}

fn prepare_device(device: &Device) -> Result<PreparedDevice, SpawnError> {
    Ok(PreparedDevice {
        path: c_string(&device.path)?,
        mode: device.mode,
        number: device.number,
        uid: device.uid,
        gid: device.gid,
    })
}

impl PreparedContainer {
    pub(super) fn new(plan: &Plan, rootfs: OwnedFd) -> Result<Self, SpawnError> {
        let paths = |list: &[String]| list.iter().map(|p| c_string(p)).collect::<Result<Vec<_>, _>>();
        let pairs = |list: &[(String, String)]| {
            list.iter()
                .map(|(a, b)| Ok((c_string(a)?, c_string(b)?)))
                .collect::<Result<Vec<_>, SpawnError>>()
        };
        let mut mount_ids = MountNamespaces::default();
        let mut mounts = Vec::with_capacity(plan.mounts.len());
        for mount in &plan.mounts {
            mounts.push(prepare_mount(mount, &plan.namespaces, &mut mount_ids)?);
        }
        let hooks = &plan.hooks;
        Ok(Self {
            attach_point: c_string(&plan.attach_point)?,
            rootfs,
            namespaces: PreparedNamespaces::new(&plan.namespaces)?,
            mounts,
            devices: plan
                .devices
                .iter()
                .map(prepare_device)
                .collect::<Result<_, _>>()?,
            links: pairs(&plan.links)?,
            masked: paths(&plan.masked)?,
            read_only: paths(&plan.read_only)?,
            read_only_root: plan.read_only_root,
            root_propagation: plan.root_propagation,
            hostname: plan.hostname.clone(),
            domainname: plan.domainname.clone(),
            sysctls: plan
                .sysctls
                .iter()
                .map(|(file, value)| Ok((c_string(&format!("proc/sys/{file}"))?, c_string(value)?)))
                .collect::<Result<_, SpawnError>>()?,
            console: plan.console,
            wait_for_hooks: !(hooks.prestart.is_empty() && hooks.create_runtime.is_empty()),
            create_hooks: PreparedHooks::new(&hooks.create_container, hooks)?,
            start_hooks: PreparedHooks::new(&hooks.start_container, hooks)?,
            process: PreparedProcess::new(&plan.process)?,
        })
    }
}
