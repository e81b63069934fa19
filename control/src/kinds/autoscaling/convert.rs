//! Between autoscaling/v1, which knows CPU utilization only, and v2. What v1 cannot say is kept in annotations, as
//! upstream keeps it: metrics in the forms that v1 has for them ([`alpha`]), behavior as Go names its fields
//! ([`behavior`]). An annotation that cannot be read is ignored.

mod alpha;
mod behavior;
#[cfg(test)]
mod tests;

use keelson_api::schema::Schema;
use serde_json::{Map, Value, json};

use crate::kinds::json::{items, object, object_or_new, set_default, text};
use crate::kinds::metadata::MAX_ANNOTATIONS;

/// Where v1 keeps the metrics beside CPU utilization.
const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
/// Where v1 keeps what was measured.
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
/// Where v1 keeps the conditions.
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
/// Where v1 keeps the scaling behavior.
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
/// CPU utilization that is wanted of those who ask for nothing, in percent.
const DEFAULT_UTILIZATION: u32 = 80;

fn is_cpu(metric: &Value) -> bool {
    text(metric, "/type") == "Resource" && text(metric, "/resource/name") == "cpu"
}

fn cpu_target(metric: &Value) -> Option<&Value> {
    let target = metric.pointer("/resource/target/averageUtilization");
    target.filter(|target| is_cpu(metric) && target.is_number())
}

fn cpu_metric(percent: &Value) -> Value {
    let target = json!({"type": "Utilization", "averageUtilization": percent});
    json!({"type": "Resource", "resource": {"name": "cpu", "target": target}})
}

/// Rewrites a v1 object as v2.
pub(super) fn to_v2(hpa: &mut Value) {
    let kept = [METRICS, BEHAVIOR, CURRENT_METRICS, CONDITIONS].map(|annotation| {
        let kept = hpa.get("metadata")?.get("annotations")?.get(annotation)?;
        // More than all annotations may be is refused later, and no reason to read it now.
        let kept = kept.as_str().filter(|kept| kept.len() <= MAX_ANNOTATIONS)?;
        serde_json::from_str(kept).ok()
    });
    let [metrics, behavior, current, conditions] = kept;
    drop_annotations(hpa);
    set_version(hpa, "autoscaling/v2");
    if let Some(spec) = object(hpa, "spec") {
        let metrics = metrics.and_then(alpha::read_metrics);
        let mut all = metrics
            .and_then(|metrics| fitting("Spec", "metrics", metrics))
            .map_or_else(Vec::new, as_list);
        // Upstream puts it last.
        let percent = spec.remove("targetCPUUtilizationPercentage");
        all.extend(percent.as_ref().map(cpu_metric));
        if all.is_empty() {
            all.push(cpu_metric(&DEFAULT_UTILIZATION.into()));
        }
        spec.insert("metrics".to_owned(), Value::Array(all));
        let behavior = behavior.and_then(|behavior| behavior::read(&behavior));
        if let Some(behavior) = behavior.and_then(|behavior| fitting("Spec", "behavior", behavior)) {
            spec.insert("behavior".to_owned(), behavior);
        }
    }
    if let Some(status) = object(hpa, "status") {
        if status.get("currentReplicas") == Some(&json!(0)) {
            status.remove("currentReplicas");
        }
        let percent = status.remove("currentCPUUtilizationPercentage").map(|percent| {
            let current = json!({"averageUtilization": percent});
            json!([{"type": "Resource", "resource": {"name": "cpu", "current": current}}])
        });
        // The annotation says more than the percentage.
        let current = current
            .and_then(alpha::read_statuses)
            .and_then(|current| fitting("Status", "currentMetrics", current))
            .or(percent);
        let conditions = conditions.and_then(|conditions| fitting("Status", "conditions", conditions));
        for (field, value) in [("currentMetrics", current), ("conditions", conditions)] {
            if let Some(value) = value {
                status.insert(field.to_owned(), value);
            }
        }
    }
}

/// Rewrites a v2 object as v1.
pub(super) fn to_v1(hpa: &mut Value) {
    drop_annotations(hpa);
    set_version(hpa, "autoscaling/v1");
    let percent = items(hpa, "/status/currentMetrics")
        .iter()
        .filter(|metric| is_cpu(metric))
        .find_map(|metric| metric.pointer("/resource/current/averageUtilization").cloned());
    let (mut current, mut conditions) = (None, None);
    if let Some(status) = object(hpa, "status") {
        // In v2 it may be left out.
        set_default(status, "currentReplicas", 0);
        current = status.remove("currentMetrics");
        conditions = status.remove("conditions");
        if let Some(percent) = percent {
            status.insert("currentCPUUtilizationPercentage".to_owned(), percent);
        }
    }
    let (mut rest, mut behavior) = (Vec::new(), None);
    if let Some(spec) = object(hpa, "spec") {
        behavior = spec.remove("behavior");
        for metric in spec.remove("metrics").map_or_else(Vec::new, as_list) {
            match cpu_target(&metric) {
                Some(percent) if !spec.contains_key("targetCPUUtilizationPercentage") => {
                    spec.insert("targetCPUUtilizationPercentage".to_owned(), percent.clone());
                }
                _ => rest.push(metric),
            }
        }
    }
    // All that was measured is kept, the percentage too, for its raw value.
    keep(hpa, METRICS, &alpha::write_metrics(rest));
    keep(
        hpa,
        CURRENT_METRICS,
        &alpha::write_statuses(current.map_or_else(Vec::new, as_list)),
    );
    keep(
        hpa,
        BEHAVIOR,
        &behavior.as_ref().map_or(Value::Null, behavior::write),
    );
    keep(hpa, CONDITIONS, &conditions.unwrap_or_default());
}

/// Removes what this conversion keeps in annotations: only v1 has it, and only as it was written here.
pub(super) fn drop_annotations(hpa: &mut Value) {
    let Some(metadata) = object(hpa, "metadata") else {
        return;
    };
    let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) else {
        return;
    };
    let before = annotations.len();
    annotations.retain(|name, _| ![METRICS, CURRENT_METRICS, CONDITIONS, BEHAVIOR].contains(&name.as_str()));
    if annotations.is_empty() && before > 0 {
        metadata.remove("annotations");
    }
}

/// What an annotation says, if it is of the type that the field of v2 has.
fn fitting(part: &str, field: &str, value: Value) -> Option<Value> {
    let name = format!("io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler{part}");
    let mut holder = Value::Object(Map::from_iter([(field.to_owned(), value)]));
    Schema::builtin().named(&name)?.conform(&mut holder).ok()?;
    holder.as_object_mut()?.remove(field)
}

fn as_list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

fn keep(hpa: &mut Value, annotation: &str, value: &Value) {
    if value.is_null() || value.as_array().is_some_and(Vec::is_empty) {
        return;
    }
    let Some(map) = hpa.as_object_mut() else { return };
    let metadata = object_or_new(map, "metadata");
    if let Some(annotations) = metadata.and_then(|metadata| object_or_new(metadata, "annotations")) {
        annotations.insert(annotation.to_owned(), Value::from(value.to_string()));
    }
}

fn set_version(hpa: &mut Value, version: &str) {
    if let Some(map) = hpa.as_object_mut() {
        map.insert("apiVersion".to_owned(), Value::from(version));
    }
}
