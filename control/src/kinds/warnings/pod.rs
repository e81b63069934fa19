//! Pods and templates of pods.

use std::collections::HashSet;
use std::fmt::Arguments;

use serde_json::Value;

use super::ports::Ports;
use super::{MOST, labels, overlaps, volume};
use crate::kinds::json::{items, text};

/// Annotations that do nothing any more.
const ANNOTATIONS: [(&str, &str); 3] = [
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        "non-functional in v1.16+; use the \"priorityClassName\" field instead",
    ),
    (
        "security.alpha.kubernetes.io/sysctls",
        "non-functional in v1.11+; use the \"sysctls\" field instead",
    ),
    (
        "security.alpha.kubernetes.io/unsafe-sysctls",
        "non-functional in v1.11+; use the \"sysctls\" field instead",
    ),
];
const SECCOMP: &str = "non-functional in v1.27+; use the \"seccompProfile\" field instead";
const APPARMOR: &str = "deprecated since v1.30; use the \"appArmorProfile\" field instead";

/// Of a pod, or of a template of pods: `path` is empty, or of the template, with a dot at its end.
pub(super) fn warn(warnings: &mut Vec<String>, path: &str, pod: &Value) {
    let annotations = &pod["metadata"]["annotations"];
    let annotated = |warnings: &mut Vec<String>, key: &str, why: &str| {
        if annotations[key].is_string() {
            warnings.push(format!("{path}metadata.annotations[{key}]: {why}"));
        }
    };
    let spec = &pod["spec"];
    labels::selector(
        warnings,
        format_args!("{path}spec.nodeSelector"),
        &spec["nodeSelector"],
    );
    affinity(warnings, format_args!("{path}spec.affinity"), &spec["affinity"]);
    spread(
        warnings,
        format_args!("{path}spec.topologySpreadConstraints"),
        spec,
    );
    for (key, why) in ANNOTATIONS {
        annotated(warnings, key, why);
    }
    volumes(warnings, format_args!("{path}spec.volumes"), spec);
    repeated(
        warnings,
        format_args!("{path}spec.hostAliases"),
        spec,
        ("hostAliases", "ip"),
    );
    repeated(
        warnings,
        format_args!("{path}spec.imagePullSecrets"),
        spec,
        ("imagePullSecrets", "name"),
    );
    for (index, secret) in items(spec, "/imagePullSecrets").iter().enumerate().take(MOST) {
        if text(secret, "/name").is_empty() {
            warnings.push(format!(
                "{path}spec.imagePullSecrets[{index}].name: invalid empty name \"\""
            ));
        }
    }
    bytes(warnings, format_args!("{path}spec.overhead"), &spec["overhead"]);
    let security = &spec["securityContext"];
    if security["seccompProfile"].is_null() {
        annotated(warnings, "seccomp.security.alpha.kubernetes.io/pod", SECCOMP);
    }
    let mut ports = Ports::default();
    for group in ["initContainers", "containers", "ephemeralContainers"] {
        for (index, container) in items(&spec[group], "").iter().enumerate() {
            let name = text(container, "/name");
            let own = &container["securityContext"];
            if own["seccompProfile"].is_null() {
                let key = format!("container.seccomp.security.alpha.kubernetes.io/{name}");
                annotated(warnings, &key, SECCOMP);
            }
            // Of a pod, the field takes over what the annotation says.
            if !path.is_empty() && security["appArmorProfile"].is_null() && own["appArmorProfile"].is_null() {
                let key = format!("container.apparmor.security.beta.kubernetes.io/{name}");
                annotated(warnings, &key, APPARMOR);
            }
            let at = format_args!("{path}spec.{group}[{index}]");
            for part in ["limits", "requests"] {
                bytes(
                    warnings,
                    format_args!("{at}.resources.{part}"),
                    &container["resources"][part],
                );
            }
            environment(warnings, format_args!("{at}.env"), container);
            ports.warn(warnings, at, container);
            if warnings.len() >= MOST {
                return;
            }
        }
    }
    if spec["terminationGracePeriodSeconds"]
        .as_i64()
        .is_some_and(|seconds| seconds < 0)
    {
        warnings.push(format!(
            "{path}spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        ));
    }
}

fn bytes(warnings: &mut Vec<String>, path: Arguments<'_>, amounts: &Value) {
    for resource in ["memory", "ephemeral-storage"] {
        volume::fraction(warnings, path, amounts, resource);
    }
}

/// Of nodes' labels that are deprecated, and of selectors that select nothing.
fn affinity(warnings: &mut Vec<String>, path: Arguments<'_>, affinity: &Value) {
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
    let node = &affinity["nodeAffinity"];
    for (index, term) in items(&node[required], "/nodeSelectorTerms").iter().enumerate() {
        let at = format_args!("{path}.nodeAffinity.{required}.nodeSelectorTerms[{index}]");
        labels::term(warnings, at, term);
    }
    for (index, term) in items(&node[preferred], "").iter().enumerate() {
        let at = format_args!("{path}.nodeAffinity.{preferred}[{index}].preference");
        labels::term(warnings, at, &term["preference"]);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        for (index, term) in items(&affinity[kind][required], "").iter().enumerate() {
            let at = format_args!("{path}.{kind}.{required}[{index}].labelSelector");
            selects(warnings, at, &term["labelSelector"]);
        }
        for (index, term) in items(&affinity[kind][preferred], "").iter().enumerate() {
            let at = format_args!("{path}.{kind}.{preferred}[{index}].podAffinityTerm.labelSelector");
            selects(warnings, at, &term["podAffinityTerm"]["labelSelector"]);
        }
    }
}

fn selects(warnings: &mut Vec<String>, path: Arguments<'_>, selector: &Value) {
    if selector.is_null() {
        warnings.push(format!("{path}: a null labelSelector results in matching no pod"));
    }
}

fn spread(warnings: &mut Vec<String>, path: Arguments<'_>, spec: &Value) {
    for (index, constraint) in items(spec, "/topologySpreadConstraints").iter().enumerate() {
        let key = text(constraint, "/topologyKey");
        if let Some(why) = labels::deprecated(key) {
            warnings.push(format!("{path}[{index}].topologyKey: {key} is {why}"));
        }
        selects(
            warnings,
            format_args!("{path}[{index}].labelSelector"),
            &constraint["labelSelector"],
        );
    }
}

fn volumes(warnings: &mut Vec<String>, path: Arguments<'_>, spec: &Value) {
    let volumes = items(spec, "/volumes");
    for (index, one) in volumes.iter().enumerate() {
        let at = format_args!("{path}[{index}]");
        volume::source(warnings, at, one);
        let claim = &one["ephemeral"]["volumeClaimTemplate"]["spec"];
        volume::claim_spec(
            warnings,
            format_args!("{at}.ephemeral.volumeClaimTemplate.spec"),
            claim,
        );
    }
    overlaps::warn(warnings, volumes);
}

/// Of items of a list that have the same key.
fn repeated(warnings: &mut Vec<String>, path: Arguments<'_>, spec: &Value, (list, key): (&str, &str)) {
    let mut known = HashSet::new();
    for (index, item) in items(&spec[list], "").iter().enumerate() {
        let found = item[key].as_str().unwrap_or_default();
        if !known.insert(found) {
            warnings.push(format!("{path}[{index}].{key}: duplicate {key} \"{found}\""));
        }
    }
}

/// Of variables that hide others of the same name without using them.
fn environment(warnings: &mut Vec<String>, path: Arguments<'_>, container: &Value) {
    let mut known = HashSet::new();
    for (index, variable) in items(container, "/env").iter().enumerate() {
        let (name, value) = (text(variable, "/name"), text(variable, "/value"));
        if known.insert(name) {
            continue;
        }
        let reference = format!("$({name})");
        if !variable["valueFrom"].is_null() || value == reference || !value.contains(&reference) {
            warnings.push(format!(
                "{path}[{index}]: hides previous definition of \"{name}\", which may be dropped when using apply"
            ));
        }
    }
}
