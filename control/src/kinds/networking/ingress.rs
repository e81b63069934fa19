//! Ingresses and their classes.

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{items, object, object_or_new, set_default, text};
use crate::kinds::plain::Plain;
use crate::kinds::{Kind, cells};

const INGRESS: &[ColumnDef] = &[
    NAME,
    (
        "Class",
        "string",
        0,
        "The name of the IngressClass resource that should be used for additional configuration",
    ),
    (
        "Hosts",
        "string",
        0,
        "Hosts that incoming requests are matched against before the ingress rule",
    ),
    (
        "Address",
        "string",
        0,
        "Address is a list containing ingress points for the load-balancer",
    ),
    ("Ports", "string", 0, "Ports of TLS configurations that open"),
    AGE,
];
const CLASS: &[ColumnDef] = &[
    NAME,
    (
        "Controller",
        "string",
        0,
        "Controller that is responsible for handling this class",
    ),
    (
        "Parameters",
        "string",
        0,
        "A reference to a resource with additional parameters",
    ),
    AGE,
];

pub(super) fn ingress() -> Kind {
    let strategy = Plain {
        default: |object| {
            if let Some(map) = object.as_object_mut()
                && let Some(status) = object_or_new(map, "status")
            {
                object_or_new(status, "loadBalancer");
            }
        },
        validate: validate_ingress,
        ..Plain::with_status(row)
    };
    describe::kind("networking.k8s.io/v1", "Ingress", "ingresses", INGRESS, strategy)
        .short(&["ing"])
        .status()
        .done()
}

pub(super) fn class() -> Kind {
    let strategy = Plain {
        default: |class| {
            if let Some(spec) = object(class, "spec")
                && let Some(parameters) = spec.get_mut("parameters").and_then(Value::as_object_mut)
            {
                set_default(parameters, "scope", "Cluster");
            }
        },
        validate: |class| {
            let controller = text(class, "/spec/controller");
            if controller.is_empty() {
                return vec![FieldError::required("spec.controller", "")];
            }
            if !controller.contains('/') {
                let detail = "must be a domain-prefixed path (such as \"acme.io/foo\")";
                return vec![FieldError::invalid("spec.controller", controller, detail)];
            }
            Vec::new()
        },
        generation: true,
        ..Plain::new(|class, now| {
            let parameters = class
                .pointer("/spec/parameters")
                .filter(|parameters| parameters.is_object());
            let parameters = parameters.map_or_else(
                || "<none>".to_owned(),
                |parameters| {
                    let group = text(parameters, "/apiGroup");
                    let dot = if group.is_empty() { "" } else { "." };
                    format!(
                        "{}{dot}{group}/{}",
                        text(parameters, "/kind"),
                        text(parameters, "/name")
                    )
                },
            );
            vec![
                cells::name(class),
                Value::from(text(class, "/spec/controller")),
                Value::from(parameters),
                cells::age(class, now),
            ]
        })
    };
    describe::kind(
        "networking.k8s.io/v1",
        "IngressClass",
        "ingressclasses",
        CLASS,
        strategy,
    )
    .cluster()
    .done()
}

fn row(ingress: &Value, now: i64) -> Vec<Value> {
    let mut hosts: Vec<&str> = Vec::new();
    let mut more = false;
    for host in items(ingress, "/spec/rules")
        .iter()
        .map(|rule| text(rule, "/host"))
        .filter(|host| !host.is_empty())
    {
        if hosts.len() == 3 {
            more = true;
        } else {
            hosts.push(host);
        }
    }
    let rules = items(ingress, "/spec/rules").len();
    let hosts = match (hosts.is_empty(), more) {
        (true, _) => "*".to_owned(),
        (false, true) => format!("{} + {} more...", hosts.join(","), rules - 3),
        (false, false) => hosts.join(","),
    };
    let addresses: Vec<&str> = items(ingress, "/status/loadBalancer/ingress")
        .iter()
        .map(|point| match text(point, "/ip") {
            "" => text(point, "/hostname"),
            ip => ip,
        })
        .collect();
    let ports = if items(ingress, "/spec/tls").is_empty() {
        "80"
    } else {
        "80, 443"
    };
    vec![
        cells::name(ingress),
        cells::text_or(ingress, "/spec/ingressClassName", "<none>"),
        Value::from(hosts),
        Value::from(addresses.join(",")),
        Value::from(ports),
        cells::age(ingress, now),
    ]
}

fn validate_ingress(ingress: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let default = ingress.pointer("/spec/defaultBackend");
    let rules = items(ingress, "/spec/rules");
    if rules.is_empty() && default.is_none() {
        errors.push(FieldError::invalid(
            "spec",
            Value::Null,
            "either `defaultBackend` or `rules` must be specified",
        ));
    }
    if let Some(backend) = default {
        check_backend(&mut errors, backend, "spec.defaultBackend");
    }
    for (index, rule) in rules.iter().enumerate() {
        let path = format!("spec.rules[{index}]");
        let host = text(rule, "/host");
        if !host.is_empty() {
            let plain = host.strip_prefix("*.").unwrap_or(host);
            for complaint in names::dns1123_subdomain(plain) {
                errors.push(FieldError::invalid(format!("{path}.host"), host, &complaint));
            }
        }
        let Some(http) = rule.get("http").filter(|http| http.is_object()) else {
            continue;
        };
        let paths = items(http, "/paths");
        if paths.is_empty() {
            errors.push(FieldError::required(format!("{path}.http.paths"), ""));
        }
        for (at, one) in paths.iter().enumerate() {
            let path = format!("{path}.http.paths[{at}]");
            let (kind, place) = (text(one, "/pathType"), text(one, "/path"));
            match kind {
                "" => errors.push(FieldError::required(
                    format!("{path}.pathType"),
                    "pathType must be specified",
                )),
                "Exact" | "Prefix" if !place.starts_with('/') => {
                    errors.push(FieldError::invalid(
                        format!("{path}.path"),
                        place,
                        "must be an absolute path",
                    ));
                }
                "Exact" | "Prefix" | "ImplementationSpecific" => {}
                other => {
                    let allowed = ["Exact", "ImplementationSpecific", "Prefix"];
                    errors.push(FieldError::not_supported(
                        format!("{path}.pathType"),
                        other,
                        &allowed,
                    ));
                }
            }
            check_backend(
                &mut errors,
                one.get("backend").unwrap_or(&Value::Null),
                &format!("{path}.backend"),
            );
        }
    }
    errors
}

fn check_backend(errors: &mut Vec<FieldError>, backend: &Value, path: &str) {
    let has = |field: &str| backend.get(field).is_some_and(Value::is_object);
    match (has("service"), has("resource")) {
        (true, true) => {
            let detail = "cannot set both resource and service backends";
            errors.push(FieldError::invalid(path, "", detail));
        }
        (false, false) => errors.push(FieldError::required(
            path,
            "resource or service backend is required",
        )),
        (false, true) => {}
        (true, false) => {
            let name = text(backend, "/service/name");
            if name.is_empty() {
                errors.push(FieldError::required(format!("{path}.service.name"), ""));
            } else {
                for complaint in names::dns1035_label(name) {
                    errors.push(FieldError::invalid(
                        format!("{path}.service.name"),
                        name,
                        &complaint,
                    ));
                }
            }
            let named = !text(backend, "/service/port/name").is_empty();
            let numbered = backend
                .pointer("/service/port/number")
                .is_some_and(Value::is_number);
            if !named && !numbered {
                errors.push(FieldError::required(path, "port name or number is required"));
            }
        }
    }
}
