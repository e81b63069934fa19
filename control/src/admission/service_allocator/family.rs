//! Which address families a Service has: `ipFamilyPolicy` and `ipFamilies`.
//!
//! Source: "IPv4/IPv6 dual-stack" in the documentation; `pkg/registry/core/service/storage/alloc.go` upstream.

use std::net::IpAddr;

use keelson_api::status::FieldError;
use serde_json::{Value, json};

use super::range::AddressRange;
use super::taken::has_address;
use crate::admission::fields::{items, map, text};
use crate::kinds::related_addresses;

const POLICY: &str = "spec.ipFamilyPolicy";

fn name(is_ipv6: bool) -> &'static str {
    if is_ipv6 { "IPv6" } else { "IPv4" }
}

fn other(family: &str) -> &'static str {
    name(family == "IPv4")
}

/// Fills in policy and families, and lets a second address go where the client wants one only. What is wrong in
/// itself, and what the client demands and the cluster does not have, are errors.
pub fn complete(ranges: &[AddressRange], old: &Value, service: &mut Value) -> Result<(), Vec<FieldError>> {
    let Some(primary) = ranges.first() else {
        return Ok(());
    };
    let old = if has_address(old) { old } else { &Value::Null };
    if keeps_preferred(old, service) {
        return Ok(());
    }
    let configured = |family: &str| ranges.iter().any(|range| name(range.is_ipv6) == family);
    let selects = service["spec"]["selector"]
        .as_object()
        .is_some_and(|selector| !selector.is_empty());
    // The endpoints of a headless Service without selector are somebody else's business, and so are their families.
    let free = text(service, "/spec/clusterIP") == "None" && !selects;
    let policy = policy(old, service, free);
    set(service, "ipFamilyPolicy", json!(policy));

    let mut wrong = related_addresses(service);
    if !wrong.is_empty() {
        // What is stored like that was let in by other rules, which validation tells from a new mistake, too.
        let before = related_addresses(old);
        wrong.retain(|error| !before.contains(error));
        return if wrong.is_empty() { Ok(()) } else { Err(wrong) };
    }
    reduce(old, service, &policy)?;
    infer(service, configured)?;

    let mut families = families(service);
    if !free {
        demand(&families, &policy, configured)?;
    }
    if families.is_empty() {
        families.push(name(primary.is_ipv6).to_owned());
    }
    let second = other(&families[0]);
    if families.len() == 1 && policy != "SingleStack" && (free || configured(second)) {
        families.push(second.to_owned());
    }
    set(service, "ipFamilies", json!(families));
    Ok(())
}

fn families(service: &Value) -> Vec<String> {
    let families = items(service, "/spec/ipFamilies").iter();
    families.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn set(service: &mut Value, field: &str, value: Value) {
    if let Some(spec) = map(service, "spec") {
        spec.insert(field.to_owned(), value);
    }
}

/// Whether nothing was changed of a Service that takes what there is: it stays as it is when the cluster gets a second
/// family or loses one.
fn keeps_preferred(old: &Value, new: &Value) -> bool {
    let prefers = |service: &Value| text(service, "/spec/ipFamilyPolicy") == "PreferDualStack";
    let same = |field: &str| items(old, field) == items(new, field);
    !old.is_null()
        && prefers(old)
        && prefers(new)
        && text(old, "/spec/type") == text(new, "/spec/type")
        && same("/spec/clusterIPs")
        && same("/spec/ipFamilies")
}

/// The policy that the client asks for, or has asked for before; else one family, for whom two are there or not.
fn policy(old: &Value, service: &Value, free: bool) -> String {
    let (asked, was) = (
        text(service, "/spec/ipFamilyPolicy"),
        text(old, "/spec/ipFamilyPolicy"),
    );
    if !asked.is_empty() {
        asked
    } else if !was.is_empty() {
        was
    } else if free {
        "RequireDualStack"
    } else {
        "SingleStack"
    }
    .to_owned()
}

/// From two families to one, which the policy must say, and one family where the policy says so.
fn reduce(old: &Value, service: &mut Value, policy: &str) -> Result<(), Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut must = |what: &str| errors.push(FieldError::invalid(POLICY, policy, what));
    let fields = [
        ("clusterIPs", "cluster IP", "cluster IPs"),
        ("ipFamilies", "IP family", "IP families"),
    ];
    for (field, one, many) in fields {
        let (was, is) = (&old["spec"][field], &service["spec"][field]);
        let count = |list: &Value| list.as_array().map_or(0, Vec::len);
        if policy != "SingleStack" {
            if count(is) > 0 && count(is) < count(was) {
                must(&format!("must be 'SingleStack' to release the secondary {one}"));
            }
        } else if count(is) > 1 && was == is {
            // Nothing but the policy has changed, which is clear enough.
            let first = json!([is[0]]);
            set(service, field, first);
        } else if count(is) > 1 {
            must(&format!(
                "must be 'RequireDualStack' or 'PreferDualStack' when multiple {many} are specified"
            ));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Addresses say of which family they are, if the client does not.
fn infer(service: &mut Value, configured: impl Fn(&str) -> bool) -> Result<(), Vec<FieldError>> {
    let mut families = families(service);
    let mut errors = Vec::new();
    let addresses = items(service, "/spec/clusterIPs");
    for (index, address) in addresses.iter().enumerate().skip(families.len()) {
        let Some(address) = address
            .as_str()
            .and_then(|address| address.parse::<IpAddr>().ok())
        else {
            break;
        };
        let family = name(address.is_ipv6());
        if configured(family) {
            families.push(family.to_owned());
        } else {
            let detail = format!("{family} is not configured on this cluster");
            let path = format!("spec.clusterIPs[{index}]");
            errors.push(FieldError::invalid(path, json!(addresses), &detail));
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    set(service, "ipFamilies", json!(families));
    Ok(())
}

/// What the cluster must have.
fn demand(
    families: &[String],
    policy: &str,
    configured: impl Fn(&str) -> bool,
) -> Result<(), Vec<FieldError>> {
    let mut errors = Vec::new();
    if policy == "RequireDualStack" && !(configured("IPv4") && configured("IPv6")) {
        let detail = "this cluster is not configured for dual-stack services";
        errors.push(FieldError::invalid(POLICY, policy, detail));
    }
    for (index, family) in families.iter().enumerate() {
        if !configured(family) {
            let path = format!("spec.ipFamilies[{index}]");
            errors.push(FieldError::invalid(
                path,
                family.as_str(),
                "not configured on this cluster",
            ));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}
