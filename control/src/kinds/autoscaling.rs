//! HorizontalPodAutoscalers in two versions; v2 is the stored one.

mod convert;
mod metrics;

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::{Value, json};

use super::apps::workload::non_negative;
use super::describe::{self, AGE, ColumnDef, NAME};
use super::json::{int, is_unset, items, object_or_new, set_default, text};
use super::{Kind, Strategy, cells, update};

const COLUMNS: &[ColumnDef] = &[
    NAME,
    (
        "Reference",
        "string",
        0,
        "scaleTargetRef points to the target resource to scale.",
    ),
    (
        "Targets",
        "string",
        0,
        "The metrics and the values that they should have.",
    ),
    (
        "MinPods",
        "string",
        0,
        "minReplicas is the lower limit for the number of replicas.",
    ),
    (
        "MaxPods",
        "string",
        0,
        "maxReplicas is the upper limit for the number of replicas.",
    ),
    (
        "Replicas",
        "string",
        0,
        "currentReplicas is the current number of replicas of pods.",
    ),
    AGE,
];

/// Its kinds.
pub(super) fn kinds() -> Vec<Kind> {
    let (name, plural) = ("HorizontalPodAutoscaler", "horizontalpodautoscalers");
    vec![
        describe::kind("autoscaling/v2", name, plural, COLUMNS, Autoscaler { old: false })
            .short(&["hpa"])
            .in_all()
            .status()
            .done(),
        describe::kind("autoscaling/v1", name, plural, COLUMNS, Autoscaler { old: true })
            .short(&["hpa"])
            .in_all()
            .status()
            .stored_as("autoscaling", "horizontalpodautoscalers")
            .done(),
    ]
}

#[derive(Debug)]
struct Autoscaler {
    /// v1.
    old: bool,
}

impl Strategy for Autoscaler {
    fn default(&self, hpa: &mut Value) {
        let Some(map) = hpa.as_object_mut() else { return };
        if let Some(status) = object_or_new(map, "status") {
            set_default(status, "desiredReplicas", 0);
            if self.old {
                set_default(status, "currentReplicas", 0);
            }
        }
        let Some(spec) = object_or_new(map, "spec") else {
            return;
        };
        set_default(spec, "minReplicas", 1);
        if self.old {
            // Upstream never has v1 itself: what v2 does not know of it, such as annotations that cannot be read, is lost.
            convert::to_v2(hpa);
            convert::to_v1(hpa);
            return;
        }
        if is_unset(spec.get("metrics")) {
            let target = json!({"type": "Utilization", "averageUtilization": 80});
            let metric = json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]);
            spec.insert("metrics".to_owned(), metric);
        }
        if let Some(behavior) = spec.get_mut("behavior").and_then(Value::as_object_mut) {
            let all = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
            let four = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
            for (direction, policies) in [("scaleUp", json!([four, all])), ("scaleDown", json!([all]))] {
                if let Some(rules) = object_or_new(behavior, direction) {
                    set_default(rules, "selectPolicy", "Max");
                    set_default(rules, "policies", policies);
                    if direction == "scaleUp" {
                        set_default(rules, "stabilizationWindowSeconds", 0);
                    }
                }
            }
        }
        convert::drop_annotations(hpa);
    }

    fn prepare_create(&self, new: &mut Value) {
        new["status"] = json!({"desiredReplicas": 0});
        if self.old {
            // In v1 it is always there.
            new["status"]["currentReplicas"] = json!(0);
        }
    }

    fn prepare_update(&self, subresource: Option<&str>, old: &Value, new: &mut Value) {
        update::without_generation(subresource, old, new);
    }

    fn validate_create(&self, hpa: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        for field in ["kind", "name"] {
            let value = text(hpa, &format!("/spec/scaleTargetRef/{field}"));
            let path = format!("spec.scaleTargetRef.{field}");
            if value.is_empty() {
                errors.push(FieldError::required(path, ""));
            } else {
                errors.extend(FieldError::complaints(&path, value, names::path_segment(value)));
            }
        }
        let (least, most) = (
            int(hpa, "/spec/minReplicas"),
            int(hpa, "/spec/maxReplicas").unwrap_or(0),
        );
        if let Some(least) = least
            && least < 1
        {
            let detail = "must be greater than or equal to 1";
            errors.push(FieldError::invalid("spec.minReplicas", least, detail));
        }
        if most < 1 {
            errors.push(FieldError::invalid(
                "spec.maxReplicas",
                most,
                "must be greater than 0",
            ));
        }
        if least.is_some_and(|least| most < least) {
            let detail = "must be greater than or equal to `minReplicas`";
            errors.push(FieldError::invalid("spec.maxReplicas", most, detail));
        }
        if self.old {
            // What v1 says is checked, and named, as v2 says it.
            let mut converted = hpa.clone();
            convert::to_v2(&mut converted);
            metrics::check(&mut errors, &converted);
        } else {
            metrics::check(&mut errors, hpa);
        }
        errors
    }

    fn validate_update(&self, subresource: Option<&str>, _: &Value, new: &Value) -> Vec<FieldError> {
        if subresource == Some("status") {
            let mut errors = Vec::new();
            non_negative(&mut errors, new, "status.currentReplicas");
            non_negative(&mut errors, new, "status.desiredReplicas");
            return errors;
        }
        self.validate_create(new)
    }

    fn to_storage(&self, hpa: &mut Value) {
        convert::to_v2(hpa);
    }

    fn from_storage(&self, hpa: &mut Value) {
        convert::to_v1(hpa);
    }

    fn row(&self, hpa: &Value, now: i64) -> Vec<Value> {
        let mut converted;
        let hpa = if self.old {
            converted = hpa.clone();
            convert::to_v2(&mut converted);
            &converted
        } else {
            hpa
        };
        let (kind, name) = (
            text(hpa, "/spec/scaleTargetRef/kind"),
            text(hpa, "/spec/scaleTargetRef/name"),
        );
        vec![
            cells::name(hpa),
            Value::from(format!("{kind}/{name}")),
            Value::from(targets(hpa)),
            cells::any_or(hpa, "/spec/minReplicas", "<unset>"),
            cells::number(hpa, "/spec/maxReplicas"),
            cells::number(hpa, "/status/currentReplicas"),
            cells::age(hpa, now),
        ]
    }
}

/// `cpu: 12%/80%`, `<unknown>` for what has not been measured.
fn targets(hpa: &Value) -> String {
    let metrics = items(hpa, "/spec/metrics");
    if metrics.is_empty() {
        return "<none>".to_owned();
    }
    let current = items(hpa, "/status/currentMetrics");
    let shown: Vec<String> = metrics
        .iter()
        .enumerate()
        .map(|(index, metric)| {
            let source = match text(metric, "/type") {
                "ContainerResource" => "containerResource",
                "Pods" => "pods",
                "Object" => "object",
                "External" => "external",
                _ => "resource",
            };
            let name = text(metric, &format!("/{source}/name"));
            let pointer = |field: &str, end: &str| format!("/{source}/{field}/{end}");
            let now = current.get(index);
            let amount = |end: &str| {
                let found = now.and_then(|now| now.pointer(&pointer("current", end)));
                found.map_or_else(|| "<unknown>".to_owned(), plain)
            };
            let wanted = |end: &str| metric.pointer(&pointer("target", end)).map(plain);
            let text = if let Some(percent) = wanted("averageUtilization") {
                let now = amount("averageUtilization");
                let unit = if now == "<unknown>" { "" } else { "%" };
                format!("{now}{unit}/{percent}%")
            } else if let Some(average) = wanted("averageValue") {
                // Of pods, any value is an average.
                let unit = if matches!(source, "object" | "external") {
                    " (avg)"
                } else {
                    ""
                };
                format!("{}/{average}{unit}", amount("averageValue"))
            } else {
                format!("{}/{}", amount("value"), wanted("value").unwrap_or_default())
            };
            if name.is_empty() {
                text
            } else {
                format!("{name}: {text}")
            }
        })
        .collect();
    match shown.len() {
        1 | 2 => shown.join(", "),
        more => format!("{} + {} more...", shown[..2].join(", "), more - 2),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
