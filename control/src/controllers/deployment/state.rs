//! What a plan works on: the Deployment, its ReplicaSets as they will be after the actions so far, and the actions.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::revision;
use crate::controllers::api::EventType;
use crate::controllers::model::{Condition, Deployment, ReplicaSet, Time};

/// A ReplicaSet as planned.
#[derive(Debug, Clone)]
pub struct Set {
    /// The cached object; `None` for one that the plan creates.
    pub source: Option<Arc<ReplicaSet>>,
    /// Name.
    pub name: String,
    /// Creation time.
    pub created: Time,
    /// Wanted pods.
    pub replicas: i64,
    /// Pods there are.
    pub actual: i64,
    /// Ready pods.
    pub ready: i64,
    /// Available pods.
    pub available: i64,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Seconds of readiness that count as available.
    pub min_ready_seconds: i64,
}

impl Set {
    /// From the cache.
    pub fn new(source: &Arc<ReplicaSet>) -> Self {
        Self {
            name: source.metadata.name.clone(),
            created: source.metadata.created,
            replicas: source.replicas(),
            actual: source.status.replicas,
            ready: source.status.ready_replicas,
            available: source.status.available_replicas,
            annotations: BTreeMap::clone(&source.metadata.annotations),
            min_ready_seconds: source.spec.min_ready_seconds,
            source: Some(source.clone()),
        }
    }

    /// Revision of its template.
    pub fn revision(&self) -> i64 {
        revision::revision(&self.annotations)
    }
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Create a ReplicaSet of the Deployment's template.
    Create {
        /// Name.
        name: String,
        /// The hash in it.
        hash: String,
        /// Wanted pods.
        replicas: i64,
        /// Annotations.
        annotations: BTreeMap<String, String>,
    },
    /// Change a ReplicaSet.
    Update {
        /// Name.
        name: String,
        /// Wanted pods, if they change.
        replicas: Option<i64>,
        /// All annotations as they should be.
        annotations: BTreeMap<String, String>,
        /// `minReadySeconds`, if it changes.
        min_ready_seconds: Option<i64>,
    },
    /// Delete an old ReplicaSet.
    Delete {
        /// Name.
        name: String,
    },
    /// Write the Deployment's revision annotation.
    SetRevision(String),
    /// Record an event about the Deployment.
    Event(EventType, &'static str, String),
}

/// A plan in the making.
#[derive(Debug)]
pub struct State<'a> {
    /// The Deployment.
    pub deployment: &'a Deployment,
    /// Its template, decoded.
    pub template: Value,
    /// Its ReplicaSets, oldest first.
    pub sets: Vec<Set>,
    /// Index of the one with the current template.
    pub newest: Option<usize>,
    /// Conditions as planned.
    pub conditions: Vec<Condition>,
    /// What to do, in order.
    pub actions: Vec<Action>,
    /// The present.
    pub now: Time,
}

impl<'a> State<'a> {
    /// Nothing planned yet.
    pub fn new(deployment: &'a Deployment, sets: &[Arc<ReplicaSet>], now: Time) -> Self {
        let template = deployment.spec.template.value();
        let mut sets: Vec<_> = sets.iter().map(Set::new).collect();
        sets.sort_by(|a, b| a.created.cmp(&b.created).then_with(|| a.name.cmp(&b.name)));
        // Several can match after a bug or by hand; the oldest wins, always the same.
        let newest = sets.iter().position(|set| {
            let source = set.source.as_ref();
            source.is_some_and(|set| super::hash::same_template(&set.spec.template.value(), &template))
        });
        Self {
            deployment,
            template,
            sets,
            newest,
            conditions: deployment.status.conditions.clone(),
            actions: Vec::new(),
            now,
        }
    }

    /// Indices of all ReplicaSets but the newest, oldest first.
    pub fn old(&self) -> Vec<usize> {
        (0..self.sets.len())
            .filter(|index| Some(*index) != self.newest)
            .collect()
    }

    /// Sum over all ReplicaSets.
    pub fn total(&self, count: impl Fn(&Set) -> i64) -> i64 {
        self.sets.iter().map(count).sum()
    }

    /// Whether the strategy is RollingUpdate (the default).
    pub fn is_rolling(&self) -> bool {
        self.deployment.spec.strategy.kind != "Recreate"
    }

    /// Pods allowed above the wanted number.
    pub fn max_surge(&self) -> i64 {
        if self.is_rolling() {
            self.fence_posts().0
        } else {
            0
        }
    }

    /// Pods that may be missing.
    pub fn max_unavailable(&self) -> i64 {
        let wanted = self.deployment.replicas();
        if !self.is_rolling() || wanted == 0 {
            return 0;
        }
        self.fence_posts().1.min(wanted)
    }

    /// Surge rounds up, unavailability down, and they are never both 0, which would allow no progress.
    fn fence_posts(&self) -> (i64, i64) {
        let rolling = &self.deployment.spec.strategy.rolling_update;
        let wanted = self.deployment.replicas();
        let surge = rolling
            .max_surge
            .as_ref()
            .map_or(0, |value| value.resolve(wanted, true));
        let unavailable = rolling
            .max_unavailable
            .as_ref()
            .map_or(0, |value| value.resolve(wanted, false));
        if surge == 0 && unavailable == 0 {
            (0, 1)
        } else {
            (surge, unavailable)
        }
    }

    /// Sets the wanted pods of a ReplicaSet, with annotations and event. `false` if nothing changes.
    pub fn scale(&mut self, index: usize, replicas: i64) -> bool {
        let wanted = self.deployment.replicas();
        let bounds = [
            (revision::DESIRED, wanted),
            (revision::MAX, wanted + self.max_surge()),
        ];
        let set = &mut self.sets[index];
        let before = set.replicas;
        let mut annotations = set.annotations.clone();
        annotations.extend(bounds.map(|(key, value)| (key.to_owned(), value.to_string())));
        if before == replicas && annotations == set.annotations {
            return false;
        }
        set.replicas = replicas;
        set.annotations = annotations;
        let name = set.name.clone();
        self.actions.push(Action::Update {
            name: name.clone(),
            replicas: (before != replicas).then_some(replicas),
            annotations: self.sets[index].annotations.clone(),
            min_ready_seconds: None,
        });
        if before != replicas {
            let direction = if before < replicas { "up" } else { "down" };
            let message = format!("Scaled {direction} replica set {name} from {before} to {replicas}");
            self.actions
                .push(Action::Event(EventType::Normal, "ScalingReplicaSet", message));
        }
        before != replicas
    }

    /// Pods for the newest ReplicaSet when it may only grow (upstream `NewRSNewReplicas`).
    pub fn grown(&self, current: i64) -> i64 {
        let wanted = self.deployment.replicas();
        if !self.is_rolling() {
            return wanted;
        }
        let room = wanted + self.max_surge() - self.total(|set| set.replicas);
        if room <= 0 {
            current
        } else {
            current + room.min(wanted - current)
        }
    }
}
