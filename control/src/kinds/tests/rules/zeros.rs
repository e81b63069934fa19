//! Zeros: what upstream's types cannot tell from nothing is not there; what they can is kept, and what they always have is
//! there.

use super::*;
use crate::kinds::Kind;

fn kind(group: &str, plural: &str) -> &'static Kind {
    find(group, "v1", plural)
        .or_else(|| find(group, "v2", plural))
        .unwrap_or_else(|| panic!("{plural}"))
}

/// Puts `more` into an object, down to lists, whose items are put into the items of the object's.
fn with(mut object: Value, more: &Value) -> Value {
    fn put(into: &mut Value, more: &Value) {
        match (into, more) {
            (Value::Object(into), Value::Object(more)) => {
                for (name, value) in more {
                    put(into.entry(name.as_str()).or_insert(Value::Null), value);
                }
            }
            (Value::Array(into), Value::Array(more)) if into.len() == more.len() => {
                into.iter_mut().zip(more).for_each(|(into, more)| put(into, more));
            }
            (into, more) => *into = more.clone(),
        }
    }
    put(&mut object, more);
    object
}

fn created(kind: &Kind, mut object: Value) -> Value {
    crate::kinds::default(kind, &mut object);
    kind.strategy.prepare_create(&mut object);
    object
}

/// Objects of many kinds.
fn sample(plural: &str) -> Value {
    let workload = json!({"selector": {"matchLabels": {"a": "b"}}, "serviceName": "s",
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
        "volumeClaimTemplates": [{"metadata": {"name": "v"}, "spec": {"accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}}}}]});
    let body = match plural {
        "deployments" | "daemonsets" | "statefulsets" => json!({"spec": workload}),
        "persistentvolumeclaims" => json!({"spec": workload["volumeClaimTemplates"][0]["spec"]}),
        "services" => json!({"spec": {"ports": [{"port": 80}]}}),
        "networkpolicies" => json!({"spec": {"podSelector": {}, "ingress": [{}]}}),
        "poddisruptionbudgets" => json!({"spec": {"selector": {}, "minAvailable": 0}}),
        "endpointslices" => {
            json!({"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"name": "", "port": 80}]})
        }
        "ingresses" => json!({"spec": {"rules": [{"host": "a.b"}]}}),
        "customresourcedefinitions" => {
            json!({"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {
            "type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}},
            "m": {"additionalProperties": {"type": "string"}}}}}}]}})
        }
        "horizontalpodautoscalers" => {
            json!({"spec": {"maxReplicas": 1, "scaleTargetRef": {"kind": "K", "name": "n"}}})
        }
        _ => json!({}),
    };
    with(json!({"metadata": {"name": "n"}}), &body)
}

#[test]
fn that_say_nothing_are_not_there() {
    let lists =
        json!({"metadata": {"labels": {}, "annotations": {}, "finalizers": [], "ownerReferences": []}});
    let selector = json!({"matchExpressions": []});
    for (group, plural, zeros) in [
        (
            "apps",
            "deployments",
            json!({"spec": {"paused": false, "minReadySeconds": 0, "selector": selector}}),
        ),
        ("apps", "daemonsets", json!({"spec": {"selector": selector}})),
        (
            "apps",
            "statefulsets",
            json!({"spec": {"selector": selector, "volumeClaimTemplates": [lists]}}),
        ),
        (
            "",
            "persistentvolumeclaims",
            json!({"spec": {"volumeName": "", "resources": {"limits": {}}}}),
        ),
        ("", "configmaps", json!({"data": {}, "binaryData": {}})),
        (
            "",
            "services",
            json!({"spec": {"externalIPs": [], "selector": {}, "publishNotReadyAddresses": false, "ports": [{"nodePort": 0}]}}),
        ),
        (
            "networking.k8s.io",
            "ingresses",
            json!({"spec": {"tls": [], "rules": [{"host": "a.b"}]}}),
        ),
        (
            "networking.k8s.io",
            "networkpolicies",
            json!({"spec": {"egress": [], "podSelector": {"matchLabels": {}}, "ingress": [{"from": [], "ports": []}]}}),
        ),
        (
            "policy",
            "poddisruptionbudgets",
            json!({"spec": {"selector": selector}}),
        ),
        (
            "discovery.k8s.io",
            "endpointslices",
            json!({"endpoints": [{"conditions": {}}]}),
        ),
        (
            "scheduling.k8s.io",
            "priorityclasses",
            json!({"globalDefault": false, "description": ""}),
        ),
        ("storage.k8s.io", "storageclasses", json!({"parameters": {}})),
        (
            "apiextensions.k8s.io",
            "customresourcedefinitions",
            json!({"spec": {"preserveUnknownFields": false, "versions": [{"schema": {"openAPIV3Schema": {"required": [],
                "properties": {"a": {"nullable": false, "items": {"nullable": false}},
                "m": {"additionalProperties": {"nullable": false, "enum": []}}}}}}]}}),
        ),
    ] {
        let kind = kind(group, plural);
        let plain = created(kind, sample(plural));
        let wordy = with(with(sample(plural), &lists), &zeros);
        assert_eq!(created(kind, wordy), plain, "{plural}");
    }
}

#[test]
fn that_say_something_are_kept() {
    for (group, plural, kept) in [
        (
            "apps",
            "deployments",
            json!({"spec": {"replicas": 0, "revisionHistoryLimit": 0}}),
        ),
        (
            "networking.k8s.io",
            "networkpolicies",
            json!({"spec": {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}, {"namespaceSelector": {}}]}]}}),
        ),
        (
            "policy",
            "poddisruptionbudgets",
            json!({"spec": {"selector": {}, "minAvailable": 0}}),
        ),
        (
            "",
            "persistentvolumeclaims",
            json!({"spec": {"storageClassName": ""}}),
        ),
        ("", "configmaps", json!({"immutable": false, "data": {"k": ""}})),
        ("", "secrets", json!({"data": {"k": ""}})),
        (
            "discovery.k8s.io",
            "endpointslices",
            json!({"ports": [{"name": ""}]}),
        ),
        ("scheduling.k8s.io", "priorityclasses", json!({"value": 0})),
        ("rbac.authorization.k8s.io", "roles", json!({"rules": []})),
        (
            "coordination.k8s.io",
            "leases",
            json!({"spec": {"holderIdentity": ""}}),
        ),
        (
            "apps",
            "controllerrevisions",
            json!({"data": {"a": [], "b": {}, "c": false, "d": ""}}),
        ),
        (
            "apiextensions.k8s.io",
            "customresourcedefinitions",
            json!({"spec": {"versions": [{"schema": {"openAPIV3Schema": {"properties": {"a": {"default": [], "minLength": 0},
                "m": {"additionalProperties": false}}}}}]}}),
        ),
    ] {
        let object = created(kind(group, plural), with(sample(plural), &kept));
        assert_eq!(with(object.clone(), &kept), object, "{plural}");
    }
}

#[test]
fn no_policies_at_all_are_none_of_the_defaults() {
    let empty = json!({"spec": {"behavior": {"scaleDown": {"policies": []}}}});
    let scaler = with(sample("horizontalpodautoscalers"), &empty);
    assert_eq!(
        new("autoscaling", "horizontalpodautoscalers", scaler),
        ["spec.behavior.scaleDown.policies: Required value: must specify at least one Policy"]
    );
}

#[test]
fn that_types_always_have_are_there() {
    for (group, plural, sent, expected) in [
        (
            "policy",
            "poddisruptionbudgets",
            json!({}),
            json!({"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0}),
        ),
        (
            "storage.k8s.io",
            "volumeattachments",
            json!({}),
            json!({"attached": false}),
        ),
    ] {
        let mut object = with(sample(plural), &json!({ "status": sent }));
        crate::kinds::default(kind(group, plural), &mut object);
        assert_eq!(object["status"], expected, "{plural}");
    }
    let set = json!({"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": {}}}});
    let set = created(kind("apps", "daemonsets"), with(sample("daemonsets"), &set));
    assert_eq!(
        set["spec"]["updateStrategy"]["rollingUpdate"],
        json!({"maxSurge": 0, "maxUnavailable": 0})
    );
    // Defaults come before complaints, whatever is missing.
    let schema = new(
        "flowcontrol.apiserver.k8s.io",
        "flowschemas",
        sample("flowschemas"),
    );
    assert!(
        !schema.iter().any(|text| text.contains("matchingPrecedence")),
        "{schema:?}"
    );
    let definition = new("apiextensions.k8s.io", "customresourcedefinitions", json!({}));
    assert!(
        !definition.iter().any(|text| text.contains("conversion")),
        "{definition:?}"
    );
}
