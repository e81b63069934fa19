//! APIServices of the groups that this server answers itself (upstream's `autoregister` and `crdregistration`).
//!
//! Those of built-in groups are looked after once, before the server is ready; those of definitions follow them for as long as
//! it runs. What there is to do is decided by [`plan`], from what is stored; several servers on one store each do it, and
//! what one has done is nothing to do for the others.

mod plan;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use keelson_api::status::Status;
use serde_json::Value;

use self::plan::{Found, Step, Wanted};
use super::definitions;
use super::registry::Served;
use super::write::managed::Managers;
use super::write::update::{Edit, apply};
use super::write::{create, delete};
use super::{Api, PAUSE, Server};
use crate::store::Range;

/// Writes at once; a definition may have very many versions, and others wait for the store and the event loop too.
const AT_ONCE: usize = 32;

/// What is known of stored APIServices, by name and with their revisions, so that a change of one is a look at one.
type Known = HashMap<String, (u64, Arc<Found>)>;

impl Server {
    /// Makes the APIServices of built-in groups, and brings those of definitions up to date; false if not all could be.
    pub(super) async fn register(&self) -> bool {
        told(&pass(&self.api, &mut Known::new(), true).await)
    }

    /// Keeps an APIService for each version that definitions serve. Those of built-in groups are looked after until all are
    /// there once: `registered` if they are. Runs until the server stops.
    pub async fn keep_registered(&self, mut registered: bool) {
        let api = &self.api;
        let Some(served) = served(api) else { return };
        let mut services = api.store.subscribe(&served.storage);
        let mut changes = api.store.subscribe(&definitions::resource());
        let mut known = Known::new();
        loop {
            services.borrow_and_update();
            changes.borrow_and_update();
            let done = told(&pass(api, &mut known, !registered).await);
            registered |= done;
            tokio::select! {
                changed = services.changed() => if changed.is_err() { return },
                changed = changes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(PAUSE), if !done => {}
                () = api.stopping() => return,
            }
        }
    }
}

/// The kind of APIServices.
fn served(api: &Api) -> Option<Served> {
    let registry = api.registry();
    registry
        .find("apiregistration.k8s.io", "v1", "apiservices")
        .cloned()
}

/// Logs what went wrong; true if nothing did.
fn told(done: &Result<(), Status>) -> bool {
    if let Err(error) = done {
        tracing::warn!(error = error.message, "an APIService cannot be looked after");
    }
    done.is_ok()
}

/// Does what there is to do; the first error, after all has been tried.
async fn pass(api: &Arc<Api>, known: &mut Known, first: bool) -> Result<(), Status> {
    let Some(served) = served(api) else {
        return Ok(());
    };
    // In this order: the definition of an APIService that is seen here is seen as well.
    look(api, &served, known)?;
    let (wanted, readable) = wanted(api);
    let found = known.iter().map(|(name, (_, found))| (name.as_str(), &**found));
    let mut steps = plan::steps(&wanted, &found.collect(), first);
    if readable.is_err() {
        // What cannot be read is not gone.
        steps.retain(|(_, step)| !matches!(step, Step::Delete(_)));
    }
    let mut done = readable;
    for some in steps.chunks(AT_ONCE) {
        let work = some
            .iter()
            .map(|(name, step)| carry_out(api, served.clone(), name, step));
        for outcome in futures::future::join_all(work).await {
            match outcome {
                // Somebody else was faster, and the change that this was comes here too.
                Err(error) if matches!(error.code, 404 | 409) => {}
                outcome => done = done.and(outcome),
            }
        }
    }
    done
}

/// The APIServices that should be there, by their names, and whether all definitions can be read.
fn wanted(api: &Api) -> (BTreeMap<String, Wanted>, Result<(), Status>) {
    let (found, readable) = match definitions::slim(api) {
        Ok(found) => (found, Ok(())),
        Err(error) => (Vec::new(), Err(error)),
    };
    let mut all = BTreeMap::new();
    for definition in found {
        let group = definition["spec"]["group"].as_str().unwrap_or_default();
        for version in definition["spec"]["versions"].as_array().into_iter().flatten() {
            if version["served"] == true {
                let version = version["name"].as_str().unwrap_or_default();
                all.insert(format!("{version}.{group}"), plan::of_definition(group, version));
            }
        }
    }
    // Nothing takes the place of a built-in group.
    all.extend(plan::builtin());
    (all, readable)
}

/// Looks at the APIServices that have changed.
fn look(api: &Api, served: &Served, known: &mut Known) -> Result<(), Status> {
    let page = api.store.range(&served.storage, &Range::all(None));
    let objects = page
        .map_err(|error| Status::internal(&error.to_string()))?
        .objects;
    let mut old = std::mem::take(known);
    for object in objects {
        let kept = old
            .remove(&object.name)
            .filter(|(revision, _)| *revision == object.resource_version);
        let seen = kept.unwrap_or_else(|| (object.resource_version, Arc::new(Found::of(&object.value()))));
        known.insert(object.name.clone(), seen);
    }
    Ok(())
}

async fn carry_out(api: &Arc<Api>, served: Served, name: &str, step: &Step<'_>) -> Result<(), Status> {
    let call = definitions::call(api, served, name);
    match step {
        Step::Create(wanted) => {
            let object = wanted.object(name);
            create::store_new(&call, object, Managers::Track, Vec::new()).await?;
        }
        Step::Replace(wanted, revision) => {
            let edit = Edit {
                subresource: None,
                dry_run: false,
                checked: true,
                managers: Managers::Track,
            };
            let change = |old: &Value| {
                let mut new = old.clone();
                new["spec"] = wanted.spec();
                // What it is now was looked at, not what it may have become.
                new["metadata"]["resourceVersion"] = Value::from(*revision);
                Ok(new)
            };
            apply(&call, &edit, change).await?;
        }
        Step::Delete(uid) => {
            let options = delete::Options {
                uid: Some((*uid).to_owned()),
                ..delete::Options::default()
            };
            delete::run(&call, name, "", &options).await?;
        }
    }
    Ok(())
}
