//! Which address families a Service has: `ipFamilyPolicy` and `ipFamilies`.
//!
//! Source: "IPv4/IPv6 dual-stack" in the documentation; `pkg/registry/core/service/storage/alloc.go` upstream.

use keelson_api::status::FieldError;
use serde_json::{Value, json};

use super::range::AddressRange;
use super::taken::{addresses, has_address};
use crate::admission::fields::{items, map, text};

fn name(is_ipv6: bool) -> &'static str {
    if is_ipv6 { "IPv6" } else { "IPv4" }
}

/// Fills in policy and families and brings `clusterIP` and `clusterIPs` together. What the client demands and the
/// cluster does not have is an error.
pub fn complete(ranges: &[AddressRange], old: &Value, service: &mut Value) -> Result<(), FieldError> {
    let Some(primary) = ranges.first() else {
        return Ok(());
    };
    let has = |family: &str| ranges.iter().any(|range| name(range.is_ipv6) == family);
    normalize(service);
    let headless = text(service, "/spec/clusterIP") == "None";
    let selector = service["spec"]["selector"]
        .as_object()
        .is_some_and(|selector| !selector.is_empty());
    let free = headless && !selector;

    let asked: Vec<String> = items(service, "/spec/ipFamilies")
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    if asked.iter().any(|family| family != "IPv4" && family != "IPv6") || asked.len() > 2 {
        // Validation says so in the right words.
        return Ok(());
    }
    for (index, family) in asked.iter().enumerate() {
        // The endpoints of a headless Service without selector are somebody else's business.
        if !has(family) && !free {
            let field = format!("spec.ipFamilies[{index}]");
            return Err(FieldError::invalid(
                field,
                family.as_str(),
                "not configured on this cluster",
            ));
        }
    }
    let mut families: Vec<String> = asked;
    for address in addresses(service).into_iter().skip(families.len()) {
        families.push(name(address.is_ipv6()).to_owned());
    }
    let anew = old.is_null() || !has_address(old);
    let policy = match text(service, "/spec/ipFamilyPolicy") {
        "" if families.len() > 1 || (free && families.is_empty() && anew) => "RequireDualStack".to_owned(),
        "" => "SingleStack".to_owned(),
        asked => asked.to_owned(),
    };
    if families.is_empty() {
        families.push(name(primary.is_ipv6).to_owned());
    }
    let other = if families[0] == "IPv4" { "IPv6" } else { "IPv4" };
    match policy.as_str() {
        "SingleStack" => {
            // From two to one: the second address goes. A new Service that asks for both is wrong, which validation
            // tells.
            let was_dual = items(old, "/spec/ipFamilies").len() == 2;
            if was_dual && text(old, "/spec/ipFamilyPolicy") != "SingleStack" {
                families.truncate(1);
                truncate(service);
            }
        }
        "RequireDualStack" if free && families.len() == 1 => families.push(other.to_owned()),
        "RequireDualStack" if !free && ranges.len() < 2 => {
            return Err(FieldError::invalid(
                "spec.ipFamilyPolicy",
                "RequireDualStack",
                "this cluster is not configured for dual-stack services",
            ));
        }
        "RequireDualStack" | "PreferDualStack" if families.len() == 1 && has(other) => {
            families.push(other.to_owned());
        }
        _ => {}
    }
    if let Some(spec) = map(service, "spec") {
        spec.insert("ipFamilyPolicy".to_owned(), policy.into());
        spec.insert("ipFamilies".to_owned(), json!(families));
    }
    Ok(())
}

/// `clusterIP` is the first of `clusterIPs`; clients that know only one of the two set only that.
fn normalize(service: &mut Value) {
    let first = text(service, "/spec/clusterIP").to_owned();
    let list = items(service, "/spec/clusterIPs");
    let (has_list, head) = (
        !list.is_empty(),
        list.first()
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
    );
    let Some(spec) = map(service, "spec") else { return };
    if !first.is_empty() && !has_list {
        spec.insert("clusterIPs".to_owned(), json!([first]));
    } else if first.is_empty() && !head.is_empty() {
        spec.insert("clusterIP".to_owned(), head.into());
    }
}

fn truncate(service: &mut Value) {
    let list = map(service, "spec")
        .and_then(|spec| spec.get_mut("clusterIPs"))
        .and_then(Value::as_array_mut);
    if let Some(list) = list {
        list.truncate(1);
    }
}
