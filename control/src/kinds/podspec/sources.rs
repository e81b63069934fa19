//! Where the data of a volume are, as pods and PersistentVolumes say it alike.

mod iscsi;
mod plugins;

use std::fmt::Arguments;
use std::ops::RangeInclusive;

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::go;
use crate::kinds::json::{int, is_unset, items, text};

/// Numbers of logical units.
const UNITS: RangeInclusive<i64> = 0..=255;
/// Longest name of a CSI driver.
const LONGEST_DRIVER: usize = 63;

/// Complaints about a source of a pod that is called `kind`.
pub(super) fn check(errors: &mut Vec<FieldError>, source: &Value, kind: &str, path: Arguments<'_>) {
    of(errors, source, kind, path, None);
}

/// The same of the PersistentVolume of this name.
pub(in crate::kinds) fn check_volume(
    errors: &mut Vec<FieldError>,
    source: &Value,
    kind: &str,
    path: Arguments<'_>,
    name: &str,
) {
    of(errors, source, kind, path, Some(name));
}

fn of(errors: &mut Vec<FieldError>, source: &Value, kind: &str, path: Arguments<'_>, volume: Option<&str>) {
    match kind {
        "hostPath" => host_path(errors, source, path),
        "local" => {
            need(errors, source, "path", path);
            no_steps_back(errors, source, path);
        }
        "nfs" => nfs(errors, source, path),
        "iscsi" => iscsi::check(errors, source, path, volume),
        "fc" => fibre_channel(errors, source, path),
        "csi" if volume.is_some() => csi(errors, source, path),
        _ => plugins::check(errors, source, kind, path, volume.is_some()),
    }
}

/// A field that must be there.
pub(super) fn need(errors: &mut Vec<FieldError>, source: &Value, field: &str, path: Arguments<'_>) {
    if text(&source[field], "").is_empty() {
        errors.push(FieldError::required(format!("{path}.{field}"), ""));
    }
}

fn no_steps_back(errors: &mut Vec<FieldError>, source: &Value, path: Arguments<'_>) {
    let place = text(source, "/path");
    if place.split('/').any(|part| part == "..") {
        let detail = "must not contain '..'";
        errors.push(FieldError::invalid(format!("{path}.path"), place, detail));
    }
}

fn host_path(errors: &mut Vec<FieldError>, source: &Value, path: Arguments<'_>) {
    const KINDS: [&str; 8] = [
        "",
        "BlockDevice",
        "CharDevice",
        "Directory",
        "DirectoryOrCreate",
        "File",
        "FileOrCreate",
        "Socket",
    ];
    need(errors, source, "path", path);
    if text(source, "/path").is_empty() {
        return;
    }
    no_steps_back(errors, source, path);
    let wanted = text(source, "/type");
    if !KINDS.contains(&wanted) {
        errors.push(FieldError::not_supported(format!("{path}.type"), wanted, &KINDS));
    }
}

fn nfs(errors: &mut Vec<FieldError>, source: &Value, path: Arguments<'_>) {
    need(errors, source, "server", path);
    need(errors, source, "path", path);
    let place = text(source, "/path");
    if !place.starts_with('/') {
        let detail = "must be an absolute path";
        errors.push(FieldError::invalid(format!("{path}.path"), place, detail));
    }
}

fn unit(errors: &mut Vec<FieldError>, source: &Value, path: Arguments<'_>) {
    let unit = int(source, "/lun").unwrap_or(0);
    if !UNITS.contains(&unit) {
        let detail = names::range(*UNITS.start(), *UNITS.end());
        errors.push(FieldError::invalid(format!("{path}.lun"), unit, &detail));
    }
}

fn fibre_channel(errors: &mut Vec<FieldError>, source: &Value, path: Arguments<'_>) {
    let (targets, ids) = (items(source, "/targetWWNs"), items(source, "/wwids"));
    let at = format_args!("{path}.targetWWNs");
    match (targets.is_empty(), ids.is_empty()) {
        (true, true) => {
            let detail = "must specify either targetWWNs or wwids, but not both";
            errors.push(FieldError::required(at, detail));
        }
        (false, false) => {
            let detail = "targetWWNs and wwids can not be specified simultaneously";
            errors.push(FieldError::invalid_shown(
                at,
                &go::list("string", targets),
                detail,
            ));
        }
        _ => {}
    }
    if targets.is_empty() {
        return;
    }
    if is_unset(source.get("lun")) {
        let detail = "lun is required if targetWWNs is specified";
        errors.push(FieldError::required(format!("{path}.lun"), detail));
    } else {
        unit(errors, source, path);
    }
}

/// The name of a CSI driver (`ValidateCSIDriverName`).
pub(in crate::kinds) fn driver_name(errors: &mut Vec<FieldError>, name: &str, path: Arguments<'_>) {
    if name.is_empty() {
        errors.push(FieldError::required(path, ""));
    }
    if name.len() > LONGEST_DRIVER {
        errors.push(FieldError::too_long(path, LONGEST_DRIVER));
    }
    errors.extend(FieldError::complaints(
        path,
        name,
        names::dns1123_subdomain(&name.to_lowercase()),
    ));
}

/// A CSI source of a PersistentVolume. Upstream looks at these secrets only.
fn csi(errors: &mut Vec<FieldError>, source: &Value, path: Arguments<'_>) {
    driver_name(errors, text(source, "/driver"), format_args!("{path}.driver"));
    need(errors, source, "volumeHandle", path);
    for field in [
        "controllerPublishSecretRef",
        "controllerExpandSecretRef",
        "nodePublishSecretRef",
        "nodeExpandSecretRef",
    ] {
        let Some(secret) = source.get(field).filter(|secret| secret.is_object()) else {
            continue;
        };
        let path = format_args!("{path}.{field}");
        let rules: [(&str, names::Rule); 2] = [
            ("name", names::dns1123_subdomain),
            ("namespace", names::dns1123_label),
        ];
        for (field, rule) in rules {
            need(errors, secret, field, path);
            let found = text(&secret[field], "");
            if !found.is_empty() {
                errors.extend(FieldError::complaints(
                    format_args!("{path}.{field}"),
                    found,
                    rule(found),
                ));
            }
        }
    }
}

/// A CSI source of a pod.
pub(super) fn inline_csi(errors: &mut Vec<FieldError>, source: &Value, path: Arguments<'_>) {
    driver_name(errors, text(source, "/driver"), format_args!("{path}.driver"));
    let Some(secret) = source
        .get("nodePublishSecretRef")
        .filter(|secret| secret.is_object())
    else {
        return;
    };
    need(
        errors,
        secret,
        "name",
        format_args!("{path}.nodePublishSecretRef"),
    );
    let found = text(secret, "/name");
    if !found.is_empty() {
        errors.extend(FieldError::complaints(
            format_args!("{path}.name"),
            found,
            names::dns1123_subdomain(found),
        ));
    }
}
