//! Changing a stored object: the common path of PUT, PATCH and the subresources that are stored with their parent.

use std::sync::Arc;

use http::{Response, StatusCode};
use keelson_api::status::{FieldError, Status};
use serde_json::Value;

use super::managed::{self, Managers};
use super::{check_depth, check_size, create, decode, delete, expires, metadata, terms, turn};
use crate::admission::{Operation, Request};
use crate::kinds;
use crate::object::Object;
use crate::server::body::Body;
use crate::server::call::Call;
use crate::server::options::Options;
use crate::server::{encode, respond};
use crate::store::{Change, Expect, StoreError, Turn, Write, same, splice};

/// How often a change that names no resourceVersion is tried again on a newer object.
const TRIES: usize = 32;

/// A change of one object.
pub struct Edit<'a> {
    /// Which part of the object is changed, for strategy and admission: `None` for the main resource.
    pub subresource: Option<&'a str>,
    /// Nothing is stored.
    pub dry_run: bool,
    /// Whether admission, strategy and validation run; a few subresources check on their own.
    pub checked: bool,
    /// What it does to the managers of the fields.
    pub managers: Managers,
}

/// What an update came to.
pub struct Updated {
    /// The object as stored, or as it would be on a dry run.
    pub object: Arc<Object>,
    /// Warnings for the client.
    pub warnings: Vec<String>,
}

/// PUT: replaces the object (or its subresource) by the one in the body.
pub async fn update(call: &Call, subresource: Option<&str>, bytes: &[u8]) -> Result<Response<Body>, Status> {
    Options::Update.check(&call.query)?;
    let (mut value, mut warnings) = decode::object(call, bytes)?;
    check_name(call, &value)?;
    metadata::place(call, &mut value)?;
    warnings.extend(metadata::drop_equal_owners(&mut value, false));
    let edit = Edit {
        subresource,
        dry_run: call.query.dry_run(),
        checked: true,
        managers: Managers::Track,
    };
    let kind = call.kind();
    if subresource.is_none() && terms::creates(kind) && call.stored().is_err_and(|error| error.code == 404) {
        let uid = metadata::text(&value, "uid");
        if !uid.is_empty() {
            let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: ");
            return Err(Status::conflict_because(
                &kind.group,
                &kind.plural,
                &call.path.name,
                &why,
            ));
        }
        create::authorize(call)?;
        let mut new = value.clone();
        let fields = metadata::of(&mut new);
        fields.remove(managed::FIELD);
        fields.remove("resourceVersion");
        match create::store_new(call, new, Managers::Track, warnings.clone()).await {
            // Somebody else was faster, and is updated.
            Err(status) if status.reason == "AlreadyExists" => {}
            answer => return answer,
        }
    }
    check_version(call, &value)?;
    let updated = apply(call, &edit, |_| Ok(value.clone())).await?;
    warnings.extend(updated.warnings);
    Ok(respond::object(call, StatusCode::OK, &updated.object, &warnings))
}

/// Some kinds are not changed without naming the version that is changed.
pub fn check_version(call: &Call, value: &Value) -> Result<(), Status> {
    let kind = call.kind();
    let unversioned = matches!(metadata::text(value, "resourceVersion"), "" | "0");
    if !unversioned || !terms::needs_version(kind) {
        return Ok(());
    }
    // What is not there is not found, whatever else is wrong.
    call.stored()?;
    let detail = "must be specified for an update";
    let error = FieldError::invalid_shown("metadata.resourceVersion", "0x0", detail);
    let name = &call.path.name;
    Err(Status::invalid(&kind.group, &kind.plural, name, &[error]))
}

/// The name in the body must be the one in the path.
pub fn check_name(call: &Call, value: &Value) -> Result<(), Status> {
    let wanted = call.path.name.as_str();
    match metadata::text(value, "name") {
        "" => Err(Status::bad_request(format!(
            "the name of the object ({wanted} based on URL) was undeterminable: name must be provided"
        ))),
        name if name == wanted => Ok(()),
        name => Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({wanted})"
        ))),
    }
}

/// Runs `change` on the stored object and stores the outcome. If somebody else was faster, it is run again on whatever
/// is stored by then; an outcome that carries another resourceVersion than the stored one is a conflict, so a client
/// that named a version gets one chance and one that named none gets through.
pub async fn apply(
    call: &Call,
    edit: &Edit<'_>,
    mut change: impl FnMut(&Value) -> Result<Value, Status>,
) -> Result<Updated, Status> {
    let (kind, name) = (call.kind(), call.path.name.as_str());
    for _ in 0..TRIES {
        let stored = call.stored()?;
        let mut old = respond::value(kind, &stored);
        kinds::default(kind, &mut old);
        let mut new = change(&old)?;
        let asked = metadata::text(&new, "resourceVersion");
        if !matches!(asked, "" | "0") && asked != stored.resource_version.to_string() {
            return Err(Status::conflict(&kind.group, &kind.plural, name));
        }
        match attempt(call, edit, &stored, &old, &mut new).await {
            Err(Failure::Changed) => {}
            Err(Failure::Refused(status)) => return Err(*status),
            Ok(updated) => return Ok(updated),
        }
    }
    Err(Status::conflict(&kind.group, &kind.plural, name))
}

enum Failure {
    Changed,
    Refused(Box<Status>),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

async fn attempt(
    call: &Call,
    edit: &Edit<'_>,
    stored: &Arc<Object>,
    old: &Value,
    new: &mut Value,
) -> Result<Updated, Failure> {
    let (api, kind) = (&call.api, call.kind());
    let managers = metadata::of(new).remove(managed::FIELD);
    metadata::keep(kind, &call.path.name, old, new)?;
    kinds::default(kind, new);
    let subresource = edit.subresource.unwrap_or("");
    match edit.managers {
        Managers::Track => managed::updated(call, subresource, old, new, managers),
        Managers::Given => managed::put(new, managers.unwrap_or_default()),
        Managers::Keep => managed::put(new, old["metadata"][managed::FIELD].clone()),
    }
    if !edit.checked {
        let object = store(call, edit, stored, old, new, None).await?;
        return Ok(Updated {
            object,
            warnings: Vec::new(),
        });
    }
    let mut warnings = api.chain.mutate(&mut request(call, edit, old, new)).await?;
    warnings.extend(metadata::drop_equal_owners(new, true));
    let result = validate_and_store(call, edit, stored, old, new, &mut warnings).await;
    let kept = result.is_ok() && !edit.dry_run;
    api.chain.settle(&request(call, edit, old, new), kept);
    result.map(|object| Updated { object, warnings })
}

async fn validate_and_store(
    call: &Call,
    edit: &Edit<'_>,
    stored: &Arc<Object>,
    old: &Value,
    new: &mut Value,
    warnings: &mut Vec<String>,
) -> Result<Arc<Object>, Failure> {
    let kind = call.kind();
    // A change of the scale is a change of the main resource's spec.
    let part = edit.subresource.filter(|part| *part != "scale");
    kinds::drop_disabled(kind, Some(old), new);
    kind.strategy.prepare_update(part, old, new);
    let errors = kinds::validate_update(kind, part, old, new);
    if !errors.is_empty() {
        return Err(Status::invalid(&kind.group, &kind.kind, &call.path.name, &errors).into());
    }
    if part.is_none() {
        warnings.extend(kinds::warnings::of(kind, Some(old), new));
        warnings.extend(kinds::finalizer_warnings(kind, Some(old), new));
    }
    let turn = turn::take(call, &request(call, edit, old, new)).await;
    let turn = turn.map_err(|error| call.store_error(&call.path.name, &error))?;
    warnings.extend(call.api.chain.validate(&request(call, edit, old, new)).await?);
    store(call, edit, stored, old, new, turn).await
}

async fn store(
    call: &Call,
    edit: &Edit<'_>,
    stored: &Arc<Object>,
    old: &Value,
    new: &mut Value,
    turn: Option<Turn>,
) -> Result<Arc<Object>, Failure> {
    check_depth(new)?;
    managed::keep_times(old, new);
    let object = encode::object(call.kind(), new);
    check_size(&object)?;
    let finished = delete::is_finished(old, new);
    let unchanged = || {
        same(&stored.bytes, &object.bytes)
            && !finished
            && !call.api.store.is_stale(call.storage(), &call.key())
    };
    if edit.dry_run || unchanged() {
        let mut unchanged = object;
        unchanged.resource_version = stored.resource_version;
        if let Some(bytes) = splice(&unchanged.bytes, stored.resource_version) {
            unchanged.bytes = bytes;
        }
        return Ok(Arc::new(unchanged));
    }
    let change = if finished {
        Change::Delete
    } else {
        Change::Put {
            object,
            expires: expires(call.storage()),
        }
    };
    let write = Write {
        resource: call.storage().clone(),
        key: call.key(),
        expect: Expect::Revision(stored.resource_version),
        change,
    };
    match turn::write(call, write, turn).await {
        Ok(object) => Ok(object),
        // What another server has given to somebody else is not given again.
        Err(StoreError::Conflict(_) | StoreError::Taken(_) | StoreError::Overtaken) => Err(Failure::Changed),
        Err(error) => Err(call.store_error(&call.path.name, &error).into()),
    }
}

fn request<'a>(call: &'a Call, edit: &'a Edit<'_>, old: &'a Value, new: &'a mut Value) -> Request<'a> {
    Request {
        user: &call.user,
        operation: Operation::Update,
        kind: call.kind(),
        subresource: edit.subresource.unwrap_or(""),
        namespace: call.namespace(),
        name: &call.path.name,
        old: Some(old),
        object: Some(new),
        dry_run: edit.dry_run,
    }
}
