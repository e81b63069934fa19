//! The restricted standard: current practice for hardening.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Check::{Always, Versioned};
use super::{Check, bad_containers, containers, named, quoted};
use crate::admission::fields::{items, text};

/// Checks in upstream's order, and since which minor version each is part of the standard.
pub const CHECKS: &[(Check, u32)] = &[
    (Versioned(privilege_escalation), 8),
    (Versioned(capabilities), 22),
    (Always(volumes), 0),
    (Always(run_as_non_root), 0),
    (Always(run_as_user), 23),
    (Versioned(seccomp), 19),
];

const VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// Pods for Windows cannot have what Linux has in mind; since 1.25 the standard knows that.
fn is_windows(pod: &Value, minor: u32) -> bool {
    minor >= 25 && text(pod, "/spec/os/name") == "windows"
}

fn privilege_escalation(pod: &Value, minor: u32) -> Option<String> {
    let bad = bad_containers(pod, |container| {
        container["securityContext"]["allowPrivilegeEscalation"] != false
    });
    (!bad.is_empty() && !is_windows(pod, minor)).then(|| {
        format!(
            "allowPrivilegeEscalation != false ({} must set securityContext.allowPrivilegeEscalation=false)",
            named("container", &bad)
        )
    })
}

fn capabilities(pod: &Value, minor: u32) -> Option<String> {
    if is_windows(pod, minor) {
        return None;
    }
    let list = |container: &Value, which: &str| -> BTreeSet<String> {
        let items = items(container, &format!("/securityContext/capabilities/{which}"));
        items
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    let forbidden = |container: &Value| -> BTreeSet<String> {
        list(container, "add")
            .into_iter()
            .filter(|capability| capability != "NET_BIND_SERVICE")
            .collect()
    };
    let mut problems = Vec::new();
    let keeping = bad_containers(pod, |container| !list(container, "drop").contains("ALL"));
    if !keeping.is_empty() {
        problems.push(format!(
            "{} must set securityContext.capabilities.drop=[\"ALL\"]",
            named("container", &keeping)
        ));
    }
    let adding = bad_containers(pod, |container| !forbidden(container).is_empty());
    if !adding.is_empty() {
        let which: BTreeSet<String> = containers(pod).flat_map(forbidden).collect();
        let which: Vec<&str> = which.iter().map(String::as_str).collect();
        problems.push(format!(
            "{} must not include {} in securityContext.capabilities.add",
            named("container", &adding),
            quoted(&which)
        ));
    }
    (!problems.is_empty()).then(|| format!("unrestricted capabilities ({})", problems.join("; ")))
}

fn volumes(pod: &Value) -> Option<String> {
    // A volume has its name and one more field, which is its type.
    let kind = |volume: &Value| {
        let fields = volume.as_object().into_iter().flatten();
        let mut kinds = fields
            .filter(|(field, value)| *field != "name" && !value.is_null())
            .map(|(field, _)| field.clone());
        kinds.find(|kind| !VOLUMES.contains(&kind.as_str()))
    };
    let bad: Vec<&Value> = items(pod, "/spec/volumes")
        .iter()
        .filter(|volume| kind(volume).is_some())
        .collect();
    if bad.is_empty() {
        return None;
    }
    let names: Vec<&str> = bad.iter().map(|volume| text(volume, "/name")).collect();
    let kinds: BTreeSet<String> = bad.iter().filter_map(|volume| kind(volume)).collect();
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    let verb = if names.len() == 1 { "uses" } else { "use" };
    Some(format!(
        "restricted volume types ({} {verb} {})",
        named("volume", &names),
        named("restricted volume type", &kinds)
    ))
}

fn run_as_non_root(pod: &Value) -> Option<String> {
    let asks = |holder: &Value| holder["securityContext"]["runAsNonRoot"].as_bool();
    let by_pod = asks(&pod["spec"]);
    let refusing = bad_containers(pod, |container| asks(container) == Some(false));
    let silent = bad_containers(pod, |container| asks(container).is_none());
    let mut problems = Vec::new();
    if by_pod == Some(false) {
        problems.push("pod must not set securityContext.runAsNonRoot=false".to_owned());
    }
    if !refusing.is_empty() {
        problems.push(format!(
            "{} must not set securityContext.runAsNonRoot=false",
            named("container", &refusing)
        ));
    }
    if problems.is_empty() && by_pod.is_none() && !silent.is_empty() {
        problems.push(format!(
            "pod or {} must set securityContext.runAsNonRoot=true",
            named("container", &silent)
        ));
    }
    (!problems.is_empty()).then(|| format!("runAsNonRoot != true ({})", problems.join(", ")))
}

fn run_as_user(pod: &Value) -> Option<String> {
    let root = |holder: &Value| holder["securityContext"]["runAsUser"] == 0;
    let mut setters = Vec::new();
    if root(&pod["spec"]) {
        setters.push("pod".to_owned());
    }
    let bad = bad_containers(pod, root);
    if !bad.is_empty() {
        setters.push(named("container", &bad));
    }
    (!setters.is_empty()).then(|| format!("runAsUser=0 ({} must not set runAsUser=0)", setters.join(" and ")))
}

fn seccomp(pod: &Value, minor: u32) -> Option<String> {
    if is_windows(pod, minor) {
        return None;
    }
    let profile = |holder: &Value| text(holder, "/securityContext/seccompProfile/type").to_owned();
    let good = |profile: &str| matches!(profile, "RuntimeDefault" | "Localhost");
    let by_pod = profile(&pod["spec"]);
    let wrong = bad_containers(pod, |container| {
        let own = profile(container);
        !own.is_empty() && !good(&own)
    });
    let silent = bad_containers(pod, |container| profile(container).is_empty());
    let mut problems = Vec::new();
    if !by_pod.is_empty() && !good(&by_pod) {
        problems.push(format!(
            "pod must not set securityContext.seccompProfile.type to {by_pod:?}"
        ));
    }
    if !wrong.is_empty() {
        let values: BTreeSet<String> = containers(pod)
            .map(profile)
            .filter(|own| !own.is_empty() && !good(own))
            .collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        problems.push(format!(
            "{} must not set securityContext.seccompProfile.type to {}",
            named("container", &wrong),
            quoted(&values)
        ));
    }
    if problems.is_empty() && by_pod.is_empty() && !silent.is_empty() {
        problems.push(format!(
            "pod or {} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"",
            named("container", &silent)
        ));
    }
    (!problems.is_empty()).then(|| format!("seccompProfile ({})", problems.join("; ")))
}
