//! Between autoscaling/v1, which knows CPU utilization only, and v2. What v1 cannot say is kept in annotations.

use serde_json::{Map, Value, json};

use crate::kinds::json::{items, object, object_or_new, text};

/// Where v1 keeps the other metrics.
const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
/// Where v1 keeps the scaling behavior.
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

fn is_cpu(metric: &Value) -> bool {
    text(metric, "/type") == "Resource"
        && text(metric, "/resource/name") == "cpu"
        && metric
            .pointer("/resource/target/averageUtilization")
            .is_some_and(Value::is_number)
}

/// Rewrites a v1 object as v2.
pub(super) fn to_v2(hpa: &mut Value) {
    let mut kept = |annotation: &str| -> Option<Value> {
        let annotations = object(hpa, "metadata")?.get_mut("annotations")?.as_object_mut()?;
        let text = annotations.remove(annotation)?;
        serde_json::from_str(text.as_str()?).ok()
    };
    let (metrics, behavior) = (kept(METRICS), kept(BEHAVIOR));
    set_version(hpa, "autoscaling/v2");
    if let Some(spec) = object(hpa, "spec") {
        let mut all: Vec<Value> = Vec::new();
        if let Some(percent) = spec.remove("targetCPUUtilizationPercentage") {
            let target = json!({"type": "Utilization", "averageUtilization": percent});
            all.push(json!({"type": "Resource", "resource": {"name": "cpu", "target": target}}));
        }
        if let Some(Value::Array(metrics)) = metrics {
            all.extend(metrics);
        }
        if !all.is_empty() {
            spec.insert("metrics".to_owned(), Value::Array(all));
        }
        if let Some(behavior @ Value::Object(_)) = behavior {
            spec.insert("behavior".to_owned(), behavior);
        }
    }
    if let Some(status) = object(hpa, "status")
        && let Some(percent) = status.remove("currentCPUUtilizationPercentage")
    {
        let current = json!({"averageUtilization": percent});
        let metric = json!([{"type": "Resource", "resource": {"name": "cpu", "current": current}}]);
        status.insert("currentMetrics".to_owned(), metric);
    }
}

/// Rewrites a v2 object as v1.
pub(super) fn to_v1(hpa: &mut Value) {
    let percent = items(hpa, "/status/currentMetrics")
        .iter()
        .find(|metric| text(metric, "/resource/name") == "cpu")
        .and_then(|metric| metric.pointer("/resource/current/averageUtilization").cloned());
    set_version(hpa, "autoscaling/v1");
    if let Some(status) = object(hpa, "status") {
        // Conditions and the other metrics have no place in v1.
        status.remove("currentMetrics");
        status.remove("conditions");
        if let Some(percent) = percent {
            status.insert("currentCPUUtilizationPercentage".to_owned(), percent);
        }
    }
    let Some(spec) = object(hpa, "spec") else { return };
    let behavior = spec.remove("behavior");
    let mut rest = Vec::new();
    if let Some(Value::Array(metrics)) = spec.remove("metrics") {
        for metric in metrics {
            if is_cpu(&metric) && !spec.contains_key("targetCPUUtilizationPercentage") {
                let percent = metric
                    .pointer("/resource/target/averageUtilization")
                    .cloned()
                    .unwrap_or_default();
                spec.insert("targetCPUUtilizationPercentage".to_owned(), percent);
            } else {
                rest.push(metric);
            }
        }
    }
    let metrics = (!rest.is_empty()).then_some(Value::Array(rest));
    keep(hpa, METRICS, metrics);
    keep(hpa, BEHAVIOR, behavior);
}

fn keep(hpa: &mut Value, annotation: &str, value: Option<Value>) {
    let Some(value) = value else { return };
    let Some(map) = hpa.as_object_mut() else { return };
    let metadata: Option<&mut Map<String, Value>> = object_or_new(map, "metadata");
    if let Some(annotations) = metadata.and_then(|metadata| object_or_new(metadata, "annotations")) {
        annotations.insert(annotation.to_owned(), Value::from(value.to_string()));
    }
}

fn set_version(hpa: &mut Value, version: &str) {
    if let Some(map) = hpa.as_object_mut() {
        map.insert("apiVersion".to_owned(), Value::from(version));
    }
}
