//! Default roles and bindings of an older version.

use serde_json::{Value, json};

use crate::auth::rbac::reconciled;

#[allow(clippy::needless_pass_by_value)] // json!() literals are handed over whole
fn role(rules: Value) -> Value {
    json!({
        "kind": "ClusterRole",
        "metadata": {
            "name": "system:x",
            "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
            "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
        },
        "rules": rules,
    })
}

fn rule(verbs: &[&str], resource: &str) -> Value {
    json!({"verbs": verbs, "apiGroups": [""], "resources": [resource]})
}

#[test]
fn missing_rules_are_added_and_more_than_expected_stays() {
    let expected = role(json!([rule(&["get", "list"], "pods"), rule(&["get"], "nodes")]));
    assert_eq!(reconciled(&expected, &expected), None);
    // The same rights in other rules are the same.
    let other = role(json!([
        rule(&["*"], "pods"),
        rule(&["get"], "nodes"),
        rule(&["get"], "secrets")
    ]));
    assert_eq!(reconciled(&other, &expected), None);
    let older = role(json!([rule(&["get"], "pods"), rule(&["get"], "secrets")]));
    let new = reconciled(&older, &expected).unwrap();
    assert_eq!(
        new["rules"],
        json!([
            rule(&["get"], "pods"),
            rule(&["get"], "secrets"),
            rule(&["get"], "nodes"),
            rule(&["list"], "pods"),
        ])
    );
    assert_eq!(reconciled(&new, &expected), None);
    let mut empty = role(Value::Null);
    assert_eq!(
        reconciled(&empty, &expected).unwrap()["rules"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    empty["metadata"]["annotations"]["rbac.authorization.kubernetes.io/autoupdate"] = "false".into();
    assert_eq!(reconciled(&empty, &expected), None, "protected");
}

#[test]
fn labels_come_back_and_the_rules_of_an_aggregation_are_left_alone() {
    let mut expected = role(json!([rule(&["get"], "pods")]));
    expected["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]});
    let mut stored = expected.clone();
    stored["rules"] = json!([]);
    assert_eq!(reconciled(&stored, &expected), None);
    stored["metadata"]["labels"] = json!({"own": "1", "kubernetes.io/bootstrapping": "mine"});
    stored["metadata"].as_object_mut().unwrap().remove("annotations");
    stored["aggregationRule"] = Value::Null;
    let new = reconciled(&stored, &expected).unwrap();
    assert_eq!(
        new["metadata"]["labels"],
        json!({"own": "1", "kubernetes.io/bootstrapping": "mine"})
    );
    assert_eq!(
        new["metadata"]["annotations"],
        expected["metadata"]["annotations"]
    );
    assert_eq!(
        (&new["aggregationRule"], &new["rules"]),
        (&expected["aggregationRule"], &json!([]))
    );
}

#[test]
fn missing_subjects_are_added() {
    let binding = |subjects: Value| json!({"kind": "ClusterRoleBinding", "metadata": {"name": "x"}, "subjects": subjects});
    let group = |name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": name});
    let expected = binding(json!([group("a"), group("b")]));
    let stored = binding(json!([group("own"), group("b")]));
    let new = reconciled(&stored, &expected).unwrap();
    assert_eq!(new["subjects"], json!([group("own"), group("b"), group("a")]));
    assert_eq!(reconciled(&new, &expected), None);
    assert_eq!(reconciled(&binding(Value::Null), &binding(json!([]))), None);
}
