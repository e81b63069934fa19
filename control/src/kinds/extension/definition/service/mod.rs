//! APIServices: which server answers for a version of a group.
//!
//! Those without a service are answered by this server; `server::registration` makes them. Those with one are stored and
//! shown only.

mod validate;

use keelson_api::status::FieldError;
use keelson_api::time;
use serde_json::{Value, json};

use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{items, object, set_default, text};
use crate::kinds::{Kind, Strategy, cells, update};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    (
        "Service",
        "string",
        0,
        "The reference to the service that hosts this API endpoint.",
    ),
    ("Available", "string", 0, "Whether this service is available."),
    AGE,
];

/// The kind.
pub(super) fn kind() -> Kind {
    describe::kind(
        "apiregistration.k8s.io/v1",
        "APIService",
        "apiservices",
        COLUMNS,
        Service,
    )
    .cluster()
    .extension()
    .status()
    .done()
}

#[derive(Debug)]
struct Service;

impl Strategy for Service {
    fn default(&self, service: &mut Value) {
        if let Some(spec) = object(service, "spec")
            && let Some(target) = spec.get_mut("service").and_then(Value::as_object_mut)
        {
            set_default(target, "port", 443);
        }
    }

    fn prepare_create(&self, service: &mut Value) {
        update::clear_status(service);
        tell_local(service);
        self.default(service);
    }

    fn prepare_update(&self, subresource: Option<&str>, old: &Value, new: &mut Value) {
        update::without_generation(subresource, old, new);
        if subresource == Some("status") {
            update::keep_metadata_of_status(old, new);
        } else if subresource.is_none() {
            tell_local(new);
        }
    }

    fn validate_create(&self, service: &Value) -> Vec<FieldError> {
        validate::service(service)
    }

    fn validate_update(&self, subresource: Option<&str>, _: &Value, new: &Value) -> Vec<FieldError> {
        if subresource == Some("status") {
            return Vec::new();
        }
        validate::service(new)
    }

    fn row(&self, service: &Value, now: i64) -> Vec<Value> {
        let target = match text(service, "/spec/service/name") {
            "" => "Local".to_owned(),
            name => format!("{}/{name}", text(service, "/spec/service/namespace")),
        };
        let available = available(service).map_or_else(
            || "Unknown".to_owned(),
            |condition| match (text(condition, "/status"), text(condition, "/reason")) {
                ("True", _) => "True".to_owned(),
                (status, reason) => format!("{status} ({reason})"),
            },
        );
        vec![
            cells::name(service),
            Value::from(target),
            Value::from(available),
            cells::age(service, now),
        ]
    }
}

fn available(service: &Value) -> Option<&Value> {
    items(service, "/status/conditions")
        .iter()
        .find(|condition| text(condition, "/type") == "Available")
}

/// What this server answers itself is available as long as anybody can ask. Upstream's strategy says so when one is made,
/// and a controller when an update drops the service; here both are the strategy's.
fn tell_local(service: &mut Value) {
    let remote = service.pointer("/spec/service").is_some_and(Value::is_object);
    let told = available(service).is_some_and(|known| text(known, "/reason") == "Local");
    if remote && told {
        // Nobody has said anything about the service yet.
        service["status"]["conditions"] = json!([]);
    }
    if remote || told {
        return;
    }
    service["status"]["conditions"] = json!([{
        "type": "Available",
        "status": "True",
        "lastTransitionTime": time::now_rfc3339(),
        "reason": "Local",
        "message": "Local APIServices are always available",
    }]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_ones_are_available() {
        let shown = |service: &Value| Service.row(service, 0)[1..3].to_vec();
        let remote = json!({"namespace": "d", "name": "s"});
        let mut one = json!({"spec": {"service": &remote}, "status": {"conditions": [{"type": "Available", "status": "True"}]}});
        Service.prepare_create(&mut one);
        assert_eq!(shown(&one), ["d/s", "Unknown"], "nobody has said so");
        let old = one.clone();
        one["spec"]["service"] = Value::Null;
        Service.prepare_update(None, &old, &mut one);
        assert_eq!(shown(&one), ["Local", "True"]);
        let mut other = json!({"spec": {}});
        Service.prepare_create(&mut other);
        assert_eq!(shown(&other), ["Local", "True"]);
        let mut again = other.clone();
        Service.prepare_update(None, &other, &mut again);
        assert_eq!(again, other);
        again["spec"]["service"] = remote;
        Service.prepare_update(None, &other, &mut again);
        assert_eq!(shown(&again), ["d/s", "Unknown"]);
    }
}
