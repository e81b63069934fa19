//! The cluster addresses of a Service and their families.
//!
//! Source: `validateServiceClusterIPsRelatedFields`, `validateUpgradeDowngradeClusterIPs` and
//! `validateUpgradeDowngradeIPFamilies` of `pkg/apis/core/validation` upstream. The allocator asks the same before it
//! gives anything out, so that it never holds for a Service what its validation refuses.

use std::collections::HashSet;
use std::net::IpAddr;

use keelson_api::names;
use keelson_api::status::{FieldError, MOST_ERRORS};
use serde_json::{Value, json};

use crate::kinds::json::{items, text};

const FAMILIES: &[&str] = &["IPv4", "IPv6"];
const POLICIES: &[&str] = &["PreferDualStack", "RequireDualStack", "SingleStack"];
const IPS: &str = "spec.clusterIPs";
const NO_CHANGE: &str = "may not change once set";

/// Whether there is no cluster address on purpose.
pub(super) fn is_headless(service: &Value) -> bool {
    matches!(items(service, "/spec/clusterIPs"), [only] if only == "None")
}

fn is_external_name(service: &Value) -> bool {
    text(service, "/spec/type") == "ExternalName"
}

fn list(service: &Value, field: &str) -> Value {
    json!(items(service, &format!("/spec/{field}")))
}

fn is_ipv6(address: &str) -> bool {
    address.parse().is_ok_and(|address: IpAddr| address.is_ipv6())
}

/// Complaints about what an `ExternalName` may not have.
pub(super) fn of_external_name(service: &Value) -> Vec<FieldError> {
    let unset = |field: &str| {
        let value = service.pointer(&format!("/spec/{field}"));
        crate::kinds::json::is_unset(value)
    };
    let mut wrong = Vec::new();
    if !(unset("clusterIP") && unset("clusterIPs")) {
        wrong.push("clusterIPs");
    }
    wrong.extend(
        ["ipFamilies", "ipFamilyPolicy"]
            .into_iter()
            .filter(|field| !unset(field)),
    );
    wrong
        .into_iter()
        .map(|field| {
            FieldError::forbidden(
                format!("spec.{field}"),
                "may not be set for ExternalName services",
            )
        })
        .collect()
}

/// Complaints about the addresses, the families and the policy of a Service, each and together.
pub(crate) fn related(service: &Value) -> Vec<FieldError> {
    if is_external_name(service) {
        return Vec::new();
    }
    let mut errors = Vec::new();
    let addresses = items(service, "/spec/clusterIPs");
    let shown = list(service, "clusterIPs");
    let first = text(service, "/spec/clusterIP");
    match addresses.first() {
        None if !first.is_empty() => errors.push(FieldError::required(IPS, "")),
        Some(_) if first.is_empty() => {
            let detail = "must be empty when `clusterIP` is not specified";
            errors.push(FieldError::invalid(IPS, shown.clone(), detail));
        }
        Some(head) if head != first => {
            errors.push(FieldError::invalid(
                IPS,
                shown.clone(),
                "first value must match `clusterIP`",
            ));
        }
        _ => {}
    }
    families(&mut errors, service);
    let mut are_good = true;
    for (index, address) in addresses.iter().enumerate() {
        if errors.len() > MOST_ERRORS {
            break;
        }
        let address = address.as_str().unwrap_or_default();
        if index == 0 && address == "None" {
            if addresses.len() > 1 {
                are_good = false;
                let detail = "'None' must be the first and only value";
                errors.push(FieldError::invalid(IPS, shown.clone(), detail));
            }
            continue;
        }
        let complaints = names::ip(address);
        are_good &= complaints.is_empty();
        errors.extend(FieldError::complaints(
            format_args!("{IPS}[{index}]"),
            address,
            complaints,
        ));
    }
    if addresses.len() > 2 {
        errors.push(FieldError::invalid(
            IPS,
            shown.clone(),
            "may only hold up to 2 values",
        ));
    }
    // What follows would be wrong about places and families of what is no address.
    if !are_good {
        return errors;
    }
    let sixes: Vec<bool> = addresses
        .iter()
        .map(|address| is_ipv6(address.as_str().unwrap_or_default()))
        .collect();
    if sixes.len() > 1 && (sixes.iter().all(|six| *six) || !sixes.contains(&true)) {
        let detail = "may specify no more than one IP for each IP family";
        errors.push(FieldError::invalid(IPS, shown, detail));
    }
    if !is_headless(service) {
        let families = items(service, "/spec/ipFamilies");
        for (index, (six, family)) in sixes.iter().zip(families).enumerate() {
            let family = family.as_str().unwrap_or_default();
            if FAMILIES.contains(&family) && *six != (family == "IPv6") {
                let detail = format!("expected an {family} value as indicated by `ipFamilies[{index}]`");
                let path = format!("{IPS}[{index}]");
                errors.push(FieldError::invalid(path, addresses[index].clone(), &detail));
            }
        }
    }
    errors
}

fn families(errors: &mut Vec<FieldError>, service: &Value) {
    let mut seen = HashSet::new();
    for (index, family) in items(service, "/spec/ipFamilies").iter().enumerate() {
        if errors.len() > MOST_ERRORS {
            break;
        }
        let family = family.as_str().unwrap_or_default();
        let path = format!("spec.ipFamilies[{index}]");
        if !FAMILIES.contains(&family) {
            errors.push(FieldError::not_supported(path.as_str(), family, FAMILIES));
        }
        if !seen.insert(family) {
            errors.push(FieldError::duplicate(path, family));
        }
    }
    if let Some(policy) = service
        .pointer("/spec/ipFamilyPolicy")
        .filter(|policy| !policy.is_null())
    {
        let policy = policy.as_str().unwrap_or_default();
        if !POLICIES.contains(&policy) {
            errors.push(FieldError::not_supported("spec.ipFamilyPolicy", policy, POLICIES));
        }
    }
}

/// Complaints about a change: a second address may come and go, and the first stays while the type has addresses.
pub(crate) fn changed(old: &Value, new: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if is_external_name(old) || is_external_name(new) {
        return errors;
    }
    let headless = (is_headless(old), is_headless(new));
    if headless != (true, true) {
        changed_addresses(&mut errors, old, new);
    }
    if headless == (false, false) {
        changed_families(&mut errors, old, new);
    }
    errors
}

fn only_single_stack(errors: &mut Vec<FieldError>, new: &Value, what: &str) {
    let policy = text(new, "/spec/ipFamilyPolicy");
    if policy != "SingleStack" {
        let shown = new.pointer("/spec/ipFamilyPolicy").cloned().unwrap_or_default();
        let detail = format!("must be set to 'SingleStack' when releasing the secondary {what}");
        errors.push(FieldError::invalid("spec.ipFamilyPolicy", shown, &detail));
    }
}

fn changed_addresses(errors: &mut Vec<FieldError>, old: &Value, new: &Value) {
    let (was, is) = (items(old, "/spec/clusterIPs"), items(new, "/spec/clusterIPs"));
    let mut wrong = |index: usize, detail: &str| {
        let path = format!("{IPS}[{index}]");
        errors.push(FieldError::invalid(path, list(new, "clusterIPs"), detail));
    };
    if was.len() == is.len() {
        for (index, (was, is)) in was.iter().zip(is).enumerate() {
            if was != is {
                wrong(index, NO_CHANGE);
            }
        }
        return;
    }
    if is.is_empty() {
        wrong(0, "primary clusterIP can not be unset");
    } else if was.first().is_some_and(|was| *was != is[0]) {
        wrong(0, NO_CHANGE);
    }
    if was.len() > is.len() && is.len() == 1 {
        only_single_stack(errors, new, "clusterIP");
    }
}

fn changed_families(errors: &mut Vec<FieldError>, old: &Value, new: &Value) {
    let (was, is) = (items(old, "/spec/ipFamilies"), items(new, "/spec/ipFamilies"));
    let mut wrong = |shown: &str, detail: &str| {
        let path = "spec.ipFamilies[0]";
        errors.push(FieldError::invalid(path, list(new, shown), detail));
    };
    if was.len() == is.len() {
        for _ in was.iter().zip(is).filter(|(was, is)| was != is) {
            wrong("ipFamilies", NO_CHANGE);
        }
        return;
    }
    if was.len() > is.len() && items(new, "/spec/clusterIPs").is_empty() {
        wrong("ipFamilies", "primary ipFamily can not be unset");
    }
    if let (Some(was), Some(is)) = (was.first(), is.first())
        && was != is
    {
        // Upstream shows the addresses here.
        wrong("clusterIPs", NO_CHANGE);
    }
    if was.len() > is.len() && is.len() == 1 {
        only_single_stack(errors, new, "ipFamily");
    }
}
