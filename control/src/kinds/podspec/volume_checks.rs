//! What volumes must be (`ValidateVolumes`).

use std::collections::{HashMap, HashSet};
use std::fmt::Arguments;

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

use super::container_checks::env;
use super::{ephemeral, sources};
use crate::kinds::json::{items, text};

/// What of a pod a file of a volume may say.
const OF_FILES: &[&str] = &[
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
];

/// What a volume may be of, in the order in which upstream looks.
const SOURCES: [&str; 30] = [
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
];

/// Complaints about the volumes of a pod spec. Returns those without, by name.
pub(super) fn volumes<'a>(
    errors: &mut Vec<FieldError>,
    spec: &'a Value,
    path: Arguments<'_>,
) -> HashMap<&'a str, &'a Value> {
    let mut known = HashMap::new();
    for (index, volume) in items(spec, "/volumes").iter().enumerate() {
        let path = format_args!("{path}.volumes[{index}]");
        let (name, before) = (text(volume, "/name"), errors.len());
        source(errors, volume, path);
        if name.is_empty() {
            errors.push(FieldError::required(format!("{path}.name"), ""));
        } else {
            errors.extend(FieldError::complaints(
                format_args!("{path}.name"),
                name,
                names::dns1123_label(name),
            ));
        }
        if known.contains_key(name) {
            errors.push(FieldError::duplicate(format!("{path}.name"), name));
        }
        // As upstream, mounts do not find a volume that something is wrong with.
        if errors.len() == before {
            known.insert(name, volume);
        }
    }
    known
}

/// Of several sources the first is looked into, and the others are too many.
fn source(errors: &mut Vec<FieldError>, volume: &Value, path: Arguments<'_>) {
    let sources = volume.as_object().into_iter().flatten();
    let mut places: Vec<usize> = sources
        .filter(|(_, source)| source.is_object())
        .filter_map(|(kind, _)| SOURCES.iter().position(|known| known == kind))
        .collect();
    places.sort_unstable();
    let mut given = places.into_iter().map(|place| SOURCES[place]);
    let Some(first) = given.next() else {
        errors.push(FieldError::required(path, "must specify a volume type"));
        return;
    };
    one_source(errors, &volume[first], first, format_args!("{path}.{first}"));
    for more in given {
        let field = if more == "cephfs" { "cephFS" } else { more };
        errors.push(FieldError::forbidden(
            format!("{path}.{field}"),
            "may not specify more than 1 volume type",
        ));
    }
}

fn one_source(errors: &mut Vec<FieldError>, source: &Value, kind: &str, path: Arguments<'_>) {
    match kind {
        "configMap" => sources::need(errors, source, "name", path),
        "secret" => sources::need(errors, source, "secretName", path),
        "persistentVolumeClaim" => sources::need(errors, source, "claimName", path),
        "csi" => sources::inline_csi(errors, source, path),
        "ephemeral" => ephemeral::check(errors, source, path),
        "downwardAPI" => downward(errors, source, path),
        "projected" => projected(errors, source, path),
        "emptyDir" => {
            if let Some(limit) = source.get("sizeLimit").filter(|limit| !limit.is_null()) {
                let negative = keelson_api::quantity::Quantity::from_json(limit)
                    .is_ok_and(keelson_api::quantity::Quantity::is_negative);
                if negative {
                    let detail = "SizeLimit field must be a valid resource quantity";
                    errors.push(FieldError::forbidden(format!("{path}.sizeLimit"), detail));
                }
            }
        }
        _ => sources::check(errors, source, kind, path),
    }
    if matches!(kind, "configMap" | "secret" | "downwardAPI" | "projected") {
        mode(errors, source, "defaultMode", path);
    }
    if matches!(kind, "configMap" | "secret") {
        key_paths(errors, source, path);
    }
}

fn mode(errors: &mut Vec<FieldError>, source: &Value, field: &str, path: Arguments<'_>) {
    if let Some(mode) = source.get(field).and_then(Value::as_i64)
        && !(0..=0o777).contains(&mode)
    {
        let detail = "must be a number between 0 and 0777 (octal), both inclusive";
        errors.push(FieldError::invalid(format!("{path}.{field}"), mode, detail));
    }
}

fn key_paths(errors: &mut Vec<FieldError>, source: &Value, path: Arguments<'_>) {
    for (index, item) in items(source, "/items").iter().enumerate() {
        let path = format_args!("{path}.items[{index}]");
        if text(item, "/key").is_empty() {
            errors.push(FieldError::required(format!("{path}.key"), ""));
        }
        if text(item, "/path").is_empty() {
            errors.push(FieldError::required(format!("{path}.path"), ""));
        }
        unreserved_path(errors, text(item, "/path"), format_args!("{path}.path"));
        mode(errors, item, "mode", path);
    }
}

/// Files about the pod. Upstream leaves their list and index out of the paths.
fn downward(errors: &mut Vec<FieldError>, source: &Value, path: Arguments<'_>) {
    for item in items(source, "/items") {
        if text(item, "/path").is_empty() {
            errors.push(FieldError::required(format!("{path}.path"), ""));
        }
        unreserved_path(errors, text(item, "/path"), format_args!("{path}.path"));
        let has = |field: &str| item.get(field).is_some_and(Value::is_object);
        match (has("fieldRef"), has("resourceFieldRef")) {
            (true, both) => {
                env::field_ref(
                    errors,
                    &item["fieldRef"],
                    format_args!("{path}.fieldRef"),
                    OF_FILES,
                );
                if both {
                    let detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
                    errors.push(FieldError::invalid(path, "resource", detail));
                }
            }
            (false, true) => {
                let path = format_args!("{path}.resourceFieldRef");
                env::resource_ref(errors, &item["resourceFieldRef"], path, true);
            }
            (false, false) => errors.push(FieldError::required(
                path,
                "one of fieldRef and resourceFieldRef is required",
            )),
        }
        mode(errors, item, "mode", path);
    }
}

fn projected(errors: &mut Vec<FieldError>, source: &Value, path: Arguments<'_>) {
    let mut taken = HashSet::new();
    for source in items(source, "/sources") {
        for kind in ["secret", "configMap", "downwardAPI"] {
            let places = items(&source[kind], "/items").iter();
            let places = places.map(|item| text(item, "/path"));
            let mut again = places.filter(|place| !place.is_empty() && !taken.insert(*place));
            let Some(place) = again.next() else { continue };
            let whose = match kind {
                "downwardAPI" => place,
                _ => text(&source[kind], "/name"),
            };
            // Once for a source, whose name the error shows; the rest of its paths are taken, too.
            again.for_each(drop);
            errors.push(FieldError::invalid(path, whose, "conflicting duplicate paths"));
        }
    }
    let whole = path;
    for (index, source) in items(source, "/sources").iter().enumerate() {
        let path = format_args!("{path}.sources[{index}]");
        let kinds: Vec<&String> = source
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, value)| value.is_object())
            .map(|(key, _)| key)
            .collect();
        match kinds[..] {
            // One that says nothing adds nothing.
            [] => {}
            [kind] => {
                let (inner, path) = (&source[kind.as_str()], format_args!("{path}.{kind}"));
                match kind.as_str() {
                    "configMap" | "secret" => {
                        if text(inner, "/name").is_empty() {
                            errors.push(FieldError::required(format!("{path}.name"), ""));
                        }
                        key_paths(errors, inner, path);
                    }
                    "downwardAPI" => downward(errors, inner, path),
                    "serviceAccountToken" => token(errors, inner, path, whole),
                    _ => {}
                }
            }
            _ => errors.push(FieldError::forbidden(
                path,
                "may not specify more than 1 volume type per source",
            )),
        }
    }
}

/// A token at `path`. Complaints about where it goes are of the `whole` volume.
fn token(errors: &mut Vec<FieldError>, source: &Value, path: Arguments<'_>, whole: Arguments<'_>) {
    let seconds = source
        .get("expirationSeconds")
        .and_then(Value::as_i64)
        .unwrap_or(3600);
    if seconds < 600 {
        let detail = "may not specify a duration less than 10 minutes";
        errors.push(FieldError::invalid(
            format!("{path}.expirationSeconds"),
            seconds,
            detail,
        ));
    }
    if seconds > 1 << 32 {
        let detail = "may not specify a duration larger than 2^32 seconds";
        errors.push(FieldError::invalid(
            format!("{path}.expirationSeconds"),
            seconds,
            detail,
        ));
    }
    if text(source, "/path").is_empty() {
        errors.push(FieldError::required(format!("{whole}.path"), ""));
    }
    unreserved_path(errors, text(source, "/path"), format_args!("{whole}.path"));
}

/// A relative path that is no file of the volume's own: their names start with two dots.
fn unreserved_path(errors: &mut Vec<FieldError>, place: &str, path: Arguments<'_>) {
    relative_path(errors, place, path);
    if place.starts_with("..") && !place.starts_with("../") {
        errors.push(FieldError::invalid(path, place, "must not start with '..'"));
    }
}

/// A path that stays below where it starts. Empty is good.
pub(super) fn relative_path(errors: &mut Vec<FieldError>, place: &str, path: Arguments<'_>) {
    if place.starts_with('/') {
        errors.push(FieldError::invalid(path, place, "must be a relative path"));
    }
    if place.split('/').any(|part| part == "..") {
        errors.push(FieldError::invalid(path, place, "must not contain '..'"));
    }
}
