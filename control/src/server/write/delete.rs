//! DELETE of one object and of a collection: grace, finalizers and propagation.
//!
//! What a delete means for an object is decided by [`plan`], a pure function; the rest carries it out.

use std::sync::Arc;

use http::{Response, StatusCode};
use keelson_api::status::Status;
use keelson_api::time;
use serde_json::{Value, json};

use super::{decode, expires, metadata};
use crate::admission::{Operation, Request};
use crate::kinds::Kind;
use crate::object::Object;
use crate::server::accept::content_type;
use crate::server::body::Body;
use crate::server::call::Call;
use crate::server::registry::api_version;
use crate::server::select::Selection;
use crate::server::{encode, respond};
use crate::store::{Change, Expect, Range, StoreError, Write, key_of};

/// Finalizer that lets the garbage collector delete the dependents first.
const FOREGROUND: &str = "foregroundDeletion";
/// Finalizer that lets the garbage collector release the dependents.
const ORPHAN: &str = "orphan";
/// How often a delete without preconditions is tried again on a newer object.
const TRIES: usize = 32;
/// Kinds whose delete answers with the object instead of a Status (`ReturnDeletedObject` upstream).
const RETURNED: [&str; 7] = [
    "Pod",
    "PodTemplate",
    "Service",
    "ServiceAccount",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "ResourceQuota",
];

/// What happens to the dependents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They are collected later.
    Background,
    /// They go first.
    Foreground,
    /// They stay.
    Orphan,
}

/// `metav1.DeleteOptions`.
#[derive(Debug, Clone, Default)]
pub struct Options {
    grace: Option<i64>,
    propagation: Option<Propagation>,
    uid: Option<String>,
    revision: Option<String>,
    /// Nothing is deleted.
    pub dry_run: bool,
    cascade_asked: bool,
}

impl Options {
    /// From the body, or from the query where there is no body.
    pub fn parse(call: &Call, bytes: &[u8]) -> Result<Self, Status> {
        let query = &call.query;
        let mut options = Self {
            grace: query.number("gracePeriodSeconds")?,
            propagation: propagation(query.get("propagationPolicy"))?,
            dry_run: query.dry_run()?,
            ..Self::default()
        };
        if query.has("orphanDependents") {
            options.orphan(query.flag("orphanDependents"))?;
        }
        if bytes.is_empty() {
            return Ok(options);
        }
        let body = decode::parse(&content_type(&call.headers), bytes)?.value;
        options.read(&body)?;
        Ok(options)
    }

    /// From a DeleteOptions object, or null.
    pub fn of(body: &Value) -> Result<Self, Status> {
        let mut options = Self::default();
        if !body.is_null() {
            options.read(body)?;
        }
        Ok(options)
    }

    fn read(&mut self, body: &Value) -> Result<(), Status> {
        let options = self;
        let kind = body["kind"].as_str().unwrap_or("DeleteOptions");
        if kind != "DeleteOptions" || !body.is_object() {
            return Err(Status::bad_request(format!(
                "decoded object cannot be converted to DeleteOptions: {kind}"
            )));
        }
        if !body["gracePeriodSeconds"].is_null() {
            options.grace = body["gracePeriodSeconds"].as_i64();
            if options.grace.is_none() {
                return Err(Status::bad_request("gracePeriodSeconds must be an integer"));
            }
        }
        if let Some(text) = body["propagationPolicy"].as_str() {
            options.propagation = propagation(text)?;
        }
        if let Some(orphan) = body["orphanDependents"].as_bool() {
            options.orphan(orphan)?;
        }
        let text = |field: &str| body["preconditions"][field].as_str().map(str::to_owned);
        options.uid = text("uid");
        options.revision = text("resourceVersion");
        if let Some(dry) = body["dryRun"].as_array() {
            if dry.iter().any(|value| value != "All") {
                return Err(Status::bad_request(
                    "dryRun: Unsupported value: supported values: \"All\"",
                ));
            }
            options.dry_run |= !dry.is_empty();
        }
        Ok(())
    }

    /// The deprecated form of the policy.
    fn orphan(&mut self, orphan: bool) -> Result<(), Status> {
        if self.propagation.is_some() {
            return Err(Status::bad_request(
                "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Invalid value: orphanDependents and \
                 deletionPropagation cannot be both set",
            ));
        }
        self.cascade_asked = !orphan;
        self.propagation = Some(if orphan {
            Propagation::Orphan
        } else {
            Propagation::Background
        });
        Ok(())
    }
}

fn propagation(text: &str) -> Result<Option<Propagation>, Status> {
    match text {
        "" => Ok(None),
        "Background" => Ok(Some(Propagation::Background)),
        "Foreground" => Ok(Some(Propagation::Foreground)),
        "Orphan" => Ok(Some(Propagation::Orphan)),
        other => Err(Status::failure(
            422,
            "Invalid",
            format!(
                "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: {other:?}: supported values: \
                 \"Foreground\", \"Background\", \"Orphan\", nil"
            ),
            None,
        )),
    }
}

/// What a delete does to an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It goes at once.
    Remove,
    /// It is marked, and goes when its grace is over and its finalizers are gone.
    Mark(Box<Value>),
    /// It is marked already; nothing changes.
    Keep,
}

/// Decides (`rest.BeforeDelete` and the generic registry's finalizer rules). `default_grace` is the kind's answer for
/// this object, `now` Unix seconds.
pub fn plan(kind: &str, old: &Value, options: &Options, default_grace: Option<i64>, now: i64) -> Outcome {
    let meta = &old["metadata"];
    let pending = !meta["deletionTimestamp"].is_null();
    let left = meta["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
    let asked = default_grace.map_or(Some(0), |default| {
        let grace = options.grace.or((!pending).then_some(default));
        grace.map(|grace| if grace < 0 { 1 } else { grace })
    });
    // A second delete can shorten the grace, never lengthen it.
    let grace = match asked {
        Some(asked) if !pending || asked < left => asked,
        _ if pending => left,
        _ => 0,
    };
    let before = metadata::finalizers(old);
    let policy = options.propagation.unwrap_or_else(|| {
        if before.contains(&ORPHAN) {
            Propagation::Orphan
        } else if before.contains(&FOREGROUND) {
            Propagation::Foreground
        } else {
            Propagation::Background
        }
    });
    let mut after: Vec<&str> = before
        .iter()
        .copied()
        .filter(|name| ![ORPHAN, FOREGROUND].contains(name))
        .collect();
    match policy {
        Propagation::Background => {}
        Propagation::Foreground => after.push(FOREGROUND),
        Propagation::Orphan => after.push(ORPHAN),
    }
    let held = !after.is_empty() || (kind == "Namespace" && has_namespace_finalizers(old));
    if grace == 0 && !held {
        return Outcome::Remove;
    }
    if pending && grace == left && after == before {
        return Outcome::Keep;
    }
    let mut new = old.clone();
    let began =
        time::parse(meta["deletionTimestamp"].as_str().unwrap_or_default()).map_or(now, |at| at - left);
    let generation = meta["generation"].as_i64().unwrap_or(0);
    let fields = metadata::of(&mut new);
    fields.insert("deletionTimestamp".to_owned(), time::format(began + grace).into());
    fields.insert("deletionGracePeriodSeconds".to_owned(), grace.into());
    if after.is_empty() {
        fields.remove("finalizers");
    } else {
        fields.insert("finalizers".to_owned(), json!(after));
    }
    if generation > 0 && !pending {
        fields.insert("generation".to_owned(), (generation + 1).into());
    }
    if kind == "Namespace" {
        new["status"]["phase"] = "Terminating".into();
    }
    Outcome::Mark(Box::new(new))
}

fn has_namespace_finalizers(namespace: &Value) -> bool {
    namespace["spec"]["finalizers"]
        .as_array()
        .is_some_and(|list| !list.is_empty())
}

/// Whether an update takes the last thing away that kept a deleted object (`ShouldDeleteDuringUpdate`).
pub fn is_finished(old: &Value, new: &Value) -> bool {
    let meta = &old["metadata"];
    !meta["deletionTimestamp"].is_null()
        && meta["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) == 0
        && metadata::finalizers(new).is_empty()
        && !(new["kind"] == "Namespace" && has_namespace_finalizers(new))
}

/// What a delete came to.
pub struct Deleted {
    object: Arc<Object>,
    removed: bool,
}

/// Deletes the named object.
pub async fn delete(call: &Call, bytes: &[u8]) -> Result<Response<Body>, Status> {
    let options = Options::parse(call, bytes)?;
    let deleted = run(call, &call.path.name, call.namespace(), &options).await?;
    let kind = call.kind();
    if deleted.removed && !(kind.group.is_empty() && RETURNED.contains(&kind.kind.as_ref())) {
        let status = Status::deleted(
            &kind.group,
            &kind.plural,
            &deleted.object.name,
            &deleted.object.uid,
        );
        return Ok(respond::status(&status, &[]));
    }
    let code = if !deleted.removed && options.cascade_asked {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    Ok(respond::object(call, code, &deleted.object, &[]))
}

/// Deletes what the query selects, one after the other, each with its own preconditions and finalizers.
pub async fn collection(call: &Call, bytes: &[u8]) -> Result<Response<Body>, Status> {
    let options = Options::parse(call, bytes)?;
    let selection = Selection::parse(call.kind(), &call.query)?;
    let matches = |object: &Object| selection.matches(object);
    let range = Range {
        filter: Some(&matches),
        ..Range::all(call.scope())
    };
    let page = call
        .api
        .store
        .range(call.storage(), &range)
        .map_err(|error| call.store_error("", &error))?;
    let mut items = Vec::with_capacity(page.objects.len());
    for object in page.objects {
        match run(call, &object.name, &object.namespace, &options).await {
            Ok(deleted) => items.push(respond::value(call.kind(), &deleted.object)),
            // Somebody else was faster.
            Err(status) if status.code == 404 => {}
            Err(status) => return Err(status),
        }
    }
    let kind = call.kind();
    let list = json!({
        "kind": format!("{}List", kind.kind),
        "apiVersion": api_version(&kind.group, &kind.version),
        "metadata": {"resourceVersion": call.api.store.revision().to_string()},
        "items": items,
    });
    Ok(respond::plain(call, StatusCode::OK, &list, &[]))
}

/// Deletes one object of the call's kind, trying again when it changes meanwhile.
pub async fn run(call: &Call, name: &str, namespace: &str, options: &Options) -> Result<Deleted, Status> {
    let (api, kind) = (&call.api, call.kind());
    let key = key_of(namespace, name);
    let mut admitted = false;
    for _ in 0..TRIES {
        let stored = api
            .store
            .get(call.storage(), &key)
            .ok_or_else(|| Status::not_found(&kind.group, &kind.plural, name))?;
        check_preconditions(kind, &stored, options)?;
        let mut old = respond::value(kind, &stored);
        kind.strategy.default(&mut old);
        if !admitted {
            let mut request = Request {
                user: &call.user,
                operation: Operation::Delete,
                kind,
                subresource: "",
                namespace,
                name,
                old: Some(&old),
                object: None,
                dry_run: options.dry_run,
            };
            api.chain.mutate(&mut request).await?;
            api.chain.validate(&request).await?;
            admitted = true;
        }
        let grace = kind.strategy.default_grace(&old);
        let (change, removed) = match plan(&kind.kind, &old, options, grace, time::now()) {
            Outcome::Keep => {
                return Ok(Deleted {
                    object: stored,
                    removed: false,
                });
            }
            Outcome::Remove => (Change::Delete, true),
            Outcome::Mark(new) => {
                let object = encode::object(kind, &new);
                let expires = expires(call.storage());
                (Change::Put { object, expires }, false)
            }
        };
        if options.dry_run {
            return Ok(Deleted {
                object: stored,
                removed,
            });
        }
        let write = Write {
            resource: call.storage().clone(),
            key: key.clone(),
            expect: Expect::Revision(stored.resource_version),
            change,
        };
        match api.store.write(write).await {
            Ok(object) => return Ok(Deleted { object, removed }),
            Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(call.store_error(name, &error)),
        }
    }
    Err(Status::conflict(&kind.group, &kind.plural, name))
}

fn check_preconditions(kind: &Kind, stored: &Object, options: &Options) -> Result<(), Status> {
    let failed = |what: &str, wanted: &str, found: &str| {
        Err(Status::conflict_because(
            &kind.group,
            &kind.plural,
            &stored.name,
            &format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"),
        ))
    };
    if let Some(uid) = options.uid.as_deref().filter(|uid| *uid != stored.uid) {
        return failed("UID", uid, &stored.uid);
    }
    let found = stored.resource_version.to_string();
    if let Some(wanted) = options.revision.as_deref().filter(|wanted| *wanted != found) {
        return failed("ResourceVersion", wanted, &found);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(meta: &Value) -> Value {
        json!({"kind": "Pod", "metadata": meta})
    }

    fn marked(outcome: Outcome) -> Value {
        match outcome {
            Outcome::Mark(value) => value["metadata"].clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_running_pod_gets_its_grace_and_a_second_delete_can_only_shorten_it() {
        let first = marked(plan(
            "Pod",
            &pod(&json!({"generation": 1})),
            &Options::default(),
            Some(30),
            1000,
        ));
        assert_eq!(
            first,
            json!({"deletionTimestamp": time::format(1030), "deletionGracePeriodSeconds": 30, "generation": 2})
        );
        let again = |grace| {
            let options = Options {
                grace,
                ..Options::default()
            };
            plan("Pod", &pod(&first), &options, Some(30), 1010)
        };
        assert_eq!(again(None), Outcome::Keep);
        assert_eq!(again(Some(60)), Outcome::Keep);
        assert_eq!(marked(again(Some(5)))["deletionTimestamp"], time::format(1005));
        assert_eq!(again(Some(0)), Outcome::Remove);
    }

    #[test]
    fn what_nobody_holds_goes_at_once() {
        assert_eq!(
            plan("Pod", &pod(&json!({})), &Options::default(), None, 0),
            Outcome::Remove
        );
        let options = Options {
            grace: Some(60),
            ..Options::default()
        };
        assert_eq!(
            plan("ConfigMap", &pod(&json!({})), &options, None, 0),
            Outcome::Remove
        );
    }

    #[test]
    fn propagation_becomes_finalizers() {
        for (propagation, finalizer) in [
            (Propagation::Foreground, FOREGROUND),
            (Propagation::Orphan, ORPHAN),
        ] {
            let options = Options {
                propagation: Some(propagation),
                ..Options::default()
            };
            let meta = marked(plan("ReplicaSet", &pod(&json!({})), &options, None, 5));
            assert_eq!(meta["finalizers"], json!([finalizer]));
            assert_eq!(meta["deletionTimestamp"], time::format(5));
            // The same delete again changes nothing; a background delete takes the finalizer away.
            assert_eq!(plan("ReplicaSet", &pod(&meta), &options, None, 9), Outcome::Keep);
            let background = Options {
                propagation: Some(Propagation::Background),
                ..Options::default()
            };
            assert_eq!(
                plan("ReplicaSet", &pod(&meta), &background, None, 9),
                Outcome::Remove
            );
        }
    }

    #[test]
    fn a_namespace_stays_until_it_is_finalized() {
        let namespace = json!({"kind": "Namespace", "metadata": {}, "spec": {"finalizers": ["kubernetes"]}});
        let Outcome::Mark(terminating) = plan("Namespace", &namespace, &Options::default(), None, 5) else {
            panic!()
        };
        assert_eq!(terminating["status"]["phase"], "Terminating");
        assert!(!is_finished(&terminating, &terminating));
        let mut finalized = Value::clone(&terminating);
        finalized["spec"]["finalizers"] = json!([]);
        assert!(is_finished(&terminating, &finalized));
    }
}
