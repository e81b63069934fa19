//! What `kubectl get pods` shows of a pod.
//!
//! The status column is the pod's phase, overridden by the first thing that says more: a gate, an init container that
//! is not done, the last container that waits or has ended, a deletion.

use keelson_api::time;
use serde_json::{Value, json};

use crate::kinds::cells;
use crate::kinds::json::{int, is_true, items, text};

/// Cells of the row.
pub(super) fn row(pod: &Value, now: i64) -> Vec<Value> {
    let summary = summary(pod);
    let mut restarts = summary.restarts.to_string();
    if summary.restarts > 0
        && let Some(at) = summary.last_restart
    {
        restarts = format!("{restarts} ({} ago)", time::human_duration(now - at));
    }
    let ip = items(pod, "/status/podIPs")
        .first()
        .map_or("", |ip| text(ip, "/ip"));
    vec![
        cells::name(pod),
        Value::from(format!("{}/{}", summary.ready, summary.total)),
        Value::from(summary.status),
        Value::from(restarts),
        cells::age(pod, now),
        Value::from(if ip.is_empty() { "<none>" } else { ip }),
        cells::text_or(pod, "/spec/nodeName", "<none>"),
        cells::text_or(pod, "/status/nominatedNodeName", "<none>"),
        Value::from(readiness_gates(pod)),
    ]
}

/// Conditions of the row: whether the pod is over.
pub(super) fn conditions(pod: &Value) -> Option<Value> {
    let phase = text(pod, "/status/phase");
    let message = match phase {
        "Succeeded" => "The pod has completed successfully.",
        "Failed" => "The pod failed.",
        _ => return None,
    };
    Some(json!([{"type": "Completed", "status": "True", "reason": phase, "message": message}]))
}

#[derive(Debug, Default)]
struct Summary {
    ready: usize,
    total: usize,
    status: String,
    restarts: i64,
    last_restart: Option<i64>,
}

/// Restarts of some containers, and when the last of them ended before.
#[derive(Debug, Default, Clone, Copy)]
struct Restarts {
    count: i64,
    last: Option<i64>,
}

impl Restarts {
    fn add(&mut self, container: &Value) {
        self.count += int(container, "/restartCount").unwrap_or(0);
        self.last = self
            .last
            .max(time::parse(text(container, "/lastState/terminated/finishedAt")));
    }
}

fn summary(pod: &Value) -> Summary {
    let sidecar = |name: &str| {
        items(pod, "/spec/initContainers").iter().any(|container| {
            text(container, "/name") == name && text(container, "/restartPolicy") == "Always"
        })
    };
    let sidecars = items(pod, "/spec/initContainers")
        .iter()
        .filter(|container| text(container, "/restartPolicy") == "Always")
        .count();
    let mut out = Summary {
        total: items(pod, "/spec/containers").len() + sidecars,
        status: phase_or_reason(pod),
        ..Summary::default()
    };
    let (mut init_restarts, mut sidecar_restarts) = (Restarts::default(), Restarts::default());
    let mut initializing = false;
    for (index, container) in items(pod, "/status/initContainerStatuses").iter().enumerate() {
        init_restarts.add(container);
        let is_sidecar = sidecar(text(container, "/name"));
        if is_sidecar {
            sidecar_restarts.add(container);
        }
        if int(container, "/state/terminated/exitCode") == Some(0) {
            continue;
        }
        if is_sidecar && is_true(container, "/started") {
            out.ready += usize::from(is_true(container, "/ready"));
            continue;
        }
        let waiting = text(container, "/state/waiting/reason");
        out.status = if container
            .pointer("/state/terminated")
            .is_some_and(Value::is_object)
        {
            format!("Init:{}", ended(container))
        } else if !waiting.is_empty() && waiting != "PodInitializing" {
            format!("Init:{waiting}")
        } else {
            format!("Init:{index}/{}", items(pod, "/spec/initContainers").len())
        };
        initializing = true;
        break;
    }
    let mut restarts = init_restarts;
    if !initializing || condition(pod, "Initialized") {
        restarts = sidecar_restarts;
        running(pod, &mut out, &mut restarts);
    }
    (out.restarts, out.last_restart) = (restarts.count, restarts.last);
    if pod
        .pointer("/metadata/deletionTimestamp")
        .is_some_and(Value::is_string)
    {
        if text(pod, "/status/reason") == "NodeLost" {
            "Unknown".clone_into(&mut out.status);
        } else if !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed") {
            "Terminating".clone_into(&mut out.status);
        }
    }
    out
}

fn phase_or_reason(pod: &Value) -> String {
    let gated = items(pod, "/status/conditions").iter().any(|condition| {
        text(condition, "/type") == "PodScheduled" && text(condition, "/reason") == "SchedulingGated"
    });
    if gated {
        return "SchedulingGated".to_owned();
    }
    match text(pod, "/status/reason") {
        "" => text(pod, "/status/phase").to_owned(),
        reason => reason.to_owned(),
    }
}

/// The main containers: the first one that waits or has ended names the status.
fn running(pod: &Value, out: &mut Summary, restarts: &mut Restarts) {
    let mut any_running = false;
    for container in items(pod, "/status/containerStatuses").iter().rev() {
        restarts.add(container);
        let waiting = text(container, "/state/waiting/reason");
        if !waiting.is_empty() {
            waiting.clone_into(&mut out.status);
        } else if container
            .pointer("/state/terminated")
            .is_some_and(Value::is_object)
        {
            out.status = ended(container);
        } else if is_true(container, "/ready")
            && container.pointer("/state/running").is_some_and(Value::is_object)
        {
            any_running = true;
            out.ready += 1;
        }
    }
    if out.status == "Completed" && any_running {
        let status = if condition(pod, "Ready") {
            "Running"
        } else {
            "NotReady"
        };
        status.clone_into(&mut out.status);
    }
}

/// Why a container ended: its reason, or its signal, or its exit code.
fn ended(container: &Value) -> String {
    let reason = text(container, "/state/terminated/reason");
    if !reason.is_empty() {
        return reason.to_owned();
    }
    match int(container, "/state/terminated/signal") {
        Some(signal) if signal != 0 => format!("Signal:{signal}"),
        _ => format!(
            "ExitCode:{}",
            int(container, "/state/terminated/exitCode").unwrap_or(0)
        ),
    }
}

fn condition(pod: &Value, kind: &str) -> bool {
    items(pod, "/status/conditions")
        .iter()
        .any(|condition| text(condition, "/type") == kind && text(condition, "/status") == "True")
}

fn readiness_gates(pod: &Value) -> String {
    let gates = items(pod, "/spec/readinessGates");
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let open = gates
        .iter()
        .filter(|gate| condition(pod, text(gate, "/conditionType")))
        .count();
    format!("{open}/{}", gates.len())
}
