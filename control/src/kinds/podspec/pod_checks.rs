//! What a pod spec must be (`ValidatePodSpec`, `ValidatePodTemplateSpec`).

use std::collections::HashSet;
use std::fmt::Arguments;

use keelson_api::names;
use keelson_api::pointer::at;
use keelson_api::status::FieldError;
use serde_json::Value;

use super::container_checks::{Group, containers, overhead};
use super::volume_checks::volumes;
use super::{affinity, annotations, system, windows};
use crate::kinds::go;
use crate::kinds::json::{int, is_true, is_unset, items, text};
use crate::kinds::metadata::{check_annotations, check_labels};

/// Complaints about labels and annotations of a pod template at `path`; upstream's paths leave `metadata` out.
pub(in crate::kinds) fn validate_template_metadata(template: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    check_labels(
        &mut errors,
        template.pointer("/metadata/labels"),
        format_args!("{path}.labels"),
    );
    let annotations = template.pointer("/metadata/annotations");
    check_annotations(&mut errors, annotations, format_args!("{path}.annotations"));
    let spec = template.get("spec").unwrap_or(&Value::Null);
    annotations::check(&mut errors, template, spec, format_args!("{path}.annotations"));
    errors
}

/// Complaints about a pod template at `path`.
pub(in crate::kinds) fn validate_template(template: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = validate_template_metadata(template, path);
    let spec = template.get("spec").unwrap_or(&Value::Null);
    errors.extend(validate_pod_spec(spec, &format!("{path}.spec"), false));
    annotations::agree(&mut errors, template, spec, format_args!("{path}.spec"));
    if !items(spec, "/ephemeralContainers").is_empty() {
        let detail = "ephemeral containers not allowed in pod template";
        errors.push(FieldError::forbidden(
            format!("{path}.spec.ephemeralContainers"),
            detail,
        ));
    }
    errors
}

/// Complaints about a pod spec at `path`; `is_pod` when it is that of a pod, not of a template.
pub(in crate::kinds) fn validate_pod_spec(spec: &Value, path: &str, is_pod: bool) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let path = format_args!("{path}");
    let volume_names = volumes(&mut errors, spec, path);
    containers(&mut errors, spec, path, &volume_names, Group::Main);
    containers(&mut errors, spec, path, &volume_names, Group::Init);
    if is_pod {
        containers(&mut errors, spec, path, &volume_names, Group::Ephemeral);
        padded_images(&mut errors, spec, path);
    }
    host_ports(&mut errors, spec, path, is_pod);
    choice(
        &mut errors,
        spec,
        path,
        "restartPolicy",
        &["Always", "OnFailure", "Never"],
    );
    let dns = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    choice(&mut errors, spec, path, "dnsPolicy", &dns);
    check_labels(
        &mut errors,
        spec.get("nodeSelector"),
        format_args!("{path}.nodeSelector"),
    );
    security(&mut errors, spec, path);
    names_in(&mut errors, spec, path);
    tolerations(&mut errors, spec, path);
    affinity::check(&mut errors, spec, path);
    system::dns(&mut errors, spec, path);
    system::sysctls(&mut errors, spec, path);
    if let Some(context) = spec.get("securityContext") {
        system::profiles(&mut errors, context, format_args!("{path}.securityContext"));
        windows::options(&mut errors, context, format_args!("{path}.securityContext"));
    }
    windows::host_process(&mut errors, spec, path);
    users(&mut errors, spec, path);
    classes(&mut errors, spec, path);
    if let Some(seconds) = int(spec, "/activeDeadlineSeconds")
        && !(1..=i64::from(i32::MAX)).contains(&seconds)
    {
        let detail = names::range(1, i32::MAX.into());
        errors.push(FieldError::invalid(
            format!("{path}.activeDeadlineSeconds"),
            seconds,
            &detail,
        ));
    }
    errors
}

/// Of pods only: templates may have such images, for compatibility.
fn padded_images(errors: &mut Vec<FieldError>, spec: &Value, path: Arguments<'_>) {
    for group in ["containers", "initContainers", "ephemeralContainers"] {
        for (index, container) in items(&spec[group], "").iter().enumerate() {
            let image = text(container, "/image");
            if image.trim() != image {
                let detail = "must not have leading or trailing whitespace";
                errors.push(FieldError::invalid(
                    format!("{path}.{group}[{index}].image"),
                    image,
                    detail,
                ));
            }
        }
    }
}

/// On the network of the host, a container's port is the host's; of templates it may be left out
/// (`validatePodHostNetworkDeps`).
fn host_ports(errors: &mut Vec<FieldError>, spec: &Value, path: Arguments<'_>, is_pod: bool) {
    if !is_true(spec, "/hostNetwork") {
        return;
    }
    for (index, container) in items(spec, "/containers").iter().enumerate() {
        for (at, port) in items(container, "/ports").iter().enumerate() {
            let of = |field: &str| int(port, field).unwrap_or(0);
            let (number, host) = (of("/containerPort"), of("/hostPort"));
            if host != number && (is_pod || host != 0) {
                let detail = "must match `containerPort` when `hostNetwork` is true";
                let path = format_args!("{path}.containers[{index}].ports[{at}].hostPort");
                errors.push(FieldError::invalid(path, host, detail));
            }
        }
    }
}

/// A required field with a closed set of values.
fn choice(errors: &mut Vec<FieldError>, spec: &Value, path: Arguments<'_>, field: &str, allowed: &[&str]) {
    match text(&spec[field], "") {
        "" => errors.push(FieldError::required(format!("{path}.{field}"), "")),
        value if !allowed.contains(&value) => {
            errors.push(FieldError::not_supported(
                format!("{path}.{field}"),
                value,
                allowed,
            ));
        }
        _ => {}
    }
}

fn security(errors: &mut Vec<FieldError>, spec: &Value, path: Arguments<'_>) {
    if is_true(spec, "/shareProcessNamespace") && is_true(spec, "/hostPID") {
        let detail = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.push(FieldError::invalid(
            format!("{path}.shareProcessNamespace"),
            true,
            detail,
        ));
    }
    for field in ["runAsUser", "runAsGroup", "fsGroup"] {
        if let Some(id) = int(&spec["securityContext"][field], "")
            && !(0..=i64::from(i32::MAX)).contains(&id)
        {
            let path = format_args!("{path}.securityContext.{field}");
            errors.push(FieldError::invalid(path, id, &names::range(0, i32::MAX.into())));
        }
    }
    for (index, group) in items(spec, "/securityContext/supplementalGroups")
        .iter()
        .enumerate()
    {
        let id = group.as_i64().unwrap_or(-1);
        if !(0..=i64::from(i32::MAX)).contains(&id) {
            let path = format_args!("{path}.securityContext.supplementalGroups[{index}]");
            errors.push(FieldError::invalid(
                path,
                group.clone(),
                &names::range(0, i32::MAX.into()),
            ));
        }
    }
}

/// Users of the pod's own do not go with namespaces of the host (`validateHostUsers`).
fn users(errors: &mut Vec<FieldError>, spec: &Value, path: Arguments<'_>) {
    if spec.get("hostUsers") != Some(&Value::Bool(false)) {
        return;
    }
    // The paths of the last two are upstream's, letter for letter.
    for (field, shown) in [
        ("hostNetwork", "hostNetwork"),
        ("hostPID", "HostPID"),
        ("hostIPC", "HostIPC"),
    ] {
        if is_true(&spec[field], "") {
            let detail = "when `hostUsers` is false";
            errors.push(FieldError::forbidden(format!("{path}.{shown}"), detail));
        }
    }
}

/// Fields with a few possible values.
fn classes(errors: &mut Vec<FieldError>, spec: &Value, path: Arguments<'_>) {
    if let Some(system) = spec.get("os").filter(|system| system.is_object()) {
        match text(system, "/name") {
            "" => errors.push(FieldError::required(format!("{path}.os.name"), "cannot be empty")),
            "linux" => windows::none_for_linux(errors, spec, path),
            "windows" => windows::only_for_windows(errors, spec, path),
            other => errors.push(FieldError::not_supported(
                format!("{path}.os"),
                other,
                &["linux", "windows"],
            )),
        }
    }
    let choices: [(&str, &[&str]); 4] = [
        ("/preemptionPolicy", &["Never", "PreemptLowerPriority"]),
        (
            "/securityContext/fsGroupChangePolicy",
            &["Always", "OnRootMismatch"],
        ),
        ("/securityContext/supplementalGroupsPolicy", &["Merge", "Strict"]),
        // MountOption comes with the gate SELinuxMount, which is off in 1.33.
        ("/securityContext/seLinuxChangePolicy", &["Recursive"]),
    ];
    for (field, allowed) in choices {
        // An empty text is a value, and none of those allowed.
        let Some(value) = at(spec, field).and_then(Value::as_str) else {
            continue;
        };
        let path = format!("{path}{}", field.replace('/', "."));
        if value.is_empty() && field == "/preemptionPolicy" {
            errors.push(FieldError::required(path, ""));
        } else if !allowed.contains(&value) {
            errors.push(FieldError::not_supported(path, value, allowed));
        }
    }
    overhead(errors, &spec["overhead"], format_args!("{path}.overhead"));
}

type Rule = fn(&str) -> names::Complaints;

fn names_in(errors: &mut Vec<FieldError>, spec: &Value, path: Arguments<'_>) {
    let rules: [(&str, Rule); 6] = [
        ("serviceAccountName", names::dns1123_subdomain),
        ("nodeName", names::dns1123_subdomain),
        ("hostname", names::dns1123_label),
        ("subdomain", names::dns1123_label),
        ("priorityClassName", names::dns1123_subdomain),
        ("runtimeClassName", names::dns1123_subdomain),
    ];
    for (field, rule) in rules {
        // That of the runtime class is by pointer in Go: an empty text is a bad name.
        let value = spec[field].as_str();
        if let Some(value) = value.filter(|value| !value.is_empty() || field == "runtimeClassName") {
            errors.extend(FieldError::complaints(
                format_args!("{path}.{field}"),
                value,
                rule(value),
            ));
        }
    }
    for (index, gate) in items(spec, "/readinessGates").iter().enumerate() {
        let kind = text(gate, "/conditionType");
        errors.extend(FieldError::complaints(
            format_args!("{path}.readinessGates[{index}].conditionType"),
            kind,
            names::qualified_name(kind),
        ));
    }
    let mut gates = HashSet::new();
    for (index, gate) in items(spec, "/schedulingGates").iter().enumerate() {
        let name = text(gate, "/name");
        let path = format_args!("{path}.schedulingGates[{index}]");
        errors.extend(FieldError::complaints(path, name, names::qualified_name(name)));
        if !gates.insert(name) {
            errors.push(FieldError::duplicate(path, name));
        }
    }
    for (index, alias) in items(spec, "/hostAliases").iter().enumerate() {
        let ip = text(alias, "/ip");
        errors.extend(FieldError::complaints(
            format_args!("{path}.hostAliases[{index}].ip"),
            ip,
            names::ip(ip),
        ));
        for (at, name) in items(alias, "/hostnames").iter().enumerate() {
            let name = name.as_str().unwrap_or_default();
            errors.extend(FieldError::complaints(
                format_args!("{path}.hostAliases[{index}].hostnames[{at}]"),
                name,
                names::dns1123_subdomain(name),
            ));
        }
    }
}

/// Complaints about the tolerations of a pod spec, or of what adds some to it.
pub(in crate::kinds) fn tolerations(errors: &mut Vec<FieldError>, spec: &Value, path: Arguments<'_>) {
    const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];
    for (index, toleration) in items(spec, "/tolerations").iter().enumerate() {
        let path = format_args!("{path}.tolerations[{index}]");
        let part = |field: &str| text(toleration, field);
        let (key, operator, value, effect) =
            (part("/key"), part("/operator"), part("/value"), part("/effect"));
        if key.is_empty() && operator != "Exists" {
            let detail =
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.push(FieldError::invalid(format!("{path}.operator"), operator, detail));
        } else if !key.is_empty() {
            errors.extend(FieldError::complaints(
                format_args!("{path}.key"),
                key,
                names::qualified_name(key),
            ));
        }
        if !is_unset(toleration.get("tolerationSeconds")) && effect != "NoExecute" {
            let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.push(FieldError::invalid(format!("{path}.effect"), effect, detail));
        }
        match operator {
            "" | "Equal" => {
                let complaints = names::label_value(value);
                if !complaints.is_empty() {
                    errors.push(FieldError::invalid(
                        format!("{path}.operator"),
                        value,
                        &complaints.join(";"),
                    ));
                }
            }
            "Exists" if !value.is_empty() => {
                let detail = "value must be empty when `operator` is 'Exists'";
                errors.push(FieldError::invalid_shown(
                    format!("{path}.operator"),
                    &go::toleration(toleration),
                    detail,
                ));
            }
            "Exists" => {}
            other => errors.push(FieldError::not_supported(
                format!("{path}.operator"),
                other,
                &["Equal", "Exists"],
            )),
        }
        if !effect.is_empty() && !EFFECTS.contains(&effect) {
            errors.push(FieldError::not_supported(
                format!("{path}.effect"),
                effect,
                EFFECTS,
            ));
        }
    }
}
