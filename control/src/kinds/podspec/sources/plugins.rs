//! Sources that upstream once served itself, and that only drivers serve now: what their fields must be.

use keelson_api::names;
use keelson_api::status::{FieldError, MOST_ERRORS};
use serde_json::Value;
use std::fmt::Arguments;

use super::need;
use crate::kinds::json::{entries, int, is_unset, text};
use crate::kinds::podspec::volume_checks::relative_path;

/// Texts and lists that may not be missing, in the order in which they are missed.
const NEEDED: &[(&str, &[&str])] = &[
    ("awsElasticBlockStore", &["volumeID"]),
    ("azureDisk", &["diskName", "diskURI"]),
    ("azureFile", &["secretName", "shareName"]),
    ("cephfs", &["monitors"]),
    ("cinder", &["volumeID"]),
    ("flexVolume", &["driver"]),
    ("gcePersistentDisk", &["pdName"]),
    ("gitRepo", &["repository"]),
    ("glusterfs", &["endpoints", "path"]),
    ("photonPersistentDisk", &["pdID"]),
    ("portworxVolume", &["volumeID"]),
    ("rbd", &["monitors", "image"]),
    ("scaleIO", &["gateway", "system", "volumeName"]),
    ("storageos", &["volumeName"]),
    ("vsphereVolume", &["volumePath"]),
];

/// Most bytes of the name of a tenant of Quobyte.
const LONGEST_TENANT: usize = 64;

/// Complaints about such a source of a pod, or of a PersistentVolume, whose secrets are in other namespaces.
pub(super) fn check(
    errors: &mut Vec<FieldError>,
    source: &Value,
    kind: &str,
    path: Arguments<'_>,
    of_volume: bool,
) {
    // Upstream's name in complaints.
    let google = (kind == "gcePersistentDisk").then(|| path.to_string());
    let start = google.as_deref().and_then(|path| path.strip_suffix(kind));
    let renamed = format_args!("{}persistentDisk", start.unwrap_or_default());
    let path = if start.is_some() { renamed } else { path };
    let needed = NEEDED.iter().find(|(of, _)| *of == kind);
    for field in needed.into_iter().flat_map(|(_, fields)| *fields) {
        if is_unset(source.get(*field)) {
            errors.push(FieldError::required(format!("{path}.{field}"), ""));
        }
    }
    match kind {
        "awsElasticBlockStore" | "gcePersistentDisk" => partition(errors, source, path),
        "azureDisk" => azure_disk(errors, source, path),
        "azureFile" if of_volume && source.get("secretNamespace").is_some_and(|text| text == "") => {
            errors.push(FieldError::required(format!("{path}.secretNamespace"), ""));
        }
        "cinder" => secret(errors, source, path, of_volume),
        "flexVolume" => options(errors, source, path),
        "flocker" => flocker(errors, source, path),
        "gitRepo" => {
            relative_path(
                errors,
                text(source, "/directory"),
                format_args!("{path}.directory"),
            );
        }
        "glusterfs" if of_volume => endpoints(errors, source, path),
        "quobyte" => quobyte(errors, source, path),
        "storageos" => {
            label(errors, source, "volumeName", path);
            label(errors, source, "volumeNamespace", path);
            secret(errors, source, path, of_volume);
        }
        _ => {}
    }
}

fn partition(errors: &mut Vec<FieldError>, source: &Value, path: Arguments<'_>) {
    let partition = int(source, "/partition").unwrap_or(0);
    if !(0..=255).contains(&partition) {
        let detail = names::range(1, 255);
        errors.push(FieldError::invalid(
            format!("{path}.partition"),
            partition,
            &detail,
        ));
    }
}

/// The URI must be one of a disk of its kind.
fn azure_disk(errors: &mut Vec<FieldError>, source: &Value, path: Arguments<'_>) {
    // As upstream fills them in.
    let of = |field: &str, default| source.get(field).and_then(Value::as_str).unwrap_or(default);
    let (caching, kind) = (of("cachingMode", "ReadWrite"), of("kind", "Shared"));
    for (field, found, known) in [
        ("cachingMode", caching, ["None", "ReadOnly", "ReadWrite"]),
        ("kind", kind, ["Dedicated", "Managed", "Shared"]),
    ] {
        if !known.contains(&found) {
            errors.push(FieldError::not_supported(
                format!("{path}.{field}"),
                found,
                &known,
            ));
        }
    }
    let (start, form) = if kind == "Managed" {
        let form =
            "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
        ("/subscriptions/", form)
    } else {
        (
            "https://",
            "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd",
        )
    };
    let uri = text(source, "/diskURI");
    if !uri.starts_with(start) {
        errors.push(FieldError::not_supported(format!("{path}.diskURI"), uri, &[form]));
    }
}

fn secret(errors: &mut Vec<FieldError>, source: &Value, path: Arguments<'_>, of_volume: bool) {
    let Some(secret) = source.get("secretRef").filter(|secret| secret.is_object()) else {
        return;
    };
    let path = format_args!("{path}.secretRef");
    need(errors, secret, "name", path);
    if of_volume {
        need(errors, secret, "namespace", path);
    }
}

/// Options of a driver may not look like Kubernetes' own.
fn options(errors: &mut Vec<FieldError>, source: &Value, path: Arguments<'_>) {
    for (option, _) in entries(source, "/options") {
        if errors.len() > MOST_ERRORS {
            return;
        }
        let domain = option
            .split_once('/')
            .map_or(option.as_str(), |(domain, _)| domain);
        let domain = format!(".{}", domain.to_lowercase());
        if domain.ends_with(".kubernetes.io") || domain.ends_with(".k8s.io") {
            let detail = "kubernetes.io and k8s.io namespaces are reserved";
            let path = format_args!("{path}.options[{option}]");
            errors.push(FieldError::invalid(path, option.as_str(), detail));
        }
    }
}

fn flocker(errors: &mut Vec<FieldError>, source: &Value, path: Arguments<'_>) {
    let (name, id) = (text(source, "/datasetName"), text(source, "/datasetUUID"));
    match (name.is_empty(), id.is_empty()) {
        (true, true) => {
            let detail = "one of datasetName and datasetUUID is required";
            errors.push(FieldError::required(path, detail));
        }
        (false, false) => {
            let detail = "datasetName and datasetUUID can not be specified simultaneously";
            errors.push(FieldError::invalid(path, "resource", detail));
        }
        _ => {}
    }
    if name.contains('/') {
        let detail = "must not contain '/'";
        errors.push(FieldError::invalid(format!("{path}.datasetName"), name, detail));
    }
}

/// The namespace of the endpoints of a PersistentVolume.
fn endpoints(errors: &mut Vec<FieldError>, source: &Value, path: Arguments<'_>) {
    let Some(namespace) = source.get("endpointsNamespace").and_then(Value::as_str) else {
        return;
    };
    let path = format_args!("{path}.endpointsNamespace");
    if namespace.is_empty() {
        let detail = "if the endpointnamespace is set, it must be a valid namespace name";
        errors.push(FieldError::invalid(path, namespace, detail));
    } else {
        errors.extend(FieldError::complaints(
            path,
            namespace,
            names::dns1123_label(namespace),
        ));
    }
}

fn quobyte(errors: &mut Vec<FieldError>, source: &Value, path: Arguments<'_>) {
    let registry = text(source, "/registry");
    let form = "must be a host:port pair or multiple pairs separated by commas";
    let at = format_args!("{path}.registry");
    if registry.is_empty() {
        errors.push(FieldError::required(at, form));
    } else if text(source, "/tenant").len() > LONGEST_TENANT {
        let detail = "must be a UUID and may not exceed a length of 64 characters";
        errors.push(FieldError::required(format!("{path}.tenant"), detail));
    } else if !registry.split(',').all(is_host_and_port) {
        // Once: upstream says the same of each.
        errors.push(FieldError::invalid(at, registry, form));
    }
    need(errors, source, "volume", path);
}

/// As Go's `net.SplitHostPort`: addresses with colons stand in brackets.
fn is_host_and_port(pair: &str) -> bool {
    let Some((host, port)) = pair.rsplit_once(':') else {
        return false;
    };
    let host = match host.strip_prefix('[') {
        Some(inside) => inside.strip_suffix(']'),
        None => Some(host).filter(|host| !host.contains(':')),
    };
    host.is_some_and(|host| !host.contains(['[', ']']) && !port.contains(['[', ']']))
}

/// A name that is a DNS label, where there is one.
fn label(errors: &mut Vec<FieldError>, source: &Value, field: &str, path: Arguments<'_>) {
    let found = text(&source[field], "");
    if !found.is_empty() {
        let complaints = names::dns1123_label(found);
        errors.extend(FieldError::complaints(
            format_args!("{path}.{field}"),
            found,
            complaints,
        ));
    }
}
