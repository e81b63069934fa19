//! Values in Go's syntax, in the messages in which they are met most.

use super::pods::pod;
use super::{changed, json, new};

#[test]
fn ports_taints_and_tolerations() {
    let service = json!({"metadata": {"name": "s"}, "spec": {"ports": [
        {"name": "a", "port": 80}, {"name": "b", "port": 80, "targetPort": 8080}]}});
    assert_eq!(
        new("", "services", service),
        [
            "spec.ports[1]: Duplicate value: core.ServicePort{Name:\"\", Protocol:\"TCP\", AppProtocol:(*string)(nil), Port:80, \
             TargetPort:intstr.IntOrString{Type:0, IntVal:0, StrVal:\"\"}, NodePort:0}"
        ]
    );
    let taint = json!({"key": "k", "value": "v", "effect": "NoSchedule"});
    let node = json!({"metadata": {"name": "n"}, "spec": {"taints": [taint, taint]}});
    assert_eq!(
        new("", "nodes", node),
        [
            "metadata.taints[1]: Duplicate value: core.Taint{Key:\"k\", Value:\"v\", Effect:\"NoSchedule\", TimeAdded:<nil>}: \
             taints must be unique by key and effect pair"
        ]
    );
    let toleration = json!({"key": "k", "operator": "Exists", "value": "v", "effect": "NoSchedule"});
    assert_eq!(
        pod(&json!({"tolerations": [toleration]})),
        [
            "spec.tolerations[0].operator: Invalid value: core.Toleration{Key:\"k\", Operator:\"Exists\", Value:\"v\", \
             Effect:\"NoSchedule\", TolerationSeconds:(*int64)(nil)}: value must be empty when `operator` is 'Exists'"
        ]
    );
}

#[test]
fn strategies_and_selectors() {
    let template = json!({
        "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Always"},
    });
    let deployment = |unavailable: serde_json::Value| {
        let strategy =
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": unavailable, "maxSurge": 0}});
        json!({"metadata": {"name": "d"}, "spec": {
            "selector": {"matchLabels": {"a": "b"}}, "template": template, "strategy": strategy}})
    };
    let path = "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: intstr.IntOrString";
    for (unavailable, shown) in [
        (
            json!(0),
            "{Type:0, IntVal:0, StrVal:\"\"}: may not be 0 when `maxSurge` is 0",
        ),
        (
            json!("0%"),
            "{Type:1, IntVal:0, StrVal:\"0%\"}: may not be 0 when `maxSurge` is 0",
        ),
        (
            json!("101%"),
            "{Type:1, IntVal:0, StrVal:\"101%\"}: must not be greater than 100%",
        ),
    ] {
        assert_eq!(
            new("apps", "deployments", deployment(unavailable)),
            [format!("{path}{shown}")]
        );
    }
    assert_eq!(
        changed("apps", "deployments", deployment(json!(1)), |new| {
            let expression = json!({"key": "a", "operator": "In", "values": ["b", "c"]});
            new["spec"]["selector"] = json!({"matchExpressions": [expression]});
        }),
        [
            "spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string(nil), MatchExpressions:\
             []v1.LabelSelectorRequirement{v1.LabelSelectorRequirement{Key:\"a\", Operator:\"In\", Values:[]string{\"b\", \"c\"}}}}: \
             field is immutable"
        ]
    );
    let controller =
        json!({"metadata": {"name": "r"}, "spec": {"selector": {"x": "y"}, "template": template}});
    assert_eq!(
        new("", "replicationcontrollers", controller),
        [
            "spec.template.metadata.labels: Invalid value: map[string]string{\"a\":\"b\"}: `selector` does not match template \
             `labels`"
        ]
    );
}
