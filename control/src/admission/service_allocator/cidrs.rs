//! The ranges that there are besides those of the configuration: ServiceCIDRs.
//!
//! Source: `pkg/registry/core/service/ipallocator/cidrallocator.go` upstream.

use std::sync::Arc;

use serde_json::Value;

use super::range::AddressRange;
use crate::admission::fields::{items, text};
use crate::auth::resources::SERVICE_CIDRS;
use crate::object::Reader;

/// The ServiceCIDR of the configured ranges.
pub const DEFAULT: &str = "kubernetes";
/// Label of an IPAddress: IPv4 or IPv6.
pub const FAMILY: &str = "ipaddress.kubernetes.io/ip-family";
/// Label of an IPAddress: who makes and removes it.
pub const MANAGED_BY: &str = "ipaddress.kubernetes.io/managed-by";
/// The manager of those that follow Services.
pub const MANAGER: &str = "ipallocator.k8s.io";

/// The ranges as they were when the ServiceCIDRs last changed.
#[derive(Debug, Default)]
pub struct Ranges {
    version: Option<u64>,
    ranges: Arc<[AddressRange]>,
}

impl Ranges {
    /// As they are now.
    pub fn current(&mut self, configured: &[AddressRange], reader: &dyn Reader) -> Arc<[AddressRange]> {
        // The version first: a change in between is seen again next time.
        let version = reader.version(&SERVICE_CIDRS);
        if self.version != Some(version) {
            let mut cidrs: Vec<Value> = reader
                .list(&SERVICE_CIDRS, None)
                .iter()
                .map(|cidr| cidr.value())
                .collect();
            cidrs.sort_by(|one, other| text(one, "/metadata/name").cmp(text(other, "/metadata/name")));
            self.ranges = usable(configured, &cidrs).into();
            self.version = Some(version);
        }
        self.ranges.clone()
    }
}

/// The configured ranges, before they have a ServiceCIDR as well, and those of the others that are ready. Which
/// families there are is for the configuration to say.
fn usable(configured: &[AddressRange], cidrs: &[Value]) -> Vec<AddressRange> {
    let of = |cidr: &Value| -> Vec<AddressRange> {
        let texts = items(cidr, "/spec/cidrs").iter().filter_map(Value::as_str);
        texts.filter_map(AddressRange::parse).collect()
    };
    let mut usable = configured.to_vec();
    for cidr in cidrs {
        if text(cidr, "/metadata/name") == DEFAULT && !is_ready(cidr) {
            let gone = of(cidr);
            usable.retain(|range| !gone.contains(range));
        }
    }
    for range in cidrs.iter().filter(|cidr| is_ready(cidr)).flat_map(of) {
        let has_family = configured.iter().any(|own| own.is_ipv6 == range.is_ipv6);
        if has_family && !usable.contains(&range) {
            usable.push(range);
        }
    }
    usable
}

/// Whether addresses are given from it. One that nobody has looked at yet is ready, as upstream.
fn is_ready(cidr: &Value) -> bool {
    let deleted = !cidr["metadata"]["deletionTimestamp"].is_null();
    let ready = items(cidr, "/status/conditions")
        .iter()
        .find(|condition| condition["type"] == "Ready");
    !deleted && ready.is_none_or(|condition| condition["status"] == "True")
}
