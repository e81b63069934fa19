//! EndpointSlices.

use std::collections::HashSet;

use keelson_api::names;
use keelson_api::status::{FieldError, MOST_ERRORS};
use serde_json::Value;

use crate::kinds::core::endpoints::address_rule;
use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{alike, int, items, list, object_or_new, set_default, text};
use crate::kinds::{Kind, Strategy, cells, update};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    (
        "AddressType",
        "string",
        0,
        "addressType specifies the type of address carried by this EndpointSlice.",
    ),
    (
        "Ports",
        "string",
        0,
        "ports specifies the list of network ports exposed by each endpoint in this slice.",
    ),
    (
        "Endpoints",
        "string",
        0,
        "endpoints is a list of unique endpoints in this slice.",
    ),
    AGE,
];

pub(super) fn kind() -> Kind {
    describe::kind(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        "endpointslices",
        COLUMNS,
        EndpointSlice,
    )
    .done()
}

#[derive(Debug)]
struct EndpointSlice;

impl Strategy for EndpointSlice {
    fn default(&self, object: &mut Value) {
        let Some(map) = object.as_object_mut() else { return };
        for endpoint in list(map, "endpoints") {
            object_or_new(endpoint, "conditions");
        }
        for port in list(map, "ports") {
            set_default(port, "name", "");
            set_default(port, "protocol", "TCP");
        }
        // Upstream's type writes both lists even when there is nothing in them.
        for field in ["endpoints", "ports"] {
            if map.get(field).is_none_or(Value::is_null) {
                map.insert(field.to_owned(), Value::Array(Vec::new()));
            }
        }
    }

    fn prepare_create(&self, new: &mut Value) {
        update::start_generation(new);
        drop_topology(new);
    }

    fn prepare_update(&self, _: Option<&str>, old: &Value, new: &mut Value) {
        let changed = ["endpoints", "ports"]
            .iter()
            .any(|field| old.get(*field) != new.get(*field));
        // Labels say whose the slice is, and who does without it.
        let labels = |slice: &Value| slice["metadata"].get("labels").cloned();
        let changed = changed || !alike(labels(old).as_ref(), labels(new).as_ref());
        let generation = int(old, "/metadata/generation").unwrap_or(0) + i64::from(changed);
        if let Some(metadata) = new.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("generation".to_owned(), Value::from(generation));
        }
        if old.get("endpoints") != new.get("endpoints") {
            drop_topology(new);
        }
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        validate(object)
    }

    fn validate_update(&self, _: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
        let mut errors = validate(new);
        if old.get("addressType") != new.get("addressType") {
            errors.push(FieldError::invalid(
                "addressType",
                text(new, "/addressType"),
                names::IMMUTABLE,
            ));
        }
        errors
    }

    fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        let ports = items(object, "/ports").iter().map(|port| {
            let name = || port["name"].as_str().unwrap_or("*").to_owned();
            int(port, "/port").map_or_else(name, |number| number.to_string())
        });
        let addresses = items(object, "/endpoints")
            .iter()
            .flat_map(|endpoint| items(endpoint, "/addresses"))
            .filter_map(Value::as_str)
            .map(str::to_owned);
        vec![
            cells::name(object),
            Value::from(text(object, "/addressType")),
            Value::from(first_three(ports)),
            Value::from(first_three(addresses)),
            cells::age(object, now),
        ]
    }
}

/// Clears what only v1beta1 could write.
fn drop_topology(slice: &mut Value) {
    if let Some(slice) = slice.as_object_mut() {
        for endpoint in list(slice, "endpoints") {
            endpoint.remove("deprecatedTopology");
        }
    }
}

fn first_three(texts: impl Iterator<Item = String>) -> String {
    let texts: Vec<String> = texts.collect();
    match texts.len() {
        0..=3 => Some(texts.join(","))
            .filter(|shown| !shown.is_empty())
            .unwrap_or_else(|| "<unset>".to_owned()),
        more => format!("{} + {} more...", texts[..3].join(","), more - 3),
    }
}

fn validate(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let kind = text(object, "/addressType");
    let allowed = ["FQDN", "IPv4", "IPv6"];
    if kind.is_empty() {
        errors.push(FieldError::required("addressType", ""));
    } else if !allowed.contains(&kind) {
        errors.push(FieldError::not_supported("addressType", kind, &allowed));
    }
    let endpoints = items(object, "/endpoints");
    if endpoints.len() > 1000 {
        errors.push(FieldError::too_many("endpoints", endpoints.len(), 1000));
    }
    let service = object
        .pointer("/metadata/labels")
        .and_then(|labels| labels.get("kubernetes.io/service-name"))
        .and_then(Value::as_str)
        .unwrap_or_default();
    let rule = address_rule(object, service);
    for (index, endpoint) in endpoints.iter().enumerate() {
        check_endpoint(&mut errors, endpoint, &format!("endpoints[{index}]"), kind, rule);
    }
    let ports = items(object, "/ports");
    if ports.len() > MOST_PORTS {
        errors.push(FieldError::too_many("ports", ports.len(), MOST_PORTS));
    }
    let mut seen = HashSet::new();
    for (index, port) in ports.iter().enumerate() {
        let (name, path) = (text(port, "/name"), format!("ports[{index}]"));
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(format!("{path}.name"), name));
        }
        if !name.is_empty() {
            errors.extend(FieldError::complaints(
                format_args!("{path}.name"),
                name,
                names::dns1123_label(name),
            ));
        }
        let protocol = text(port, "/protocol");
        if !matches!(protocol, "TCP" | "UDP" | "SCTP") {
            let path = format!("{path}.protocol");
            errors.push(FieldError::not_supported(path, protocol, &["SCTP", "TCP", "UDP"]));
        }
        if let Some(protocol) = port["appProtocol"].as_str() {
            errors.extend(FieldError::complaints(
                format_args!("{path}.appProtocol"),
                protocol,
                names::qualified_name(protocol),
            ));
        }
    }
    errors
}

/// Most ports of a slice, most addresses and most zones of an endpoint.
const MOST_PORTS: usize = 20000;
const MOST_ADDRESSES: usize = 100;
const MOST_ZONES: usize = 8;

fn check_endpoint(
    errors: &mut Vec<FieldError>,
    endpoint: &Value,
    path: &str,
    kind: &str,
    rule: fn(&str) -> names::Complaints,
) {
    let at = format!("{path}.addresses");
    let addresses = items(endpoint, "/addresses");
    if addresses.is_empty() {
        let detail = "must contain at least 1 address";
        errors.push(FieldError::required(at.as_str(), detail));
    } else if addresses.len() > MOST_ADDRESSES {
        errors.push(FieldError::too_many(at.as_str(), addresses.len(), MOST_ADDRESSES));
    }
    for (index, address) in addresses.iter().enumerate() {
        if errors.len() > MOST_ERRORS {
            return;
        }
        let address = address.as_str().unwrap_or_default();
        let at = format!("{at}[{index}]");
        let complaints = match (kind, address.parse::<std::net::IpAddr>()) {
            ("IPv4", Ok(ip)) if !ip.is_ipv4() => vec!["must be an IPv4 address".to_owned()],
            ("IPv6", Ok(ip)) if !ip.is_ipv6() => vec!["must be an IPv6 address".to_owned()],
            ("IPv4" | "IPv6", _) => rule(address),
            ("FQDN", _) => {
                let name = address.strip_suffix('.').unwrap_or(address);
                let mut complaints = names::dns1123_subdomain(name);
                if complaints.is_empty() && !name.contains('.') {
                    complaints
                        .push("should be a domain with at least two segments separated by dots".to_owned());
                }
                complaints
            }
            _ => Vec::new(),
        };
        errors.extend(FieldError::complaints(&at, address, complaints));
    }
    // By pointer in Go: an empty text is a bad one.
    if let Some(host) = endpoint["hostname"].as_str() {
        errors.extend(FieldError::complaints(
            format_args!("{path}.hostname"),
            host,
            names::dns1123_label(host),
        ));
    }
    if let Some(node) = endpoint["nodeName"].as_str() {
        errors.extend(FieldError::complaints(
            format_args!("{path}.nodeName"),
            node,
            names::dns1123_subdomain(node),
        ));
    }
    zones(errors, endpoint, &format!("{path}.hints.forZones"));
}

/// The zones that an endpoint is meant for.
fn zones(errors: &mut Vec<FieldError>, endpoint: &Value, path: &str) {
    let zones = items(endpoint, "/hints/forZones");
    if zones.len() > MOST_ZONES {
        errors.push(FieldError::too_many(path, zones.len(), MOST_ZONES));
        return;
    }
    let mut seen = HashSet::new();
    for (index, zone) in zones.iter().enumerate() {
        let (name, path) = (text(zone, "/name"), format!("{path}[{index}].name"));
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(path.as_str(), name));
        }
        errors.extend(FieldError::complaints(&path, name, names::label_value(name)));
    }
}
