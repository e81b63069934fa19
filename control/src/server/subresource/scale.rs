//! `scale`: replicas of anything that has them, as `autoscaling/v1 Scale`.

use http::{Response, StatusCode};
use keelson_api::patch::apply as apply_patch;
use keelson_api::schema::Schema;
use keelson_api::status::{FieldError, Status};
use serde_json::{Value, json};

use crate::kinds::Kind;
use crate::server::body::Body;
use crate::server::call::Call;
use crate::server::dispatch::not_allowed;
use crate::server::respond;
use crate::server::write::patch::format;
use crate::server::write::update::{Edit, apply};
use crate::server::write::{decode, metadata};

/// Kind and version of the body.
const KIND: &str = "Scale";
const VERSION: &str = "autoscaling/v1";

/// GET, PUT and PATCH.
pub async fn serve(call: &Call, verb: &str, bytes: &[u8]) -> Result<Response<Body>, Status> {
    let kind = call.kind();
    let answer = |object: &Value| Ok(respond::plain(call, StatusCode::OK, &scale(kind, object)?, &[]));
    if verb == "get" {
        let mut object = respond::value(kind, &*call.stored()?);
        kind.strategy.default(&mut object);
        return answer(&object);
    }
    let edit = Edit {
        subresource: Some("scale"),
        dry_run: call.query.dry_run()?,
        checked: true,
    };
    let updated = match verb {
        "update" => {
            let body = decode::other(call, bytes, KIND, VERSION)?;
            let name = metadata::text(&body, "name");
            if !name.is_empty() && name != call.path.name {
                return Err(Status::bad_request(format!(
                    "the name of the object ({name}) does not match the name on the URL ({})",
                    call.path.name
                )));
            }
            apply(call, &edit, |old| scaled(call, old, &body)).await?
        }
        "patch" => {
            let format = format(call)?;
            let schema = Schema::builtin().kind("autoscaling", "v1", KIND);
            apply(call, &edit, |old| {
                let patched = apply_patch(format, schema, &scale(kind, old)?, bytes)?;
                scaled(call, old, &patched.value)
            })
            .await?
        }
        verb => return Err(not_allowed(call, verb)),
    };
    answer(&respond::value(kind, &updated.object))
}

/// The Scale of an object.
fn scale(kind: &Kind, object: &Value) -> Result<Value, Status> {
    let (replicas, observed, selector) = kind
        .strategy
        .scale(object)
        .ok_or_else(|| Status::internal("this object has no scale"))?;
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
    new["spec"]["replicas"] = replicas.into();
    new["metadata"]["resourceVersion"] = body["metadata"]["resourceVersion"].clone();
    if !body["metadata"]["uid"].is_null() {
        new["metadata"]["uid"] = body["metadata"]["uid"].clone();
    }
    Ok(new)
}
