//! ResourceQuota: a namespace gets no more than its quotas say.
//!
//! Usage is counted from the objects that are there now ([`usage`]), not from a quota's status, which a controller
//! writes later. Between the decision and the write, what was admitted is added to it, so that requests at the same
//! time cannot exceed a quota together. Where several servers share a store, who calls takes a turn for a request that
//! [`Quotas::limits`], so that nobody else's write comes in between.

mod known;
mod limited;
pub(crate) mod scope;
#[cfg(test)]
mod tests;
mod usage;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use keelson_api::quantity::Quantity;
use keelson_api::status::Status;
use serde_json::Value;

use self::known::Known;
use self::usage::Counted;
use super::fields::{items, text};
use super::{Operation, Request};
use crate::auth::resources::RESOURCE_QUOTAS;
use crate::object::{GroupResource, Reader};

pub use self::limited::Limited;
pub(crate) use self::usage::{Kinds, is_plain, of as usage_of};
pub(crate) use super::pod_resources::{Amounts, add, amounts};

/// Name of the plug-in.
pub(crate) const NAME: &str = "ResourceQuota";
/// How long an admitted request counts although nobody has settled it (its client went away).
const HOLD: Duration = Duration::from_mins(1);
/// How many objects are remembered before it is looked which namespaces are gone.
const SWEEP: usize = 10_000;
/// How often stored objects are counted at most, when requests are stored meanwhile.
const TRIES: usize = 4;

/// The quota check.
#[derive(Debug)]
pub struct Quotas {
    reader: Arc<dyn Reader>,
    limited: Limited,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What the objects of a namespace count for, so that each is read once and not again for each request: about 300
    /// bytes for an object, as long as it is there or until the next sweep.
    known: HashMap<(String, GroupResource), Known>,
    /// How much that may weigh before those are dropped that have no objects any more.
    sweep: usize,
    pending: HashMap<usize, Pending>,
}

/// An admitted request that has not been settled.
#[derive(Debug)]
struct Pending {
    resource: GroupResource,
    namespace: String,
    name: String,
    /// The resourceVersion that is replaced; `None` for a create.
    replaces: Option<String>,
    counted: Counted,
    before: Counted,
    since: Instant,
}

impl Quotas {
    /// Over the objects in `reader`.
    pub fn new(reader: Arc<dyn Reader>, limited: Limited) -> Self {
        Self {
            reader,
            limited,
            state: Mutex::default(),
        }
    }

    /// Whether a namespace has a quota.
    pub fn has_any(&self, namespace: &str) -> bool {
        !namespace.is_empty() && !self.reader.list(&RESOURCE_QUOTAS, Some(namespace)).is_empty()
    }

    /// Whether a request uses more of something that a quota limits.
    pub fn limits(&self, request: &Request<'_>) -> bool {
        if !counts(request) {
            return false;
        }
        let (resource, old, new) = before_and_after(request);
        let quotas = self.reader.list(&RESOURCE_QUOTAS, Some(request.namespace));
        quotas.iter().any(|quota| {
            let quota = quota.value();
            let hard = amounts(&quota["spec"]["hard"]);
            Kinds::of(hard.keys()).has(&resource.group, &resource.resource)
                && !growth(&scope::read(&quota), &hard, &old, &new).is_empty()
        })
    }

    /// Refuses a create or update that would exceed a quota; otherwise counts it until it is settled.
    pub fn admit(&self, request: &Request<'_>) -> Result<(), Status> {
        if !counts(request) {
            return Ok(());
        }
        let quotas = self.reader.list(&RESOURCE_QUOTAS, Some(request.namespace));
        if quotas.is_empty() && self.limited.is_empty() {
            return Ok(());
        }
        let (resource, old, new) = before_and_after(request);
        if !self.limited.is_empty() {
            let all: Vec<_> = quotas
                .iter()
                .map(|quota| {
                    let quota = quota.value();
                    (scope::read(&quota), amounts(&quota["spec"]["hard"]))
                })
                .collect();
            self.limited.check(request, &resource, (&old, &new), &all)?;
        }
        let replaces = (request.operation != Operation::Create)
            .then(|| text(request.stored(), "/metadata/resourceVersion").to_owned());
        let now = Instant::now();
        // What is guarded is consistent after every step.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state
            .pending
            .retain(|_, pending| now.saturating_duration_since(pending.since) < HOLD);
        for quota in &quotas {
            state.check(
                self.reader.as_ref(),
                request,
                &quota.name,
                &quota.value(),
                &old,
                &new,
            )?;
        }
        if let (Some(ticket), false) = (ticket(request), request.dry_run) {
            let pending = Pending {
                resource,
                namespace: request.namespace.to_owned(),
                name: request.name.to_owned(),
                replaces,
                counted: new,
                before: old,
                since: now,
            };
            state.pending.insert(ticket, pending);
        }
        Ok(())
    }

    /// The request is over; from now on the stored object counts.
    pub fn settle(&self, request: &Request<'_>) {
        if let Some(ticket) = ticket(request) {
            self.state
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pending
                .remove(&ticket);
        }
    }
}

/// Whether a request is one that quotas look at.
fn counts(request: &Request<'_>) -> bool {
    let writes = matches!(request.operation, Operation::Create | Operation::Update);
    let resizes = request.kind.plural == "pods" && request.subresource == "resize";
    writes && (request.subresource.is_empty() || resizes) && !request.namespace.is_empty()
}

/// The resource, and what the object counted for and will count for.
fn before_and_after(request: &Request<'_>) -> (GroupResource, Counted, Counted) {
    let resource = GroupResource::new(&request.kind.group, &request.kind.plural);
    let old = if request.operation == Operation::Create {
        Counted::default()
    } else {
        usage::of(&resource, request.stored())
    };
    let new = usage::of(&resource, request.object());
    (resource, old, new)
}

/// How much more a change uses of what a quota with these scopes limits.
fn growth(scopes: &[Value], hard: &Amounts, old: &Counted, new: &Counted) -> Amounts {
    let before = old.counted(scopes, hard);
    let more = new.counted(scopes, hard).into_iter().map(|(key, amount)| {
        let more = amount.minus(before.get(&key).copied().unwrap_or_default());
        (key, more)
    });
    more.filter(|(_, more)| !more.is_zero() && !more.is_negative())
        .collect()
}

/// What tells requests at the same time apart: where the new object is in memory. It stays there from admission until
/// the request is settled.
fn ticket(request: &Request<'_>) -> Option<usize> {
    request
        .object
        .as_deref()
        .map(|object| std::ptr::from_ref(object).addr())
}

impl State {
    fn check(
        &mut self,
        reader: &dyn Reader,
        request: &Request<'_>,
        name: &str,
        quota: &Value,
        old: &Counted,
        new: &Counted,
    ) -> Result<(), Status> {
        let scopes = scope::read(quota);
        let hard = amounts(&quota["spec"]["hard"]);
        if request.kind.plural == "pods"
            && request.operation == Operation::Create
            && new.in_scopes(&scopes)
            && let Some(missing) = usage::unspecified(request.object(), &hard)
        {
            return Err(request.forbidden(&format!("failed quota: {name}: must specify {missing}")));
        }
        let grows = growth(&scopes, &hard, old, new);
        if grows.is_empty() {
            return Ok(());
        }
        let wanted: Amounts = hard
            .iter()
            .filter(|(key, _)| grows.contains_key(*key))
            .map(|(k, v)| (k.clone(), *v))
            .collect();
        let used = self.used(reader, request.namespace, &scopes, &wanted);
        let of = |amounts: &Amounts, key: &String| amounts.get(key).copied().unwrap_or_default();
        let exceeded: Vec<&String> = wanted
            .iter()
            .filter(|(key, limit)| of(&used, key).plus(of(&grows, key)) > **limit)
            .map(|(key, _)| key)
            .collect();
        if exceeded.is_empty() {
            return Ok(());
        }
        let list = |amounts: &Amounts| {
            let texts: Vec<String> = exceeded
                .iter()
                .map(|key| format!("{key}={}", of(amounts, key)))
                .collect();
            texts.join(",")
        };
        Err(request.forbidden(&format!(
            "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
            list(&grows),
            list(&used),
            list(&wanted)
        )))
    }

    /// What is used of the resources in `wanted`, by stored objects and by requests under way.
    fn used(&mut self, reader: &dyn Reader, namespace: &str, scopes: &[Value], wanted: &Amounts) -> Amounts {
        // What is stored while the rest is counted would be in neither sum; if that goes on, it is in both.
        let mut tries = 0;
        let (stored, mut used) = loop {
            let stored = self.stored(reader, namespace);
            let used = self.counted(reader, namespace, scopes, wanted);
            tries += 1;
            if tries == TRIES || self.stored(reader, namespace) == stored {
                break (stored, used);
            }
        };
        for (ticket, pending) in &self.pending {
            // What was stored before has been counted.
            if stored.get(ticket) != Some(&pending.replaces) {
                continue;
            }
            let before = pending.before.counted(scopes, wanted);
            for (key, amount) in pending.counted.counted(scopes, wanted) {
                let more = amount.minus(before.get(&key).copied().unwrap_or_default());
                if !more.is_negative() {
                    add(&mut used, &Amounts::from([(key, more)]));
                }
            }
        }
        used
    }

    /// The stored versions of what requests under way in a namespace write.
    fn stored(&self, reader: &dyn Reader, namespace: &str) -> HashMap<usize, Option<String>> {
        let here = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.namespace == namespace);
        here.map(|(ticket, pending)| {
            let stored = reader.get(&pending.resource, namespace, &pending.name);
            (*ticket, stored.map(|object| object.resource_version.to_string()))
        })
        .collect()
    }

    /// What stored objects use of the resources in `wanted`.
    fn counted(
        &mut self,
        reader: &dyn Reader,
        namespace: &str,
        scopes: &[Value],
        wanted: &Amounts,
    ) -> Amounts {
        let mut used = Amounts::new();
        for resource in Kinds::of(wanted.keys()).resources() {
            if usage::is_plain(&resource) {
                // Nothing in the object matters, so it need not be read.
                let one = usage::of(&resource, &Value::Null);
                let count = i64::try_from(reader.count(&resource, namespace)).unwrap_or(i64::MAX);
                one.add_to(scopes, wanted, count, &mut used);
                continue;
            }
            let known = self.known.entry((namespace.to_owned(), resource.clone()));
            let known = known.or_default();
            known.follow(reader, &resource, namespace);
            known.add_to(scopes, wanted, &mut used);
        }
        if self.weight() > self.sweep.max(SWEEP) {
            self.known
                .retain(|(namespace, resource), _| reader.count(resource, namespace) > 0);
            self.sweep = 2 * self.weight();
        }
        used
    }

    /// How much is remembered.
    fn weight(&self) -> usize {
        self.known.values().map(Known::weight).sum()
    }
}

/// So many of something.
pub(crate) fn number(count: i64) -> Quantity {
    Quantity::new(count, keelson_api::quantity::Format::DecimalSi)
}

/// The names of the scopes and their values, for tests of membership.
fn values(requirement: &Value) -> Vec<&str> {
    items(requirement, "/values")
        .iter()
        .filter_map(Value::as_str)
        .collect()
}

/// Short for the text of a requirement's field.
fn field<'a>(requirement: &'a Value, name: &str) -> &'a str {
    text(requirement, &format!("/{name}"))
}
