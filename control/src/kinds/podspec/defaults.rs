//! Defaults of pods and pod templates (`SetDefaults_Pod`, `SetDefaults_PodSpec`, `SetDefaults_Container`).

use serde_json::{Map, Value, json};

use super::volume_defaults::default_volume;
use crate::kinds::json::{list, object_or_new, set_default, set_zero};

/// Defaults of the spec of a real pod. Beyond those of templates: service links, requests taken from limits, and ports
/// of the host.
pub(in crate::kinds) fn default_pod_spec(spec: &mut Map<String, Value>) {
    set_default(spec, "enableServiceLinks", true);
    for key in ["containers", "initContainers"] {
        for container in list(spec, key) {
            requests_from_limits(container);
        }
    }
    default_spec(spec);
    if spec.get("hostNetwork") == Some(&Value::Bool(true)) {
        host_ports(spec);
    }
}

/// On the network of the host, a container's port is the host's. Templates keep what was written, so that they stay alike.
fn host_ports(spec: &mut Map<String, Value>) {
    for key in ["containers", "initContainers"] {
        for container in list(spec, key) {
            for port in list(container, "ports") {
                let number = port.get("containerPort").cloned().unwrap_or_default();
                set_zero(port, "hostPort", number);
            }
        }
    }
}

/// Defaults of the template in `spec`, where upstream's type always has one.
pub(in crate::kinds) fn default_template_in(spec: &mut Map<String, Value>) {
    object_or_new(spec, "template");
    if let Some(template) = spec.get_mut("template") {
        default_template(template);
    }
}

/// Defaults of a pod template.
pub(in crate::kinds) fn default_template(template: &mut Value) {
    let Some(template) = template.as_object_mut() else {
        return;
    };
    object_or_new(template, "metadata");
    if let Some(spec) = object_or_new(template, "spec") {
        default_spec(spec);
    }
}

fn default_spec(spec: &mut Map<String, Value>) {
    set_zero(spec, "dnsPolicy", "ClusterFirst");
    set_zero(spec, "restartPolicy", "Always");
    set_zero(spec, "schedulerName", "default-scheduler");
    set_default(spec, "terminationGracePeriodSeconds", 30);
    object_or_new(spec, "securityContext");
    service_account(spec);
    for key in ["containers", "initContainers", "ephemeralContainers"] {
        for container in list(spec, key) {
            default_container(container);
        }
    }
    for volume in list(spec, "volumes") {
        default_volume(volume);
    }
}

/// `serviceAccount` is the old name of `serviceAccountName`; both are always written.
fn service_account(spec: &mut Map<String, Value>) {
    let name = |spec: &Map<String, Value>, key: &str| match spec.get(key) {
        Some(Value::String(name)) if !name.is_empty() => Some(name.clone()),
        _ => None,
    };
    if let Some(name) = name(spec, "serviceAccountName").or_else(|| name(spec, "serviceAccount")) {
        spec.insert("serviceAccount".to_owned(), Value::from(name.as_str()));
        spec.insert("serviceAccountName".to_owned(), Value::from(name));
    }
}

fn requests_from_limits(container: &mut Map<String, Value>) {
    let Some(resources) = container.get_mut("resources").and_then(Value::as_object_mut) else {
        return;
    };
    let Some(limits) = resources.get("limits").and_then(Value::as_object).cloned() else {
        return;
    };
    if limits.is_empty() {
        return;
    }
    if let Some(requests) = object_or_new(resources, "requests") {
        for (resource, amount) in limits {
            requests.entry(resource).or_insert(amount);
        }
    }
}

fn default_container(container: &mut Map<String, Value>) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let policy = pull_policy(image);
    set_zero(container, "imagePullPolicy", policy);
    set_zero(container, "terminationMessagePath", "/dev/termination-log");
    set_zero(container, "terminationMessagePolicy", "File");
    object_or_new(container, "resources");
    for port in list(container, "ports") {
        set_zero(port, "protocol", "TCP");
    }
    for env in list(container, "env") {
        if let Some(from) = env.get_mut("valueFrom").and_then(Value::as_object_mut) {
            default_refs(from);
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(probe).and_then(Value::as_object_mut) {
            default_probe(probe);
        }
    }
    if let Some(lifecycle) = container.get_mut("lifecycle").and_then(Value::as_object_mut) {
        for hook in ["postStart", "preStop"] {
            if let Some(hook) = lifecycle.get_mut(hook).and_then(Value::as_object_mut) {
                default_http_get(hook);
            }
        }
    }
}

/// References to fields of the pod: the version they are read in, and the unit of resources.
pub(super) fn default_refs(from: &mut Map<String, Value>) {
    if let Some(field) = from.get_mut("fieldRef").and_then(Value::as_object_mut) {
        set_zero(field, "apiVersion", "v1");
    }
    if let Some(resource) = from.get_mut("resourceFieldRef").and_then(Value::as_object_mut) {
        set_zero(resource, "divisor", "0");
    }
}

fn default_probe(probe: &mut Map<String, Value>) {
    set_zero(probe, "timeoutSeconds", 1);
    set_zero(probe, "periodSeconds", 10);
    set_zero(probe, "successThreshold", 1);
    set_zero(probe, "failureThreshold", 3);
    default_http_get(probe);
    if let Some(grpc) = probe.get_mut("grpc").and_then(Value::as_object_mut) {
        set_default(grpc, "service", json!(""));
    }
}

fn default_http_get(handler: &mut Map<String, Value>) {
    if let Some(get) = handler.get_mut("httpGet").and_then(Value::as_object_mut) {
        set_zero(get, "path", "/");
        set_zero(get, "scheme", "HTTP");
    }
}

/// A tag that can move (`latest`, or none) is always pulled. Digests, and bundles on the node, never move.
fn pull_policy(image: &str) -> &'static str {
    if image.contains('@') || image.contains("://") {
        return "IfNotPresent";
    }
    let last = image.rsplit('/').next().unwrap_or_default();
    match last.split_once(':') {
        Some((_, tag)) if tag != "latest" => "IfNotPresent",
        _ => "Always",
    }
}
