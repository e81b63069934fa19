//! Services.

use serde_json::Value;

use super::addresses;
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
        addresses::list(
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
    addresses::list(warnings, format_args!("spec.externalIPs"), external);
    addresses::address(warnings, format_args!("spec.loadBalancerIP"), balancer);
    for (index, range) in items(service, "/spec/loadBalancerSourceRanges")
        .iter()
        .enumerate()
    {
        let range = range.as_str().unwrap_or_default();
        addresses::range(
            warnings,
            format_args!("spec.loadBalancerSourceRanges[{index}]"),
            range,
        );
    }
    if kind == "ExternalName" && !external.is_empty() {
        warnings.push("spec.externalIPs is ignored when spec.type is \"ExternalName\"".to_owned());
    }
    if kind != "ExternalName" && !text(service, "/spec/externalName").is_empty() {
        warnings.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".to_owned());
    }
}
