//! Endpoints, EndpointSlices, NetworkPolicies and Ingresses.

use serde_json::Value;

use super::addresses;
use crate::kinds::json::{items, text};

/// Who writes the addresses of endpoints as they should be.
const CONTROLLERS: [&str; 2] = [
    "endpointslice-controller.k8s.io",
    "endpointslicemirroring-controller.k8s.io",
];

fn label<'a>(object: &'a Value, name: &str) -> &'a str {
    object["metadata"]["labels"][name].as_str().unwrap_or_default()
}

/// Of Endpoints.
pub(super) fn endpoints(warnings: &mut Vec<String>, endpoints: &Value) {
    if label(endpoints, "endpoints.kubernetes.io/managed-by") == "endpoint-controller" {
        return;
    }
    for (index, subset) in items(endpoints, "/subsets").iter().enumerate() {
        for group in ["addresses", "notReadyAddresses"] {
            for (at, address) in items(subset, &format!("/{group}")).iter().enumerate() {
                if warnings.len() > super::MOST {
                    return;
                }
                addresses::address(
                    warnings,
                    format_args!("subsets[{index}].{group}[{at}].ip"),
                    text(address, "/ip"),
                );
            }
        }
    }
}

/// Of an EndpointSlice.
pub(super) fn slice(warnings: &mut Vec<String>, old: Option<&Value>, slice: &Value) {
    if old.is_none() && text(slice, "/addressType") == "FQDN" {
        // Upstream's path; a slice has no spec.
        warnings.push("spec.addressType: FQDN endpoints are deprecated".to_owned());
    }
    if CONTROLLERS.contains(&label(slice, "endpointslice.kubernetes.io/managed-by")) {
        return;
    }
    for (index, endpoint) in items(slice, "/endpoints").iter().enumerate() {
        if warnings.len() > super::MOST {
            return;
        }
        addresses::list(
            warnings,
            format_args!("endpoints[{index}].addresses"),
            items(endpoint, "/addresses"),
        );
    }
}

/// Of a NetworkPolicy.
pub(super) fn policy(warnings: &mut Vec<String>, policy: &Value) {
    for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
        for (index, rule) in items(policy, &format!("/spec/{rules}")).iter().enumerate() {
            for (at, peer) in items(rule, &format!("/{peers}")).iter().enumerate() {
                if warnings.len() > super::MOST {
                    return;
                }
                let path = format!("spec.{rules}[{index}].{peers}[{at}].ipBlock");
                let cidr = text(peer, "/ipBlock/cidr");
                addresses::range(warnings, format_args!("{path}.cidr"), cidr);
                for (place, except) in items(peer, "/ipBlock/except").iter().enumerate() {
                    let except = except.as_str().unwrap_or_default();
                    addresses::range(warnings, format_args!("{path}.except[{place}]"), except);
                }
            }
        }
    }
}

/// Of an Ingress that is made: who has both the annotation and the field has already heard of the field.
pub(super) fn ingress(warnings: &mut Vec<String>, old: Option<&Value>, ingress: &Value) {
    let annotated = ingress["metadata"]["annotations"]["kubernetes.io/ingress.class"].is_string();
    if old.is_none() && annotated && !ingress["spec"]["ingressClassName"].is_string() {
        warnings.push(
            "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead".to_owned(),
        );
    }
}

/// Of a Node.
pub(super) fn node(warnings: &mut Vec<String>, node: &Value) {
    if node["spec"]["configSource"].is_object() {
        warnings.push("spec.configSource: the feature is removed".to_owned());
    }
    if !text(node, "/spec/externalID").is_empty() {
        warnings.push("spec.externalID: this field is deprecated, and is unused by Kubernetes".to_owned());
    }
}
