//! What a Service says to those outside: load balancers, traffic policies, affinity of clients.

use keelson_api::names;
use keelson_api::status::{FieldError, MOST_ERRORS};
use serde_json::{Map, Value, json};

use crate::kinds::json::{int, is_unset, items, list, object, object_or_new, set_default, text};

const ONLY_BALANCED: &str = "may only be used when `type` is 'LoadBalancer'";
/// The annotation that said from where requests come before there was a field.
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
/// Longest time that a client stays with its endpoint, in seconds.
const LONGEST_AFFINITY: i64 = 86400;
/// The kubelet's port.
const KUBELET: i64 = 10250;

/// Complaints about these parts.
pub(super) fn check(errors: &mut Vec<FieldError>, service: &Value) {
    affinity(errors, service);
    balanced(errors, service);
    for (index, port) in items(service, "/spec/ports").iter().enumerate() {
        if let Some(protocol) = port.get("appProtocol").and_then(Value::as_str) {
            errors.extend(FieldError::complaints(
                format_args!("spec.ports[{index}].appProtocol"),
                protocol,
                names::qualified_name(protocol),
            ));
        }
    }
    let distribution = text(service, "/spec/trafficDistribution");
    if !matches!(distribution, "" | "PreferClose") {
        let path = "spec.trafficDistribution";
        errors.push(FieldError::not_supported(path, distribution, &["PreferClose"]));
    }
}

fn affinity(errors: &mut Vec<FieldError>, service: &Value) {
    let path = "spec.sessionAffinityConfig";
    let config = service
        .pointer("/spec/sessionAffinityConfig")
        .filter(|config| config.is_object());
    match (text(service, "/spec/sessionAffinity"), config) {
        ("ClientIP", Some(config)) => {
            let seconds = int(config, "/clientIP/timeoutSeconds").unwrap_or(0);
            if !(1..=LONGEST_AFFINITY).contains(&seconds) {
                let detail = format!("must be greater than 0 and less than {LONGEST_AFFINITY}");
                let path = format!("{path}.clientIP.timeoutSeconds");
                errors.push(FieldError::invalid(path, seconds, &detail));
            }
        }
        ("None", Some(_)) => {
            let detail = "must not be set when session affinity is None";
            errors.push(FieldError::forbidden(path, detail));
        }
        _ => {}
    }
}

fn balanced(errors: &mut Vec<FieldError>, service: &Value) {
    let balanced = text(service, "/spec/type") == "LoadBalancer";
    if balanced {
        for (index, port) in items(service, "/spec/ports").iter().enumerate() {
            if int(port, "/port") == Some(KUBELET) {
                let detail = format!("may not expose port {KUBELET} externally since it is used by kubelet");
                let path = format!("spec.ports[{index}]");
                errors.push(FieldError::invalid(path, KUBELET, &detail));
            }
        }
    }
    source_ranges(errors, service, balanced);
    for field in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
        if !balanced && !is_unset(service.pointer(&format!("/spec/{field}"))) {
            errors.push(FieldError::forbidden(format!("spec.{field}"), ONLY_BALANCED));
        }
    }
    let class = text(service, "/spec/loadBalancerClass");
    if balanced && !class.is_empty() {
        errors.extend(FieldError::complaints(
            "spec.loadBalancerClass",
            class,
            names::qualified_name(class),
        ));
    }
    let health = int(service, "/spec/healthCheckNodePort").unwrap_or(0);
    if health != 0 && !is_asked(service) {
        let detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        errors.push(FieldError::invalid("spec.healthCheckNodePort", health, detail));
    } else if health != 0 {
        errors.extend(FieldError::complaints(
            "spec.healthCheckNodePort",
            health,
            names::port_number(health),
        ));
    }
}

/// From where a balancer takes requests: the field says it, or the annotation that was there before it.
fn source_ranges(errors: &mut Vec<FieldError>, service: &Value, balanced: bool) {
    let ranges = items(service, "/spec/loadBalancerSourceRanges");
    let path = "spec.LoadBalancerSourceRanges";
    if !ranges.is_empty() && !balanced {
        errors.push(FieldError::forbidden(path, ONLY_BALANCED));
    }
    for (index, range) in ranges.iter().enumerate() {
        if errors.len() > MOST_ERRORS {
            return;
        }
        let range = range.as_str().unwrap_or_default();
        errors.extend(FieldError::complaints(
            format_args!("{path}[{index}]"),
            range,
            names::cidr(range.trim()),
        ));
    }
    let annotation = service["metadata"]["annotations"][SOURCE_RANGES].as_str();
    let Some(said) = annotation.filter(|_| ranges.is_empty()) else {
        return;
    };
    let path = format!("metadata.annotations[{SOURCE_RANGES}]");
    if !balanced {
        errors.push(FieldError::forbidden(path.as_str(), ONLY_BALANCED));
    }
    let said = said.trim();
    for range in said.split(',').map(str::trim).filter(|_| !said.is_empty()) {
        if errors.len() > MOST_ERRORS {
            return;
        }
        errors.extend(FieldError::complaints(&path, range, names::cidr(range)));
    }
}

/// Whether there is a way in from outside of the cluster.
pub(super) fn is_accessible(service: &Value) -> bool {
    matches!(text(service, "/spec/type"), "NodePort" | "LoadBalancer")
        || (text(service, "/spec/type") == "ClusterIP" && !items(service, "/spec/externalIPs").is_empty())
}

/// Whether balancers ask at a port of the nodes if they have endpoints.
fn is_asked(service: &Value) -> bool {
    text(service, "/spec/type") == "LoadBalancer" && text(service, "/spec/externalTrafficPolicy") == "Local"
}

/// Takes away what belongs to load balancers when a Service is none any more, unless the client has just set it
/// (`dropTypeDependentFields`).
pub(super) fn drop_of_type(old: &Value, new: &mut Value) {
    if text(new, "/spec/type") == "LoadBalancer" {
        return;
    }
    let mut fields = Vec::new();
    if text(old, "/spec/type") == "LoadBalancer" {
        fields.extend([
            "allocateLoadBalancerNodePorts",
            "loadBalancerClass",
            "healthCheckNodePort",
        ]);
    }
    if is_accessible(old) && !is_accessible(new) {
        fields.push("externalTrafficPolicy");
    }
    if let Some(spec) = object(new, "spec") {
        for field in fields {
            if spec.get(field) == old.pointer("/spec").and_then(|spec| spec.get(field)) {
                spec.remove(field);
            }
        }
    }
    if let Some(status) = object(new, "status") {
        status.insert("loadBalancer".to_owned(), json!({}));
    }
}

/// Complaints about a change: who balances is decided once.
pub(super) fn change(errors: &mut Vec<FieldError>, old: &Value, new: &Value) {
    let port = |service: &Value| int(service, "/spec/healthCheckNodePort");
    if is_asked(old) && is_asked(new) && port(old).is_some_and(|was| was != 0) && port(old) != port(new) {
        let detail = "field is immutable";
        errors.push(FieldError::forbidden("spec.healthCheckNodePort", detail));
    }
    let both = [old, new]
        .iter()
        .all(|service| text(service, "/spec/type") == "LoadBalancer");
    let class = |service: &Value| service.pointer("/spec/loadBalancerClass").cloned();
    if both && class(old) != class(new) {
        let shown = class(new).unwrap_or_default();
        errors.push(FieldError::invalid(
            "spec.loadBalancerClass",
            shown,
            "may not change once set",
        ));
    }
}

/// An address of a load balancer is one of its own unless something else is said (KEP-1860).
pub(super) fn default_status(service: &mut Map<String, Value>) {
    let balancer = object_or_new(service, "status").and_then(|status| object_or_new(status, "loadBalancer"));
    for point in balancer
        .into_iter()
        .flat_map(|balancer| list(balancer, "ingress"))
    {
        if !is_unset(point.get("ip")) {
            set_default(point, "ipMode", "VIP");
        }
    }
}

fn ip_mode(errors: &mut Vec<FieldError>, path: &str, point: &Value) {
    let has_ip = !text(point, "/ip").is_empty();
    match point.get("ipMode").filter(|mode| !mode.is_null()) {
        None if has_ip => errors.push(FieldError::required(path, "must be specified when `ip` is set")),
        Some(_) if !has_ip => {
            errors.push(FieldError::forbidden(
                path,
                "may not be specified when `ip` is not set",
            ));
        }
        Some(mode) if *mode != "VIP" && *mode != "Proxy" => {
            errors.push(FieldError::not_supported(path, mode.clone(), &["Proxy", "VIP"]));
        }
        _ => {}
    }
}

/// Complaints about an address or a name at which a load balancer is reached, of a Service or an Ingress.
pub(in crate::kinds) fn ingress_point(errors: &mut Vec<FieldError>, point: &Value, path: &str) {
    let (ip, name) = (text(point, "/ip"), text(point, "/hostname"));
    if !ip.is_empty() {
        errors.extend(FieldError::complaints(
            format_args!("{path}.ip"),
            ip,
            names::ip(ip),
        ));
    }
    if !name.is_empty() {
        let path = format!("{path}.hostname");
        errors.extend(FieldError::complaints(
            &path,
            name,
            names::dns1123_subdomain(name),
        ));
        if name.parse::<std::net::IpAddr>().is_ok() {
            let detail = "must be a DNS name, not an IP address";
            errors.push(FieldError::invalid(path, name, detail));
        }
    }
}

/// Complaints about the status.
pub(super) fn status(new: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let path = "status.loadBalancer.ingress";
    let points = items(new, "/status/loadBalancer/ingress");
    if !points.is_empty() && text(new, "/spec/type") != "LoadBalancer" {
        let detail = "may only be used when `spec.type` is \"LoadBalancer\"";
        errors.push(FieldError::forbidden(path, detail));
    }
    for (index, point) in points.iter().enumerate() {
        ip_mode(&mut errors, &format!("{path}[{index}].ipMode"), point);
        ingress_point(&mut errors, point, &format!("{path}[{index}]"));
    }
    errors
}
