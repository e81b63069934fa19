//! `scale`: replicas of anything that has them, as `autoscaling/v1 Scale`.

use http::{Response, StatusCode};
use keelson_api::apply::{self as managers, Tracked};
use keelson_api::schema::Schema;
use keelson_api::status::{FieldError, Status};
use keelson_api::time;
use serde_json::{Value, json};

use crate::kinds::{self, Kind};
use crate::server::accept::Form;
use crate::server::body::Body;
use crate::server::call::Call;
use crate::server::options::Options;
use crate::server::respond;
use crate::server::table::{self, Include};
use crate::server::write::apply as server_side;
use crate::server::write::decode;
use crate::server::write::decode::FieldValidation;
use crate::server::write::managed::{self, Managers};
use crate::server::write::patch::{check_identity, format};
use crate::server::write::patched::Patch;
use crate::server::write::update::{Edit, apply, check_name};

/// Kind and version of the body.
const KIND: &str = "Scale";
const VERSION: &str = "autoscaling/v1";

/// GET, PUT and PATCH.
pub async fn serve(call: &Call, verb: &str, bytes: &[u8]) -> Result<Response<Body>, Status> {
    let kind = call.kind();
    let answer = |object: &Value, warnings: &[String]| {
        let answer = formed(call, scale(kind, object)?);
        Ok(respond::plain(call, StatusCode::OK, &answer, warnings))
    };
    if verb == "get" {
        let mut object = respond::value(kind, &*call.stored()?);
        kind.strategy.default(&mut object);
        return answer(&object, &[]);
    }
    let edit = Edit {
        subresource: Some("scale"),
        dry_run: call.query.dry_run(),
        checked: true,
        managers: Managers::Given,
    };
    let mut warnings = Vec::new();
    let updated = match verb {
        "update" => {
            Options::Update.check(&call.query)?;
            let (body, complaints) = decode::other(call, bytes, KIND, VERSION)?;
            check_name(call, &body)?;
            warnings = complaints;
            apply(call, &edit, |old| tracked(call, old, &body)).await?
        }
        "patch" if server_side::is_apply(call) => {
            let mut config = server_side::read(call, bytes)?;
            warnings.append(&mut config.warnings);
            apply(call, &edit, |old| applied(call, old, &config)).await?
        }
        "patch" => {
            let format = format(call)?;
            Options::Patch.check(&call.query)?;
            let schema = Schema::builtin().kind("autoscaling", "v1", KIND);
            let patch = Patch {
                format,
                schema,
                bytes,
            };
            apply(call, &edit, |old| {
                let (before, validation) = (scale(kind, old)?, FieldValidation::of(call));
                let (mut after, complaints) =
                    patch.apply(&before, validation, |parsed| decode::fit_to(parsed, schema))?;
                check_identity(kind, &call.path.name, &before, &mut after)?;
                warnings = complaints;
                tracked(call, old, &after)
            })
            .await?
        }
        _ => return Err(Status::method_not_allowed()),
    };
    warnings.extend(updated.warnings);
    answer(&respond::value(kind, &updated.object), &warnings)
}

/// A Scale in the form that was asked for.
fn formed(call: &Call, scale: Value) -> Value {
    match call.accept.form {
        Form::Object => scale,
        Form::Partial { beta } => table::partial(&scale, beta),
        Form::Table { beta } => {
            let cells = kinds::scale::row(&scale, time::now());
            let metadata = json!({"resourceVersion": scale["metadata"]["resourceVersion"]});
            let carried = match table::include(&call.query) {
                Include::Nothing => Value::Null,
                Include::Metadata => table::partial(&scale, beta),
                Include::Object => scale,
            };
            let row = json!({"cells": cells, "object": carried});
            table::table(
                table::definitions(&kinds::scale::columns()),
                vec![row],
                metadata,
                beta,
            )
        }
    }
}

/// The Scale of an object.
fn scale(kind: &Kind, object: &Value) -> Result<Value, Status> {
    let (replicas, observed, selector) = kind.strategy.scale(object).ok_or_else(|| {
        let path = kind.strategy.replicas_path().join(".");
        Status::internal(&format!("the spec replicas field \".{path}\" does not exist"))
    })?;
    let meta = &object["metadata"];
    let mut status = json!({"replicas": observed});
    if !selector.is_empty() {
        status["selector"] = selector.into();
    }
    // Like Go's `omitempty`.
    let spec = if replicas == 0 {
        json!({})
    } else {
        json!({"replicas": replicas})
    };
    Ok(json!({
        "kind": KIND, "apiVersion": VERSION,
        "metadata": {
            "name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"], "creationTimestamp": meta["creationTimestamp"],
        },
        "spec": spec, "status": status,
    }))
}

fn decoded(old: &Value) -> Vec<managers::Entry> {
    managers::decode(&old["metadata"][managed::FIELD], false).unwrap_or_default()
}

/// Puts the managers of a Scale in as those of the replicas.
fn put(kind: &Kind, old: &Value, new: &mut Value, scale: Vec<managers::Entry>) {
    let all = managers::from_scale(
        decoded(old),
        scale,
        &kind.strategy.replicas_path(),
        &kind.api_version(),
    );
    managed::put(new, managers::encode(all));
}

/// The object with the replicas of a Scale, and who asks as their manager.
fn tracked(call: &Call, old: &Value, body: &Value) -> Result<Value, Status> {
    let mut new = scaled(call, old, body)?;
    let before = scale(call.kind(), old)?;
    let mut after = before.clone();
    after["spec"]["replicas"] = body["spec"]["replicas"].as_i64().unwrap_or(0).into();
    let known = managers::to_scale(&decoded(old), &call.kind().strategy.replicas_path());
    let outcome = managed::acting(call, VERSION, "scale", &[&["status"]], |actor| {
        let known = || Ok::<_, std::convert::Infallible>(known.clone());
        managers::track(&server_side::Scales, actor, Some(&before), &after, known)
    });
    let now = match outcome {
        Ok(Tracked::Changed(now)) => now,
        Ok(Tracked::Unchanged) => known,
    };
    put(call.kind(), old, &mut new, now);
    Ok(new)
}

/// The object after a server-side apply to its Scale.
fn applied(call: &Call, old: &Value, config: &server_side::Config) -> Result<Value, Status> {
    let before = scale(call.kind(), old)?;
    let known = managers::to_scale(&decoded(old), &call.kind().strategy.replicas_path());
    let reset: &[&[&str]] = &[&["status"]];
    let applied = server_side::applied(call, &server_side::Scales, "scale", reset, &before, config, known)?;
    let mut new = scaled(call, old, &applied.object)?;
    put(call.kind(), old, &mut new, applied.managers);
    Ok(new)
}

/// The object with the replicas of a Scale.
fn scaled(call: &Call, old: &Value, body: &Value) -> Result<Value, Status> {
    let replicas = match &body["spec"]["replicas"] {
        Value::Null => 0,
        value => value
            .as_i64()
            .ok_or_else(|| Status::bad_request("spec.replicas must be an integer"))?,
    };
    if !(0..=i64::from(i32::MAX)).contains(&replicas) {
        let error = FieldError::invalid("spec.replicas", replicas, "must be greater than or equal to 0");
        return Err(Status::invalid("autoscaling", KIND, &call.path.name, &[error]));
    }
    let mut new = old.clone();
    let mut at = &mut new;
    for step in call.kind().strategy.replicas_path() {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[step];
    }
    *at = replicas.into();
    new["metadata"]["resourceVersion"] = body["metadata"]["resourceVersion"].clone();
    if !body["metadata"]["uid"].is_null() {
        new["metadata"]["uid"] = body["metadata"]["uid"].clone();
    }
    Ok(new)
}
