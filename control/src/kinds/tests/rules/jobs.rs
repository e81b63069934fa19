//! Jobs and autoscalers.

use super::*;

fn job(spec: &Value) -> Value {
    let mut all = json!({"template": {"metadata": {}, "spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}}});
    for (field, value) in spec.as_object().unwrap() {
        all[field] = value.clone();
    }
    let mut job = json!({"metadata": {"name": "j", "uid": "u"}, "spec": all});
    let strategy = &find("batch", "v1", "jobs").unwrap().strategy;
    strategy.default(&mut job);
    strategy.prepare_create(&mut job);
    job
}

#[test]
fn jobs() {
    let check = |spec: Value| new("batch", "jobs", job(&spec));
    assert_eq!(check(json!({})), Vec::<String>::new());
    assert_eq!(
        check(json!({"completionMode": "Indexed", "completions": null, "parallelism": 100_001})),
        [
            "spec.completions: Required value: when completion mode is Indexed",
            "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed",
        ]
    );
    // What is beyond the most is not looked at.
    let rules = vec![json!({"action": "Ignore"}); 30];
    assert_eq!(check(json!({"podFailurePolicy": {"rules": rules}})).len(), 21);
    assert_eq!(
        check(json!({"backoffLimitPerIndex": 1})),
        ["spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"]
    );
    assert_eq!(
        check(
            json!({"podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [0, 3, 2], "containerName": "x"}}]}})
        ),
        [
            "spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: \"x\": must be one of the container or \
             initContainer names in the pod template",
            "spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator",
            "spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [0,3,2]: must be ordered",
        ]
    );
    // A selector of one's own needs to be said so.
    let errors = check(json!({"selector": {"matchLabels": {"a": "b"}}}));
    assert!(
        errors
            .iter()
            .any(|error| error.starts_with("spec.selector: Invalid value:")
                && error.ends_with("`selector` not auto-generated")),
        "{errors:?}"
    );
    let change = |spec: Value, change: &dyn Fn(&mut Value)| changed("batch", "jobs", job(&spec), change);
    let indexed = json!({"completionMode": "Indexed", "completions": 2, "parallelism": 2});
    let both = |new: &mut Value| {
        new["spec"]["completions"] = 3.into();
        new["spec"]["parallelism"] = 3.into();
    };
    assert!(change(indexed.clone(), &both).is_empty());
    assert_eq!(
        change(indexed, &|new| new["spec"]["completions"] = 3.into()),
        ["spec.completions: Invalid value: 3: can only be modified in tandem with spec.parallelism"]
    );
    assert_eq!(
        change(json!({}), &|new| new["spec"]["completions"] = 3.into()),
        ["spec.completions: Invalid value: 3: field is immutable"]
    );
    let select = |new: &mut Value| new["spec"]["template"]["spec"]["nodeSelector"] = json!({"a": "b"});
    assert!(change(json!({"suspend": true}), &select).is_empty());
    assert!(change(json!({}), &select)[0].ends_with("field is immutable"));
    let image = |new: &mut Value| new["spec"]["template"]["spec"]["containers"][0]["image"] = "x".into();
    assert!(change(json!({"suspend": true}), &image)[0].ends_with("field is immutable"));
    let zone = |zone: &str| {
        let spec = json!({"schedule": "* * * * *", "timeZone": zone, "jobTemplate": {"spec": {"template": {"spec": {
            "containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}}}}});
        new(
            "batch",
            "cronjobs",
            json!({"metadata": {"name": "c"}, "spec": spec}),
        )
    };
    assert!(zone("Europe/Berlin").is_empty());
    assert_eq!(
        zone("")[..],
        ["spec.timeZone: Invalid value: \"\": timeZone must be nil or non-empty string"]
    );
    for unknown in ["a b", "Europe/Atlantis", "utc", "../UTC"] {
        assert_eq!(
            zone(unknown)[..],
            [format!(
                "spec.timeZone: Invalid value: {unknown:?}: unknown time zone {unknown}"
            )]
        );
    }
}

#[test]
fn autoscalers() {
    let check = |mut spec: Value| {
        spec["scaleTargetRef"] = json!({"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"});
        spec["maxReplicas"] = 3.into();
        let kind = find("autoscaling", "v2", "horizontalpodautoscalers").unwrap();
        let mut object = json!({"metadata": {"name": "h"}, "spec": spec});
        crate::kinds::default(kind, &mut object);
        let errors = kind.strategy.validate_create(&object);
        errors.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(check(json!({})), Vec::<String>::new());
    assert_eq!(
        check(
            json!({"metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}]})
        ),
        [
            "spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target \
             utilization"
        ]
    );
    assert_eq!(
        check(json!({"metrics": [{"type": "Pods"}]})),
        ["spec.metrics[0].pods: Required value: must populate information for the given metric source"]
    );
    // Of several sources the first is looked into.
    let object =
        json!({"describedObject": {"kind": "a/b", "name": "%"}, "metric": {"name": "m"}, "target": {}});
    assert_eq!(
        check(
            json!({"minReplicas": 0, "metrics": [{"type": "Pods", "object": object, "external": {}, "pods": {}}]})
        ),
        [
            "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
            "spec.metrics[0].object.describedObject.kind: Invalid value: \"a/b\": may not contain '/'",
            "spec.metrics[0].object.describedObject.name: Invalid value: \"%\": may not contain '%'",
            "spec.metrics[0].object.target.type: Required value: must specify a metric target type",
            "spec.metrics[0].object.target.type: Invalid value: \"\": must be either Utilization, Value, or AverageValue",
            "spec.metrics[0].object.target.averageValue: Required value: must set either a target value or averageValue",
            "spec.metrics[0].object: Forbidden: must populate the given metric source only",
            "spec.metrics[0].external: Forbidden: must populate the given metric source only",
            "spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero replicas",
        ]
    );
    let of_container =
        json!({"name": "x", "container": "A", "target": {"type": "AverageValue", "averageValue": "1"}});
    assert_eq!(
        check(json!({"metrics": [{"type": "ContainerResource", "containerResource": of_container}]})).len(),
        3,
        "names of the resource and of the container"
    );
    assert_eq!(
        check(
            json!({"behavior": {"scaleDown": {"stabilizationWindowSeconds": 3601, "policies": [{"type": "Pods", "value": 0, "periodSeconds": 1801}]}}})
        ),
        [
            "spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600",
            "spec.behavior.scaleDown.policies[0].value: Invalid value: 0: must be greater than zero",
            "spec.behavior.scaleDown.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800",
        ]
    );
}
