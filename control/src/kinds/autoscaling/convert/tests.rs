use serde_json::{Value, json};

use super::{BEHAVIOR, CONDITIONS, CURRENT_METRICS, METRICS, to_v1, to_v2};
use crate::kinds::find;

fn annotation(hpa: &Value, name: &str) -> Value {
    let text = hpa["metadata"]["annotations"][name].as_str();
    text.map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
}

/// A v2 object with these metrics, status and behavior.
fn v2(metrics: &Value, status: &Value, behavior: &Value) -> Value {
    let mut hpa = json!({"apiVersion": "autoscaling/v2", "metadata": {"name": "h"},
        "spec": {"maxReplicas": 3, "metrics": metrics}, "status": status});
    if !behavior.is_null() {
        hpa["spec"]["behavior"] = behavior.clone();
    }
    hpa
}

/// A v1 object with these annotations.
fn v1(annotations: &Value) -> Value {
    json!({"apiVersion": "autoscaling/v1", "metadata": {"name": "h", "annotations": annotations},
        "spec": {"maxReplicas": 3}, "status": {}})
}

/// Metrics in v2 and in v1, one of each type.
fn specs() -> [(Value, Value); 8] {
    let selector = json!({"matchLabels": {"a": "b"}});
    let object = json!({"kind": "Ingress", "name": "i", "apiVersion": "networking.k8s.io/v1"});
    let metric = json!({"name": "m", "selector": selector});
    [
        (
            json!({"type": "Resource", "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 50}}}),
            json!({"type": "Resource", "resource": {"name": "memory", "targetAverageUtilization": 50}}),
        ),
        (
            json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "AverageValue", "averageValue": "100m"}}}),
            json!({"type": "Resource", "resource": {"name": "cpu", "targetAverageValue": "100m"}}),
        ),
        (
            json!({"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "c",
                "target": {"type": "Utilization", "averageUtilization": 50}}}),
            json!({"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "c", "targetAverageUtilization": 50}}),
        ),
        (
            json!({"type": "Pods", "pods": {"metric": metric, "target": {"type": "AverageValue", "averageValue": "5"}}}),
            json!({"type": "Pods", "pods": {"metricName": "m", "selector": selector, "targetAverageValue": "5"}}),
        ),
        (
            json!({"type": "Object", "object": {"describedObject": object, "metric": metric, "target": {"type": "Value", "value": "2k"}}}),
            json!({"type": "Object", "object": {"target": object, "metricName": "m", "selector": selector, "targetValue": "2k"}}),
        ),
        (
            json!({"type": "Object", "object": {"describedObject": object, "metric": {"name": "m"},
                "target": {"type": "AverageValue", "averageValue": "7"}}}),
            json!({"type": "Object", "object": {"target": object, "metricName": "m", "targetValue": "0", "averageValue": "7"}}),
        ),
        (
            json!({"type": "External", "external": {"metric": metric, "target": {"type": "Value", "value": "30"}}}),
            json!({"type": "External", "external": {"metricName": "m", "metricSelector": selector, "targetValue": "30"}}),
        ),
        (
            json!({"type": "External", "external": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "30"}}}),
            json!({"type": "External", "external": {"metricName": "m", "targetAverageValue": "30"}}),
        ),
    ]
}

#[test]
fn each_type_of_metric_goes_both_ways() {
    for (new, old) in specs() {
        let stored = v2(&json!([new]), &json!({}), &Value::Null);
        let mut hpa = stored.clone();
        to_v1(&mut hpa);
        assert_eq!(hpa["apiVersion"], "autoscaling/v1");
        assert_eq!(hpa["spec"], json!({"maxReplicas": 3}));
        assert_eq!(annotation(&hpa, METRICS), json!([old]));
        to_v2(&mut hpa);
        assert_eq!(hpa, stored);
    }
}

#[test]
fn cpu_utilization_is_a_field_of_v1() {
    let cpu = json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}});
    let (memory, _) = specs()[0].clone();
    let mut hpa = v2(&json!([cpu, memory]), &json!({}), &Value::Null);
    to_v1(&mut hpa);
    assert_eq!(
        hpa["spec"],
        json!({"maxReplicas": 3, "targetCPUUtilizationPercentage": 70})
    );
    to_v2(&mut hpa);
    assert_eq!(hpa, v2(&json!([memory, cpu]), &json!({}), &Value::Null));
    let mut nothing = v1(&json!({"a": "b"}));
    to_v2(&mut nothing);
    assert_eq!(
        nothing["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"],
        80
    );
    assert_eq!(nothing["metadata"]["annotations"], json!({"a": "b"}));
}

#[test]
fn what_was_measured_goes_both_ways() {
    let object = json!({"kind": "Ingress", "name": "i"});
    let pairs = [
        (
            json!({"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 12, "averageValue": "3m"}}}),
            json!({"type": "Resource", "resource": {"name": "cpu", "currentAverageUtilization": 12, "currentAverageValue": "3m"}}),
        ),
        (
            json!({"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "c", "current": {"averageValue": "3m"}}}),
            json!({"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "c", "currentAverageValue": "3m"}}),
        ),
        (
            json!({"type": "Pods", "pods": {"metric": {"name": "m"}, "current": {"averageValue": "4"}}}),
            json!({"type": "Pods", "pods": {"metricName": "m", "currentAverageValue": "4"}}),
        ),
        (
            json!({"type": "Object", "object": {"describedObject": object, "metric": {"name": "m"}, "current": {"value": "5", "averageValue": "1"}}}),
            json!({"type": "Object", "object": {"target": object, "metricName": "m", "currentValue": "5", "averageValue": "1"}}),
        ),
        (
            json!({"type": "External", "external": {"metric": {"name": "m"}, "current": {"value": "5"}}}),
            json!({"type": "External", "external": {"metricName": "m", "currentValue": "5"}}),
        ),
    ];
    let (new, old): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let conditions =
        json!([{"type": "AbleToScale", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
    let (memory, _) = specs()[0].clone();
    let status = json!({"currentMetrics": new, "conditions": conditions});
    let stored = v2(&json!([memory]), &status, &Value::Null);
    let mut hpa = stored.clone();
    to_v1(&mut hpa);
    assert_eq!(
        hpa["status"],
        json!({"currentCPUUtilizationPercentage": 12, "currentReplicas": 0})
    );
    assert_eq!(annotation(&hpa, CURRENT_METRICS), json!(old));
    assert_eq!(annotation(&hpa, CONDITIONS), conditions);
    to_v2(&mut hpa);
    assert_eq!(hpa, stored);
}

#[test]
fn behavior_has_the_names_of_go() {
    let (memory, _) = specs()[0].clone();
    let policy = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
    let behavior =
        json!({"scaleUp": {"selectPolicy": "Max", "policies": [policy], "stabilizationWindowSeconds": 0}});
    let stored = v2(&json!([memory]), &json!({}), &behavior);
    let mut hpa = stored.clone();
    to_v1(&mut hpa);
    let rules = json!({"StabilizationWindowSeconds": 0, "SelectPolicy": "Max", "Tolerance": null,
        "Policies": [{"Type": "Pods", "Value": 4, "PeriodSeconds": 15}]});
    assert_eq!(
        annotation(&hpa, BEHAVIOR),
        json!({"ScaleUp": rules, "ScaleDown": null})
    );
    to_v2(&mut hpa);
    assert_eq!(hpa, stored);
    // Go reads any capitals.
    let mut hpa = v1(&json!({BEHAVIOR: behavior.to_string()}));
    to_v2(&mut hpa);
    assert_eq!(hpa["spec"]["behavior"], behavior);
}

#[test]
fn annotations_that_cannot_be_read_are_ignored() {
    let bad = [
        "",
        "{}",
        "[5]",
        "[{\"type\": 5}]",
        "[{\"type\": \"Resource\", \"resource\": []}]",
        "[{\"type\": \"Pods\", \"pods\": {\"metricName\": \"m\", \"targetAverageValue\": \"much\"}}]",
        "[{\"type\": \"Pods\", \"pods\": {\"metricName\": \"m\", \"selector\": {\"matchLabels\": 5}}}]",
    ];
    for text in bad {
        let mut hpa = v1(&json!({METRICS: text, BEHAVIOR: "[]"}));
        to_v2(&mut hpa);
        let metrics = hpa["spec"]["metrics"].as_array().unwrap();
        assert_eq!(metrics.len(), 1, "{text}");
        assert_eq!(metrics[0]["resource"]["name"], "cpu", "{text}");
        assert_eq!(hpa["spec"].get("behavior"), None);
        assert_eq!(hpa["metadata"], json!({"name": "h"}), "{text}");
    }
    for text in &bad[..4] {
        let mut hpa = v1(&json!({CURRENT_METRICS: text, CONDITIONS: text}));
        to_v2(&mut hpa);
        assert_eq!(hpa["status"], json!({}), "{text}");
    }
}

#[test]
fn both_versions_drop_what_is_not_theirs() {
    let kind = |version: &str| find("autoscaling", version, "horizontalpodautoscalers").unwrap();
    let mut old = v1(&json!({METRICS: "[", "mine": "x"}));
    kind("v1").strategy.default(&mut old);
    assert_eq!(old["metadata"]["annotations"], json!({"mine": "x"}));
    assert_eq!(old["spec"]["targetCPUUtilizationPercentage"], 80);
    let (memory, kept) = specs()[0].clone();
    let mut new = v2(&json!([memory]), &json!({}), &Value::Null);
    new["metadata"]["annotations"] = json!({METRICS: json!([kept]).to_string()});
    kind("v2").strategy.default(&mut new);
    assert_eq!(new["metadata"], json!({"name": "h"}));
    // What is wrong in an annotation that can be read is said of the metric.
    let mut wrong = v1(&json!({METRICS: "[{\"type\": \"Pods\"}]"}));
    wrong["spec"]["scaleTargetRef"] = json!({"kind": "Deployment", "name": "d"});
    kind("v1").strategy.default(&mut wrong);
    let errors = kind("v1").strategy.validate_create(&wrong);
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        ["spec.metrics[0].pods: Required value: must populate information for the given metric source"]
    );
}
