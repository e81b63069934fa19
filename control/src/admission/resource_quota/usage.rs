//! What an object counts for. Source: `pkg/quota/v1/evaluator` upstream.

use std::collections::BTreeSet;

use keelson_api::quantity::Quantity;
use serde_json::Value;

use super::number;
use super::scope::{Traits, matches};
use crate::admission::fields::{items, text};
use crate::admission::persistent_volume_claim_resize::class;
use crate::admission::pod_resources::{Amounts, add, amounts, total};
use crate::object::GroupResource;

/// Objects that have had a short name since before `count/...`.
const NAMED: [&str; 7] = [
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
];

/// What one object counts for, in every way that a quota could ask.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Counted {
    amounts: Amounts,
    pod: Option<Traits>,
    /// Until when (Unix seconds) a pod that is being deleted holds more than its place among the objects. One whose node
    /// is lost stays, and must not keep its namespace from replacing it.
    until: Option<i64>,
}

/// Compute resources of pods are limited as `cpu` or `requests.cpu`, and as `limits.cpu`.
fn is_compute(key: &str) -> bool {
    matches!(key, "cpu" | "memory" | "ephemeral-storage")
        || ((key.starts_with("requests.") || key.starts_with("limits.")) && key != "requests.storage")
        || key.starts_with("hugepages-")
}

/// The kinds of objects that count for some resources.
pub struct Kinds(BTreeSet<GroupResource>);

impl Kinds {
    /// Those that count for `keys`.
    pub fn of<'a>(keys: impl Iterator<Item = &'a String>) -> Self {
        Self(keys.filter_map(|key| kind(key)).collect())
    }

    /// Whether objects of a resource are among them.
    pub fn has(&self, group: &str, resource: &str) -> bool {
        self.0
            .iter()
            .any(|own| own.group == group && own.resource == resource)
    }

    /// As resources.
    pub fn resources(self) -> impl Iterator<Item = GroupResource> {
        self.0.into_iter()
    }
}

fn kind(key: &str) -> Option<GroupResource> {
    if let Some(counted) = key.strip_prefix("count/") {
        let (plural, group) = counted.split_once('.').unwrap_or((counted, ""));
        return Some(GroupResource::new(group, plural));
    }
    if is_compute(key) {
        return Some(GroupResource::new("", "pods"));
    }
    if key == "requests.storage" || key.contains(".storageclass.storage.k8s.io/") {
        return Some(GroupResource::new("", "persistentvolumeclaims"));
    }
    let plural = key.split('.').next().unwrap_or_default();
    NAMED.contains(&plural).then(|| GroupResource::new("", plural))
}

/// Whether every object of the resource counts the same.
pub fn is_plain(resource: &GroupResource) -> bool {
    !(resource.group.is_empty()
        && matches!(
            resource.resource.as_str(),
            "pods" | "services" | "persistentvolumeclaims"
        ))
}

/// What the object counts for.
pub fn of(resource: &GroupResource, object: &Value) -> Counted {
    let plural = &resource.resource;
    let mut counted = Counted::default();
    let key = if resource.group.is_empty() {
        format!("count/{plural}")
    } else {
        format!("count/{plural}.{}", resource.group)
    };
    counted.amounts.insert(key, number(1));
    if !resource.group.is_empty() {
        return counted;
    }
    match plural.as_str() {
        "pods" => pod(object, &mut counted),
        "services" => {
            counted.amounts.insert("services".to_owned(), number(1));
            service(object, &mut counted.amounts);
        }
        "persistentvolumeclaims" => claim(object, &mut counted.amounts),
        plural if NAMED.contains(&plural) => drop(counted.amounts.insert(plural.to_owned(), number(1))),
        _ => {}
    }
    counted
}

fn pod(pod: &Value, counted: &mut Counted) {
    let (mut requests, limits) = (total(pod, "requests"), total(pod, "limits"));
    let computes = |amounts: &Amounts| {
        ["cpu", "memory"]
            .iter()
            .any(|name| amounts.get(*name).is_some_and(|amount| !amount.is_zero()))
    };
    let affinity = ["podAffinity", "podAntiAffinity"].iter().any(|kind| {
        let terms = &pod["spec"]["affinity"][*kind];
        let required = items(terms, "/requiredDuringSchedulingIgnoredDuringExecution").iter();
        let preferred = items(terms, "/preferredDuringSchedulingIgnoredDuringExecution").iter();
        required
            .chain(preferred.map(|term| &term["podAffinityTerm"]))
            .any(|term| !items(term, "/namespaces").is_empty() || !term["namespaceSelector"].is_null())
    });
    counted.pod = Some(Traits {
        terminating: pod["spec"]["activeDeadlineSeconds"]
            .as_i64()
            .is_some_and(|seconds| seconds >= 0),
        best_effort: !computes(&requests) && !computes(&limits),
        priority_class: text(pod, "/spec/priorityClassName").to_owned(),
        cross_namespace: affinity,
    });
    // A pod that is over holds nothing any more, but is still an object.
    if matches!(text(pod, "/status/phase"), "Succeeded" | "Failed") {
        return;
    }
    counted.until = ends(pod);
    counted.amounts.insert("pods".to_owned(), number(1));
    add(&mut requests, &amounts(&pod["spec"]["overhead"]));
    for (name, amount) in requests {
        // The plain name and `requests.` mean the same where both exist.
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-") {
            counted.amounts.insert(name.clone(), amount);
        }
        counted.amounts.insert(format!("requests.{name}"), amount);
    }
    for (name, amount) in limits {
        counted.amounts.insert(format!("limits.{name}"), amount);
    }
}

/// When a pod that is being deleted should have ended long ago: the time for which it was given is over once more.
fn ends(pod: &Value) -> Option<i64> {
    let deleted = keelson_api::time::parse(text(pod, "/metadata/deletionTimestamp"))?;
    let grace = pod["metadata"]["deletionGracePeriodSeconds"].as_i64()?;
    Some(deleted.saturating_add(grace))
}

fn service(service: &Value, amounts: &mut Amounts) {
    let ports = items(service, "/spec/ports").len() as i64;
    let node_ports = match text(service, "/spec/type") {
        "NodePort" => ports,
        "LoadBalancer" => {
            amounts.insert("services.loadbalancers".to_owned(), number(1));
            let given = items(service, "/spec/ports")
                .iter()
                .filter(|port| port["nodePort"].as_i64().is_some_and(|port| port != 0));
            if service["spec"]["allocateLoadBalancerNodePorts"] == false {
                given.count() as i64
            } else {
                ports
            }
        }
        _ => 0,
    };
    if node_ports > 0 {
        amounts.insert("services.nodeports".to_owned(), number(node_ports));
    }
}

fn claim(claim: &Value, counted: &mut Amounts) {
    let storage = |of: &Value| amounts(of).get("storage").copied();
    // Who asks for less again, after an expansion that failed, still has what has been allocated for it.
    let storage =
        storage(&claim["spec"]["resources"]["requests"]).max(storage(&claim["status"]["allocatedResources"]));
    let class = class(claim);
    let mut keys = vec![String::new()];
    if !class.is_empty() {
        keys.push(format!("{class}.storageclass.storage.k8s.io/"));
    }
    for prefix in keys {
        counted.insert(format!("{prefix}persistentvolumeclaims"), number(1));
        if let Some(storage) = storage {
            counted.insert(format!("{prefix}requests.storage"), storage);
        }
    }
}

impl Counted {
    /// All that it counts for, in every way.
    pub fn amounts(&self) -> &Amounts {
        &self.amounts
    }

    /// What scopes can ask about it, if it is a pod.
    pub fn traits(&self) -> Option<&Traits> {
        self.pod.as_ref()
    }

    /// Whether a quota with these scopes applies. Scopes are about pods; a quota that has some limits nothing else.
    pub fn in_scopes(&self, scopes: &[Value]) -> bool {
        match &self.pod {
            Some(traits) => scopes.iter().all(|requirement| matches(traits, requirement)),
            None => scopes.is_empty(),
        }
    }

    /// The part that counts for a quota with these scopes and limits.
    pub fn counted(&self, scopes: &[Value], hard: &Amounts) -> Amounts {
        if !self.in_scopes(scopes) {
            return Amounts::new();
        }
        let own = self.charged().filter(|(key, _)| hard.contains_key(*key));
        own.map(|(key, amount)| (key.clone(), *amount)).collect()
    }

    /// What it counts for now.
    fn charged(&self) -> impl Iterator<Item = (&String, &Quantity)> {
        let is_over = self.until.is_some_and(|until| keelson_api::time::now() > until);
        let all = self.amounts.iter();
        all.filter(move |(key, _)| !is_over || key.starts_with("count/"))
    }
}

impl Counted {
    /// Adds the part that counts for a quota with these scopes and limits, so many times.
    pub fn add_to(&self, scopes: &[Value], hard: &Amounts, times: i64, sum: &mut Amounts) {
        if !self.in_scopes(scopes) {
            return;
        }
        for (key, amount) in self.charged() {
            let Some(limit) = hard.get(key) else { continue };
            let amount = amount.times(times);
            match sum.get_mut(key) {
                // Objects come in no order; what is not written alike is told as the limit is.
                Some(sum) if sum.format() != amount.format() => *sum = sum.plus(amount).written_as(*limit),
                Some(sum) => *sum = sum.plus(amount),
                None => drop(sum.insert(key.clone(), amount)),
            }
        }
    }
}

/// What a quota on compute resources demands of every container and these leave out: `cpu for: a,b; memory for: c`.
pub fn unspecified(pod: &Value, hard: &Amounts) -> Option<String> {
    let mut missing = Vec::new();
    for key in hard.keys() {
        let (which, name) = match key.split_once('.') {
            Some(("requests", name)) => ("requests", name),
            Some(("limits", name)) => ("limits", name),
            _ => ("requests", key.as_str()),
        };
        if !matches!(name, "cpu" | "memory") {
            continue;
        }
        let without: Vec<&str> = items(pod, "/spec/containers")
            .iter()
            .chain(items(pod, "/spec/initContainers"))
            .filter(|container| container["resources"][which][name].is_null())
            .map(|container| text(container, "/name"))
            .collect();
        if !without.is_empty() {
            missing.push(format!("{key} for: {}", without.join(",")));
        }
    }
    (!missing.is_empty()).then(|| missing.join("; "))
}
