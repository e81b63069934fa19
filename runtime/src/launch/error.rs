//! Failures of a launch, in words.

use super::failure::{Failure, HookFailure, Step};
use super::hooks::describe;
use super::plan::{MountSource, Plan, Process};
use crate::sys::Errno;

/// A launch failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpawnError {
    /// What failed, with names.
    pub message: String,
    /// The kernel's answer.
    pub errno: Errno,
    /// Exit code to report for the process that never ran: 127 not found, 126 not executable, 128 otherwise.
    pub exit_code: i32,
}

impl SpawnError {
    #[allow(clippy::needless_pass_by_value)] // nearly every caller has just formatted it
    pub(super) fn new(what: String, errno: Errno) -> Self {
        Self {
            message: format!("{what}: {errno}"),
            errno,
            exit_code: 128,
        }
    }

    /// Puts a child's report into words, with the names from the plan; for exec in runc's words, which tools look for.
    pub fn from_failure(failure: Failure, plan: Option<&Plan>, process: &Process) -> Self {
        let Failure { step, index, errno } = failure;
        if step == Step::Exec {
            return Self::from_exec(&process.args[0], errno);
        }
        let index = index as usize;
        let name = plan.and_then(|plan| match step {
            Step::Mount => plan.mounts.get(index).map(|mount| match &mount.source {
                MountSource::Filesystem { kind, .. } => format!("{kind} at {}", mount.target),
                MountSource::Bind { path, .. } => format!("{path} at {}", mount.target),
                MountSource::Remount { .. } => format!("{} anew", mount.target),
            }),
            Step::Device => plan.devices.get(index).map(|d| d.path.clone()),
            Step::Link => plan.links.get(index).map(|l| l.0.clone()),
            Step::Mask => plan.masked.get(index).cloned(),
            Step::ReadOnly => plan.read_only.get(index).cloned(),
            Step::Sysctl => plan.sysctls.get(index).map(|s| s.0.clone()),
            Step::Join => plan.namespaces.join.get(index).map(|n| n.1.clone()),
            _ => None,
        });
        let name = match step {
            Step::WorkingDirectory => Some(format!("{:?}", process.cwd)),
            Step::Ids => Some(format!("{}:{}", process.uid, process.gid)),
            _ => name,
        };
        let words = step.words();
        let message = match name {
            Some(name) => format!("{words} {name}: {errno}"),
            None => format!("{words}: {errno}"),
        };
        Self {
            message,
            errno,
            exit_code: 128,
        }
    }

    /// Adds what else is known, such as the kernel's own words.
    #[must_use]
    pub fn with_detail(mut self, detail: &str) -> Self {
        if !detail.trim().is_empty() {
            self.message = format!("{} ({})", self.message, detail.trim());
        }
        self
    }

    /// Puts the failure of one of a container's own hooks into words.
    pub fn from_hook(failure: HookFailure, plan: &Plan, output: &str) -> Self {
        let (kind, list) = if failure.start {
            ("startContainer", &plan.hooks.start_container)
        } else {
            ("createContainer", &plan.hooks.create_container)
        };
        let index = failure.index as usize;
        let message = match list.get(index) {
            Some(hook) => describe(kind, index, hook, failure.end, output.as_bytes()),
            None => format!("error running {kind} hook #{index}"),
        };
        Self {
            message,
            errno: Errno(libc::ECANCELED),
            exit_code: 128,
        }
    }

    fn from_exec(program: &str, errno: Errno) -> Self {
        let (message, exit_code) = match errno.0 {
            libc::ENOENT | libc::ENOTDIR if program.contains('/') => (
                format!("exec: {program:?}: stat {program}: no such file or directory"),
                127,
            ),
            libc::ENOENT | libc::ENOTDIR => (
                format!("exec: {program:?}: executable file not found in $PATH"),
                127,
            ),
            // A directory may not be executed: in runc's words, which podman looks for.
            libc::EACCES | libc::EPERM | libc::EISDIR => {
                (format!("exec: {program:?}: permission denied"), 126)
            }
            libc::ENOEXEC => (format!("exec {program}: exec format error"), 126),
            _ => (format!("exec: {program:?}: {errno}"), 128),
        };
        Self {
            message,
            errno,
            exit_code,
        }
    }
}

impl std::fmt::Display for SpawnError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SpawnError {}
