//! Upstream's documented results, and properties that hold for any objects.

mod applies;
mod hostile;
mod properties;
mod updates;

use serde_json::{Value, json};

use super::{Actor, Applied, ApplyError, Entry, Tracked, Versions, apply, encode, track};
use crate::schema::{Schema, Type};

/// A kind with one version.
pub(super) struct Kind(
    pub(super) &'static str,
    pub(super) &'static str,
    pub(super) &'static str,
);

pub(super) const DEPLOYMENT: Kind = Kind("apps", "v1", "Deployment");
pub(super) const CONFIG_MAP: Kind = Kind("", "v1", "ConfigMap");
pub(super) const POD: Kind = Kind("", "v1", "Pod");
pub(super) const VOLUME: Kind = Kind("", "v1", "PersistentVolume");
pub(super) const EVENT: Kind = Kind("", "v1", "Event");
pub(super) const SERVICE: Kind = Kind("", "v1", "Service");

impl Kind {
    pub(super) fn version(&self) -> String {
        if self.0.is_empty() {
            self.1.to_owned()
        } else {
            format!("{}/{}", self.0, self.1)
        }
    }

    pub(super) fn empty(&self) -> Value {
        json!({"apiVersion": self.version(), "kind": self.2})
    }

    pub(super) fn ty(&self) -> Type<'static> {
        Schema::builtin().kind(self.0, self.1, self.2).unwrap()
    }

    /// The change of an object by an update.
    pub(super) fn update(
        &self,
        manager: &str,
        old: Option<&Value>,
        new: &Value,
        managers: &[Entry],
    ) -> Vec<Entry> {
        let version = self.version();
        let actor = actor(manager, &version, "2026-01-01T00:00:00Z");
        match track(self, &actor, old, new, || Ok::<_, ()>(managers.to_vec())).unwrap() {
            Tracked::Unchanged => managers.to_vec(),
            Tracked::Changed(managers) => managers,
        }
    }

    /// An apply, its outcome conformed as the server does it.
    pub(super) fn apply(
        &self,
        manager: &str,
        live: &Value,
        config: &Value,
        managers: &[Entry],
        force: bool,
    ) -> Result<Applied, ApplyError> {
        let version = self.version();
        let actor = actor(manager, &version, "2026-01-02T00:00:00Z");
        let mut config = config.clone();
        config["apiVersion"] = version.clone().into();
        config["kind"] = self.2.into();
        let mut applied = apply(self, &actor, live, &config, managers.to_vec(), force)?;
        self.ty().conform(&mut applied.object).unwrap();
        Ok(applied)
    }
}

impl Versions for Kind {
    fn kind(&self, version: &str) -> Option<Type<'_>> {
        (version == self.version()).then(|| self.ty())
    }

    fn convert(&self, object: &Value, version: &str) -> Option<Value> {
        (version == self.version()).then(|| object.clone())
    }
}

pub(super) fn actor<'a>(manager: &'a str, version: &'a str, now: &'a str) -> Actor<'a> {
    Actor {
        manager,
        version,
        subresource: "",
        reset: &[&["status"]],
        now,
    }
}

/// The fields of the manager of that name, as JSON.
#[track_caller]
pub(super) fn fields(managers: &[Entry], manager: &str) -> Value {
    let entry = managers.iter().find(|entry| entry.manager == manager);
    entry
        .unwrap_or_else(|| panic!("no {manager} in {}", encode(managers.to_vec())))
        .fields
        .clone()
        .into_json()
}

/// Names of the managers.
pub(super) fn names(managers: &[Entry]) -> Vec<&str> {
    managers.iter().map(|entry| entry.manager.as_str()).collect()
}
