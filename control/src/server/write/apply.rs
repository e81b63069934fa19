//! PATCH with `application/apply-patch+yaml`: server-side apply.

use http::{Response, StatusCode};
use keelson_api::apply::{self, Applied, ApplyError, Entry, Versions};
use keelson_api::schema::{Parsed, Schema};
use keelson_api::status::{Cause, Details, Status};
use serde_json::{Map, Value, json};

use super::decode::{self, FieldValidation};
use super::managed::{self, Kinds, Managers};
use super::update::{Edit, apply as change};
use super::{create, metadata, patch};
use crate::kinds::Kind;
use crate::server::accept::content_type;
use crate::server::body::Body;
use crate::server::call::Call;
use crate::server::options::Options;
use crate::server::respond;

/// The media type.
pub const MEDIA: &str = "application/apply-patch+yaml";
/// kubectl's name as a server-side applier.
const KUBECTL: &str = "kubectl";
/// Where kubectl's client-side apply keeps what it applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Most bytes of all annotations (`ValidateAnnotationsSize`).
const MOST_ANNOTATIONS: usize = 256 << 10;
/// How often an object that appears and disappears meanwhile is tried again.
const TRIES: usize = 8;

/// Whether the request is an apply.
pub fn is_apply(call: &Call) -> bool {
    content_type(&call.headers) == MEDIA
}

/// A configuration and what goes with it.
#[derive(Debug)]
pub struct Config {
    /// The configuration.
    pub value: Value,
    /// Whether it takes fields from other managers.
    pub force: bool,
    /// Warnings for the client.
    pub warnings: Vec<String>,
}

/// Reads the request.
pub fn read(call: &Call, bytes: &[u8]) -> Result<Config, Status> {
    Options::Apply.check(&call.query)?;
    let validation = FieldValidation::of(call);
    let parsed =
        decode::yaml(bytes).map_err(|error| Status::bad_request(format!("error decoding YAML: {error}")))?;
    if !parsed.value.is_object() {
        return Err(Status::bad_request(
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal into Go value of \
             type map[string]interface {}",
        ));
    }
    let mut warnings = Vec::new();
    if !parsed.duplicates.is_empty() && validation != FieldValidation::Ignore {
        let text = format!("error converting YAML to JSON: {}", parsed.duplicates.join(", "));
        if validation == FieldValidation::Strict {
            return Err(Status::bad_request(format!("error strict decoding YAML: {text}")));
        }
        warnings.push(text);
    }
    Ok(Config {
        value: parsed.value,
        force: call.query.flag("force"),
        warnings,
    })
}

/// Applies to the main resource (`None`), which is created if it is missing, or to a subresource stored with it.
pub async fn patch(call: &Call, subresource: Option<&str>, bytes: &[u8]) -> Result<Response<Body>, Status> {
    let config = read(call, bytes)?;
    let edit = Edit {
        subresource,
        dry_run: call.query.dry_run(),
        checked: true,
        managers: Managers::Given,
    };
    let mut tries = 0;
    loop {
        tries += 1;
        let missing = call.stored().is_err_and(|error| error.code == 404);
        if missing && subresource.is_none() {
            match create(call, &config).await {
                // Somebody else was faster.
                Err(status) if status.reason == "AlreadyExists" && tries < TRIES => {}
                answer => return answer,
            }
            continue;
        }
        let part = subresource.unwrap_or("");
        match change(call, &edit, |old| changed(call, part, old, &config)).await {
            Err(status) if status.code == 404 && subresource.is_none() && tries < TRIES => {}
            Err(status) => return Err(status),
            Ok(updated) => {
                let mut warnings = config.warnings.clone();
                warnings.extend(updated.warnings);
                return Ok(respond::object(call, StatusCode::OK, &updated.object, &warnings));
            }
        }
    }
}

fn changed(call: &Call, subresource: &str, old: &Value, config: &Config) -> Result<Value, Status> {
    let kind = call.kind();
    let managers = apply::decode(&old["metadata"][managed::FIELD], false).unwrap_or_default();
    let mut live = old.clone();
    metadata::of(&mut live).remove(managed::FIELD);
    let reset = managed::reset(kind, subresource);
    let applied = applied(call, &Kinds(kind), subresource, reset, &live, config, managers)?;
    let mut value = finished(kind, applied, config, call)?;
    patch::check_identity(kind, &call.path.name, old, &mut value)?;
    patch::check_uid(kind, old, &value)?;
    Ok(value)
}

/// The object without nulls, with its managers in it.
fn finished(kind: &Kind, applied: Applied, config: &Config, call: &Call) -> Result<Value, Status> {
    let mut parsed = Parsed {
        value: applied.object,
        duplicates: Vec::new(),
    };
    decode::conform(&mut parsed, kind)?;
    let mut value = parsed.value;
    if let Some(why) = kind.strategy.undecodable(&value) {
        let message = format!("failed to convert to unversioned: {why}");
        return Err(Status::failure(500, "", message, None));
    }
    if managed::manager(call) == KUBECTL {
        sync_annotation(&mut value, &config.value);
    }
    managed::put(&mut value, apply::encode(applied.managers));
    Ok(value)
}

/// Merges the configuration into an object of the version and kind that the endpoint takes.
pub fn applied(
    call: &Call,
    versions: &dyn Versions,
    subresource: &str,
    reset: &[&[&str]],
    live: &Value,
    config: &Config,
    managers: Vec<Entry>,
) -> Result<Applied, Status> {
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text(live, "apiVersion"), text(live, "kind"));
    let (found_version, found_kind) = (text(&config.value, "apiVersion"), text(&config.value, "kind"));
    if (&version, &kind) != (&found_version, &found_kind) {
        let shown = group_version_kind(&found_version, &found_kind);
        return Err(Status::bad_request(format!("invalid object type: {shown}")));
    }
    if !config.value["metadata"][managed::FIELD].is_null() {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let outcome = managed::acting(call, &version, subresource, reset, |actor| {
        apply::apply(versions, actor, live, &config.value, managers, config.force)
    });
    outcome.map_err(|error| match error {
        ApplyError::Conflict(ref conflicts) => {
            let causes = conflicts
                .iter()
                .map(|conflict| Cause {
                    reason: "FieldManagerConflict".to_owned(),
                    message: format!("conflict with {}", conflict.manager),
                    field: conflict.field.clone(),
                })
                .collect();
            let details = Details {
                causes,
                ..Details::default()
            };
            Status::failure(409, "Conflict", error.to_string(), Some(details))
        }
        ApplyError::Type(why) => {
            let namespace = metadata::text(&config.value, "namespace");
            let name = metadata::text(&config.value, "name");
            let shown = group_version_kind(&version, &kind);
            let message = format!("failed to create typed patch object ({namespace}/{name}; {shown}): {why}");
            Status::failure(500, "", message, None)
        }
        ApplyError::NoType(_) => Status::failure(500, "", error.to_string(), None),
    })
}

/// `apps/v1, Kind=Deployment`, as Go prints it.
fn group_version_kind(version: &str, kind: &str) -> String {
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    format!("{group}/{version}, Kind={kind}")
}

/// Creates what the configuration names.
async fn create(call: &Call, config: &Config) -> Result<Response<Body>, Status> {
    let (kind, name) = (call.kind(), call.path.name.as_str());
    create::authorize(call)?;
    let empty = json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": {}});
    let reset = managed::reset(kind, "");
    let applied = applied(call, &Kinds(kind), "", reset, &empty, config, Vec::new())?;
    let mut value = finished(kind, applied, config, call)?;
    let uid = metadata::text(&value, "uid");
    if !uid.is_empty() {
        let why = format!(
            "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        );
        return Err(Status::conflict_because(&kind.group, &kind.plural, name, &why));
    }
    metadata::place(call, &mut value)?;
    // To what is not there yet no version is another one.
    metadata::of(&mut value).remove("resourceVersion");
    match metadata::text(&value, "name") {
        "" => {
            return Err(Status::bad_request(format!(
                "the name of the object ({name} based on URL) was undeterminable: name must be provided"
            )));
        }
        found if found != name => {
            return Err(Status::bad_request(format!(
                "the name of the object ({found}) does not match the name on the URL ({name})"
            )));
        }
        _ => {}
    }
    create::store_new(call, value, Managers::Given, config.warnings.clone()).await
}

/// Who uses both of kubectl's applies finds the server's in the client's annotation, if the object has one.
fn sync_annotation(value: &mut Value, config: &Value) {
    let annotations = |value: &Value| value["metadata"]["annotations"].as_object().cloned();
    let Some(mut all) = annotations(value) else {
        return;
    };
    if all
        .get(LAST_APPLIED)
        .and_then(Value::as_str)
        .is_none_or(str::is_empty)
    {
        return;
    }
    let mut config = config.clone();
    if let Some(annotations) = config
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.remove(LAST_APPLIED);
        if annotations.is_empty()
            && let Some(metadata) = config.get_mut("metadata").and_then(Value::as_object_mut)
        {
            metadata.remove("annotations");
        }
    }
    all.insert(LAST_APPLIED.to_owned(), format!("{config}\n").into());
    if size(&all) > MOST_ANNOTATIONS {
        all.insert(LAST_APPLIED.to_owned(), "".into());
    }
    metadata::of(value).insert("annotations".to_owned(), Value::Object(all));
}

fn size(annotations: &Map<String, Value>) -> usize {
    annotations
        .iter()
        .map(|(name, value)| name.len() + value.as_str().map_or(0, str::len))
        .sum()
}

/// The type of a Scale, whose managers are those of one field of its parent.
#[derive(Debug)]
pub struct Scales;

impl Versions for Scales {
    fn kind(&self, version: &str) -> Option<keelson_api::schema::Type<'_>> {
        if version == "autoscaling/v1" {
            Schema::builtin().kind("autoscaling", "v1", "Scale")
        } else {
            None
        }
    }

    fn convert(&self, object: &Value, version: &str) -> Option<Value> {
        (version == "autoscaling/v1").then(|| object.clone())
    }
}
