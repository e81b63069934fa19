//! What a pod asks of the system below it: name resolution, sysctls, confinement.

use std::collections::HashSet;
use std::fmt::Arguments;

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::go;
use crate::kinds::json::{is_true, items, text};

/// Most name servers, as the C library reads them.
const MOST_SERVERS: usize = 3;
/// Most search domains, and most bytes of all of them with a space between each.
const MOST_SEARCHES: usize = 32;
const MOST_SEARCH_BYTES: usize = 2048;
/// Longest name of a sysctl.
const LONGEST_SYSCTL: usize = 253;

/// Complaints about `dnsConfig` of a pod spec at `path`.
pub(super) fn dns(errors: &mut Vec<FieldError>, spec: &Value, path: Arguments<'_>) {
    let path = format_args!("{path}.dnsConfig");
    let alone = text(spec, "/dnsPolicy") == "None";
    let Some(config) = spec.get("dnsConfig").filter(|config| config.is_object()) else {
        if alone {
            let detail = "must provide `dnsConfig` when `dnsPolicy` is None";
            errors.push(FieldError::required(path, detail));
        }
        return;
    };
    let servers = items(config, "/nameservers");
    if alone && servers.is_empty() {
        let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
        errors.push(FieldError::required(format!("{path}.nameservers"), detail));
        return;
    }
    if servers.len() > MOST_SERVERS {
        let detail = format!("must not have more than {MOST_SERVERS} nameservers");
        let at = format_args!("{path}.nameservers");
        errors.push(FieldError::invalid_shown(
            at,
            &go::list("string", servers),
            &detail,
        ));
    }
    for (index, server) in servers.iter().enumerate() {
        let server = server.as_str().unwrap_or_default();
        errors.extend(FieldError::complaints(
            format_args!("{path}.nameservers[{index}]"),
            server,
            names::ip(server),
        ));
    }
    let searches = items(config, "/searches");
    if searches.len() > MOST_SEARCHES {
        let detail = format!("must not have more than {MOST_SEARCHES} search paths");
        let at = format_args!("{path}.searches");
        errors.push(FieldError::invalid_shown(
            at,
            &go::list("string", searches),
            &detail,
        ));
    }
    let texts: Vec<&str> = searches.iter().filter_map(Value::as_str).collect();
    if texts.join(" ").len() > MOST_SEARCH_BYTES {
        let detail = format!(
            "must not have more than {MOST_SEARCH_BYTES} characters (including spaces) in the search list"
        );
        let at = format_args!("{path}.searches");
        errors.push(FieldError::invalid_shown(
            at,
            &go::list("string", searches),
            &detail,
        ));
    }
    for (index, search) in texts.iter().enumerate() {
        // Since 1.33 the root alone is one, and names of services may have underscores.
        let plain = search.strip_suffix('.').unwrap_or(search).replace('_', "x");
        if *search == "." {
            continue;
        }
        errors.extend(FieldError::complaints(
            format_args!("{path}.searches[{index}]"),
            *search,
            names::dns1123_subdomain(&plain),
        ));
    }
    for (index, option) in items(config, "/options").iter().enumerate() {
        if text(option, "/name").is_empty() {
            let path = format_args!("{path}.options[{index}]");
            errors.push(FieldError::required(path, "must not be empty"));
        }
    }
}

/// Complaints about `securityContext.sysctls` of a pod spec at `path`.
pub(super) fn sysctls(errors: &mut Vec<FieldError>, spec: &Value, path: Arguments<'_>) {
    let mut seen = HashSet::new();
    for (index, sysctl) in items(spec, "/securityContext/sysctls").iter().enumerate() {
        let name = text(sysctl, "/name");
        let path = format_args!("{path}.securityContext.sysctls[{index}].name");
        if name.is_empty() {
            errors.push(FieldError::required(path, ""));
        } else if !is_sysctl(name) {
            let detail = format!(
                "must have at most {LONGEST_SYSCTL} characters and match regex \
                 ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
            );
            errors.push(FieldError::invalid(path, name, &detail));
        } else if !seen.insert(name.replace('/', ".")) {
            errors.push(FieldError::duplicate(path, name));
        }
        // What is the node's cannot be the pod's.
        for (of_host, prefix) in [
            ("/hostNetwork", "net."),
            ("/hostIPC", "fs.mqueue."),
            ("/hostIPC", "kernel.shm"),
            ("/hostIPC", "kernel.msg"),
            ("/hostIPC", "kernel.sem"),
        ] {
            if is_true(spec, of_host) && name.replace('/', ".").starts_with(prefix) {
                let field = &of_host[1..];
                let detail = format!("may not be specified when '{field}' is true");
                let path = path.to_string();
                let path = path.trim_end_matches(".name");
                errors.push(FieldError::invalid(format!("{path}.name"), name, &detail));
            }
        }
    }
}

/// Whether it is parts with dots or slashes between them, each of letters, digits, `-` and `_` inside.
fn is_sysctl(name: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let part = |part: &str| {
        let bytes = part.as_bytes();
        matches!((bytes.first(), bytes.last()), (Some(first), Some(last)) if alphanumeric(*first) && alphanumeric(*last))
            && bytes.iter().all(|b| alphanumeric(*b) || matches!(b, b'-' | b'_'))
    };
    name.len() <= LONGEST_SYSCTL && name.split(['.', '/']).all(part)
}

/// Longest name of an AppArmor profile, in bytes.
pub(super) const LONGEST_PROFILE: usize = 4095;

/// Complaints about `seccompProfile` and `appArmorProfile` of a security context at `path`.
pub(super) fn profiles(errors: &mut Vec<FieldError>, context: &Value, path: Arguments<'_>) {
    const TYPES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];
    for (field, name) in [("seccompProfile", "seccomp"), ("appArmorProfile", "AppArmor")] {
        let Some(profile) = context.get(field).filter(|profile| profile.is_object()) else {
            continue;
        };
        let path = format_args!("{path}.{field}");
        let (kind, local) = (text(profile, "/type"), profile.get("localhostProfile"));
        let local = local.and_then(Value::as_str);
        match kind {
            "Localhost" if local.is_none() || (local == Some("") && field == "appArmorProfile") => {
                let detail = format!("must be set when {name} type is Localhost");
                errors.push(FieldError::required(format!("{path}.localhostProfile"), &detail));
            }
            // The name of a loaded profile, which is often the path of a program.
            "Localhost" if field == "appArmorProfile" => {
                let local = local.unwrap_or_default();
                let path = format_args!("{path}.localhostProfile");
                if local.trim() != local {
                    errors.push(FieldError::invalid(
                        path,
                        local,
                        "must not be padded with whitespace",
                    ));
                } else if local.len() > LONGEST_PROFILE {
                    errors.push(FieldError::too_long(path, LONGEST_PROFILE));
                }
            }
            "Localhost" => {
                let local = local.unwrap_or_default();
                super::volume_checks::relative_path(errors, local, format_args!("{path}.localhostProfile"));
            }
            "RuntimeDefault" | "Unconfined" => {}
            "" => errors.push(FieldError::required(
                format!("{path}.type"),
                &format!("type is required when {field} is set"),
            )),
            other => errors.push(FieldError::not_supported(format!("{path}.type"), other, &TYPES)),
        }
        // Of AppArmor, only what types are known is told.
        let is_other = match field {
            "seccompProfile" => kind != "Localhost",
            _ => matches!(kind, "RuntimeDefault" | "Unconfined"),
        };
        if let Some(local) = local.filter(|_| is_other) {
            let detail = format!("can only be set when {name} type is Localhost");
            errors.push(FieldError::invalid(
                format!("{path}.localhostProfile"),
                local,
                &detail,
            ));
        }
    }
}
