//! What a create, update or patch means for the managers: who changed a field manages it now.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::compare::{Comparison, compare};
use super::entry::{Entry, Operation, age};
use super::place::Place;
use super::set::Set;
use super::settle::settle;
use super::{Actor, Versions};

/// What was there before a create: an object in which only that is which always is.
static NOTHING: LazyLock<Value> = LazyLock::new(|| Value::Object(Map::new()));
/// How many updaters an object keeps apart; the oldest ones become one.
const MOST_UPDATERS: usize = 10;
/// Name of the manager that stands for these.
const ANCIENT: &str = "ancient-changes";

/// The managers after an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tracked {
    /// Nothing that anybody manages has changed.
    Unchanged,
    /// These.
    Changed(Vec<Entry>),
}

/// What the change from `old` to `new` means for `managers`. `decode` is asked for them only if something has changed.
/// `None` for the old object: it is created.
pub fn track<E>(
    versions: &dyn Versions,
    actor: &Actor<'_>,
    old: Option<&Value>,
    new: &Value,
    decode: impl FnOnce() -> Result<Vec<Entry>, E>,
) -> Result<Tracked, E> {
    let Some(kind) = versions.kind(actor.version) else {
        return Ok(Tracked::Unchanged);
    };
    let before = old.unwrap_or(&NOTHING);
    let mut own = compare(Place::root(kind), before, new);
    own.reset(actor.reset);
    if own.is_empty() {
        return Ok(Tracked::Unchanged);
    }
    let mut managers = decode()?;
    settle(versions, &mut managers);
    // Objects whose managers were forgotten, or never known, go on without.
    if old.is_some() && managers.is_empty() {
        return Ok(Tracked::Unchanged);
    }
    let mut changes = Changes::new(versions, actor, before, new, own);
    changes.take(&mut managers, None);
    let own = changes.own();
    if !own.changed.is_empty() {
        let entry = Entry {
            manager: manager_name(actor.manager).to_owned(),
            operation: Operation::Update,
            version: actor.version.to_owned(),
            time: Some(actor.now.to_owned()),
            subresource: actor.subresource.to_owned(),
            fields: own.changed.clone(),
        };
        match managers.iter_mut().find(|other| other.is(&entry)) {
            Some(other) => {
                other.fields.extend(entry.fields);
                other.time = entry.time;
            }
            None => managers.push(entry),
        }
    }
    cap(&mut managers);
    Ok(Tracked::Changed(managers))
}

/// Upstream's name for whoever has none.
pub(super) fn manager_name(name: &str) -> &str {
    if name.is_empty() { "unknown" } else { name }
}

/// What has changed, seen from each version in which managers name their fields.
pub(super) struct Changes<'a> {
    versions: &'a dyn Versions,
    actor: &'a Actor<'a>,
    old: &'a Value,
    new: &'a Value,
    seen: BTreeMap<String, Option<Comparison>>,
}

impl<'a> Changes<'a> {
    /// `own` is the change as the actor's version has it.
    pub(super) fn new(
        versions: &'a dyn Versions,
        actor: &'a Actor<'a>,
        old: &'a Value,
        new: &'a Value,
        own: Comparison,
    ) -> Self {
        Self {
            versions,
            actor,
            old,
            new,
            seen: BTreeMap::from([(actor.version.to_owned(), Some(own))]),
        }
    }

    fn own(&self) -> &Comparison {
        static SAME: Comparison = Comparison {
            changed: Set::EMPTY,
            removed: Set::EMPTY,
        };
        self.seen
            .get(self.actor.version)
            .and_then(Option::as_ref)
            .unwrap_or(&SAME)
    }

    /// The change in a version; `None` if it is no longer served.
    pub(super) fn in_version(&mut self, version: &str) -> Option<&Comparison> {
        if !self.seen.contains_key(version) {
            let comparison = self.compare(version);
            self.seen.insert(version.to_owned(), comparison);
        }
        self.seen.get(version)?.as_ref()
    }

    fn compare(&self, version: &str) -> Option<Comparison> {
        let kind = self.versions.kind(version)?;
        let old = if self.old.get("apiVersion").is_none() {
            self.old.clone()
        } else {
            self.versions.convert(self.old, version)?
        };
        let new = self.versions.convert(self.new, version)?;
        let mut comparison = compare(Place::root(kind), &old, &new);
        comparison.reset(self.actor.reset);
        Some(comparison)
    }

    /// Takes what has changed from all managers but `except`; those of versions that are gone, and those that are left
    /// with nothing, go.
    pub(super) fn take(&mut self, managers: &mut Vec<Entry>, except: Option<&Entry>) {
        managers.retain_mut(|entry| {
            if except.is_none_or(|except| !except.is(entry)) {
                let Some(comparison) = self.in_version(&entry.version) else {
                    return false;
                };
                entry.fields.subtract(&comparison.changed);
                entry.fields.subtract(&comparison.removed);
            }
            !entry.fields.is_empty()
        });
    }
}

/// Merges the oldest updaters into one per version until few enough are left.
pub(super) fn cap(managers: &mut Vec<Entry>) {
    let mut updaters: Vec<Entry> = managers
        .iter()
        .filter(|entry| entry.operation == Operation::Update)
        .cloned()
        .collect();
    if updaters.len() <= MOST_UPDATERS {
        return;
    }
    updaters.sort_by(age);
    let mut left = updaters.len();
    let mut first: BTreeMap<String, Entry> = BTreeMap::new();
    for updater in updaters {
        if left <= MOST_UPDATERS {
            return;
        }
        let Some(oldest) = first.get(&updater.version) else {
            first.insert(updater.version.clone(), updater);
            continue;
        };
        let mut bucket = Entry {
            manager: ANCIENT.to_owned(),
            operation: Operation::Update,
            version: updater.version.clone(),
            time: updater.time.clone(),
            subresource: String::new(),
            fields: Set::default(),
        };
        let known = managers.iter().position(|entry| entry.is(&bucket));
        // Into what has grown, so that nothing is put again for each that comes.
        bucket.fields = match known {
            Some(at) => managers.remove(at).fields,
            None => oldest.fields.clone(),
        };
        bucket.fields.extend(updater.fields.clone());
        managers.retain(|entry| !entry.is(&updater) && (known.is_some() || !entry.is(oldest)));
        managers.push(bucket);
        left -= 1;
    }
}
