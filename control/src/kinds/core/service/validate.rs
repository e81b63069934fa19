//! What a Service must be.

use std::collections::HashSet;

use keelson_api::names;
use keelson_api::status::{FieldError, MOST_ERRORS};
use serde_json::Value;

use super::{addresses, external};
use crate::kinds::go;
use crate::kinds::json::{int, items, text};

/// The annotation about where traffic goes, and the one that it has replaced.
const MODE: [&str; 2] = [
    "service.kubernetes.io/topology-mode",
    "service.kubernetes.io/topology-aware-hints",
];
const TYPES: &[&str] = &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];

/// Complaints about a Service.
pub(super) fn service(service: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    errors.extend(topology(service));
    let kind = text(service, "/spec/type");
    let headless = addresses::is_headless(service);
    let ports = items(service, "/spec/ports");
    if ports.is_empty() && !headless && kind != "ExternalName" {
        errors.push(FieldError::required("spec.ports", ""));
    }
    match kind {
        "LoadBalancer" | "NodePort" if headless => {
            let detail = format!("may not be set to 'None' for {kind} services");
            errors.push(FieldError::invalid("spec.clusterIPs[0]", "None", &detail));
        }
        "ExternalName" => {
            errors.extend(addresses::of_external_name(service));
            let name = text(service, "/spec/externalName");
            let name = name.strip_suffix('.').unwrap_or(name);
            if name.is_empty() {
                errors.push(FieldError::required("spec.externalName", ""));
            } else {
                errors.extend(FieldError::complaints(
                    "spec.externalName",
                    name,
                    names::dns1123_subdomain(name),
                ));
            }
        }
        _ if !TYPES.contains(&kind) => errors.push(FieldError::not_supported("spec.type", kind, TYPES)),
        _ => {}
    }
    for (index, port) in ports.iter().enumerate() {
        check_port(
            &mut errors,
            port,
            &format!("spec.ports[{index}]"),
            ports.len() > 1,
        );
    }
    unique_ports(&mut errors, ports);
    node_ports(&mut errors, ports, kind);
    crate::kinds::metadata::check_labels(&mut errors, service.pointer("/spec/selector"), "spec.selector");
    let affinity = text(service, "/spec/sessionAffinity");
    if !matches!(affinity, "None" | "ClientIP") {
        errors.push(FieldError::not_supported(
            "spec.sessionAffinity",
            affinity,
            &["ClientIP", "None"],
        ));
    }
    errors.extend(addresses::related(service));
    reached(&mut errors, service);
    external::check(&mut errors, service);
    errors
}

/// Who says it twice says the same.
fn topology(service: &Value) -> Option<FieldError> {
    let said = |name: &str| service["metadata"]["annotations"][name].as_str();
    let (mode, hints) = (said(MODE[0])?, said(MODE[1])?);
    let detail = format!("must match annotations[{}] when both are specified", MODE[1]);
    let path = format!("metadata.annotations[{}]", MODE[0]);
    (mode != hints).then(|| FieldError::invalid(path, mode, &detail))
}

/// How it is reached from outside, and by which endpoints.
fn reached(errors: &mut Vec<FieldError>, service: &Value) {
    for (index, ip) in items(service, "/spec/externalIPs").iter().enumerate() {
        if errors.len() > MOST_ERRORS {
            break;
        }
        let ip = ip.as_str().unwrap_or_default();
        errors.extend(FieldError::complaints(
            format_args!("spec.externalIPs[{index}]"),
            ip,
            names::endpoint_ip(ip),
        ));
    }
    let external = external::is_accessible(service);
    let policy = text(service, "/spec/externalTrafficPolicy");
    if !external && !policy.is_empty() {
        let detail = "may only be set for externally-accessible services";
        errors.push(FieldError::invalid("spec.externalTrafficPolicy", policy, detail));
    }
    for field in ["externalTrafficPolicy", "internalTrafficPolicy"] {
        let policy = text(service, &format!("/spec/{field}"));
        if !matches!(policy, "" | "Cluster" | "Local") {
            errors.push(FieldError::not_supported(
                format!("spec.{field}"),
                policy,
                &["Cluster", "Local"],
            ));
        }
    }
}

fn check_port(errors: &mut Vec<FieldError>, port: &Value, path: &str, named: bool) {
    let name = text(port, "/name");
    if named && name.is_empty() {
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
    if protocol.is_empty() {
        errors.push(FieldError::required(format!("{path}.protocol"), ""));
    } else if !matches!(protocol, "TCP" | "UDP" | "SCTP") {
        let path = format!("{path}.protocol");
        errors.push(FieldError::not_supported(path, protocol, &["SCTP", "TCP", "UDP"]));
    }
    crate::kinds::metadata::check_port_or_name(errors, port.get("targetPort"), &format!("{path}.targetPort"));
}

fn unique_ports(errors: &mut Vec<FieldError>, ports: &[Value]) {
    let mut names = HashSet::new();
    let mut numbers = HashSet::new();
    for (index, port) in ports.iter().enumerate() {
        let name = text(port, "/name");
        if !name.is_empty() && !names.insert(name) {
            errors.push(FieldError::duplicate(format!("spec.ports[{index}].name"), name));
        }
        let key = (int(port, "/port"), text(port, "/protocol"));
        if !numbers.insert(key) {
            let shown = go::service_port(port);
            errors.push(FieldError::duplicate_shown(
                format!("spec.ports[{index}]"),
                &shown,
                "",
            ));
        }
    }
}

fn node_ports(errors: &mut Vec<FieldError>, ports: &[Value], kind: &str) {
    let mut seen = HashSet::new();
    for (index, port) in ports.iter().enumerate() {
        let number = int(port, "/nodePort").unwrap_or(0);
        if number == 0 {
            continue;
        }
        let path = format!("spec.ports[{index}].nodePort");
        if kind == "ClusterIP" {
            errors.push(FieldError::forbidden(
                path.as_str(),
                "may not be used when `type` is 'ClusterIP'",
            ));
        }
        let key = (number, text(port, "/protocol"));
        if !seen.insert(key) {
            errors.push(FieldError::duplicate(path, number));
        }
    }
}
