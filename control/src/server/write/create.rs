//! POST: create.

use http::{Response, StatusCode};
use keelson_api::status::Status;
use serde_json::Value;

use super::managed::{self, Managers};
use super::{check_depth, check_size, decode, expires, metadata, terms, turn};
use crate::admission::{Operation, Request};
use crate::auth::{self, Attributes, Decision};
use crate::kinds;
use crate::object::Object;
use crate::server::accept::Form;
use crate::server::body::Body;
use crate::server::call::Call;
use crate::server::options::Options;
use crate::server::{encode, respond};
use crate::store::{Change, Expect, StoreError, Write, key_of};

/// How often a taken generated name is tried again (upstream since 1.32: 8).
const TRIES: usize = 8;

/// Creates the object in the body.
pub async fn create(call: &Call, bytes: &[u8]) -> Result<Response<Body>, Status> {
    Options::Create.check(&call.query)?;
    let (mut value, mut warnings) = decode::object(call, bytes)?;
    metadata::place(call, &mut value)?;
    metadata::of(&mut value).remove(managed::FIELD);
    warnings.extend(metadata::drop_equal_owners(&mut value, false));
    store_new(call, value, Managers::Track, warnings).await
}

/// Creates the object; [`Managers::Given`] are those in it.
pub async fn store_new(
    call: &Call,
    mut value: Value,
    managers: Managers,
    mut warnings: Vec<String>,
) -> Result<Response<Body>, Status> {
    let dry_run = call.query.dry_run();
    let base = metadata::text(&value, "generateName").to_owned();
    if terms::names_itself(call.kind()) && base.is_empty() && metadata::text(&value, "name").is_empty() {
        let name = call.api.uid();
        metadata::of(&mut value).insert("name".to_owned(), name.into());
    }
    let mut name = metadata::text(&value, "name").to_owned();
    let generated = name.is_empty() && !base.is_empty();
    // Of Services too: another server may have given their address away.
    let repeats = generated || call.storage().resource == "services";
    // Another server may have used what a quota had left.
    let contends = turn::may_need(call);
    let (mut tries, mut turns) = (0, 0);
    loop {
        tries += 1;
        let mut candidate = if repeats || contends {
            value.clone()
        } else {
            value.take()
        };
        if generated {
            name = metadata::generate(&call.api, &base);
            metadata::of(&mut candidate).insert("name".to_owned(), name.clone().into());
        }
        match admit_and_store(call, candidate, managers, dry_run, &mut warnings).await {
            Err(Failure::Taken) if generated && tries < TRIES => {}
            // Another server has given it to somebody else; by now we know.
            Err(Failure::Claimed(_)) if repeats && tries < TRIES => {}
            Err(Failure::Overtaken) if contends && turns < turn::TRIES => {
                turns += 1;
                tries -= 1;
                turn::pause(call, turns).await;
            }
            Err(Failure::Overtaken) => return Err(call.store_error(&name, &StoreError::Overtaken)),
            Err(Failure::Claimed(error)) => {
                return Err(call.store_error(&name, &error));
            }
            Err(Failure::Taken) => {
                let kind = call.kind();
                // Who gives both the name and what it begins with is told so as well.
                let mut status = if base.is_empty() {
                    Status::already_exists(&kind.group, &kind.plural, &name)
                } else {
                    Status::generate_name_conflict(&kind.group, &kind.plural, &name)
                };
                // To wait is enough then.
                let there = call
                    .api
                    .store
                    .get(call.storage(), &key_of(call.namespace(), &name));
                if there.is_some_and(|there| metadata::is_deleted(&there.bytes)) {
                    status.message = format!("object is being deleted: {}", status.message);
                }
                return Err(status);
            }
            Err(Failure::Refused(status)) => return Err(*status),
            Ok(response) => return Ok(response),
        }
    }
}

/// Who applies or replaces what is not there needs the right to create it.
pub fn authorize(call: &Call) -> Result<(), Status> {
    let kind = call.kind();
    let attributes = Attributes {
        version: &kind.version,
        namespace: &call.path.namespace,
        name: &call.path.name,
        ..Attributes::resource(&call.user, "create", &kind.group, &kind.plural)
    };
    match call.api.authorizer.authorize(&attributes) {
        Decision::Allow(_) => Ok(()),
        Decision::Deny(reason) | Decision::NoOpinion(reason) => Err(auth::forbidden(&attributes, &reason)),
    }
}

enum Failure {
    /// The name.
    Taken,
    /// Something that only one object can have.
    Claimed(StoreError),
    /// By another server, in what a quota counts.
    Overtaken,
    Refused(Box<Status>),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

async fn admit_and_store(
    call: &Call,
    mut value: Value,
    managers: Managers,
    dry_run: bool,
    warnings: &mut Vec<String>,
) -> Result<Response<Body>, Failure> {
    let name = metadata::text(&value, "name").to_owned();
    kinds::default(call.kind(), &mut value);
    if managers == Managers::Track {
        managed::created(call, &mut value);
    }
    let api = &call.api;
    warnings.extend(
        api.chain
            .mutate(&mut request(call, &name, dry_run, &mut value))
            .await?,
    );
    warnings.extend(metadata::drop_equal_owners(&mut value, true));
    let result = validate_and_store(call, &name, &mut value, dry_run, warnings).await;
    let stored = result.is_ok() && !dry_run;
    api.chain
        .settle(&request(call, &name, dry_run, &mut value), stored);
    result
}

async fn validate_and_store(
    call: &Call,
    name: &str,
    value: &mut Value,
    dry_run: bool,
    warnings: &mut Vec<String>,
) -> Result<Response<Body>, Failure> {
    let (api, kind) = (&call.api, call.kind());
    let version = metadata::text(value, "resourceVersion").to_owned();
    // The UID comes first: a Job selects its pods by it.
    metadata::fill(api, value);
    kinds::drop_disabled(kind, None, value);
    kind.strategy.prepare_create(value);
    let errors = kinds::validate_create(kind, value);
    if !errors.is_empty() {
        return Err(Status::invalid(&kind.group, &kind.kind, name, &errors).into());
    }
    warnings.extend(kinds::warnings::of(kind, None, value));
    warnings.extend(kinds::finalizer_warnings(kind, None, value));
    let turn = turn::take(call, &request(call, name, dry_run, value)).await;
    let turn = turn.map_err(|error| call.store_error(name, &error))?;
    warnings.extend(api.chain.validate(&request(call, name, dry_run, value)).await?);
    not_stored_yet(&version)?;
    check_depth(value)?;
    let object = encode::object(kind, value);
    check_size(&object)?;
    let key = key_of(call.namespace(), name);
    if dry_run {
        let is_taken = api.store.get(call.storage(), &key).is_some()
            || api.store.unreadable(call.storage(), &key).is_some();
        return if is_taken {
            Err(Failure::Taken)
        } else {
            if call.accept.form == Form::Object {
                return Ok(respond::plain(call, StatusCode::CREATED, value, warnings));
            }
            // A row or the metadata of what would have been stored. (Values always serialize.)
            let bytes = serde_json::to_vec(value).unwrap_or_default().into();
            let object = Object { bytes, ..object };
            Ok(respond::object(call, StatusCode::CREATED, &object, warnings))
        };
    }
    let write = Write {
        resource: call.storage().clone(),
        key,
        expect: Expect::Absent,
        change: Change::Put {
            object,
            expires: expires(call.storage()),
        },
    };
    match turn::write(call, write, turn).await {
        Ok(object) => Ok(respond::object(call, StatusCode::CREATED, &object, warnings)),
        Err(StoreError::Exists) => Err(Failure::Taken),
        Err(error @ StoreError::Taken(_)) => Err(Failure::Claimed(error)),
        Err(StoreError::Overtaken) => Err(Failure::Overtaken),
        Err(error) => Err(call.store_error(name, &error).into()),
    }
}

/// A new object has no version; what is no version is ignored. Only who stores objects upstream looks at it, after
/// everything else has been checked.
fn not_stored_yet(version: &str) -> Result<(), Status> {
    match version.parse().ok() {
        None | Some(0_u64) => Ok(()),
        Some(_) => Err(Status::failure(
            500,
            "",
            "resourceVersion should not be set on objects to be created",
            None,
        )),
    }
}

fn request<'a>(call: &'a Call, name: &'a str, dry_run: bool, value: &'a mut Value) -> Request<'a> {
    Request {
        user: &call.user,
        operation: Operation::Create,
        kind: call.kind(),
        subresource: "",
        namespace: call.namespace(),
        name,
        old: None,
        object: Some(value),
        dry_run,
    }
}
