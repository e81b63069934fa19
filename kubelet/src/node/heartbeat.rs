//! Registration, then a lease every 10 s and a status when something has changed or 5 minutes have passed.
//!
//! The lease is renewed whatever becomes of the status: a node whose images cannot be listed, or whose status the API
//! refuses, is not lost, and its pods must not be given up for that.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ContainerImage, Node, NodeStatus, ObjectReference};
use k8s_openapi::jiff::Timestamp;
use keelson_runtime::image::ImageStore;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use tokio::sync::watch;

use super::facts::{Facts, pressure};
use super::status::{self, Health, Inputs};
use super::{NodeHandle, images, lease};
use crate::event::{Kind, Recorder};

/// Time between leases, as upstream has it.
const BEAT: Duration = Duration::from_secs(10);
/// Time between statuses that say nothing new.
const FULL_STATUS: Duration = Duration::from_mins(5);
/// Time between attempts while the API or netd is not there yet: both start together with us, within a second, and
/// neither can announce itself before it is reachable.
const STARTING: Duration = Duration::from_millis(100);
/// How long netd is given to say that it is well.
const NETD: Duration = Duration::from_secs(5);
/// How long after the start a node that is not ready yet says nothing about it.
const SETTLING: Duration = Duration::from_secs(3);
/// How long start-up is given before attempts become rarer.
const STARTING_FOR: Duration = Duration::from_secs(30);

/// The heartbeat's surroundings.
pub struct Heartbeat {
    /// API.
    pub client: Client,
    /// The node.
    pub node: NodeHandle,
    /// The machine.
    pub facts: Facts,
    /// Most pods.
    pub max_pods: u32,
    /// Port that our server is to have.
    pub wanted_port: u16,
    /// Port that it has, once it listens.
    pub port: watch::Receiver<Option<u16>>,
    /// Where pods lie, for disk pressure.
    pub root_dir: PathBuf,
    /// Images to list.
    pub images: ImageStore,
    /// The network daemon.
    pub netd: keelson_netd::client::Client,
    /// Events.
    pub events: Recorder,
    /// Why limits are not enforced, if they are not.
    pub limits_problem: Option<String>,
}

struct Sent {
    status: NodeStatus,
    /// When we sent it; `None` for one found in the API.
    at: Option<Instant>,
}

impl Heartbeat {
    /// Runs until it is dropped.
    pub async fn run(self) {
        let started = Instant::now();
        self.events
            .record(self.reference(), Kind::Normal, "Starting", "Starting kubelet.");
        if let Some(problem) = &self.limits_problem {
            self.events.record(
                self.reference(),
                Kind::Warning,
                "LimitsNotEnforced",
                problem.clone(),
            );
        }
        let (registered, uid) = watch::channel(None);
        tokio::join!(self.statuses(started, registered), self.leases(started, uid));
    }

    /// Registers the node, tells who waits for it its UID, and keeps its status up to date.
    async fn statuses(&self, started: Instant, registered: watch::Sender<Option<String>>) {
        let mut sent: Option<Sent> = None;
        loop {
            let health = self.health().await;
            let result = self.beat(started, &registered, &mut sent, &health).await;
            if let Err(error) = &result {
                tracing::warn!(%error, "heartbeat");
                if matches!(error, kube::Error::Api(status) if status.code == 404) {
                    // Somebody deleted the Node: register again.
                    registered.send_replace(None);
                    sent = None;
                }
            }
            tokio::time::sleep(pause(started, result.is_ok() && health.ready())).await;
        }
    }

    async fn leases(&self, started: Instant, mut uid: watch::Receiver<Option<String>>) {
        loop {
            let known = match uid.wait_for(Option::is_some).await {
                Ok(uid) => uid.clone().unwrap_or_default(),
                Err(_) => return,
            };
            let result = lease::renew(&self.client, &self.node.name, &known).await;
            if let Err(error) = &result {
                tracing::warn!(%error, "lease");
            }
            tokio::time::sleep(pause(started, result.is_ok())).await;
        }
    }

    async fn beat(
        &self,
        started: Instant,
        registered: &watch::Sender<Option<String>>,
        sent: &mut Option<Sent>,
        health: &Health,
    ) -> Result<(), kube::Error> {
        if registered.borrow().is_none() {
            let node = self.register().await?;
            self.node.set_labels(node.metadata.labels);
            // Conditions written before a restart keep their transition times.
            *sent = node.status.map(|status| Sent { status, at: None });
            registered.send_replace(Some(node.metadata.uid.unwrap_or_default()));
        }
        // A node that restarts its kubelet is not to be called lost, with all its pods, for the moment that takes.
        if health.ready() || started.elapsed() > SETTLING {
            self.send_status(sent, health).await?;
        }
        Ok(())
    }

    async fn register(&self) -> Result<Node, kube::Error> {
        let api: Api<Node> = Api::all(self.client.clone());
        let wanted = status::node(&self.node.name, &self.facts);
        match api.create(&PostParams::default(), &wanted).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {
                let patch = serde_json::json!({"metadata": {"labels": wanted.metadata.labels}});
                api.patch(&self.node.name, &PatchParams::default(), &Patch::Strategic(patch))
                    .await
            }
            answer => answer,
        }
    }

    async fn send_status(&self, sent: &mut Option<Sent>, health: &Health) -> Result<(), kube::Error> {
        let previous = sent
            .as_ref()
            .and_then(|s| s.status.conditions.clone())
            .unwrap_or_default();
        let images = self.image_list().await;
        let new = status::status(Inputs {
            name: &self.node.name,
            ips: &self.node.ips,
            facts: &self.facts,
            max_pods: self.max_pods,
            port: self.port.borrow().unwrap_or(self.wanted_port),
            images,
            health,
            previous: &previous,
            now: Timestamp::now(),
        });
        let fresh = sent
            .as_ref()
            .is_some_and(|s| s.at.is_some_and(|at| at.elapsed() < FULL_STATUS) && same(&s.status, &new));
        if fresh {
            return Ok(());
        }
        let api: Api<Node> = Api::all(self.client.clone());
        let mut patch = serde_json::json!({"status": new});
        if self.limits_problem.is_none() {
            // A condition of an earlier start that no longer holds.
            let stale = serde_json::json!({"$patch": "delete", "type": "LimitsNotEnforced"});
            if let (true, Some(list)) = (
                previous.iter().any(|c| c.type_ == "LimitsNotEnforced"),
                patch["status"]["conditions"].as_array_mut(),
            ) {
                list.push(stale);
            }
        }
        let node = api
            .patch_status(&self.node.name, &PatchParams::default(), &Patch::Strategic(patch))
            .await?;
        self.node.set_labels(node.metadata.labels);
        let current = new.conditions.as_deref().unwrap_or_default();
        for reason in status::transition_events(&previous, current) {
            let message = format!("Node {} status is now: {reason}", self.node.name);
            tracing::info!("{message}");
            self.events
                .record(self.reference(), Kind::Normal, reason, message);
        }
        *sent = Some(Sent {
            status: new,
            at: Some(Instant::now()),
        });
        Ok(())
    }

    async fn health(&self) -> Health {
        // A netd that hangs must not stop the lease.
        let network = match tokio::time::timeout(NETD, self.netd.ready()).await {
            Ok(answer) => answer.err().map(|error| error.to_string()),
            Err(_) => Some("netd does not answer".to_owned()),
        };
        Health {
            pressure: pressure(&self.root_dir),
            listening: self.port.borrow().is_some(),
            network_problem: network,
            limits_problem: self.limits_problem.clone(),
        }
    }

    async fn image_list(&self) -> Vec<ContainerImage> {
        let store = self.images.clone();
        let listed = tokio::task::spawn_blocking(move || store.list()).await;
        images::image_list(listed.ok().and_then(Result::ok).unwrap_or_default())
    }

    fn reference(&self) -> ObjectReference {
        ObjectReference {
            kind: Some("Node".into()),
            name: Some(self.node.name.to_string()),
            // Upstream's events name the node in place of its UID, and `kubectl describe node` looks for that.
            uid: Some(self.node.name.to_string()),
            ..ObjectReference::default()
        }
    }
}

/// Time to the next attempt, or to the next beat.
fn pause(started: Instant, settled: bool) -> Duration {
    if settled || started.elapsed() > STARTING_FOR {
        BEAT
    } else {
        STARTING
    }
}

/// Whether two statuses differ in nothing but their heartbeat times.
fn same(a: &NodeStatus, b: &NodeStatus) -> bool {
    let bare = |status: &NodeStatus| {
        let mut status = status.clone();
        for condition in status.conditions.iter_mut().flatten() {
            condition.last_heartbeat_time = None;
        }
        status
    };
    bare(a) == bare(b)
}
