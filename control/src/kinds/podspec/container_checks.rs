//! What containers must be (`validateContainers`).

mod devices;
pub(super) mod env;
mod handlers;
mod resources;

use std::collections::{HashMap, HashSet};

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::json::{int, is_true, is_unset, items, text};

/// The three lists of containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    Main,
    Init,
    Ephemeral,
}

impl Group {
    fn field(self) -> &'static str {
        match self {
            Self::Main => "containers",
            Self::Init => "initContainers",
            Self::Ephemeral => "ephemeralContainers",
        }
    }
}

/// Complaints about one list of containers. `volumes` are those that they may use, by name.
pub(super) fn containers(
    errors: &mut Vec<FieldError>,
    spec: &Value,
    path: &str,
    volumes: &HashMap<&str, &Value>,
    group: Group,
) {
    let list = items(spec, &format!("/{}", group.field()));
    let path = format!("{path}.{}", group.field());
    if list.is_empty() && group == Group::Main {
        errors.push(FieldError::required(path.as_str(), ""));
    }
    // Names are unique over all three lists.
    let mut taken: HashSet<&str> = [Group::Main, Group::Init]
        .into_iter()
        .take_while(|other| *other != group)
        .flat_map(|other| items(spec, &format!("/{}", other.field())))
        .map(|container| text(container, "/name"))
        .collect();
    let main: HashSet<&str> = items(spec, "/containers")
        .iter()
        .map(|container| text(container, "/name"))
        .collect();
    let mut host_ports = HashSet::new();
    for (index, container) in list.iter().enumerate() {
        let path = format!("{path}[{index}]");
        name(errors, container, &path, &mut taken);
        common(errors, container, &path, volumes);
        devices::check(errors, volumes, container, &path);
        ports(errors, container, &path, &mut host_ports);
        resources::check(errors, container, &path);
        by_group(errors, container, &path, group);
        let target = text(container, "/targetContainerName");
        if group == Group::Ephemeral && !target.is_empty() && !main.contains(target) {
            errors.push(FieldError::not_found(
                format!("{path}.targetContainerName"),
                target,
            ));
        }
    }
}

fn name<'a>(errors: &mut Vec<FieldError>, container: &'a Value, path: &str, taken: &mut HashSet<&'a str>) {
    let name = text(container, "/name");
    let path = format!("{path}.name");
    if name.is_empty() {
        errors.push(FieldError::required(path, ""));
        return;
    }
    errors.extend(FieldError::complaints(&path, name, names::dns1123_label(name)));
    if !taken.insert(name) {
        errors.push(FieldError::duplicate(path, name));
    }
}

fn common(errors: &mut Vec<FieldError>, container: &Value, path: &str, volumes: &HashMap<&str, &Value>) {
    let image = text(container, "/image");
    if image.is_empty() {
        errors.push(FieldError::required(format!("{path}.image"), ""));
    }
    let choices: [(&str, &[&str]); 2] = [
        ("terminationMessagePolicy", &["File", "FallbackToLogsOnError"]),
        ("imagePullPolicy", &["Always", "IfNotPresent", "Never"]),
    ];
    for (field, allowed) in choices {
        match text(container, &format!("/{field}")) {
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
    env::check(errors, container, path);
    mounts(errors, container, path, volumes);
    security(errors, container, path);
}

fn mounts(errors: &mut Vec<FieldError>, container: &Value, path: &str, volumes: &HashMap<&str, &Value>) {
    let mut places = HashSet::new();
    // Upstream leaves the index out of some paths.
    let all = format!("{path}.volumeMounts");
    for (index, mount) in items(container, "/volumeMounts").iter().enumerate() {
        let path = format!("{all}[{index}]");
        let (name, place) = (text(mount, "/name"), text(mount, "/mountPath"));
        if name.is_empty() {
            errors.push(FieldError::required(format!("{path}.name"), ""));
        }
        if !volumes.contains_key(name) {
            errors.push(FieldError::not_found(format!("{path}.name"), name));
        }
        if place.is_empty() {
            errors.push(FieldError::required(format!("{path}.mountPath"), ""));
        }
        if !places.insert(place) {
            errors.push(FieldError::invalid(
                format!("{path}.mountPath"),
                place,
                "must be unique",
            ));
        }
        let (plain, expanded) = (text(mount, "/subPath"), text(mount, "/subPathExpr"));
        if !plain.is_empty() && !expanded.is_empty() {
            let detail = "subPathExpr and subPath are mutually exclusive";
            errors.push(FieldError::invalid(
                format!("{path}.subPathExpr"),
                expanded,
                detail,
            ));
        }
        super::volume_checks::relative_path(errors, plain, &format!("{all}.subPath"));
        super::volume_checks::relative_path(errors, expanded, &format!("{all}.subPathExpr"));
        let Some(propagation) = mount.get("mountPropagation").and_then(Value::as_str) else {
            continue;
        };
        let path = format!("{all}.mountPropagation");
        let allowed = ["Bidirectional", "HostToContainer", "None"];
        if !allowed.contains(&propagation) {
            errors.push(FieldError::not_supported(path.as_str(), propagation, &allowed));
        }
        if propagation == "Bidirectional" && !is_true(container, "/securityContext/privileged") {
            let detail = "Bidirectional mount propagation is available only to privileged containers";
            errors.push(FieldError::forbidden(path, detail));
        }
    }
}

fn security(errors: &mut Vec<FieldError>, container: &Value, path: &str) {
    let Some(context) = container
        .get("securityContext")
        .filter(|context| context.is_object())
    else {
        return;
    };
    let path = format!("{path}.securityContext");
    for field in ["runAsUser", "runAsGroup"] {
        if let Some(id) = int(context, &format!("/{field}"))
            && !(0..=i64::from(i32::MAX)).contains(&id)
        {
            let detail = names::range(0, i32::MAX.into());
            errors.push(FieldError::invalid(format!("{path}.{field}"), id, &detail));
        }
    }
    let mount = text(context, "/procMount");
    if !matches!(mount, "" | "Default" | "Unmasked") {
        let path = format!("{path}.procMount");
        errors.push(FieldError::not_supported(path, mount, &["Default", "Unmasked"]));
    }
    super::system::profiles(errors, context, &path);
    if context.get("allowPrivilegeEscalation") == Some(&Value::Bool(false)) {
        if is_true(context, "/privileged") {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            errors.push(FieldError::invalid(path.as_str(), context.clone(), detail));
        }
        if items(context, "/capabilities/add")
            .iter()
            .any(|capability| capability == "CAP_SYS_ADMIN")
        {
            let detail =
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            errors.push(FieldError::invalid(path, context.clone(), detail));
        }
    }
}

fn ports(errors: &mut Vec<FieldError>, container: &Value, path: &str, host_ports: &mut HashSet<String>) {
    let mut port_names = HashSet::new();
    for (index, port) in items(container, "/ports").iter().enumerate() {
        let path = format!("{path}.ports[{index}]");
        let name = text(port, "/name");
        if !name.is_empty() {
            if !port_names.insert(name) {
                errors.push(FieldError::duplicate(format!("{path}.name"), name));
            }
            errors.extend(FieldError::complaints(
                format_args!("{path}.name"),
                name,
                names::port_name(name),
            ));
        }
        let (number, host) = (
            int(port, "/containerPort").unwrap_or(0),
            int(port, "/hostPort").unwrap_or(0),
        );
        if number == 0 {
            errors.push(FieldError::required(format!("{path}.containerPort"), ""));
        } else {
            errors.extend(FieldError::complaints(
                format_args!("{path}.containerPort"),
                number,
                names::port_number(number),
            ));
        }
        let protocol = text(port, "/protocol");
        if host != 0 {
            errors.extend(FieldError::complaints(
                format_args!("{path}.hostPort"),
                host,
                names::port_number(host),
            ));
            let key = format!("{protocol}/{}/{host}", text(port, "/hostIP"));
            if !host_ports.insert(key.clone()) {
                errors.push(FieldError::duplicate(format!("{path}.hostPort"), key.as_str()));
            }
        }
        if protocol.is_empty() {
            errors.push(FieldError::required(format!("{path}.protocol"), ""));
        } else if !matches!(protocol, "TCP" | "UDP" | "SCTP") {
            let allowed = ["SCTP", "TCP", "UDP"];
            errors.push(FieldError::not_supported(
                format!("{path}.protocol"),
                protocol,
                &allowed,
            ));
        }
    }
}

/// Fields that make sense only for containers that keep running.
const LIVING: [&str; 4] = ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"];

/// Probes and hooks belong to containers that stay; restart policies to init containers.
fn by_group(errors: &mut Vec<FieldError>, container: &Value, path: &str, group: Group) {
    let policy = text(container, "/restartPolicy");
    let sidecar = group == Group::Init && policy == "Always";
    if !policy.is_empty() {
        let path = format!("{path}.restartPolicy");
        match group {
            Group::Init if !sidecar => errors.push(FieldError::not_supported(path, policy, &["Always"])),
            Group::Init => {}
            Group::Main => errors.push(FieldError::forbidden(
                path,
                "may not be set for non-init containers",
            )),
            Group::Ephemeral => {
                errors.push(FieldError::forbidden(
                    path,
                    "cannot be set for an Ephemeral Container",
                ));
            }
        }
    }
    match group {
        Group::Main => handlers::check(errors, container, path),
        Group::Init if sidecar => handlers::check(errors, container, path),
        Group::Init => {
            for field in LIVING
                .into_iter()
                .filter(|field| !is_unset(container.get(*field)))
            {
                let detail = "may not be set for init containers without restartPolicy=Always";
                errors.push(FieldError::forbidden(format!("{path}.{field}"), detail));
            }
        }
        Group::Ephemeral => {
            for field in LIVING.into_iter().chain(["ports"]) {
                if !is_unset(container.get(field)) {
                    let detail = "cannot be set for an Ephemeral Container";
                    errors.push(FieldError::forbidden(format!("{path}.{field}"), detail));
                }
            }
        }
    }
}
