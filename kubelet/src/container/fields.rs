//! The downward API: pod fields and resources as text.
//!
//! Source: `pkg/fieldpath/fieldpath.go`, `pkg/api/v1/resource/helpers.go`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};
use keelson_api::status::go_quote;

use super::ConfigError;
use crate::spec::quantity;

/// What the pod object itself does not say.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Node addresses.
    pub host_ips: Vec<IpAddr>,
    /// Pod addresses.
    pub pod_ips: Vec<IpAddr>,
    /// What the node can give, in thousandths: stands in for limits that are not set.
    pub allocatable: BTreeMap<String, i128>,
}

/// The value of a `fieldRef`.
pub fn field(pod: &Pod, around: &Surroundings, path: &str) -> Result<String, ConfigError> {
    let meta = &pod.metadata;
    let spec = pod.spec.as_ref();
    if let Some((map, key)) = subscript(path) {
        return match map {
            "metadata.labels" => Ok(entry(meta.labels.as_ref(), key)),
            "metadata.annotations" => Ok(entry(meta.annotations.as_ref(), key)),
            _ => Err(ConfigError::Other(format!(
                "fieldPath {path:?} does not support subscript"
            ))),
        };
    }
    let joined = |ips: &[IpAddr]| ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let first = |ips: &[IpAddr]| ips.first().map(ToString::to_string).unwrap_or_default();
    Ok(match path {
        "metadata.name" => meta.name.clone().unwrap_or_default(),
        "metadata.namespace" => meta.namespace.clone().unwrap_or_default(),
        "metadata.uid" => meta.uid.clone().unwrap_or_default(),
        "metadata.labels" => format_map(meta.labels.as_ref()),
        "metadata.annotations" => format_map(meta.annotations.as_ref()),
        "spec.nodeName" => spec.and_then(|s| s.node_name.clone()).unwrap_or_default(),
        "spec.serviceAccountName" => spec
            .and_then(|s| s.service_account_name.clone())
            .unwrap_or_default(),
        "status.hostIP" => first(&around.host_ips),
        "status.hostIPs" => joined(&around.host_ips),
        "status.podIP" => first(&around.pod_ips),
        "status.podIPs" => joined(&around.pod_ips),
        _ => return Err(ConfigError::Other(format!("unsupported fieldPath: {path}"))),
    })
}

/// `metadata.labels['key']` in its two parts.
fn subscript(path: &str) -> Option<(&str, &str)> {
    let (map, rest) = path.split_once("['")?;
    Some((map, rest.strip_suffix("']")?))
}

fn entry(map: Option<&BTreeMap<String, String>>, key: &str) -> String {
    map.and_then(|m| m.get(key)).cloned().unwrap_or_default()
}

/// `key="value"` lines, sorted by key.
fn format_map(map: Option<&BTreeMap<String, String>>) -> String {
    let lines: Vec<_> = map
        .into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}={}", go_quote(v)))
        .collect();
    lines.join("\n")
}

/// The value of a `resourceFieldRef`, whose container the caller has found.
pub fn resource(
    container: &Container,
    around: &Surroundings,
    selector: &ResourceFieldSelector,
) -> Result<String, ConfigError> {
    let (list, name) = selector.resource.split_once('.').ok_or_else(|| {
        ConfigError::Other(format!("unsupported container resource : {}", selector.resource))
    })?;
    let resources = container.resources.as_ref();
    let set = match list {
        "limits" => resources.and_then(|r| r.limits.as_ref()),
        "requests" => resources.and_then(|r| r.requests.as_ref()),
        _ => {
            return Err(ConfigError::Other(format!(
                "unsupported container resource : {}",
                selector.resource
            )));
        }
    };
    let amount = set
        .and_then(|s| s.get(name))
        .and_then(quantity::milli)
        .unwrap_or_else(|| {
            // Without a limit the container may use what the node has.
            if list == "limits" {
                around.allocatable.get(name).copied().unwrap_or(0)
            } else {
                0
            }
        });
    let divisor = selector
        .divisor
        .as_ref()
        .and_then(quantity::milli)
        .filter(|d| *d > 0)
        .unwrap_or(1000);
    Ok((amount / divisor + i128::from(amount % divisor != 0)).to_string())
}
