//! Ingresses.

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::core::ingress_point;
use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{int, items, object_or_new, text};
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
pub(super) fn kind() -> Kind {
    let strategy = Plain {
        default: |object| {
            if let Some(map) = object.as_object_mut()
                && let Some(status) = object_or_new(map, "status")
            {
                object_or_new(status, "loadBalancer");
            }
        },
        validate: validate_ingress,
        create: |ingress| {
            const CLASS: &str = "kubernetes.io/ingress.class";
            let annotation = ingress["metadata"]["annotations"][CLASS].as_str();
            let class = ingress["spec"]["ingressClassName"].as_str();
            let (Some(annotation), Some(class)) = (annotation, class) else {
                return Vec::new();
            };
            if annotation == class {
                return Vec::new();
            }
            let detail = "must match `ingressClassName` when both are specified";
            let path = format!("annotations.{CLASS}");
            vec![FieldError::invalid(path, annotation, detail)]
        },
        told: |ingress| {
            let mut errors = Vec::new();
            for (index, point) in items(ingress, "/status/loadBalancer/ingress").iter().enumerate() {
                ingress_point(
                    &mut errors,
                    point,
                    &format!("status.loadBalancer.ingress[{index}]"),
                );
            }
            errors
        },
        ..Plain::with_status(row)
    };
    describe::kind("networking.k8s.io/v1", "Ingress", "ingresses", INGRESS, strategy)
        .short(&["ing"])
        .status()
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
    if let Some(class) = ingress.pointer("/spec/ingressClassName").and_then(Value::as_str) {
        errors.extend(FieldError::complaints(
            "spec.ingressClassName",
            class,
            names::dns1123_subdomain(class),
        ));
    }
    for (index, tls) in items(ingress, "/spec/tls").iter().enumerate() {
        let path = format!("spec.tls[{index}]");
        for (at, host) in items(tls, "/hosts").iter().enumerate() {
            check_name(
                &mut errors,
                host.as_str().unwrap_or_default(),
                &format!("{path}.hosts[{at}]"),
            );
        }
        let secret = text(tls, "/secretName");
        if !secret.is_empty() {
            errors.extend(FieldError::complaints(
                format_args!("{path}.secretName"),
                secret,
                names::dns1123_subdomain(secret),
            ));
        }
    }
    for (index, rule) in rules.iter().enumerate() {
        let path = format!("spec.rules[{index}]");
        check_host(&mut errors, text(rule, "/host"), &format!("{path}.host"));
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
            if !one["pathType"].is_string() {
                errors.push(FieldError::required(
                    format!("{path}.pathType"),
                    "pathType must be specified",
                ));
                continue;
            }
            match kind {
                "Exact" | "Prefix" if !place.starts_with('/') => {
                    errors.push(FieldError::invalid(
                        format!("{path}.path"),
                        place,
                        "must be an absolute path",
                    ));
                }
                "Exact" | "Prefix" => ambiguous(&mut errors, place, &format!("{path}.path")),
                "ImplementationSpecific" if !place.is_empty() && !place.starts_with('/') => {
                    errors.push(FieldError::invalid(
                        format!("{path}.path"),
                        place,
                        "must be an absolute path",
                    ));
                }
                "ImplementationSpecific" => {}
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

/// A host of a rule: none, or a name.
fn check_host(errors: &mut Vec<FieldError>, host: &str, path: &str) {
    if host.is_empty() {
        return;
    }
    if host.parse::<std::net::IpAddr>().is_ok() {
        let detail = "must be a DNS name, not an IP address";
        errors.push(FieldError::invalid(path, host, detail));
    }
    check_name(errors, host, path);
}

/// A name, perhaps with a star for its first part.
fn check_name(errors: &mut Vec<FieldError>, host: &str, path: &str) {
    let complaints = if host.contains('*') {
        names::wildcard_dns1123_subdomain(host)
    } else {
        names::dns1123_subdomain(host)
    };
    errors.extend(FieldError::complaints(path, host, complaints));
}

/// Paths that a proxy could read in more than one way.
fn ambiguous(errors: &mut Vec<FieldError>, place: &str, path: &str) {
    for part in ["//", "/./", "/../", "%2f", "%2F"] {
        if place.contains(part) {
            let detail = format!("must not contain '{part}'");
            errors.push(FieldError::invalid(path, place, &detail));
        }
    }
    for end in ["/..", "/."] {
        if place.ends_with(end) {
            let detail = format!("cannot end with '{end}'");
            errors.push(FieldError::invalid(path, place, &detail));
        }
    }
}

/// What names an object of the same namespace by its kind (`validateIngressTypedLocalObjectReference`).
pub(super) fn local_reference(errors: &mut Vec<FieldError>, reference: &Value, path: &str) {
    if let Some(group) = reference.get("apiGroup").and_then(Value::as_str) {
        errors.extend(FieldError::complaints(
            format_args!("{path}.apiGroup"),
            group,
            names::dns1123_subdomain(group),
        ));
    }
    for field in ["kind", "name"] {
        let (found, path) = (text(reference, &format!("/{field}")), format!("{path}.{field}"));
        if found.is_empty() {
            errors.push(FieldError::required(path, &format!("{field} is required")));
            continue;
        }
        errors.extend(FieldError::complaints(&path, found, names::path_segment(found)));
    }
}

fn check_backend(errors: &mut Vec<FieldError>, backend: &Value, path: &str) {
    let has = |field: &str| backend.get(field).is_some_and(Value::is_object);
    match (has("service"), has("resource")) {
        (true, true) => {
            let detail = "cannot set both resource and service backends";
            errors.push(FieldError::invalid(path, "", detail));
        }
        (false, false) => errors.push(FieldError::invalid(
            path,
            "",
            "resource or service backend is required",
        )),
        (false, true) => local_reference(errors, &backend["resource"], &format!("{path}.resource")),
        (true, false) => {
            let name = text(backend, "/service/name");
            if name.is_empty() {
                errors.push(FieldError::required(format!("{path}.service.name"), ""));
            } else {
                errors.extend(FieldError::complaints(
                    format_args!("{path}.service.name"),
                    name,
                    names::dns1035_label(name),
                ));
            }
            let port = text(backend, "/service/port/name");
            let number = int(backend, "/service/port/number").unwrap_or(0);
            match (port.is_empty(), number) {
                (true, 0) => errors.push(FieldError::required(path, "port name or number is required")),
                (true, _) => errors.extend(FieldError::complaints(
                    format_args!("{path}.service.port.number"),
                    number,
                    names::port_number(number),
                )),
                (false, 0) => errors.extend(FieldError::complaints(
                    format_args!("{path}.service.port.name"),
                    port,
                    names::port_name(port),
                )),
                (false, _) => {
                    let detail = "cannot set both port name & port number";
                    errors.push(FieldError::invalid(path, "", detail));
                }
            }
        }
    }
}
