//! IPAddresses and ServiceCIDRs: the ranges of Services as objects.

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{items, object_or_new, text};
use crate::kinds::plain::Plain;
use crate::kinds::{Kind, cells};

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
            let complaints = names::ip(name);
            let mut errors: Vec<FieldError> =
                FieldError::complaints("metadata.name", name, complaints).collect();
            if object.pointer("/spec/parentRef").is_none() {
                errors.push(FieldError::required("spec.parentRef", ""));
            }
            errors
        },
        ..Plain::new(|object, now| {
            let parent = object.pointer("/spec/parentRef").unwrap_or(&Value::Null);
            let parts = ["/group", "/resource", "/namespace", "/name"].map(|field| text(parent, field));
            let shown: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            let dot = shown
                .join("/")
                .replacen('/', if parts[0].is_empty() { "/" } else { "." }, 1);
            vec![cells::name(object), Value::from(dot), cells::age(object, now)]
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
            let cidrs = items(object, "/spec/cidrs");
            let mut errors = Vec::new();
            if cidrs.is_empty() {
                errors.push(FieldError::required("spec.cidrs", "at least one CIDR required"));
            }
            for (index, cidr) in cidrs.iter().enumerate() {
                let cidr = cidr.as_str().unwrap_or_default();
                errors.extend(FieldError::complaints(
                    format_args!("spec.cidrs[{index}]"),
                    cidr,
                    names::cidr(cidr),
                ));
            }
            errors
        },
        generation: false,
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
