//! Quality of service, from requests and limits of CPU and memory.

use keelson_api::quantity::Quantity;
use serde_json::Value;

use crate::kinds::json::items;

/// `Guaranteed`, `Burstable` or `BestEffort` (`ComputePodQOS`).
pub(in crate::kinds) fn qos_class(spec: &Value) -> &'static str {
    // In thousandths, rounded up, as upstream stores them; nothing is none.
    let amount = |container: &Value, list: &str, resource: &str| {
        let amount = Quantity::from_json(&container["resources"][list][resource]).ok();
        amount.map(Quantity::millis).filter(|millis| *millis > 0)
    };
    let (mut any, mut guaranteed) = (false, true);
    let containers = items(spec, "/containers")
        .iter()
        .chain(items(spec, "/initContainers"));
    for container in containers {
        for resource in ["cpu", "memory"] {
            let limit = amount(container, "limits", resource);
            // Who asks for nothing in so many words does not ask for the limit.
            let request = match container["resources"]["requests"].get(resource) {
                Some(said) if !said.is_null() => amount(container, "requests", resource),
                _ => limit,
            };
            any |= limit.is_some() || request.is_some();
            guaranteed &= limit.is_some() && request == limit;
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}
