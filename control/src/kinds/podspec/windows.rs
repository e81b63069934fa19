//! What pods for Windows may ask for, and what each system leaves to the other (`validateWindows`, `validateLinux`).

use std::fmt::Arguments;

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::json::{is_true, is_unset};

/// Largest credential spec, in KiB.
const LARGEST_SPEC: usize = 64;
/// Longest domain of a user, and longest name of one.
const LONGEST_DOMAIN: usize = 256;
const LONGEST_USER: usize = 104;

/// Fields of a pod, and of its security context, that mean nothing on Windows.
const OF_LINUX: [&str; 4] = ["hostUsers", "hostPID", "hostIPC", "shareProcessNamespace"];
const OF_LINUX_PODS: [&str; 11] = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    "runAsUser",
    "runAsGroup",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "seLinuxChangePolicy",
];
/// As above, of a container's security context.
const OF_LINUX_CONTAINERS: [&str; 10] = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
];

/// Every container with its list and its place there.
fn containers(spec: &Value) -> impl Iterator<Item = ((&'static str, usize), &Value)> {
    ["initContainers", "containers", "ephemeralContainers"]
        .into_iter()
        .flat_map(move |list| {
            let all = spec[list].as_array().into_iter().flatten().enumerate();
            all.map(move |(index, container)| ((list, index), container))
        })
}

fn is_set(context: &Value, field: &str) -> bool {
    context.get(field).is_some_and(|value| !value.is_null())
}

/// Complaints about `windowsOptions` of a pod for Linux.
pub(super) fn none_for_linux(errors: &mut Vec<FieldError>, spec: &Value, path: Arguments<'_>) {
    let mut check = |path: Arguments<'_>, owner: &Value| {
        if is_set(&owner["securityContext"], "windowsOptions") {
            let path = format!("{path}.securityContext.windowsOptions");
            let detail = "windows options cannot be set for a linux pod";
            errors.push(FieldError::forbidden(path, detail));
        }
    };
    check(path, spec);
    for ((list, index), container) in containers(spec) {
        check(format_args!("{path}.{list}[{index}]"), container);
    }
}

/// Complaints about what a pod for Windows cannot have.
pub(super) fn only_for_windows(errors: &mut Vec<FieldError>, spec: &Value, path: Arguments<'_>) {
    let detail = "cannot be set for a windows pod";
    for field in OF_LINUX {
        // These two are the same to upstream when they are false and when they are not there.
        let may_be_false = matches!(field, "hostPID" | "hostIPC");
        if is_set(spec, field) && (!may_be_false || is_true(&spec[field], "")) {
            errors.push(FieldError::forbidden(format!("{path}.{field}"), detail));
        }
    }
    let mut check = |path: Arguments<'_>, owner: &Value, fields: &[&str]| {
        let context = &owner["securityContext"];
        for field in fields {
            let empty = *field == "sysctls" && is_unset(context.get(*field));
            if is_set(context, field) && !empty {
                errors.push(FieldError::forbidden(
                    format!("{path}.securityContext.{field}"),
                    detail,
                ));
            }
        }
    };
    check(path, spec, &OF_LINUX_PODS);
    for ((list, index), container) in containers(spec) {
        check(
            format_args!("{path}.{list}[{index}]"),
            container,
            &OF_LINUX_CONTAINERS,
        );
    }
}

/// Either every container of a pod is a process of the host, or none (`validateWindowsHostProcessPod`).
pub(super) fn host_process(errors: &mut Vec<FieldError>, spec: &Value, path: Arguments<'_>) {
    let of = |owner: &Value| {
        owner
            .pointer("/securityContext/windowsOptions/hostProcess")
            .and_then(Value::as_bool)
    };
    let pod = of(spec);
    let (mut all, mut on_host) = (0, 0);
    for ((list, index), container) in containers(spec) {
        all += 1;
        let own = of(container);
        on_host += usize::from(own.or(pod) == Some(true));
        if let (Some(pod), Some(own)) = (pod, own)
            && pod != own
        {
            errors.push(FieldError::invalid(
                format!("{path}.{list}[{index}].securityContext.windowsOptions.hostProcess"),
                own,
                &format!("pod hostProcess value must be identical if both are specified, was {pod}"),
            ));
        }
    }
    if on_host == 0 {
        return;
    }
    if on_host != all {
        let detail =
            "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        errors.push(FieldError::invalid(path, "", detail));
    }
    if !is_true(spec, "/hostNetwork") {
        let detail = "hostNetwork must be true if pod contains any hostProcess containers";
        errors.push(FieldError::invalid(format!("{path}.hostNetwork"), false, detail));
    }
}

/// Complaints about `windowsOptions` of a security context at `path` (`validateWindowsSecurityContextOptions`).
pub(super) fn options(errors: &mut Vec<FieldError>, context: &Value, path: Arguments<'_>) {
    let Some(options) = context
        .get("windowsOptions")
        .filter(|options| options.is_object())
    else {
        return;
    };
    let path = format_args!("{path}.windowsOptions");
    let given = |field: &str| options.get(field).and_then(Value::as_str);
    if let Some(name) = given("gmsaCredentialSpecName") {
        errors.extend(FieldError::complaints(
            format_args!("{path}.gmsaCredentialSpecName"),
            name,
            names::dns1123_subdomain(name),
        ));
    }
    if let Some(spec) = given("gmsaCredentialSpec") {
        let path = format!("{path}.gmsaCredentialSpec");
        if spec.is_empty() {
            let detail = "gmsaCredentialSpec cannot be an empty string";
            errors.push(FieldError::invalid(path, spec, detail));
        } else if spec.len() > LARGEST_SPEC * 1024 {
            let detail = format!("gmsaCredentialSpec size must be under {LARGEST_SPEC} KiB");
            errors.push(FieldError::invalid(path, spec, &detail));
        }
    }
    if let Some(name) = given("runAsUserName") {
        for detail in user_name(name) {
            errors.push(FieldError::invalid(
                format!("{path}.runAsUserName"),
                name,
                &detail,
            ));
        }
    }
}

/// What is wrong with a user, before which its domain and a backslash may stand.
fn user_name(name: &str) -> Vec<String> {
    if name.is_empty() {
        return vec!["runAsUserName cannot be an empty string".to_owned()];
    }
    if name.chars().any(|c| c.is_ascii_control()) {
        return vec!["runAsUserName cannot contain control characters".to_owned()];
    }
    let (domain, user) = match name.split_once('\\') {
        Some((_, user)) if user.contains('\\') => {
            return vec!["runAsUserName cannot contain more than one backslash".to_owned()];
        }
        Some((domain, user)) => (Some(domain), user),
        None => (None, name),
    };
    let mut wrong = Vec::new();
    if let Some(domain) = domain {
        if domain.len() >= LONGEST_DOMAIN {
            wrong.push(format!(
                "runAsUserName's Domain length must be under {LONGEST_DOMAIN} characters"
            ));
        }
        if !is_net_bios(domain) && !is_dns(domain) {
            wrong.push("runAsUserName's Domain doesn't match the NetBios nor the DNS format".to_owned());
        }
    }
    if user.is_empty() {
        wrong.push("runAsUserName's User cannot be empty".to_owned());
    } else if user.len() > LONGEST_USER {
        wrong.push(format!(
            "runAsUserName's User length must not be longer than {LONGEST_USER} characters"
        ));
    }
    if !user.is_empty() && user.chars().all(|c| matches!(c, '.' | ' ')) {
        wrong.push("runAsUserName's User cannot contain only periods or spaces".to_owned());
    }
    if user.contains(|c| "\"/\\:;|=,+*?<>@[]".contains(c)) {
        wrong.push(
            "runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]".to_owned(),
        );
    }
    wrong
}

/// One to fifteen characters, of which the first is no dot and none is reserved.
fn is_net_bios(domain: &str) -> bool {
    (1..=15).contains(&domain.chars().count())
        && !domain.starts_with('.')
        && !domain.contains(|c| "\\/:*?\"<>|".contains(c))
}

/// Labels of letters of either case, digits and hyphens inside.
fn is_dns(domain: &str) -> bool {
    domain
        .split('.')
        .all(|label| names::dns1123_label(&label.to_ascii_lowercase()).is_empty())
}
