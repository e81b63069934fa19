//! Kinds of other groups.

use super::*;

#[test]
fn what_v1_autoscales_is_checked_as_v2_says_it() {
    let target = json!({"kind": "Deployment", "name": "d"});
    let spec = json!({"scaleTargetRef": target, "maxReplicas": 2, "targetCPUUtilizationPercentage": 0});
    assert_eq!(
        new(
            "autoscaling",
            "horizontalpodautoscalers",
            json!({"metadata": {"name": "h"}, "spec": spec})
        ),
        ["spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0"]
    );
}

#[test]
fn definitions_say_how_they_convert() {
    let definition = |spec: Value| {
        let schema = json!({"openAPIV3Schema": {"type": "object"}});
        let columns = json!([{"name": "N", "type": "string", "jsonPath": "x"}]);
        let version = json!({"name": "v1", "served": true, "storage": true, "schema": schema, "additionalPrinterColumns": columns});
        let mut definition = json!({"metadata": {"name": "as.b.c"}, "spec": {"group": "b.c", "scope": "Cluster", "names":
            {"plural": "as", "kind": "A"}, "versions": [version]}});
        for (field, value) in spec.as_object().unwrap() {
            definition["spec"][field] = value.clone();
        }
        new("apiextensions.k8s.io", "customresourcedefinitions", definition)
    };
    let column = "spec.versions[0].additionalPrinterColumns[0].JSONPath: Invalid value: \"x\": must be a simple json path starting with .";
    assert_eq!(definition(json!({})), [column]);
    assert_eq!(
        definition(json!({"conversion": {}})),
        ["spec.conversion.strategy: Required value", column]
    );
}

#[test]
fn tolerations_of_a_runtime_class_are_said_once() {
    let toleration = json!({"key": "k", "operator": "Exists"});
    let scheduling = json!({"tolerations": [toleration, toleration, {"key": "l", "operator": "x"}]});
    let errors = new(
        "node.k8s.io",
        "runtimeclasses",
        json!({"metadata": {"name": "c"}, "handler": "h", "scheduling": scheduling}),
    );
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(
        errors[0].starts_with("scheduling.tolerations.tolerations[2].operator: Unsupported value: \"x\"")
    );
    assert!(errors[1].starts_with("scheduling.tolerations[1]: Duplicate value: core.Toleration{Key:\"k\""));
}

#[test]
fn names_of_ingresses_are_not_empty() {
    let path = json!({"pathType": "", "path": "/", "backend": {}});
    let http = json!({"paths": [path, {"path": "/"}]});
    let spec =
        json!({"ingressClassName": "", "tls": [{"hosts": ["", "1.2.3.4"]}], "rules": [{"http": http}]});
    let errors = new(
        "networking.k8s.io",
        "ingresses",
        json!({"metadata": {"name": "i"}, "spec": spec}),
    );
    assert_eq!(errors.len(), 5, "{errors:?}");
    assert!(errors[0].starts_with("spec.ingressClassName: Invalid value: \"\""));
    assert!(errors[1].starts_with("spec.tls[0].hosts[0]: Invalid value: \"\""));
    let path = "spec.rules[0].http.paths";
    assert_eq!(
        errors[2..],
        [
            format!(
                "{path}[0].pathType: Unsupported value: \"\": supported values: \"Exact\", \"ImplementationSpecific\", \"Prefix\""
            ),
            format!("{path}[0].backend: Invalid value: \"\": resource or service backend is required"),
            format!("{path}[1].pathType: Required value: pathType must be specified"),
        ]
    );
}

#[test]
fn controllers_of_ingress_classes_are_paths_with_a_domain() {
    let class = |controller: &str| {
        let class = json!({"metadata": {"name": "c"}, "spec": {"controller": controller}});
        new("networking.k8s.io", "ingressclasses", class)
    };
    assert_eq!(class("a.b/c/d"), [""; 0]);
    let errors = class("a b/c d");
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].starts_with("spec.controller: Invalid value: \"a b\": a lowercase RFC 1123 subdomain"));
    assert!(errors[1].starts_with("spec.controller: Invalid value: \"c d\": Invalid path"));
    assert_eq!(class("/c").len(), 1);
}

#[test]
fn topologies_of_a_class_differ() {
    let class = |terms: Value| {
        let class = json!({"metadata": {"name": "c"}, "provisioner": "a.b/c", "reclaimPolicy": "", "allowedTopologies": terms});
        new("storage.k8s.io", "storageclasses", class)
    };
    let term = |values: Value| json!({"matchLabelExpressions": [{"key": "a", "values": values}]});
    assert_eq!(class(json!([term(json!(["b"])), term(json!(["c"]))])), [""; 0]);
    assert_eq!(
        class(json!([term(json!(["b", "c"])), term(json!(["c", "b"])), {}])),
        [
            "allowedTopologies[1].matchLabelExpressions: Duplicate value: \"\"",
            "allowedTopologies[2].matchLabelExpressions: Duplicate value: \"\"",
        ]
    );
}

#[test]
fn drivers_on_a_node_stay_as_they_are() {
    let driver = json!({"name": "d.b", "nodeID": "x", "topologyKeys": ["a"]});
    let node = json!({"metadata": {"name": "n"}, "spec": {"drivers": [driver]}});
    let change = |change: fn(&mut Value)| changed("storage.k8s.io", "csinodes", node.clone(), change);
    assert_eq!(change(|node| node["spec"]["drivers"] = json!([])), [""; 0]);
    let errors = change(|node| node["spec"]["drivers"][0]["nodeID"] = "y".into());
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].starts_with("CSINodeDriver: Invalid value: ")
            && errors[0].ends_with(": field is immutable")
    );
    let driver = json!({"metadata": {"name": "d"}, "spec": {"fsGroupPolicy": ""}});
    assert_eq!(new("storage.k8s.io", "csidrivers", driver).len(), 1);
}
