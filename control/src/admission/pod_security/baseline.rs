//! The baseline standard: no known way out of the container.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Check::{Always, Versioned};
use super::{Check, bad_containers, containers, named, quoted};
use crate::admission::fields::{items, text};

/// The checks in upstream's order (by identifier), and since which minor version `restricted` has a stricter one
/// instead.
pub const CHECKS: &[(Check, Option<u32>)] = &[
    (Always(app_armor), None),
    (Always(capabilities), Some(22)),
    (Always(host_namespaces), None),
    (Always(host_path), Some(0)),
    (Always(host_ports), None),
    (Always(privileged), None),
    (Always(proc_mount), None),
    (Versioned(se_linux), None),
    (Always(seccomp), Some(19)),
    (Versioned(sysctls), None),
    (Always(host_process), None),
];

const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Sysctls that belong to the pod's namespaces alone, and the minor version since which they are allowed.
const SYSCTLS: [(&str, u32); 12] = [
    ("kernel.shm_rmid_forced", 0),
    ("net.ipv4.ip_local_port_range", 0),
    ("net.ipv4.ip_unprivileged_port_start", 0),
    ("net.ipv4.ping_group_range", 0),
    ("net.ipv4.tcp_syncookies", 0),
    ("net.ipv4.ip_local_reserved_ports", 27),
    ("net.ipv4.tcp_fin_timeout", 29),
    ("net.ipv4.tcp_keepalive_intvl", 29),
    ("net.ipv4.tcp_keepalive_probes", 29),
    ("net.ipv4.tcp_keepalive_time", 29),
    ("net.ipv4.tcp_rmem", 32),
    ("net.ipv4.tcp_wmem", 32),
];

/// SELinux types of containers, likewise.
const SE_LINUX_TYPES: [(&str, u32); 5] = [
    ("", 0),
    ("container_t", 0),
    ("container_init_t", 0),
    ("container_kvm_t", 0),
    ("container_engine_t", 31),
];

/// Whether a table allows a value in a version.
fn allows(table: &[(&str, u32)], value: &str, minor: u32) -> bool {
    table
        .iter()
        .any(|(allowed, since)| *allowed == value && minor >= *since)
}

fn app_armor(pod: &Value) -> Option<String> {
    let mut problems = Vec::new();
    let unconfined = |holder: &Value| text(holder, "/securityContext/appArmorProfile/type") == "Unconfined";
    if unconfined(&pod["spec"]) {
        problems.push("pod must not set AppArmor profile type to \"Unconfined\"".to_owned());
    }
    let bad = bad_containers(pod, unconfined);
    if !bad.is_empty() {
        problems.push(format!(
            "{} must not set AppArmor profile type to \"Unconfined\"",
            named("container", &bad)
        ));
    }
    let annotations = pod["metadata"]["annotations"].as_object().into_iter().flatten();
    for (key, value) in
        annotations.filter(|(key, _)| key.starts_with("container.apparmor.security.beta.kubernetes.io/"))
    {
        let value = value.as_str().unwrap_or_default();
        if !value.is_empty() && value != "runtime/default" && !value.starts_with("localhost/") {
            problems.push(format!("{key}={value:?}"));
        }
    }
    let word = if problems.len() == 1 {
        "profile"
    } else {
        "profiles"
    };
    (!problems.is_empty()).then(|| format!("forbidden AppArmor {word} ({})", problems.join(", ")))
}

fn host_namespaces(pod: &Value) -> Option<String> {
    let set: Vec<String> = ["hostNetwork", "hostPID", "hostIPC"]
        .into_iter()
        .filter(|field| pod["spec"][*field] == true)
        .map(|field| format!("{field}=true"))
        .collect();
    (!set.is_empty()).then(|| format!("host namespaces ({})", set.join(", ")))
}

fn host_ports(pod: &Value) -> Option<String> {
    let used = |container: &Value| -> Vec<i64> {
        items(container, "/ports")
            .iter()
            .filter_map(|port| port["hostPort"].as_i64())
            .filter(|port| *port != 0)
            .collect()
    };
    let names = bad_containers(pod, |container| !used(container).is_empty());
    let ports: BTreeSet<i64> = containers(pod).flat_map(used).collect();
    let list = ports.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
    let verb = if names.len() == 1 { "uses" } else { "use" };
    let plural = if ports.len() == 1 { "" } else { "s" };
    (!names.is_empty()).then(|| {
        format!(
            "hostPort ({} {verb} hostPort{plural} {list})",
            named("container", &names)
        )
    })
}

fn privileged(pod: &Value) -> Option<String> {
    let bad = bad_containers(pod, |container| {
        container["securityContext"]["privileged"] == true
    });
    (!bad.is_empty()).then(|| {
        format!(
            "privileged ({} must not set securityContext.privileged=true)",
            named("container", &bad)
        )
    })
}

fn proc_mount(pod: &Value) -> Option<String> {
    let mount = |container: &Value| text(container, "/securityContext/procMount").to_owned();
    let bad = bad_containers(pod, |container| {
        !matches!(mount(container).as_str(), "" | "Default")
    });
    let values: BTreeSet<String> = containers(pod)
        .map(mount)
        .filter(|mount| !matches!(mount.as_str(), "" | "Default"))
        .collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    (!bad.is_empty()).then(|| {
        format!(
            "procMount ({} must not set securityContext.procMount to {})",
            named("container", &bad),
            quoted(&values)
        )
    })
}

fn se_linux(pod: &Value, minor: u32) -> Option<String> {
    let bad = |holder: &Value| {
        let options = &holder["securityContext"]["seLinuxOptions"];
        !allows(&SE_LINUX_TYPES, text(options, "/type"), minor)
            || !text(options, "/user").is_empty()
            || !text(options, "/role").is_empty()
    };
    let mut setters = Vec::new();
    if bad(&pod["spec"]) {
        setters.push("pod".to_owned());
    }
    let names = bad_containers(pod, bad);
    if !names.is_empty() {
        setters.push(named("container", &names));
    }
    if setters.is_empty() {
        return None;
    }
    let (mut types, mut user, mut role) = (BTreeSet::new(), false, false);
    for holder in std::iter::once(&pod["spec"]).chain(containers(pod)) {
        let options = &holder["securityContext"]["seLinuxOptions"];
        let kind = text(options, "/type");
        if !allows(&SE_LINUX_TYPES, kind, minor) {
            types.insert(kind);
        }
        user |= !text(options, "/user").is_empty();
        role |= !text(options, "/role").is_empty();
    }
    let mut values = Vec::new();
    if !types.is_empty() {
        let types: Vec<&str> = types.into_iter().collect();
        values.push(named("type", &types));
    }
    if user {
        values.push("user may not be set".to_owned());
    }
    if role {
        values.push("role may not be set".to_owned());
    }
    Some(format!(
        "seLinuxOptions ({} set forbidden securityContext.seLinuxOptions: {})",
        setters.join(" and "),
        values.join("; ")
    ))
}

fn sysctls(pod: &Value, minor: u32) -> Option<String> {
    let names = items(pod, "/spec/securityContext/sysctls")
        .iter()
        .map(|sysctl| text(sysctl, "/name"));
    let bad: Vec<&str> = names.filter(|name| !allows(&SYSCTLS, name, minor)).collect();
    (!bad.is_empty()).then(|| format!("forbidden sysctls ({})", bad.join(", ")))
}

fn host_process(pod: &Value) -> Option<String> {
    let set = |holder: &Value| holder["securityContext"]["windowsOptions"]["hostProcess"] == true;
    let mut setters = Vec::new();
    if set(&pod["spec"]) {
        setters.push("pod".to_owned());
    }
    let bad = bad_containers(pod, set);
    if !bad.is_empty() {
        setters.push(named("container", &bad));
    }
    (!setters.is_empty()).then(|| {
        format!(
            "hostProcess ({} must not set securityContext.windowsOptions.hostProcess=true)",
            setters.join(" and ")
        )
    })
}

fn added(container: &Value) -> impl Iterator<Item = &str> {
    items(container, "/securityContext/capabilities/add")
        .iter()
        .filter_map(Value::as_str)
}

fn capabilities(pod: &Value) -> Option<String> {
    let forbidden = |capability: &&str| !CAPABILITIES.contains(capability);
    let bad = bad_containers(pod, |container| {
        added(container).any(|capability| forbidden(&capability))
    });
    let which: BTreeSet<&str> = containers(pod).flat_map(added).filter(forbidden).collect();
    let which: Vec<&str> = which.into_iter().collect();
    (!bad.is_empty()).then(|| {
        format!(
            "non-default capabilities ({} must not include {} in securityContext.capabilities.add)",
            named("container", &bad),
            quoted(&which)
        )
    })
}

fn host_path(pod: &Value) -> Option<String> {
    let volumes = items(pod, "/spec/volumes")
        .iter()
        .filter(|volume| !volume["hostPath"].is_null());
    let names: Vec<&str> = volumes.map(|volume| text(volume, "/name")).collect();
    (!names.is_empty()).then(|| format!("hostPath volumes ({})", named("volume", &names)))
}

fn seccomp(pod: &Value) -> Option<String> {
    let unconfined = |holder: &Value| text(holder, "/securityContext/seccompProfile/type") == "Unconfined";
    let mut setters = Vec::new();
    if unconfined(&pod["spec"]) {
        setters.push("pod".to_owned());
    }
    let bad = bad_containers(pod, unconfined);
    if !bad.is_empty() {
        setters.push(named("container", &bad));
    }
    (!setters.is_empty()).then(|| {
        format!(
            "seccompProfile ({} must not set securityContext.seccompProfile.type to \"Unconfined\")",
            setters.join(" and ")
        )
    })
}
