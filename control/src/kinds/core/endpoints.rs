//! Endpoints, the older form of EndpointSlices.

use keelson_api::names;
use keelson_api::status::{FieldError, MOST_ERRORS};
use serde_json::Value;

use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{int, items, list, set_zero, text};
use crate::kinds::{Kind, Strategy, cells};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    (
        "Endpoints",
        "string",
        0,
        "The set of all endpoints is the union of all subsets.",
    ),
    AGE,
];

pub(super) fn kind() -> Kind {
    describe::kind("v1", "Endpoints", "endpoints", COLUMNS, Endpoints)
        .short(&["ep"])
        .done()
}

#[derive(Debug)]
struct Endpoints;

impl Strategy for Endpoints {
    fn default(&self, object: &mut Value) {
        let Some(map) = object.as_object_mut() else { return };
        for subset in list(map, "subsets") {
            for port in list(subset, "ports") {
                set_zero(port, "protocol", "TCP");
            }
        }
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        validate(object)
    }

    fn validate_update(&self, _: Option<&str>, _: &Value, new: &Value) -> Vec<FieldError> {
        validate(new)
    }

    fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        vec![
            cells::name(object),
            Value::from(endpoints(object)),
            cells::age(object, now),
        ]
    }
}

/// The first three `address:port`, and how many more there are.
fn endpoints(object: &Value) -> String {
    let mut all = Vec::new();
    for subset in items(object, "/subsets") {
        let addresses = items(subset, "/addresses")
            .iter()
            .map(|address| text(address, "/ip"));
        let ports = items(subset, "/ports");
        if ports.is_empty() {
            all.extend(addresses.map(str::to_owned));
            continue;
        }
        let addresses: Vec<&str> = addresses.collect();
        for port in ports {
            let port = int(port, "/port").unwrap_or(0);
            for ip in &addresses {
                all.push(if ip.contains(':') {
                    format!("[{ip}]:{port}")
                } else {
                    format!("{ip}:{port}")
                });
            }
        }
    }
    if all.is_empty() {
        return "<none>".to_owned();
    }
    let shown = all[..all.len().min(3)].join(",");
    if all.len() > 3 {
        format!("{shown} + {} more...", all.len() - 3)
    } else {
        shown
    }
}

fn validate(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let rule = address_rule(object, text(object, "/metadata/name"));
    for (index, subset) in items(object, "/subsets").iter().enumerate() {
        let path = format!("subsets[{index}]");
        let groups = ["addresses", "notReadyAddresses"];
        if groups
            .iter()
            .all(|group| items(subset, &format!("/{group}")).is_empty())
        {
            let detail = "must specify `addresses` or `notReadyAddresses`";
            errors.push(FieldError::required(path.as_str(), detail));
        }
        for group in groups {
            for (at, address) in items(subset, &format!("/{group}")).iter().enumerate() {
                if errors.len() > MOST_ERRORS {
                    return errors;
                }
                let ip = text(address, "/ip");
                for complaint in rule(ip) {
                    errors.push(FieldError::invalid(
                        format!("{path}.{group}[{at}].ip"),
                        ip,
                        &complaint,
                    ));
                }
                if ip.parse::<std::net::IpAddr>().is_err() {
                    // Upstream says so twice, the second time where it looks for special addresses.
                    let path = format!("{path}.{group}[{at}].ip");
                    errors.push(FieldError::invalid(path, ip, "must be a valid IP address"));
                }
                let rules: [(&str, names::Rule); 2] = [
                    ("hostname", names::dns1123_label),
                    ("nodeName", names::dns1123_subdomain),
                ];
                for (field, rule) in rules {
                    let found = text(address, &format!("/{field}"));
                    // An empty node is one with a wrong name.
                    let unset = found.is_empty() && (field == "hostname" || !address[field].is_string());
                    for complaint in rule(found).iter().filter(|_| !unset) {
                        let path = format!("{path}.{group}[{at}].{field}");
                        errors.push(FieldError::invalid(path, found, complaint));
                    }
                }
            }
        }
        let ports = items(subset, "/ports");
        for (at, port) in ports.iter().enumerate() {
            let path = format!("{path}.ports[{at}]");
            let name = text(port, "/name");
            if ports.len() > 1 && name.is_empty() {
                errors.push(FieldError::required(format!("{path}.name"), ""));
            } else if !name.is_empty() {
                errors.extend(FieldError::complaints(
                    format_args!("{path}.name"),
                    name,
                    names::dns1123_label(name),
                ));
            }
            let number = int(port, "/port").unwrap_or(0);
            errors.extend(FieldError::complaints(
                format_args!("{path}.port"),
                number,
                names::port_number(number),
            ));
            let protocol = text(port, "/protocol");
            let known = ["SCTP", "TCP", "UDP"];
            if protocol.is_empty() {
                errors.push(FieldError::required(format!("{path}.protocol"), ""));
            } else if !known.contains(&protocol) {
                errors.push(FieldError::not_supported(
                    format!("{path}.protocol"),
                    protocol,
                    &known,
                ));
            }
            if let Some(protocol) = port.get("appProtocol").and_then(Value::as_str) {
                errors.extend(FieldError::complaints(
                    format_args!("{path}.appProtocol"),
                    protocol,
                    names::qualified_name(protocol),
                ));
            }
        }
    }
    errors
}

/// The rule for addresses. Those of the API servers may be loopback ones: a cluster on one machine keeps to itself.
pub(in crate::kinds) fn address_rule(object: &Value, service: &str) -> fn(&str) -> names::Complaints {
    if service == "kubernetes" && text(object, "/metadata/namespace") == "default" {
        names::ip
    } else {
        names::endpoint_ip
    }
}
