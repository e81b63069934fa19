//! Annotations by which pods and templates say what later got fields (`ValidatePodSpecificAnnotations` and its kin).

use std::collections::HashSet;
use std::fmt::Arguments;

use keelson_api::status::{FieldError, MOST_ERRORS, go_quote};
use serde_json::Value;

use super::apparmor;
use super::volume_checks::relative_path;
use crate::kinds::json::{entries, items, text};

/// On a pod that stands for one of a node's own files.
pub(in crate::kinds) const MIRROR: &str = "kubernetes.io/config.mirror";
/// Which pods of a ReplicaSet go first.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
const SECCOMP: &str = "seccomp.security.alpha.kubernetes.io/pod";
/// With the name of a container behind it.
const SECCOMP_OF: &str = "container.seccomp.security.alpha.kubernetes.io/";

/// Complaints about the annotations of a pod or template (`of`) with this spec.
pub(in crate::kinds) fn check(errors: &mut Vec<FieldError>, of: &Value, spec: &Value, path: Arguments<'_>) {
    let names: HashSet<&str> = containers(spec)
        .map(|(_, _, container)| text(container, "/name"))
        .collect();
    for (key, value) in entries(of, "/metadata/annotations") {
        if errors.len() > MOST_ERRORS {
            return;
        }
        let (key, value) = (key.as_str(), value.as_str().unwrap_or_default());
        let at = format_args!("{path}[{key}]");
        if key == MIRROR && text(spec, "/nodeName").is_empty() {
            let detail = "must set spec.nodeName if mirror pod annotation is set";
            errors.push(FieldError::invalid(at, value, detail));
        } else if key == DELETION_COST && !is_cost(value) {
            errors.push(FieldError::invalid(at, value, "must be a 32bit integer"));
        } else if key == SECCOMP || key.starts_with(SECCOMP_OF) {
            // Upstream's path has the key as if it were a field.
            seccomp(errors, value, format_args!("{path}.{key}"));
        } else if let Some(name) = key.strip_prefix(apparmor::ANNOTATION) {
            if !names.contains(name) {
                errors.push(FieldError::invalid(at, name, "container not found"));
            }
            if !apparmor::is_known(value) {
                let detail = format!("invalid AppArmor profile name: {}", go_quote(value));
                errors.push(FieldError::invalid(at, value, &detail));
            }
        }
    }
}

/// A number as Go reads one, but without plus and leading zeros.
fn is_cost(value: &str) -> bool {
    let first = value.bytes().next();
    let begins = value == "0" || matches!(first, Some(b'-' | b'1'..=b'9'));
    begins && value.parse::<i32>().is_ok()
}

fn seccomp(errors: &mut Vec<FieldError>, value: &str, path: Arguments<'_>) {
    if let Some(place) = value.strip_prefix("localhost/") {
        relative_path(errors, place, path);
    } else if !matches!(value, "runtime/default" | "docker/default" | "unconfined") {
        errors.push(FieldError::invalid(
            path,
            value,
            "must be a valid seccomp profile",
        ));
    }
}

/// All containers of a spec, with list and index.
fn containers(spec: &Value) -> impl Iterator<Item = (&'static str, usize, &Value)> {
    ["initContainers", "containers", "ephemeralContainers"]
        .into_iter()
        .flat_map(move |list| {
            let all = items(&spec[list], "").iter().enumerate();
            all.map(move |(index, container)| (list, index, container))
        })
}

/// Complaints about annotations that say something else than the fields of the spec at `path` do.
pub(in crate::kinds) fn agree(errors: &mut Vec<FieldError>, of: &Value, spec: &Value, path: Arguments<'_>) {
    let annotations = &of["metadata"]["annotations"];
    if !annotations.is_object() {
        return;
    }
    let profile = |context: &Value, field: &str| context[field].is_object().then(|| context[field].clone());
    let (pod, seccomp) = (&spec["securityContext"], "seccompProfile");
    if let (Some(said), Some(field)) = (annotations[SECCOMP].as_str(), profile(pod, seccomp)) {
        differs(
            errors,
            said,
            &field,
            "seccomp",
            format_args!("{path}.securityContext.{seccomp}"),
        );
    }
    for (list, index, container) in containers(spec) {
        let (own, name) = (&container["securityContext"], text(container, "/name"));
        let said = |prefix: &str| annotations[format!("{prefix}{name}")].as_str();
        let at = format_args!("{path}.{list}[{index}].securityContext");
        if let (Some(said), Some(field)) = (said(SECCOMP_OF), profile(own, seccomp)) {
            differs(errors, said, &field, "seccomp", format_args!("{at}.{seccomp}"));
        }
        let field = "appArmorProfile";
        if text(spec, "/os/name") != "windows"
            && let Some(said) = said(apparmor::ANNOTATION)
            && let Some(profile) = profile(own, field).or_else(|| profile(pod, field))
        {
            differs(errors, said, &profile, "apparmor", format_args!("{at}.{field}"));
        }
    }
}

fn differs(errors: &mut Vec<FieldError>, said: &str, field: &Value, what: &str, path: Arguments<'_>) {
    let local = said.strip_prefix("localhost/");
    let same_type = match text(field, "/type") {
        "Unconfined" => said == "unconfined",
        "RuntimeDefault" => said == "runtime/default" || (what == "seccomp" && said == "docker/default"),
        "Localhost" => local.is_some(),
        // Something else complains of it.
        _ => return,
    };
    if !same_type {
        let detail = format!("{what} type in annotation and field must match");
        errors.push(FieldError::forbidden(format!("{path}.type"), &detail));
    } else if local.is_some_and(|local| field["localhostProfile"].as_str() != Some(local)) {
        let detail = format!("{what} profile in annotation and field must match");
        errors.push(FieldError::forbidden(format!("{path}.localhostProfile"), &detail));
    }
}
