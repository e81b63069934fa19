//! What is stored, and would not be let in today, can be changed; and complaints about very many things come to an end.

use keelson_api::status::MOST_ERRORS;

use super::*;

/// Complaints about a change as the server tells them: without those about what was there before and stays.
fn written(group: &str, plural: &str, mut old: Value, change: impl Fn(&mut Value)) -> Vec<String> {
    let kind = find(group, "v1", plural).unwrap_or_else(|| panic!("{plural}"));
    old["metadata"] =
        json!({"name": "a", "uid": "1", "resourceVersion": "1", "creationTimestamp": "2024-01-01T00:00:00Z"});
    crate::kinds::default(kind, &mut old);
    assert!(!kind.strategy.validate_create(&old).is_empty(), "{plural}");
    let mut new = old.clone();
    change(&mut new);
    let errors = crate::kinds::validate_update(kind, None, &old, &new);
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn volumes_at_nodes_that_cannot_be() {
    let expression = json!({"key": "a", "operator": "In", "values": ["-1"]});
    let required = json!({"nodeSelectorTerms": [{"matchExpressions": [expression]}]});
    let spec = json!({"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/a"},
        "nodeAffinity": {"required": required}});
    let change = |pointer: &str, to: &str| {
        written("", "persistentvolumes", json!({"spec": spec}), |new| {
            *new.pointer_mut(pointer).unwrap() = to.into();
        })
    };
    assert_eq!(change("/spec/persistentVolumeReclaimPolicy", "Delete"), [""; 0]);
    let value = "/spec/nodeAffinity/required/nodeSelectorTerms/0/matchExpressions/0/values/0";
    assert_eq!(change(value, "-2").len(), 2, "no label, and another one");
}

#[test]
fn conditions_of_webhooks_and_policies() {
    let group = "admissionregistration.k8s.io";
    let conditions = json!([{"name": "a", "expression": " "}]);
    let webhook = json!({"name": "a.b.c", "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "clientConfig": {"url": "https://a"}, "matchConditions": conditions});
    for plural in ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"] {
        let change = |pointer: &str, to: Value| {
            written(group, plural, json!({"webhooks": [webhook]}), |new| {
                *new.pointer_mut(pointer).unwrap() = to.clone();
            })
        };
        assert_eq!(change("/webhooks/0/timeoutSeconds", 7.into()), [""; 0]);
        let expression = "/webhooks/0/matchConditions/0/expression";
        assert_eq!(change(expression, "  ".into()).len(), 1, "{plural}");
    }
    let rule = json!({"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]});
    let spec = json!({"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": "true"}],
        "matchConditions": conditions});
    let change = |pointer: &str, to: &str| {
        written(
            group,
            "validatingadmissionpolicies",
            json!({"spec": spec}),
            |new| {
                *new.pointer_mut(pointer).unwrap() = to.into();
            },
        )
    };
    assert_eq!(change("/spec/failurePolicy", "Ignore"), [""; 0]);
    assert_eq!(change("/spec/matchConditions/0/expression", "  ").len(), 1);
}

#[test]
fn attachments_with_a_long_story() {
    let attachment = json!({"metadata": {"name": "a", "finalizers": ["a/b"]},
        "spec": {"attacher": "a.b", "nodeName": "n", "source": {"persistentVolumeName": "v"}},
        "status": {"attached": true, "attachError": {"message": "x".repeat(1025)}}});
    let change = |pointer: &str, to: Value| {
        changed("storage.k8s.io", "volumeattachments", attachment.clone(), |new| {
            *new.pointer_mut(pointer).unwrap() = to.clone();
        })
    };
    assert_eq!(change("/metadata/finalizers", json!([])), [""; 0]);
    assert_eq!(change("/status/attached", json!(false)).len(), 1);
}

#[test]
fn places_are_compared_as_types_are() {
    let labels = json!({"matchLabels": {"a": ""}});
    for (from, to, is_same) in [
        (
            json!({}),
            json!({"matchLabels": {}, "matchExpressions": null}),
            true,
        ),
        (json!({}), json!(null), false),
        (json!({}), labels.clone(), false),
        (
            labels,
            json!({"matchLabels": {"a": ""}, "matchExpressions": []}),
            true,
        ),
        (
            json!({"matchExpressions": [{"key": "a", "operator": "Exists"}]}),
            json!({"matchExpressions": [{"key": "a", "operator": "Exists", "values": []}]}),
            true,
        ),
    ] {
        let capacity = json!({"metadata": {"name": "c"}, "storageClassName": "fast", "nodeTopology": from});
        let told = changed("storage.k8s.io", "csistoragecapacities", capacity, |new| {
            new["nodeTopology"] = to.clone();
        });
        assert_eq!(told.is_empty(), is_same, "{from} {to}: {told:?}");
    }
}

#[test]
fn complaints_come_to_an_end() {
    let is_bounded = |errors: usize| (MOST_ERRORS..MOST_ERRORS + 10).contains(&errors);
    let ranges = vec!["x"; 3 * MOST_ERRORS];
    let service = json!({"metadata": {"name": "s"}, "spec": {"type": "LoadBalancer", "ports": [{"port": 80}],
        "loadBalancerSourceRanges": ranges}});
    assert!(is_bounded(new("", "services", service).len()));
    let amounts: serde_json::Map<String, Value> = (0..3 * MOST_ERRORS)
        .map(|number| (format!("r{number}"), json!("-1")))
        .collect();
    let strategy = &find("", "v1", "persistentvolumeclaims").unwrap().strategy;
    let claim = json!({"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"]}});
    for field in ["capacity", "allocatedResources", "allocatedResourceStatuses"] {
        let mut new = claim.clone();
        new["status"] = json!({field: amounts});
        let errors = strategy.validate_update(Some("status"), &claim, &new);
        assert!(is_bounded(errors.len()), "{field}: {}", errors.len());
    }
}
