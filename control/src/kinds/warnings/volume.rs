//! Volumes of pods, PersistentVolumes and claims.

use keelson_api::quantity::Quantity;
use serde_json::Value;
use std::fmt::Arguments;

use super::labels;
use crate::kinds::json::{items, text};

/// What is said of sources of volumes that do nothing any more, by their field.
const SOURCES: [(&str, &str); 9] = [
    (
        "photonPersistentDisk",
        "deprecated in v1.11, non-functional in v1.16+",
    ),
    ("gitRepo", "deprecated in v1.11"),
    ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
];
const CLASS: &str = "volume.beta.kubernetes.io/storage-class";
const CLASS_DEPRECATED: &str = "deprecated since v1.8; use \"storageClassName\" attribute instead";
const MOUNT_OPTIONS: &str = "volume.beta.kubernetes.io/mount-options";

/// Of the source of a volume, at its path.
pub(super) fn source(warnings: &mut Vec<String>, path: Arguments<'_>, volume: &Value) {
    for (field, why) in SOURCES {
        if volume[field].is_object() {
            // Upstream spells this one in its own way.
            let field = if field == "storageos" { "storageOS" } else { field };
            warnings.push(format!("{path}.{field}: {why}"));
        }
    }
}

/// Of an amount of bytes that is no whole number.
pub(super) fn fraction(warnings: &mut Vec<String>, path: Arguments<'_>, amounts: &Value, resource: &str) {
    let Some(amount) = amounts
        .get(resource)
        .and_then(|amount| Quantity::from_json(amount).ok())
    else {
        return;
    };
    if !amount.is_whole() {
        warnings.push(format!(
            "{path}[{resource}]: fractional byte value \"{amount}\" is invalid, must be an integer"
        ));
    }
}

/// Of a PersistentVolume.
pub(super) fn warn(warnings: &mut Vec<String>, volume: &Value) {
    let annotations = &volume["metadata"]["annotations"];
    for (key, why) in [
        (CLASS, CLASS_DEPRECATED),
        (
            MOUNT_OPTIONS,
            "deprecated since v1.31; use \"mountOptions\" attribute instead",
        ),
    ] {
        if annotations[key].is_string() {
            warnings.push(format!("metadata.annotations[{key}]: {why}"));
        }
    }
    if text(volume, "/spec/persistentVolumeReclaimPolicy") == "Recycle" {
        warnings.push(
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach \
             is to use dynamic provisioning."
                .to_owned(),
        );
    }
    for (index, term) in items(volume, "/spec/nodeAffinity/required/nodeSelectorTerms")
        .iter()
        .enumerate()
    {
        labels::term(
            warnings,
            format_args!("spec.nodeAffinity.required.nodeSelectorTerms[{index}]"),
            term,
        );
    }
    source(warnings, format_args!("spec"), &volume["spec"]);
    fraction(
        warnings,
        format_args!("spec.capacity"),
        &volume["spec"]["capacity"],
        "storage",
    );
}

/// Of a PersistentVolumeClaim.
pub(super) fn claim(warnings: &mut Vec<String>, claim: &Value) {
    if claim["metadata"]["annotations"][CLASS].is_string() {
        warnings.push(format!("metadata.annotations[{CLASS}]: {CLASS_DEPRECATED}"));
    }
    claim_spec(warnings, format_args!("spec"), &claim["spec"]);
}

/// Of the spec of a claim, at a path.
pub(super) fn claim_spec(warnings: &mut Vec<String>, path: Arguments<'_>, spec: &Value) {
    for part in ["requests", "limits"] {
        fraction(
            warnings,
            format_args!("{path}.resources.{part}"),
            &spec["resources"][part],
            "storage",
        );
    }
}
