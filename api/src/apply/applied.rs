//! Server-side apply: the configuration is merged, what the applier no longer names goes, and who else manages what it
//! changes is a conflict, unless it is forced.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::check::check;
use super::collect::{collect, with_structs};
use super::compare::{compare, strip};
use super::entry::{Entry, Operation};
use super::merge::merge;
use super::migrate;
use super::place::Place;
use super::remove::remove;
use super::set::Set;
use super::settle::settle;
use super::update::{Changes, Tracked, manager_name, track};
use super::{Actor, Versions};

/// The manager of what was there before anybody applied.
const BEFORE: &str = "before-first-apply";
/// The manager whose client-side apply is migrated.
pub(super) const KUBECTL: &str = "kubectl";

/// What an apply came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The object, not yet conformed to its schema (it may have nulls).
    pub object: Value,
    /// Its managers.
    pub managers: Vec<Entry>,
}

/// Why an apply was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The version of the request is not served.
    #[error("no corresponding type for {0}")]
    NoType(String),
    /// The configuration does not fit the type.
    #[error("{0}")]
    Type(String),
    /// Others manage what it would change.
    #[error("{}", message(.0))]
    Conflict(Vec<Conflict>),
}

/// Most conflicts that are told.
const MOST_CONFLICTS: usize = 100;

/// A field that somebody else manages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The manager, as messages name it.
    pub manager: String,
    /// Path of the field.
    pub field: String,
}

fn message(conflicts: &[Conflict]) -> String {
    if let [one] = conflicts {
        return format!(
            "Apply failed with 1 conflict: conflict with {}: {}",
            one.manager, one.field
        );
    }
    let mut text = format!("Apply failed with {} conflicts: ", conflicts.len());
    let mut last = "";
    for (at, conflict) in conflicts.iter().enumerate() {
        // Writing to a string cannot fail.
        if conflict.manager != last || at == 0 {
            let line = if at == 0 { "" } else { "\n" };
            let _ = write!(text, "{line}conflicts with {}:", conflict.manager);
            last = &conflict.manager;
        }
        let _ = write!(text, "\n- {}", conflict.field);
    }
    text
}

/// Applies `config` to `live` (an object with nothing but `apiVersion` and `kind` if it is to be created).
pub fn apply(
    versions: &dyn Versions,
    actor: &Actor<'_>,
    live: &Value,
    config: &Value,
    managers: Vec<Entry>,
    force: bool,
) -> Result<Applied, ApplyError> {
    let kind = versions
        .kind(actor.version)
        .ok_or_else(|| ApplyError::NoType(actor.version.to_owned()))?;
    let place = Place::root(kind);
    check(place, config).map_err(ApplyError::Type)?;
    let mut managers = with_before(versions, actor, live, managers);
    settle(versions, &mut managers);
    let apply = Apply {
        versions,
        actor,
        place,
        live,
        config,
    };
    match apply.run(managers.clone(), force) {
        Err(conflicts) if actor.manager == KUBECTL => {
            // What kubectl's client-side apply has set is its own.
            let Some(allowed) = migrate::own(place, actor.version, live) else {
                return Err(ApplyError::Conflict(describe(&conflicts)));
            };
            let mut others = conflicts;
            for (_, fields) in &mut others {
                fields.subtract(&allowed);
            }
            others.retain(|(_, fields)| !fields.is_empty());
            if !others.is_empty() {
                return Err(ApplyError::Conflict(describe(&others)));
            }
            apply
                .run(managers, true)
                .map_err(|conflicts| ApplyError::Conflict(describe(&conflicts)))
        }
        Err(conflicts) => Err(ApplyError::Conflict(describe(&conflicts))),
        Ok(applied) => Ok(applied),
    }
}

/// An object whose managers nobody knows belongs to a manager of its own.
fn with_before(versions: &dyn Versions, actor: &Actor<'_>, live: &Value, managers: Vec<Entry>) -> Vec<Entry> {
    if !managers.is_empty() {
        return managers;
    }
    let before = Actor {
        manager: BEFORE,
        ..*actor
    };
    let none = || Ok::<_, std::convert::Infallible>(Vec::new());
    match track(versions, &before, None, live, none) {
        Ok(Tracked::Changed(managers)) => managers,
        Ok(Tracked::Unchanged) => managers,
    }
}

fn describe(conflicts: &[(Entry, Set)]) -> Vec<Conflict> {
    let mut all: Vec<Conflict> = conflicts
        .iter()
        .flat_map(|(entry, fields)| {
            let manager = entry.describe();
            let paths = fields.paths(MOST_CONFLICTS).into_iter();
            paths.map(move |field| Conflict {
                manager: manager.clone(),
                field,
            })
        })
        .take(MOST_CONFLICTS)
        .collect();
    all.sort_by(|a, b| (&a.manager, &a.field).cmp(&(&b.manager, &b.field)));
    all
}

struct Apply<'a> {
    versions: &'a dyn Versions,
    actor: &'a Actor<'a>,
    place: Place<'a>,
    live: &'a Value,
    config: &'a Value,
}

impl Apply<'_> {
    /// The outcome, or who else manages what.
    fn run(&self, mut managers: Vec<Entry>, force: bool) -> Result<Applied, Vec<(Entry, Set)>> {
        let merged = merge(self.place, self.live, self.config);
        let mut fields = collect(self.place, self.config);
        strip(&mut fields);
        for path in self.actor.reset {
            fields.prune(path);
        }
        let mut me = Entry {
            manager: manager_name(self.actor.manager).to_owned(),
            operation: Operation::Apply,
            version: self.actor.version.to_owned(),
            time: None,
            subresource: self.actor.subresource.to_owned(),
            fields,
        };
        let last = managers.iter().position(|entry| entry.is(&me));
        let last = last.map(|at| managers.remove(at));
        managers.push(me.clone());
        let object = match &last {
            Some(last) if !last.fields.is_empty() => self.prune(merged, &managers, last),
            _ => merged,
        };
        let mut own = compare(self.place, self.live, &object);
        own.reset(self.actor.reset);
        let mut changes = Changes::new(self.versions, self.actor, self.live, &object, own);
        if !force {
            let mut conflicts = Vec::new();
            for entry in managers.iter().filter(|entry| !entry.is(&me)) {
                if let Some(comparison) = changes.in_version(&entry.version) {
                    let fields = entry.fields.intersection(&comparison.changed);
                    if !fields.is_empty() {
                        conflicts.push((entry.clone(), fields));
                    }
                }
            }
            if !conflicts.is_empty() {
                return Err(conflicts);
            }
        }
        changes.take(&mut managers, Some(&me));
        let same = object == *self.live && last.as_ref().is_some_and(|last| last.fields == me.fields);
        me.time = if same {
            last.and_then(|last| last.time)
        } else {
            Some(self.actor.now.to_owned())
        };
        if let Some(mine) = managers.iter_mut().find(|entry| entry.is(&me)) {
            mine.time = me.time;
        }
        Ok(Applied { object, managers })
    }

    /// Removes what the applier named last time and neither it nor another manager names now.
    fn prune(&self, merged: Value, managers: &[Entry], last: &Entry) -> Value {
        let (Some(kind), Some(merged_then)) = (
            self.versions.kind(&last.version),
            self.converted(&merged, &last.version),
        ) else {
            return merged;
        };
        let place = Place::root(kind);
        // What nobody manages stays, whatever is said around it.
        let mut gone = with_structs(Some(place), &last.fields);
        strip(&mut gone);
        let mut pruned = remove(place, &merged_then, &gone);
        // What anybody names stays, also who wrote it by an update. Managers of the same version come first, so that what
        // others need for a conversion is there.
        let mut owned: Vec<(&str, Set)> = Vec::new();
        for entry in managers {
            match owned.iter_mut().find(|(version, _)| *version == entry.version) {
                Some((_, fields)) => fields.extend(entry.fields.clone()),
                None => owned.push((&entry.version, entry.fields.clone())),
            }
        }
        owned.sort_by_key(|(version, _)| *version != last.version);
        for (version, fields) in owned {
            let (Some(kind), Some(merged), Some(left)) = (
                self.versions.kind(version),
                self.converted(&merged_then, version),
                self.converted(&pruned, version),
            ) else {
                continue;
            };
            let place = Place::root(kind);
            let whole = |value: &Value| with_structs(Some(place), &collect(place, value));
            let mut keep = whole(&left);
            keep.extend(with_structs(Some(place), &fields));
            let mut gone = whole(&merged);
            gone.subtract(&keep);
            pruned = remove(place, &merged, &gone);
        }
        // And what the applier never named stays.
        let Some(pruned) = self.converted(&pruned, &last.version) else {
            return merged;
        };
        let whole = |value: &Value| with_structs(Some(place), &collect(place, value));
        let mut lost = whole(&merged_then);
        lost.subtract(&whole(&pruned));
        let pruned = remove(place, &merged_then, &lost.intersection(&gone));
        self.converted(&pruned, self.actor.version).unwrap_or(merged)
    }

    fn converted(&self, object: &Value, version: &str) -> Option<Value> {
        // Even an object of which nothing is left knows its type.
        let mut object = match object {
            Value::Object(_) => object.clone(),
            _ => Value::Object(Map::new()),
        };
        if let Value::Object(map) = &mut object {
            for name in ["apiVersion", "kind"] {
                if !map.contains_key(name) {
                    map.insert(name.to_owned(), self.live[name].clone());
                }
            }
        }
        if object["apiVersion"] == *version {
            return Some(object);
        }
        self.versions.convert(&object, version)
    }
}
