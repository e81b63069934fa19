//! What a client with types leaves out because it is zero, and one without writes: `hostNetwork: false`, `stdin: false`.
//!
//! Upstream's server is itself such a client. If these were kept, the next update of a Go program would be a change of fields
//! that may not change, or a new template with a new hash, and so a rollout that nobody asked for.

use serde_json::{Map, Value};

use crate::kinds::json::list;

/// Drops zeros of fields that have no other way to say "nothing". Those that upstream holds as pointers
/// (`runAsNonRoot: false`) stay: there, `false` is an answer.
pub(super) fn drop(spec: &mut Map<String, Value>) {
    without(spec, &["hostIPC", "hostNetwork", "hostPID"]);
    for key in ["containers", "initContainers", "ephemeralContainers"] {
        for container in list(spec, key) {
            without(container, &["stdin", "stdinOnce", "tty", "workingDir"]);
            for port in list(container, "ports") {
                without(port, &["hostIP", "hostPort", "name"]);
            }
            for env in list(container, "env") {
                without(env, &["value"]);
            }
            for mount in list(container, "volumeMounts") {
                without(mount, &["readOnly", "subPath", "subPathExpr"]);
            }
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                if let Some(probe) = container.get_mut(probe).and_then(Value::as_object_mut) {
                    without(probe, &["initialDelaySeconds"]);
                }
            }
        }
    }
    for volume in list(spec, "volumes") {
        for source in ["fc", "iscsi", "nfs", "persistentVolumeClaim"] {
            if let Some(source) = volume.get_mut(source).and_then(Value::as_object_mut) {
                without(source, &["readOnly"]);
            }
        }
    }
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
