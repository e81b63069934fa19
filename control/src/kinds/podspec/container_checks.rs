//! What containers must be (`validateContainers`).

mod devices;
pub(super) mod env;
mod groups;
mod handlers;
mod mounts;
mod resize;
mod resources;

use std::collections::{HashMap, HashSet};
use std::fmt::Arguments;

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

pub(in crate::kinds) use self::resources::{overcommits, overhead};
use crate::kinds::json::{int, is_true, items, text};

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
    path: Arguments<'_>,
    volumes: &HashMap<&str, &Value>,
    group: Group,
) {
    let list = items(&spec[group.field()], "");
    let path = format_args!("{path}.{}", group.field());
    if list.is_empty() && group == Group::Main {
        errors.push(FieldError::required(path, ""));
    }
    // Names are unique over all three lists.
    let mut taken: HashSet<&str> = [Group::Main, Group::Init]
        .into_iter()
        .take_while(|other| *other != group)
        .flat_map(|other| items(&spec[other.field()], ""))
        .map(|container| text(container, "/name"))
        .collect();
    let targets = taken.clone();
    let mut host_ports = HashSet::new();
    for (index, container) in list.iter().enumerate() {
        let path = format_args!("{path}[{index}]");
        name(errors, container, path, &mut taken);
        common(errors, container, path, volumes, spec);
        devices::check(errors, volumes, container, path);
        // Init containers run one after the other, and so may have the same port of the host.
        if group == Group::Init {
            host_ports.clear();
        }
        ports(errors, container, path, &mut host_ports);
        resources::check(errors, container, path);
        resize::check(errors, container, path, text(spec, "/restartPolicy"));
        groups::check(errors, container, path, group, spec);
        let target = text(container, "/targetContainerName");
        if group == Group::Ephemeral && !target.is_empty() && !targets.contains(target) {
            errors.push(FieldError::not_found(
                format!("{path}.targetContainerName"),
                target,
            ));
        }
    }
}

fn name<'a>(
    errors: &mut Vec<FieldError>,
    container: &'a Value,
    path: Arguments<'_>,
    taken: &mut HashSet<&'a str>,
) {
    let name = text(container, "/name");
    let path = format_args!("{path}.name");
    if name.is_empty() {
        errors.push(FieldError::required(path, ""));
        return;
    }
    errors.extend(FieldError::complaints(path, name, names::dns1123_label(name)));
    if !taken.insert(name) {
        errors.push(FieldError::duplicate(path, name));
    }
}

fn common(
    errors: &mut Vec<FieldError>,
    container: &Value,
    path: Arguments<'_>,
    volumes: &HashMap<&str, &Value>,
    spec: &Value,
) {
    let image = text(container, "/image");
    if image.is_empty() {
        errors.push(FieldError::required(format!("{path}.image"), ""));
    }
    let choices: [(&str, &[&str]); 2] = [
        ("terminationMessagePolicy", &["File", "FallbackToLogsOnError"]),
        ("imagePullPolicy", &["Always", "IfNotPresent", "Never"]),
    ];
    for (field, allowed) in choices {
        match text(&container[field], "") {
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
    mounts::check(errors, container, path, volumes);
    let own_users = spec.get("hostUsers") == Some(&Value::Bool(false));
    security(errors, container, path, own_users);
}

/// `own_users`: whether the pod has a user namespace of its own.
fn security(errors: &mut Vec<FieldError>, container: &Value, path: Arguments<'_>, own_users: bool) {
    let Some(context) = container
        .get("securityContext")
        .filter(|context| context.is_object())
    else {
        return;
    };
    let path = format_args!("{path}.securityContext");
    for field in ["runAsUser", "runAsGroup"] {
        if let Some(id) = int(&context[field], "")
            && !(0..=i64::from(i32::MAX)).contains(&id)
        {
            let detail = names::range(0, i32::MAX.into());
            errors.push(FieldError::invalid(format!("{path}.{field}"), id, &detail));
        }
    }
    let mount = text(context, "/procMount");
    if !matches!(mount, "" | "Default" | "Unmasked") {
        let path = format_args!("{path}.procMount");
        errors.push(FieldError::not_supported(path, mount, &["Default", "Unmasked"]));
    } else if mount == "Unmasked" && !own_users {
        // Files of /proc are masked from root, which a user namespace of its own keeps away as well.
        let detail = "`hostUsers` must be false to use `Unmasked`";
        errors.push(FieldError::invalid(format!("{path}.procMount"), mount, detail));
    }
    super::system::profiles(errors, context, path);
    super::windows::options(errors, context, path);
    if context.get("allowPrivilegeEscalation") == Some(&Value::Bool(false)) {
        if is_true(context, "/privileged") {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            errors.push(FieldError::invalid(path, context.clone(), detail));
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

fn ports(
    errors: &mut Vec<FieldError>,
    container: &Value,
    path: Arguments<'_>,
    host_ports: &mut HashSet<String>,
) {
    let mut port_names = HashSet::new();
    for (index, port) in items(container, "/ports").iter().enumerate() {
        let path = format_args!("{path}.ports[{index}]");
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
