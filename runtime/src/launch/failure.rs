//! What a child reports when a step of its launch fails.

use crate::sys::Errno;

/// A step of a launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)] // the names are the steps; `words` describes them
pub enum Step {
    Signals = 1,
    Join,
    Propagation,
    AttachRoot,
    CgroupNamespace,
    Mount,
    Device,
    Link,
    Mask,
    ReadOnly,
    Console,
    ReadOnlyRoot,
    Hostname,
    Sysctl,
    Pivot,
    OomScore,
    Gate,
    Rlimit,
    WorkingDirectory,
    Bounding,
    Ids,
    Capabilities,
    Seccomp,
    Descriptors,
    Exec,
}

impl Step {
    const ALL: [Self; 25] = [
        Self::Signals,
        Self::Join,
        Self::Propagation,
        Self::AttachRoot,
        Self::CgroupNamespace,
        Self::Mount,
        Self::Device,
        Self::Link,
        Self::Mask,
        Self::ReadOnly,
        Self::Console,
        Self::ReadOnlyRoot,
        Self::Hostname,
        Self::Sysctl,
        Self::Pivot,
        Self::OomScore,
        Self::Gate,
        Self::Rlimit,
        Self::WorkingDirectory,
        Self::Bounding,
        Self::Ids,
        Self::Capabilities,
        Self::Seccomp,
        Self::Descriptors,
        Self::Exec,
    ];

    /// What was being done, for a message.
    pub fn words(self) -> &'static str {
        match self {
            Self::Signals => "resetting signals and session",
            Self::Join => "entering a namespace",
            Self::Propagation => "making the mount namespace private",
            Self::AttachRoot => "attaching the root filesystem",
            Self::CgroupNamespace => "making the cgroup namespace",
            Self::Mount => "mounting",
            Self::Device => "making device",
            Self::Link => "making symlink",
            Self::Mask => "masking",
            Self::ReadOnly => "making read-only",
            Self::Console => "setting up the terminal",
            Self::ReadOnlyRoot => "making the root filesystem read-only",
            Self::Hostname => "setting the host name",
            Self::Sysctl => "setting kernel parameter",
            Self::Pivot => "changing the root directory",
            Self::OomScore => "setting oom_score_adj",
            Self::Gate => "waiting for the start",
            Self::Rlimit => "setting resource limit",
            Self::WorkingDirectory => "entering the working directory",
            Self::Bounding => "dropping capabilities",
            Self::Ids => "changing user and group",
            Self::Capabilities => "setting capabilities",
            Self::Seccomp => "installing the seccomp filter",
            Self::Descriptors => "closing descriptors",
            Self::Exec => "exec",
        }
    }
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

/// One message of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// What it says.
    pub kind: RecordKind,
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
}

impl Record {
    /// Bytes of a message.
    pub const SIZE: usize = 12;

    /// The message as bytes; no allocation.
    pub fn encode(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        match self.kind {
            RecordKind::Terminal => bytes[0] = 1,
            RecordKind::Ready => bytes[0] = 2,
            RecordKind::Failed(failure) => {
                bytes[0] = 3;
                bytes[1] = failure.step as u8;
                bytes[4..8].copy_from_slice(&failure.index.to_le_bytes());
                bytes[8..12].copy_from_slice(&failure.errno.0.to_le_bytes());
            }
        }
        bytes
    }

    /// Reads a message.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::SIZE] = bytes.try_into().ok()?;
        let kind = match bytes[0] {
            1 => RecordKind::Terminal,
            2 => RecordKind::Ready,
            3 => RecordKind::Failed(Failure {
                step: Step::ALL.into_iter().find(|step| *step as u8 == bytes[1])?,
                index: u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
                errno: Errno(i32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]])),
            }),
            _ => return None,
        };
        Some(Self { kind })
    }
}
