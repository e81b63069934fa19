//! Environment variables and where they come from.

use keelson_api::names;
use keelson_api::quantity::Quantity;
use keelson_api::status::FieldError;
use serde_json::Value;
use std::fmt::Arguments;

use crate::kinds::json::{is_unset, items, text};

const FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
const RESOURCES: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

/// Complaints about `env` and `envFrom`.
pub(super) fn check(errors: &mut Vec<FieldError>, container: &Value, path: Arguments<'_>) {
    for (index, env) in items(container, "/env").iter().enumerate() {
        let path = format_args!("{path}.env[{index}]");
        let name = text(env, "/name");
        if name.is_empty() {
            errors.push(FieldError::required(format!("{path}.name"), ""));
        } else {
            errors.extend(FieldError::complaints(
                format_args!("{path}.name"),
                name,
                names::env_var_name(name),
            ));
        }
        if let Some(from) = env.get("valueFrom").filter(|from| from.is_object()) {
            value_from(errors, env, from, format_args!("{path}.valueFrom"));
        }
    }
    // Upstream leaves the index out of some paths.
    let all = format_args!("{path}.envFrom");
    for (index, from) in items(container, "/envFrom").iter().enumerate() {
        let path = format_args!("{all}[{index}]");
        let prefix = text(from, "/prefix");
        if !prefix.is_empty() {
            errors.extend(FieldError::complaints(
                format_args!("{path}.prefix"),
                prefix,
                names::env_var_name(prefix),
            ));
        }
        let sources: Vec<&str> = ["configMapRef", "secretRef"]
            .into_iter()
            .filter(|key| from.get(*key).is_some_and(Value::is_object))
            .collect();
        for source in &sources {
            let (name, path) = (text(&from[source], "/name"), format!("{path}.{source}.name"));
            if name.is_empty() {
                errors.push(FieldError::required(path, ""));
            } else {
                // Upstream takes it as a prefix, which may end in a dash.
                let whole = name.strip_suffix('-').map(|start| format!("{start}a"));
                errors.extend(FieldError::complaints(
                    path,
                    name,
                    names::dns1123_subdomain(whole.as_deref().unwrap_or(name)),
                ));
            }
        }
        let detail = match sources[..] {
            [] => "must specify one of: `configMapRef` or `secretRef`",
            [_] => continue,
            _ => "may not have more than one field specified at a time",
        };
        errors.push(FieldError::invalid(all, "", detail));
    }
}

fn value_from(errors: &mut Vec<FieldError>, env: &Value, from: &Value, path: Arguments<'_>) {
    let known = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef"];
    let sources: Vec<&str> = known
        .into_iter()
        .filter(|key| from.get(*key).is_some_and(Value::is_object))
        .collect();
    for source in &sources {
        let path = format_args!("{path}.{source}");
        let reference = &from[*source];
        match *source {
            "fieldRef" => field_ref(errors, reference, path, FIELDS),
            "resourceFieldRef" => resource_ref(errors, reference, path, false),
            _ => key_ref(errors, reference, path),
        }
    }
    if sources.is_empty() {
        let detail =
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`";
        errors.push(FieldError::invalid(path, "", detail));
    } else if !is_unset(env.get("value")) {
        errors.push(FieldError::invalid(
            path,
            "",
            "may not be specified when `value` is not empty",
        ));
    } else if sources.len() > 1 {
        errors.push(FieldError::invalid(
            path,
            "",
            "may not have more than one field specified at a time",
        ));
    }
}

/// Complaints about a reference to one of the `allowed` fields of the pod.
pub(in crate::kinds::podspec) fn field_ref(
    errors: &mut Vec<FieldError>,
    reference: &Value,
    path: Arguments<'_>,
    allowed: &[&str],
) {
    let (version, field) = (text(reference, "/apiVersion"), text(reference, "/fieldPath"));
    if version.is_empty() {
        errors.push(FieldError::required(format!("{path}.apiVersion"), ""));
        return;
    }
    if field.is_empty() {
        errors.push(FieldError::required(format!("{path}.fieldPath"), ""));
        return;
    }
    // What is said about a subscript is said about the whole reference.
    let whole = path;
    let path = format_args!("{path}.fieldPath");
    if version != "v1" {
        let detail = format!("error converting fieldPath: unsupported pod version: {version}");
        errors.push(FieldError::invalid(path, field, &detail));
        return;
    }
    // The old name of it, which upstream converts before it looks.
    let field = if field == "spec.host" {
        "spec.nodeName"
    } else {
        field
    };
    if let Some((map, key)) = subscript(field) {
        match map {
            "metadata.annotations" => {
                let key = key.to_lowercase();
                errors.extend(FieldError::complaints(
                    whole,
                    key.as_str(),
                    names::qualified_name(&key),
                ));
            }
            "metadata.labels" => {
                errors.extend(FieldError::complaints(whole, key, names::qualified_name(key)));
            }
            _ => errors.push(FieldError::invalid(whole, map, "does not support subscript")),
        }
    } else if !allowed.contains(&field) {
        let known = [
            "metadata.labels",
            "metadata.annotations",
            "spec.restartPolicy",
            "spec.schedulerName",
            "status.phase",
        ];
        if known.contains(&field) || FIELDS.contains(&field) {
            errors.push(FieldError::not_supported(path, field, allowed));
        } else {
            let detail = format!("error converting fieldPath: field label not supported: {field}");
            errors.push(FieldError::invalid(path, field, &detail));
        }
    }
}

/// `metadata.labels['a']` as (`metadata.labels`, `a`).
fn subscript(field: &str) -> Option<(&str, &str)> {
    field.strip_suffix("']")?.split_once("['")
}

/// Complaints about a reference to a resource of a container, which a file of a volume (`in_volume`) has to name.
pub(in crate::kinds::podspec) fn resource_ref(
    errors: &mut Vec<FieldError>,
    reference: &Value,
    path: Arguments<'_>,
    in_volume: bool,
) {
    let resource = text(reference, "/resource");
    if in_volume && text(reference, "/containerName").is_empty() {
        errors.push(FieldError::required(format!("{path}.containerName"), ""));
    } else if resource.is_empty() {
        errors.push(FieldError::required(format!("{path}.resource"), ""));
    } else if !RESOURCES.contains(&resource) && !of_huge_pages(resource) {
        errors.push(FieldError::not_supported(
            format!("{path}.resource"),
            resource,
            RESOURCES,
        ));
    }
    divisor(errors, reference, resource, path);
}

fn of_huge_pages(resource: &str) -> bool {
    ["requests.hugepages-", "limits.hugepages-"]
        .iter()
        .any(|start| resource.starts_with(start))
}

/// What amounts may be divided by (`validateContainerResourceDivisor`).
fn divisor(errors: &mut Vec<FieldError>, reference: &Value, resource: &str, path: Arguments<'_>) {
    const OF_BYTES: [&str; 14] = [
        "0", "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei",
    ];
    let Some(Ok(divisor)) = reference.get("divisor").map(Quantity::from_json) else {
        return;
    };
    let (allowed, detail): (&[&str], &str) = match resource {
        "limits.cpu" | "requests.cpu" => (
            &["0", "1m", "1"],
            "only divisor's values 1m and 1 are supported with the cpu resource",
        ),
        "limits.memory" | "requests.memory" => (
            &OF_BYTES,
            "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the memory \
             resource",
        ),
        "limits.ephemeral-storage" | "requests.ephemeral-storage" => (
            &OF_BYTES,
            "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the local \
             ephemeral storage resource",
        ),
        _ if of_huge_pages(resource) => (
            &OF_BYTES,
            "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the \
             hugepages resource",
        ),
        _ => return,
    };
    if !allowed.contains(&divisor.to_string().as_str()) {
        errors.push(FieldError::invalid(format!("{path}.divisor"), resource, detail));
    }
}

fn key_ref(errors: &mut Vec<FieldError>, reference: &Value, path: Arguments<'_>) {
    let name = text(reference, "/name");
    errors.extend(FieldError::complaints(
        format_args!("{path}.name"),
        name,
        names::dns1123_subdomain(name),
    ));
    let key = text(reference, "/key");
    if key.is_empty() {
        errors.push(FieldError::required(format!("{path}.key"), ""));
    } else {
        errors.extend(FieldError::complaints(
            format_args!("{path}.key"),
            key,
            names::config_map_key(key),
        ));
    }
}
