//! Services.

use std::fmt::Arguments;
use std::net::{IpAddr, Ipv6Addr};

use serde_json::Value;

use crate::kinds::json::{items, text};

const HINTS: &str = "service.kubernetes.io/topology-aware-hints";

/// Of a Service.
pub(super) fn warn(warnings: &mut Vec<String>, service: &Value) {
    if service["metadata"]["annotations"][HINTS].is_string() {
        warnings.push(format!(
            "annotation {HINTS} is deprecated, please use service.kubernetes.io/topology-mode instead"
        ));
    }
    let (kind, cluster_ip) = (text(service, "/spec/type"), text(service, "/spec/clusterIP"));
    let balancer = text(service, "/spec/loadBalancerIP");
    let external = items(service, "/spec/externalIPs");
    if !matches!(cluster_ip, "" | "None") {
        addresses(
            warnings,
            format_args!("spec.clusterIPs"),
            items(service, "/spec/clusterIPs"),
        );
    }
    if kind == "ClusterIP" && cluster_ip == "None" {
        for (is_set, field) in [
            (!balancer.is_empty(), "loadBalancerIP"),
            (!external.is_empty(), "externalIPs"),
            (
                text(service, "/spec/sessionAffinity") != "None",
                "SessionAffinity",
            ),
        ] {
            if is_set {
                warnings.push(format!("spec.{field} is ignored for headless services"));
            }
        }
    }
    addresses(warnings, format_args!("spec.externalIPs"), external);
    address(warnings, format_args!("spec.loadBalancerIP"), balancer);
    if kind == "ExternalName" && !external.is_empty() {
        warnings.push("spec.externalIPs is ignored when spec.type is \"ExternalName\"".to_owned());
    }
    if kind != "ExternalName" && !text(service, "/spec/externalName").is_empty() {
        warnings.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".to_owned());
    }
}

fn addresses(warnings: &mut Vec<String>, path: Arguments<'_>, list: &[Value]) {
    for (index, one) in list.iter().enumerate() {
        address(
            warnings,
            format_args!("{path}[{index}]"),
            one.as_str().unwrap_or_default(),
        );
    }
}

/// Of an address that is not written as it should be (`GetWarningsForIP`).
fn address(warnings: &mut Vec<String>, path: Arguments<'_>, written: &str) {
    let Ok(IpAddr::V6(address)) = written.parse() else {
        return;
    };
    let canonical = Ipv6Addr::to_string(&address);
    if let Some(mapped) = address.to_ipv4_mapped() {
        warnings.push(format!(
            "{path}: non-standard IP address \"{written}\" will be considered invalid in a future Kubernetes release: use \
             \"{mapped}\""
        ));
    } else if canonical != written {
        warnings.push(format!(
            "{path}: IPv6 address \"{written}\" should be in RFC 5952 canonical format (\"{canonical}\")"
        ));
    }
}
