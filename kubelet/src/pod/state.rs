//! What has been observed of one pod on this node. Plain data; the worker writes it, the planner and the status
//! builder read it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use k8s_openapi::jiff::Timestamp;

use super::backoff::Backoff;

/// Both clocks: deadlines are kept on the monotonic one, what the API shows on the other.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For deadlines.
    pub mono: Instant,
    /// For timestamps.
    pub wall: Timestamp,
}

impl Now {
    /// Reads both clocks.
    pub fn read() -> Self {
        Self {
            mono: Instant::now(),
            wall: Timestamp::now(),
        }
    }
}

/// Everything about one pod but its specification.
#[derive(Debug, Clone, Default)]
pub struct PodState {
    /// Namespaces and network.
    pub sandbox: Sandbox,
    /// Volumes.
    pub volumes: Volumes,
    /// Per container, by name.
    pub containers: BTreeMap<String, ContainerRecord>,
    /// `status.startTime`.
    pub start_time: Option<Timestamp>,
    /// The pod failed as a whole: refused by admission, past its deadline.
    pub failure: Option<Failure>,
    /// The API already shows a final phase: nothing is to be started any more.
    pub api_terminal: bool,
    /// The API no longer has the pod.
    pub gone: bool,
    /// When everything must have ended, once the pod is being stopped.
    pub stop_deadline: Option<Instant>,
    /// Removal of volumes, network and sandbox.
    pub teardown: Step,
    /// DELETE in the API.
    pub deletion: Step,
    /// The API server has accepted the status last computed.
    pub status_settled: bool,
}

/// A sandbox's life.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Sandbox {
    /// Not made yet.
    #[default]
    Absent,
    /// Being made.
    Creating,
    /// Namespaces and network are there.
    Ready {
        /// Pod addresses, primary first.
        ips: Vec<IpAddr>,
    },
    /// Could not be made.
    Failed {
        /// When to try again.
        retry_at: Instant,
    },
}

/// The volumes' life; they are mounted together.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Volumes {
    /// Not mounted.
    #[default]
    Absent,
    /// Being mounted.
    Mounting,
    /// All there.
    Ready,
    /// Could not be mounted.
    Failed {
        /// When to try again, unless a referenced object changes first.
        retry_at: Instant,
    },
}

/// Something done once, with retries.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Step {
    /// Not begun.
    #[default]
    Pending,
    /// Under way.
    Running,
    /// Failed.
    Failed {
        /// When to try again.
        retry_at: Instant,
    },
    /// Done.
    Done,
}

/// Why a pod failed as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// `status.reason`.
    pub reason: String,
    /// `status.message`.
    pub message: String,
}

/// One container of the pod, over all its restarts.
#[derive(Debug, Clone, Default)]
pub struct ContainerRecord {
    /// The newest instance.
    pub current: Option<Instance>,
    /// How the instance before it ended.
    pub last: Option<Terminated>,
    /// Number of the newest instance: `restartCount`.
    pub restart_count: u32,
    /// Number of the next instance.
    pub next_attempt: u32,
    /// The image for the next start.
    pub image: ImagePhase,
    /// When the last pull failed.
    pub pull_failed_at: Option<Timestamp>,
    /// Being created and started.
    pub starting: bool,
    /// Why it does not run, where that is known.
    pub waiting: Option<Waiting>,
    /// Not before this time, after a start that failed for its configuration or image.
    pub retry_at: Option<Instant>,
    /// Restart back-off.
    pub backoff: Backoff,
    /// Image pull back-off.
    pub pull_backoff: Backoff,
    /// Passes its readiness probe (or has none).
    pub ready: bool,
    /// Passed its startup probe (or has none) and its postStart hook.
    pub started: bool,
    /// Is to be stopped and restarted per policy.
    pub kill: Option<Kill>,
    /// Being stopped.
    pub stopping: Option<Stopping>,
}

impl ContainerRecord {
    /// How the newest instance ended, if it has.
    pub fn exited(&self) -> Option<&Terminated> {
        match &self.current.as_ref()?.phase {
            InstancePhase::Exited(terminated) => Some(terminated),
            InstancePhase::Running { .. } => None,
        }
    }

    /// How the run before the next start ended, also if it is no longer the newest: its sandbox is gone since.
    pub fn ended(&self) -> Option<&Terminated> {
        match &self.current {
            Some(_) => self.exited(),
            None => self.last.as_ref(),
        }
    }

    /// Whether a process of it runs.
    pub fn running(&self) -> bool {
        matches!(
            self.current,
            Some(Instance {
                phase: InstancePhase::Running { .. },
                ..
            })
        )
    }
}

/// One run of a container.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Runtime id.
    pub id: String,
    /// The image as the pod named it then.
    pub image: String,
    /// Image id.
    pub image_id: String,
    /// uid, gid, supplementary groups of its first process.
    pub user: Option<(u32, u32, Vec<u32>)>,
    /// Phase.
    pub phase: InstancePhase,
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq)]
pub enum InstancePhase {
    /// Its process runs.
    Running {
        /// Since when.
        started_at: Timestamp,
    },
    /// It has ended.
    Exited(Terminated),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Terminated {
    /// Runtime id; empty when it is not known any more.
    pub id: String,
    /// Exit code.
    pub exit_code: i32,
    /// Signal.
    pub signal: Option<i32>,
    /// `Completed`, `Error`, `OOMKilled`, `StartError`, `ContainerStatusUnknown`.
    pub reason: String,
    /// Termination message.
    pub message: Option<String>,
    /// Start; `None` if it never ran.
    pub started_at: Option<Timestamp>,
    /// End.
    pub finished_at: Timestamp,
}

/// The image of the next start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ImagePhase {
    /// Not looked up yet.
    #[default]
    Unresolved,
    /// Being looked up or pulled.
    Resolving,
    /// Present.
    Ready,
}

/// `state.waiting`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Machine-readable.
    pub reason: String,
    /// For people.
    pub message: String,
}

impl Waiting {
    /// A reason with its message.
    pub fn new(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            message: message.into(),
        }
    }
}

/// A request to stop one container of a pod that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kill {
    /// The message of its Killing event.
    pub message: String,
    /// Grace period in seconds, where the probe sets its own.
    pub grace_seconds: Option<i64>,
}

/// A container on its way out.
#[derive(Debug, Clone, PartialEq)]
pub struct Stopping {
    /// When SIGKILL follows.
    pub deadline: Instant,
    /// SIGKILL, which must be repeated if it could not be sent or has not ended the container.
    pub kill: Step,
}
