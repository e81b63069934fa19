//! What clients send, decoded without a server: the doors that fuzzing comes through (`tests/fuzz`, and `fuzz/` at the top).
//!
//! Each function takes the same way through the same code as a request does, up to where it would need the store, and
//! returns what came of it. Nothing of the server itself uses them.

use http::HeaderMap;
use http::header::{ACCEPT, HeaderValue};
use keelson_api::apply::{self, Actor};
use keelson_api::patch::Format;
use keelson_api::schema::Parsed;
use keelson_api::status::{FieldError, Status};
use serde_json::Value;

use super::accept::{Accept, Endpoint};
use super::options::{self, Options};
use super::query::Query;
use super::read::token::Token;
use super::select::Selection;
use super::write::decode::FieldValidation;
use super::write::managed::{self, Kinds};
use super::write::patched::Patch;
use super::write::{check_depth, decode, metadata, patch as patches};
use super::{encode, path};
use crate::auth::jws;
use crate::kinds::{self, Kind};

/// How server-side apply comes.
pub const APPLY: &str = super::write::apply::MEDIA;

/// POST of a body of this content type: the object as it would be stored.
pub fn create(kind: &Kind, content_type: &str, body: &[u8]) -> Result<Value, Status> {
    let (mut value, _) = decode::of_kind(kind, content_type, body)?;
    metadata::of(&mut value).remove(managed::FIELD);
    kinds::default(kind, &mut value);
    kinds::drop_disabled(kind, None, &mut value);
    kind.strategy.prepare_create(&mut value);
    let errors = kinds::validate_create(kind, &value);
    finish(kind, &value, &errors)
}

/// PATCH of this content type.
pub fn update(kind: &Kind, content_type: &str, old: &Value, body: &[u8]) -> Result<Value, Status> {
    let mut new = if content_type == APPLY {
        applied(kind, old, body)?
    } else {
        let format = Format::from_content_type(content_type)
            .ok_or_else(|| Status::bad_request("not a patch's content type"))?;
        let patch = Patch {
            format,
            schema: kind.object_type().filter(|_| kind.custom.is_none()),
            bytes: body,
        };
        let fit = |parsed: &mut Parsed| decode::fit(parsed, kind);
        let (mut new, _) = patch.apply(old, FieldValidation::Strict, fit)?;
        patches::check_identity(kind, metadata::text(old, "name"), old, &mut new)?;
        new
    };
    metadata::keep(kind, metadata::text(old, "name"), old, &mut new)?;
    kinds::default(kind, &mut new);
    kinds::drop_disabled(kind, Some(old), &mut new);
    kind.strategy.prepare_update(None, old, &mut new);
    let errors = kinds::validate_update(kind, None, old, &new);
    finish(kind, &new, &errors)
}

fn applied(kind: &Kind, old: &Value, body: &[u8]) -> Result<Value, Status> {
    let config = decode::yaml(body).map_err(Status::bad_request)?.value;
    let version = kind.api_version();
    if config["apiVersion"] != version.as_str() || config["kind"] != kind.kind.as_ref() {
        return Err(Status::bad_request("invalid object type"));
    }
    if !config["metadata"][managed::FIELD].is_null() {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let managers = apply::decode(&old["metadata"][managed::FIELD], false).unwrap_or_default();
    let actor = Actor {
        manager: "fuzz",
        version: &version,
        subresource: "",
        reset: managed::reset(kind, ""),
        now: "2026-01-01T00:00:00Z",
    };
    let mut live = old.clone();
    metadata::of(&mut live).remove(managed::FIELD);
    let applied = apply::apply(&Kinds(kind), &actor, &live, &config, managers, true)
        .map_err(|error| Status::bad_request(error.to_string()))?;
    let mut parsed = Parsed {
        value: applied.object,
        duplicates: Vec::new(),
    };
    decode::conform(&mut parsed, kind)?;
    managed::put(&mut parsed.value, apply::encode(applied.managers));
    patches::check_identity(kind, metadata::text(old, "name"), old, &mut parsed.value)?;
    Ok(parsed.value)
}

/// What is done with every object that is accepted, and with its errors if it is not.
fn finish(kind: &Kind, value: &Value, errors: &[FieldError]) -> Result<Value, Status> {
    if !errors.is_empty() {
        let name = metadata::text(value, "name");
        return Err(Status::invalid(&kind.group, &kind.kind, name, errors));
    }
    check_depth(value)?;
    let _ = kinds::warnings::of(kind, None, value);
    let _ = kind.strategy.row(value, 1_800_000_000);
    let _ = kind.strategy.scale(value);
    let _ = kind.strategy.grace(value, None);
    Ok(encode::object(kind, value).value())
}

/// The line and the headers of a request for objects of a kind; whether a list would come of them.
pub fn request(kind: &Kind, target: &str, accept: &[u8]) -> bool {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = Query::parse(query);
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(accept) {
        headers.insert(ACCEPT, value);
    }
    let version = kind.api_version();
    let negotiated = Accept::negotiate(&headers, Endpoint::Objects(&version, &kind.kind));
    let _ = (
        Accept::for_errors(&headers),
        query.number("limit"),
        query.dry_run(),
        options::list(&query),
        options::watch(&query),
        Options::Patch.check(&query),
    );
    path::parse(path).is_some() && Selection::parse(kind, &query).is_ok() && negotiated.is_ok()
}

/// A continue token, and how the server would write it again.
pub fn token(text: &str) -> Result<String, Status> {
    Token::parse(text).map(|token| token.text())
}

/// The payload of a service account's token, if this key (PKCS#8) has signed it.
pub fn jwt(key: &[u8], token: &str) -> Option<Vec<u8>> {
    jws::Key::new(key).ok()?.verify(token).ok()
}

/// A token with this payload.
pub fn sign(key: &[u8], payload: &[u8]) -> Option<String> {
    jws::Key::new(key).ok()?.sign(payload).ok()
}
