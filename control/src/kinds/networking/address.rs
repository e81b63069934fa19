//! IPAddresses and ServiceCIDRs: the ranges of Services as objects.

use std::net::IpAddr;

use keelson_api::names;
use keelson_api::status::{FieldError, go_quote};
use serde_json::Value;

use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{items, object_or_new, text};
use crate::kinds::plain::Plain;
use crate::kinds::{Kind, cells};

const PARENT: &str = "spec.parentRef";
const CIDRS: &str = "spec.cidrs";
const IMMUTABLE: &str = "field is immutable";

const ADDRESS: &[ColumnDef] = &[
    NAME,
    (
        "ParentRef",
        "string",
        0,
        "ParentRef references the resource that an IPAddress is attached to.",
    ),
    AGE,
];
const RANGE: &[ColumnDef] = &[
    NAME,
    (
        "CIDRs",
        "string",
        0,
        "CIDRs defines the IP blocks from which to assign service cluster IPs.",
    ),
    AGE,
];

pub(super) fn ip_address() -> Kind {
    let strategy = Plain {
        validate: |object| {
            let name = text(object, "/metadata/name");
            let mut complaints = names::ip(name);
            if let Ok(address) = name.parse::<IpAddr>()
                && address.to_string() != name
            {
                complaints.push(format!("must be in canonical form (\"{address}\")"));
            }
            let mut errors: Vec<FieldError> =
                FieldError::complaints("metadata.name", name, complaints).collect();
            parent(&mut errors, object);
            errors
        },
        change: |old, new| {
            if parts(old) == parts(new) {
                return Vec::new();
            }
            let [group, resource, namespace, name] = parts(new).map(go_quote);
            let shown = format!(
                "networking.ParentReference{{Group:{group}, Resource:{resource}, Namespace:{namespace}, Name:{name}}}"
            );
            vec![FieldError::invalid_shown(PARENT, &shown, IMMUTABLE)]
        },
        ..Plain::new(|object, now| {
            let [group, resource, namespace, name] = parts(object);
            let dot = if group.is_empty() { "" } else { "." };
            let mut shown = format!("{resource}{dot}{group}").to_lowercase();
            for part in [namespace, name] {
                if !part.is_empty() {
                    shown = format!("{shown}/{part}");
                }
            }
            if object.pointer("/spec/parentRef").is_none_or(Value::is_null) {
                "<none>".clone_into(&mut shown);
            }
            vec![cells::name(object), Value::from(shown), cells::age(object, now)]
        })
    };
    describe::kind(
        "networking.k8s.io/v1",
        "IPAddress",
        "ipaddresses",
        ADDRESS,
        strategy,
    )
    .cluster()
    .short(&["ip"])
    .done()
}

pub(super) fn service_cidr() -> Kind {
    let strategy = Plain {
        default: |object| {
            if let Some(map) = object.as_object_mut() {
                object_or_new(map, "status");
            }
        },
        validate: |object| {
            let mut errors = Vec::new();
            ranges(&mut errors, object);
            errors
        },
        change: changed_ranges,
        labels_with_status: false,
        generation: None,
        ..Plain::with_status(|object, now| {
            let cidrs: Vec<&str> = items(object, "/spec/cidrs")
                .iter()
                .filter_map(Value::as_str)
                .collect();
            vec![
                cells::name(object),
                Value::from(cidrs.join(",")),
                cells::age(object, now),
            ]
        })
    };
    describe::kind(
        "networking.k8s.io/v1",
        "ServiceCIDR",
        "servicecidrs",
        RANGE,
        strategy,
    )
    .cluster()
    .status()
    .done()
}

/// Group, resource, namespace and name of what has the address.
fn parts(address: &Value) -> [&str; 4] {
    let parent = address.pointer("/spec/parentRef").unwrap_or(&Value::Null);
    ["/group", "/resource", "/namespace", "/name"].map(|field| text(parent, field))
}

fn parent(errors: &mut Vec<FieldError>, address: &Value) {
    if address.pointer("/spec/parentRef").is_none_or(Value::is_null) {
        errors.push(FieldError::required(PARENT, ""));
        return;
    }
    let [group, resource, namespace, name] = parts(address);
    if !group.is_empty() {
        let path = format!("{PARENT}.group");
        errors.extend(FieldError::complaints(
            path,
            group,
            names::dns1123_subdomain(group),
        ));
    }
    // The core group has no name, and not everything is in a namespace.
    for (field, value, required) in [
        ("resource", resource, true),
        ("name", name, true),
        ("namespace", namespace, false),
    ] {
        let path = format!("{PARENT}.{field}");
        if !value.is_empty() {
            errors.extend(FieldError::complaints(path, value, names::path_segment(value)));
        } else if required {
            errors.push(FieldError::required(path, ""));
        }
    }
}

fn ranges(errors: &mut Vec<FieldError>, object: &Value) {
    let cidrs: Vec<&str> = texts(object);
    let wrong = |detail: &str| {
        let quoted: Vec<String> = cidrs.iter().map(|cidr| go_quote(cidr)).collect();
        let shown = format!(
            "networking.ServiceCIDRSpec{{CIDRs:[]string{{{}}}}}",
            quoted.join(", ")
        );
        FieldError::invalid_shown(CIDRS, &shown, detail)
    };
    let family = |cidr: &str| -> Option<bool> {
        let (address, _) = cidr.split_once('/').filter(|_| names::cidr(cidr).is_empty())?;
        address.parse().ok().map(|address: IpAddr| address.is_ipv6())
    };
    match cidrs[..] {
        [] => errors.push(FieldError::required(CIDRS, "at least one CIDR required")),
        [_, _, _, ..] => errors.push(wrong("may only hold up to 2 values")),
        [one, other] if !matches!((family(one), family(other)), (Some(one), Some(other)) if one != other) => {
            errors.push(wrong(
                "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
            ));
        }
        _ => {
            for (index, cidr) in cidrs.iter().enumerate() {
                let path = format!("{CIDRS}[{index}]");
                errors.extend(FieldError::complaints(path, *cidr, names::cidr(cidr)));
            }
        }
    }
}

fn texts(object: &Value) -> Vec<&str> {
    let cidrs = items(object, "/spec/cidrs").iter();
    cidrs.map(|cidr| cidr.as_str().unwrap_or_default()).collect()
}

/// Ranges stay; a second family may come.
fn changed_ranges(old: &Value, new: &Value) -> Vec<FieldError> {
    let (was, is) = (texts(old), texts(new));
    if was.len() != is.len() && (was.len(), is.len()) != (1, 2) {
        return vec![FieldError::invalid(CIDRS, Value::from(is), IMMUTABLE)];
    }
    let pairs = was.iter().zip(&is).enumerate();
    pairs
        .filter(|(_, (was, is))| was != is)
        .map(|(index, (_, is))| FieldError::invalid(format!("{CIDRS}[{index}]"), *is, IMMUTABLE))
        .collect()
}
