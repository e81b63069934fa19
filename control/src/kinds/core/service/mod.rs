//! Services. Cluster addresses and node ports are given out by admission; here is everything else.

mod addresses;
mod external;
mod row;
mod validate;

use std::collections::BTreeMap;

pub(crate) use addresses::{changed as changed_addresses, related as related_addresses};
pub(in crate::kinds) use external::ingress_point;
use keelson_api::status::FieldError;
use serde_json::{Value, json};

use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{is_unset, list, object_or_new, set_default, set_zero, text};
use crate::kinds::{Kind, Strategy, update};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    ("Type", "string", 0, "type determines how the Service is exposed."),
    (
        "Cluster-IP",
        "string",
        0,
        "clusterIP is the IP address of the service.",
    ),
    (
        "External-IP",
        "string",
        0,
        "externalIPs is a list of IP addresses for which nodes will also accept traffic.",
    ),
    (
        "Port(s)",
        "string",
        0,
        "The list of ports that are exposed by this service.",
    ),
    AGE,
    (
        "Selector",
        "string",
        1,
        "Route service traffic to pods with label keys and values matching this selector.",
    ),
];

pub(super) fn kind() -> Kind {
    describe::kind("v1", "Service", "services", COLUMNS, Service)
        .short(&["svc"])
        .in_all()
        .status()
        .sub("proxy", "v1", "ServiceProxyOptions", super::node::PROXY)
        .done()
}

#[derive(Debug)]
struct Service;

impl Strategy for Service {
    fn default(&self, service: &mut Value) {
        let Some(map) = service.as_object_mut() else {
            return;
        };
        if let Some(status) = object_or_new(map, "status") {
            object_or_new(status, "loadBalancer");
        }
        let Some(spec) = object_or_new(map, "spec") else {
            return;
        };
        set_zero(spec, "type", "ClusterIP");
        set_zero(spec, "sessionAffinity", "None");
        if spec.get("sessionAffinity").and_then(Value::as_str) == Some("ClientIP") {
            let config = object_or_new(spec, "sessionAffinityConfig");
            if let Some(client) = config.and_then(|config| object_or_new(config, "clientIP")) {
                set_default(client, "timeoutSeconds", 10800);
            }
        } else if spec.get("sessionAffinity").and_then(Value::as_str) == Some("None") {
            spec.remove("sessionAffinityConfig");
        }
        for port in list(spec, "ports") {
            set_zero(port, "protocol", "TCP");
            let number = port.get("port").cloned().unwrap_or_default();
            set_zero(port, "targetPort", number);
        }
        let kind = spec
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let external = matches!(kind.as_str(), "NodePort" | "LoadBalancer")
            || (kind == "ClusterIP" && !is_unset(spec.get("externalIPs")));
        if external {
            set_zero(spec, "externalTrafficPolicy", "Cluster");
        }
        if matches!(kind.as_str(), "ClusterIP" | "NodePort" | "LoadBalancer") {
            set_default(spec, "internalTrafficPolicy", "Cluster");
        } else if kind == "ExternalName"
            && matches!(
                spec.get("internalTrafficPolicy").and_then(Value::as_str),
                Some("Cluster" | "Local")
            )
        {
            // Upstream keeps it in the store, and shows it to nobody.
            spec.remove("internalTrafficPolicy");
        }
        if kind == "LoadBalancer" {
            set_default(spec, "allocateLoadBalancerNodePorts", true);
            external::default_status(map);
        }
    }

    fn prepare_create(&self, new: &mut Value) {
        new["status"] = json!({"loadBalancer": {}});
    }

    fn prepare_update(&self, subresource: Option<&str>, old: &Value, new: &mut Value) {
        // Addresses and node ports that the client left out are carried over by admission.
        update::without_generation(subresource, old, new);
        if subresource.is_none() {
            external::drop_of_type(old, new);
        }
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        validate::service(object)
    }

    fn validate_update(&self, subresource: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
        if subresource == Some("status") {
            return external::status(new);
        }
        let mut errors = addresses::changed(old, new);
        external::change(&mut errors, old, new);
        errors.extend(validate::service(new));
        errors
    }

    fn selectable_fields(&self, object: &Value) -> BTreeMap<String, String> {
        ["clusterIP", "type"]
            .into_iter()
            .map(|field| {
                (
                    format!("spec.{field}"),
                    text(object, &format!("/spec/{field}")).to_owned(),
                )
            })
            .collect()
    }

    fn selectable_field_names(&self) -> &'static [&'static str] {
        &["spec.clusterIP", "spec.type"]
    }

    fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        row::row(object, now)
    }
}
