//! What a child reports to its parent: that it got somewhere, or which step of its launch failed.

use crate::sys::{Errno, Exit};

macro_rules! steps {
    ($($name:ident => $words:literal,)*) => {
        /// A step of a launch.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        #[allow(missing_docs)] // the names are the steps; `words` describes them
        pub enum Step { $($name,)* }

        impl Step {
            const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// What was being done, for a message.
            pub fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)* }
            }
        }
    };
}

steps! {
    Signals => "resetting signals and session",
    UserNamespace => "entering the user namespace",
    Join => "entering a namespace",
    TimeNamespace => "setting up the time namespace",
    Propagation => "making the mount namespace private",
    AttachRoot => "attaching the root filesystem",
    CgroupNamespace => "making the cgroup namespace",
    Mount => "mounting",
    Device => "making device",
    Link => "making symlink",
    Mask => "masking",
    ReadOnly => "making read-only",
    Console => "setting up the terminal",
    ReadOnlyRoot => "making the root filesystem read-only",
    RootPropagation => "setting the root filesystem's propagation",
    Hostname => "setting the host name",
    Domainname => "setting the domain name",
    Sysctl => "setting kernel parameter",
    Hooks => "waiting for the hooks",
    Pivot => "changing the root directory",
    OomScore => "setting oom_score_adj",
    Gate => "waiting for the start",
    Rlimit => "setting resource limit",
    Scheduler => "setting the scheduler",
    IoPriority => "setting the I/O priority",
    Affinity => "setting the CPU affinity",
    MemoryPolicy => "setting the memory policy",
    Personality => "setting the personality",
    WorkingDirectory => "entering the working directory",
    Bounding => "dropping capabilities",
    Groups => "setting supplementary groups",
    Ids => "changing user and group",
    Capabilities => "setting capabilities",
    Label => "setting the security label",
    Seccomp => "installing the seccomp filter",
    Listener => "handing on the seccomp listener",
    Descriptors => "passing descriptors on",
    Exec => "exec",
}

/// A failed step: its errno, and which of the plan's mounts, devices and so on it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// The step.
    pub step: Step,
    /// Index into the plan's list that belongs to the step; 0 elsewhere.
    pub index: u32,
    /// The kernel's answer.
    pub errno: Errno,
}

/// Names a step for `map_err`.
pub(super) fn at(step: Step, index: usize) -> impl Fn(Errno) -> Failure {
    move |errno| Failure {
        step,
        index: index as u32,
        errno,
    }
}

/// How a hook failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookEnd {
    /// It ended, but not well.
    Ended(Exit),
    /// It took longer than it was given.
    TimedOut,
    /// It could not be run.
    Errno(Errno),
}

/// A hook of a child's own list that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HookFailure {
    /// Of `startContainer` rather than `createContainer`.
    pub start: bool,
    /// Its place in its list.
    pub index: u32,
    /// How it ended.
    pub end: HookEnd,
}

/// Why a child gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    Step(Failure),
    Hook(HookFailure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Step(failure)
    }
}

/// What a child says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// A terminal was made; its master comes with the message.
    Terminal,
    /// Everything before the start gate is done.
    Ready,
    /// A step failed; the child ends.
    Failed(Failure),
    /// The namespaces and mounts are there: it is time for the runtime's hooks.
    Hooks,
    /// A hook of the container failed; the child ends.
    HookFailed(HookFailure),
    /// A seccomp filter is in force; its listener comes with the message.
    Listener,
    /// The container's first process has this id; its pidfd comes with the message.
    Born(i32),
}

/// One message of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// What it says.
    pub kind: RecordKind,
}

impl Record {
    /// Bytes of a message, before its text.
    pub const SIZE: usize = 12;
    /// Longest text (a hook's output, the kernel's words) that may follow.
    pub const TEXT: usize = 500;

    /// The message as bytes; no allocation.
    pub fn encode(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let (tag, detail, index, value) = match self.kind {
            RecordKind::Terminal => (1, 0, 0, 0),
            RecordKind::Ready => (2, 0, 0, 0),
            RecordKind::Failed(failure) => (3, failure.step as u8, failure.index, failure.errno.0),
            RecordKind::Hooks => (4, 0, 0, 0),
            RecordKind::HookFailed(failure) => {
                let (how, value) = match failure.end {
                    HookEnd::Ended(Exit::Code(code)) => (0, code),
                    HookEnd::Ended(Exit::Signal(signal)) => (1, signal),
                    HookEnd::TimedOut => (2, 0),
                    HookEnd::Errno(errno) => (3, errno.0),
                };
                (5, how | u8::from(failure.start) << 7, failure.index, value)
            }
            RecordKind::Listener => (6, 0, 0, 0),
            RecordKind::Born(pid) => (7, 0, 0, pid),
        };
        bytes[0] = tag;
        bytes[1] = detail;
        bytes[4..8].copy_from_slice(&index.to_le_bytes());
        bytes[8..12].copy_from_slice(&value.to_le_bytes());
        bytes
    }

    /// Reads a message.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::SIZE] = bytes.get(..Self::SIZE)?.try_into().ok()?;
        let index = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        let value = i32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
        let kind = match bytes[0] {
            1 => RecordKind::Terminal,
            2 => RecordKind::Ready,
            3 => RecordKind::Failed(Failure {
                step: *Step::ALL.iter().find(|step| **step as u8 == bytes[1])?,
                index,
                errno: Errno(value),
            }),
            4 => RecordKind::Hooks,
            5 => RecordKind::HookFailed(HookFailure {
                start: bytes[1] & 0x80 != 0,
                index,
                end: match bytes[1] & 0x7f {
                    0 => HookEnd::Ended(Exit::Code(value)),
                    1 => HookEnd::Ended(Exit::Signal(value)),
                    2 => HookEnd::TimedOut,
                    3 => HookEnd::Errno(Errno(value)),
                    _ => return None,
                },
            }),
            6 => RecordKind::Listener,
            7 => RecordKind::Born(value),
            _ => return None,
        };
        Some(Self { kind })
    }
}

/// Text of bounded length on the stack.
#[derive(Debug)]
pub struct Words {
    bytes: [u8; Record::TEXT],
    length: usize,
}

impl Words {
    pub(super) fn new() -> Self {
        Self {
            bytes: [0; Record::TEXT],
            length: 0,
        }
    }

    /// Appends what fits.
    pub(super) fn push(&mut self, more: &[u8]) {
        let n = more.len().min(self.bytes.len() - self.length);
        self.bytes[self.length..self.length + n].copy_from_slice(&more[..n]);
        self.length += n;
    }

    /// What was written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back() {
        let hook = |end| {
            RecordKind::HookFailed(HookFailure {
                start: true,
                index: 3,
                end,
            })
        };
        for kind in [
            RecordKind::Terminal,
            RecordKind::Ready,
            RecordKind::Hooks,
            RecordKind::Listener,
            RecordKind::Born(17),
            RecordKind::Failed(Failure {
                step: Step::Exec,
                index: 9,
                errno: Errno(2),
            }),
            hook(HookEnd::TimedOut),
            hook(HookEnd::Ended(Exit::Code(7))),
            hook(HookEnd::Ended(Exit::Signal(9))),
            hook(HookEnd::Errno(Errno(2))),
        ] {
            assert_eq!(Record::decode(&Record { kind }.encode()), Some(Record { kind }));
        }
        assert_eq!(Record::decode(&[3; 5]), None);
    }
}
