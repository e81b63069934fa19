//! What a client with types leaves out because it is zero, and one without writes: `hostNetwork: false`, `stdin: false`.
//!
//! Upstream's server is itself such a client. If these were kept, the next update of a Go program would be a change of fields
//! that may not change, or a new template with a new hash, and so a rollout that nobody asked for.

use serde_json::{Map, Value};

use crate::kinds::json::list;

/// Maps, of which an empty one is none. (An empty structure is another thing than none.)
const MAPS: [&str; 9] = [
    "annotations",
    "labels",
    "limits",
    "matchLabels",
    "nodeSelector",
    "options",
    "overhead",
    "requests",
    "volumeAttributes",
];

/// Drops zeros of fields that have no other way to say "nothing". Those that upstream holds as pointers
/// (`runAsNonRoot: false`) stay: there, `false` is an answer.
pub(super) fn drop(spec: &mut Map<String, Value>) {
    drop_empty(spec);
    without(spec, &["hostIPC", "hostNetwork", "hostPID"]);
    without(spec, &["hostname", "nodeName", "priorityClassName", "subdomain"]);
    for toleration in list(spec, "tolerations") {
        without(toleration, &["effect", "key", "operator", "value"]);
    }
    for key in ["containers", "initContainers", "ephemeralContainers"] {
        for container in list(spec, key) {
            without(container, &["stdin", "stdinOnce", "tty", "workingDir"]);
            for port in list(container, "ports") {
                without(port, &["hostIP", "hostPort", "name"]);
            }
            for env in list(container, "env") {
                without(env, &["value"]);
            }
            for from in list(container, "envFrom") {
                without(from, &["prefix"]);
            }
            for mount in list(container, "volumeMounts") {
                without(mount, &["readOnly", "subPath", "subPathExpr"]);
            }
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                if let Some(probe) = container.get_mut(probe).and_then(Value::as_object_mut) {
                    without(probe, &["initialDelaySeconds"]);
                    if let Some(get) = probe.get_mut("httpGet").and_then(Value::as_object_mut) {
                        without(get, &["host"]);
                    }
                }
            }
        }
    }
    for volume in list(spec, "volumes") {
        if let Some(source) = volume.get_mut("emptyDir").and_then(Value::as_object_mut) {
            without(source, &["medium"]);
        }
        for source in ["fc", "iscsi", "nfs", "persistentVolumeClaim"] {
            if let Some(source) = volume.get_mut(source).and_then(Value::as_object_mut) {
                without(source, &["readOnly"]);
            }
        }
    }
}

/// The same of a whole template.
pub fn drop_zeros(template: &mut Value) {
    if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
        drop_empty(metadata);
    }
    if let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut) {
        drop(spec);
    }
}

/// Drops empty lists and maps, at any depth: upstream's store cannot tell them from none.
pub(super) fn drop_empty(fields: &mut Map<String, Value>) {
    fields.retain(|name, value| match value {
        Value::Array(items) => {
            for item in items.iter_mut().filter_map(Value::as_object_mut) {
                drop_empty(item);
            }
            !items.is_empty()
        }
        Value::Object(inner) => {
            drop_empty(inner);
            !inner.is_empty() || !MAPS.contains(&name.as_str())
        }
        _ => true,
    });
}

fn without(fields: &mut Map<String, Value>, names: &[&str]) {
    for name in names {
        let zero = match fields.get(*name) {
            Some(Value::Bool(value)) => !value,
            Some(Value::Number(number)) => number.as_i64() == Some(0),
            Some(Value::String(text)) => text.is_empty(),
            _ => false,
        };
        if zero {
            fields.remove(*name);
        }
    }
}
