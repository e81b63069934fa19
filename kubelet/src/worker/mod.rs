//! One task per pod: takes observations, asks the planner, begins what it says.
//!
//! A worker never waits for anything but its next message: whatever takes time runs in a task of its own and reports
//! back with [`Message::Done`]. So everything about one pod happens in one order, and pods do not hold each other up.

mod act;
mod checkpoint;
mod context;
mod ending;
mod hook;
mod image;
mod message;
mod observe;
mod probes;
mod publish;
mod sandbox;
mod start;
mod stop;
mod teardown;
mod termination;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use tokio::sync::mpsc;

pub use checkpoint::load_checkpoints;
pub use context::{Context, log_dir};
pub use ending::last_word;
pub use image::Turns;
pub use message::Message;
pub use teardown::remove_orphan;
pub use termination::read_message;

use crate::container::spec::ImageFacts;
use crate::pod::adopt::Adopted;
use crate::pod::plan::plan;
use crate::pod::state::{Now, PodState};
use crate::probe::ProbeTasks;
use crate::volume::{PodDir, Tokens};

/// Where messages to a worker go.
pub type Inbox = mpsc::UnboundedSender<Message>;

/// A pod's worker.
pub struct Worker {
    context: Arc<Context>,
    pod: Arc<Pod>,
    state: PodState,
    dir: PodDir,
    inbox: Inbox,
    messages: mpsc::UnboundedReceiver<Message>,
    /// Image of the next start, by container.
    images: HashMap<String, ImageFacts>,
    tokens: Tokens,
    /// When the planner wants to be asked again.
    plan_wake: Option<Instant>,
    /// When volume content must be renewed.
    renew_at: Option<Instant>,
    /// Delay before a failed mount is tried again.
    mount_delay: Duration,
    refreshing: bool,
    refresh_again: bool,
    /// Ends that were reported before the start that they belong to.
    early_exits: HashSet<String>,
    /// Containers whose postStart hook has not returned, by runtime id.
    hooks_pending: HashSet<String>,
    /// Whether the startup probe has succeeded, by runtime id.
    startup_done: HashSet<String>,
    probes: ProbeTasks,
    /// The status last computed.
    desired: Option<PodStatus>,
    /// The status the API server last accepted from us.
    accepted: Option<PodStatus>,
    pace: publish::Pace,
    /// resourceVersion of our last accepted status.
    accepted_version: Option<u64>,
    /// The sandbox of before a reboot, or one whose shim has ended, must go before a new one is made.
    stale_sandbox: bool,
    /// Half-made containers of an earlier kubelet.
    discard: Vec<String>,
    /// Dead runs to remove, oldest first, by container.
    dead: BTreeMap<String, Vec<(String, u32)>>,
}

impl Worker {
    /// Starts a worker and returns where to send it messages. It ends by itself when nothing is left of the pod.
    pub fn spawn(context: Arc<Context>, pod: Arc<Pod>, adopted: Adopted) -> Inbox {
        let (inbox, messages) = mpsc::unbounded_channel();
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        context.objects.admit(&uid);
        let worker = Self {
            dir: PodDir::new(&context.config.root_dir, &uid),
            context,
            pod,
            state: adopted.state,
            inbox: inbox.clone(),
            messages,
            images: HashMap::new(),
            tokens: Tokens::default(),
            plan_wake: None,
            renew_at: None,
            mount_delay: observe::FIRST_MOUNT_RETRY,
            refreshing: false,
            refresh_again: false,
            early_exits: HashSet::new(),
            hooks_pending: HashSet::new(),
            startup_done: HashSet::new(),
            probes: ProbeTasks::default(),
            desired: None,
            accepted: None,
            pace: publish::Pace::default(),
            accepted_version: None,
            stale_sandbox: adopted.stale_sandbox,
            discard: adopted.discard,
            dead: adopted.dead,
        };
        tokio::spawn(worker.run());
        inbox
    }

    async fn run(mut self) {
        let uid = self.uid();
        self.begin();
        loop {
            if self.turn() {
                break;
            }
            let wake = self.next_wake();
            let message = tokio::select! {
                message = self.messages.recv() => message,
                // Back-off, grace period, deadline or renewal: whichever the planner named as the next.
                () = sleep_until(wake) => continue,
            };
            let Some(message) = message else { break };
            self.observe(message);
            // Whatever has come meanwhile is taken before deciding again.
            while let Ok(message) = self.messages.try_recv() {
                self.observe(message);
            }
        }
        self.context.objects.release(&uid);
        self.context.registry.remove(&uid);
    }

    /// Decides and acts once; whether the worker is finished.
    fn turn(&mut self) -> bool {
        let now = Now::read();
        self.set_stop_deadline(now);
        self.compute_status(now);
        let plan = plan(&self.pod, &self.state, now);
        self.wake_for_plan(plan.wake);
        for (container, waiting) in plan.waiting {
            self.note_waiting(&container, waiting);
        }
        if !plan.actions.is_empty() {
            // What is begun changes the state, and with it when to look again.
            self.wake_for_plan(Some(now.mono));
        }
        let mut finished = false;
        for action in plan.actions {
            finished |= self.act(action, now);
        }
        self.sync_probes();
        self.compute_status(now);
        self.publish(now);
        self.maybe_renew(now);
        finished
    }

    fn uid(&self) -> String {
        self.pod.metadata.uid.clone().unwrap_or_default()
    }

    fn namespace(&self) -> String {
        self.pod.metadata.namespace.clone().unwrap_or_default()
    }

    fn name(&self) -> String {
        self.pod.metadata.name.clone().unwrap_or_default()
    }

    fn maybe_renew(&mut self, now: Now) {
        if self.renew_at.is_some_and(|at| at <= now.mono) {
            self.renew_at = None;
            self.refresh_volumes();
        }
    }

    /// Turns a wall-clock time into an instant.
    fn instant(at: SystemTime) -> Instant {
        Instant::now() + at.duration_since(SystemTime::now()).unwrap_or_default()
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
