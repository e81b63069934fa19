//! DELETE of one object and of a collection: grace, finalizers and propagation.
//!
//! What a delete means for an object is decided by [`plan`], a pure function; here it is carried out.

mod options;
mod plan;

use std::sync::Arc;

use http::{Response, StatusCode};
use keelson_api::status::Status;
use keelson_api::time;
use serde_json::Value;

use super::expires;
use crate::admission::{Operation, Request};
use crate::kinds::{self, Kind};
use crate::object::Object;
use crate::server::body::Body;
use crate::server::call::Call;
use crate::server::options as server_options;
use crate::server::read::list;
use crate::server::select::Selection;
use crate::server::{encode, respond};
use crate::store::{Change, Expect, StoreError, Write, key_of, splice};

pub use options::Options;
pub use plan::is_finished;
use plan::{Outcome, plan};

/// How often a delete without preconditions is tried again on a newer object.
const TRIES: usize = 32;
/// Kinds whose delete answers with the object instead of a Status (`ReturnDeletedObject` upstream).
const RETURNED: [(&str, &[&str]); 2] = [
    (
        "",
        &[
            "Namespace",
            "PersistentVolume",
            "PersistentVolumeClaim",
            "Pod",
            "PodTemplate",
            "ResourceQuota",
            "Service",
            "ServiceAccount",
        ],
    ),
    (
        "storage.k8s.io",
        &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment"],
    ),
];

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
    let warnings = options.warnings(kind);
    let is_returned = |(group, kinds): &(&str, &[&str])| *group == kind.group && kinds.contains(&&*kind.kind);
    if deleted.removed && !RETURNED.iter().any(is_returned) {
        let status = Status::deleted(
            &kind.group,
            &kind.plural,
            &deleted.object.name,
            &deleted.object.uid,
        );
        return Ok(respond::status(call, &status, &warnings));
    }
    let code = if !deleted.removed && options.cascade_asked {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    Ok(respond::object(call, code, &deleted.object, &warnings))
}

/// Deletes what a list with this query would have, one after the other, each with its own preconditions and finalizers. With
/// `limit` and `continue` that is one page of it, and the answer tells how to go on; otherwise everything. It answers with
/// what it has found.
pub async fn collection(call: &Call, bytes: &[u8]) -> Result<Response<Body>, Status> {
    server_options::list(&call.query)?;
    let options = Options::parse(call, bytes)?;
    let selection = Selection::parse(call.kind(), &call.query)?;
    let listed = list::read(call, &selection)?;
    for object in &listed.page.objects {
        match run(call, &object.name, &object.namespace, &options).await {
            // Somebody else was faster.
            Err(status) if status.code == 404 => {}
            outcome => drop(outcome?),
        }
    }
    let mut response = list::answer(call, listed)?;
    respond::warn(&mut response, &options.warnings(call.kind()));
    Ok(response)
}

/// Deletes one object of the call's kind, trying again when it changes meanwhile.
pub async fn run(call: &Call, name: &str, namespace: &str, options: &Options) -> Result<Deleted, Status> {
    let (api, kind) = (&call.api, call.kind());
    let key = key_of(namespace, name);
    let mut admitted = false;
    for _ in 0..TRIES {
        let stored = api.store.get(call.storage(), &key).ok_or_else(|| {
            match api.store.unreadable(call.storage(), &key) {
                Some(error) => call.store_error(name, &error),
                None => Status::not_found(&kind.group, &kind.plural, name),
            }
        })?;
        check_preconditions(kind, &stored, options)?;
        let mut old = respond::value(kind, &stored);
        kinds::default(kind, &mut old);
        if !admitted {
            admit(call, &stored, &old, options.dry_run).await?;
            admitted = true;
        }
        let grace = kind.strategy.grace(&old, options.grace);
        let (change, removed) = match plan(kind, &old, options, grace, time::now()) {
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
            let object = match change {
                Change::Put { object, .. } => Arc::new(would_be(object, &stored)),
                Change::Delete => stored,
            };
            return Ok(Deleted { object, removed });
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

/// The object as a dry run answers with it: nothing is stored, so its revision stays.
fn would_be(mut object: Object, stored: &Object) -> Object {
    object.resource_version = stored.resource_version;
    if let Some(bytes) = splice(&object.bytes, stored.resource_version) {
        object.bytes = bytes;
    }
    object
}

/// Refuses what [`run`] would refuse of the object as it is stored now.
pub async fn check(call: &Call, stored: &Object, options: &Options) -> Result<(), Status> {
    let kind = call.kind();
    check_preconditions(kind, stored, options)?;
    let mut old = respond::value(kind, stored);
    kinds::default(kind, &mut old);
    admit(call, stored, &old, options.dry_run).await
}

async fn admit(call: &Call, stored: &Object, old: &Value, dry_run: bool) -> Result<(), Status> {
    let chain = &call.api.chain;
    let mut request = Request {
        user: &call.user,
        operation: Operation::Delete,
        kind: call.kind(),
        subresource: "",
        namespace: &stored.namespace,
        name: &stored.name,
        old: Some(old),
        object: None,
        dry_run,
    };
    chain.mutate(&mut request).await?;
    chain.validate(&request).await?;
    Ok(())
}

fn check_preconditions(kind: &Kind, stored: &Object, options: &Options) -> Result<(), Status> {
    // Namespaces are deleted by code of their own upstream, in other words.
    let is_namespace = kind.group.is_empty() && kind.kind == "Namespace";
    let failed = |what: &str, wanted: &str, found: &str, why: &str| {
        let (resource, why) = if is_namespace {
            let why = format!(
                "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
            );
            (&kind.plural, why)
        } else {
            let why = format!(
                "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). {why}"
            );
            (&kind.kind, why)
        };
        Err(Status::conflict_because(
            &kind.group,
            resource,
            &stored.name,
            &why,
        ))
    };
    if let Some(uid) = options.uid.as_deref().filter(|uid| *uid != stored.uid) {
        let why = "The object might have been deleted and then recreated";
        return failed("UID", uid, &stored.uid, why);
    }
    let found = stored.resource_version.to_string();
    if let Some(wanted) = options.revision.as_deref().filter(|wanted| *wanted != found) {
        return failed(
            "ResourceVersion",
            wanted,
            &found,
            "The object might have been modified",
        );
    }
    Ok(())
}
