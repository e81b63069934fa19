//! What all objects share.

use serde_json::{Value, json};

use crate::kinds::metadata::{validate_metadata, validate_metadata_update};
use crate::kinds::{find, validate_create, validate_update};

#[test]
fn metadata_is_checked_as_upstream() {
    let check = |plural: &str, metadata: Value| -> Vec<String> {
        let kind = find("", "v1", plural)
            .or_else(|| find("rbac.authorization.k8s.io", "v1", plural))
            .unwrap();
        validate_metadata(kind, &json!({"metadata": metadata}))
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    assert!(check("pods", json!({"name": "a.b", "namespace": "x"})).is_empty());
    assert!(check("clusterroles", json!({"name": "system:node"})).is_empty());
    assert_eq!(
        check("namespaces", json!({"name": "a.b"})),
        ["metadata.name: Invalid value: \"a.b\": must not contain dots"]
    );
    assert_eq!(
        check("pods", json!({"namespace": "x"})),
        ["metadata.name: Required value: name or generateName is required"]
    );
    assert!(check("services", json!({"name": "1a", "namespace": "x"}))[0].contains("a DNS-1035 label must"));
    assert_eq!(
        check(
            "pods",
            json!({"name": "a", "namespace": "x", "finalizers": ["f"]})
        ),
        [
            "metadata.finalizers[0]: Invalid value: \"f\": name is neither a standard finalizer name nor is it fully qualified"
        ]
    );
    // Other servers of upstream's take any, and so do kinds that are not checked by the rules of the core group.
    for (group, plural) in [
        ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
        ("apiregistration.k8s.io", "apiservices"),
        ("coordination.k8s.io", "leases"),
        ("node.k8s.io", "runtimeclasses"),
        ("policy", "poddisruptionbudgets"),
    ] {
        let kind = find(group, "v1", plural).unwrap();
        let mut object = json!({"metadata": {"name": "v1.a.b", "finalizers": ["f"]}});
        if kind.namespaced {
            object["metadata"]["namespace"] = "x".into();
        }
        assert!(validate_metadata(kind, &object).is_empty(), "{plural}");
    }
    assert!(
        check(
            "pods",
            json!({"name": "a", "namespace": "x", "labels": {"a": "b c"}})
        )[0]
        .starts_with("metadata.labels: Invalid value: \"b c\": a valid label must be")
    );
}

#[test]
fn requests_and_old_events_are_called_anything() {
    let named = |group: &str, plural: &str, name: &str| {
        let kind = find(group, "v1", plural).unwrap();
        let metadata = if kind.namespaced {
            json!({"name": name, "namespace": "x"})
        } else {
            json!({"name": name})
        };
        validate_metadata(kind, &json!({"metadata": metadata})).len()
    };
    for (group, plural) in [
        ("certificates.k8s.io", "certificatesigningrequests"),
        ("policy", "poddisruptionbudgets"),
        ("", "events"),
    ] {
        assert_eq!(named(group, plural, "system:node: A_b"), 0, "{plural}");
    }
    assert_eq!(named("", "pods", "A_b"), 1);
}

#[test]
fn names_can_stand_in_a_path() {
    let kind = find("policy", "v1", "poddisruptionbudgets").unwrap();
    let mut budget = json!({"metadata": {"name": "a/b", "namespace": "x"}, "spec": {"maxUnavailable": 1}});
    let created = |budget: &Value| -> Vec<String> {
        let errors = validate_create(kind, budget);
        errors.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        created(&budget),
        ["metadata.name: Invalid value: \"a/b\": may not contain '/'"]
    );
    budget["spec"]["minAvailable"] = 1.into();
    let errors = created(&budget);
    assert!(errors[0].starts_with("spec: "), "{errors:?}");
    assert_eq!(errors.len(), 1, "only if nothing else is wrong");
}

#[test]
fn what_a_name_begins_with_changes() {
    let changed = |group: &str, plural: &str, part: Option<&str>, prefix: &str| -> Vec<String> {
        let kind = find(group, "v1", plural).unwrap();
        let old = json!({"metadata": {"name": "a", "namespace": "x"}});
        let mut new = old.clone();
        new["metadata"]["generateName"] = prefix.into();
        let errors = validate_update(kind, part, &old, &new);
        let errors = errors.iter().map(ToString::to_string);
        errors.filter(|error| error.starts_with("metadata.")).collect()
    };
    let path = "metadata.generateName: Invalid value: \"/x\": may not contain '/'";
    for (group, plural, part, most) in [
        ("", "configmaps", None, 2),
        ("", "pods", Some("status"), 1),
        ("apps", "deployments", None, 1),
        ("policy", "poddisruptionbudgets", None, 1),
    ] {
        assert!(changed(group, plural, part, "a-").is_empty(), "{plural}");
        let errors = changed(group, plural, part, "/x");
        assert_eq!(errors[0], path, "{plural}");
        assert_eq!(errors.len(), most, "{errors:?}");
        assert_eq!(changed(group, plural, part, "Bad_").len(), most - 1, "{plural}");
    }
}

#[test]
fn metadata_that_never_changes() {
    let pod = find("", "v1", "pods").unwrap();
    let old = json!({"metadata": {"name": "a", "namespace": "x", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z",
        "deletionTimestamp": "2026-01-02T00:00:00Z", "finalizers": ["a/b", "a/c"]}});
    let changed = |change: &dyn Fn(&mut Value)| -> Vec<String> {
        let mut new = old.clone();
        change(&mut new["metadata"]);
        let errors = validate_metadata_update(pod, None, &old, &new);
        errors.iter().map(ToString::to_string).collect()
    };
    assert!(changed(&|metadata| metadata["finalizers"] = json!(["a/c"])).is_empty());
    assert_eq!(
        changed(&|metadata| metadata["finalizers"] = json!(["x/z", "a/b", "x/y", "x/z"])),
        [
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new \
             finalizers []string{\"x/y\", \"x/z\"}"
        ]
    );
    for field in ["name", "namespace", "uid", "creationTimestamp"] {
        assert_eq!(
            changed(&|metadata| metadata[field] = "z".into()),
            [format!(
                "metadata.{field}: Invalid value: \"z\": field is immutable"
            )]
        );
    }
    // Only a delete says that an object is deleted.
    let mut alive = old.clone();
    alive["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("deletionTimestamp");
    let errors: Vec<String> = validate_metadata_update(pod, None, &alive, &old)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        errors,
        ["metadata.deletionTimestamp: Invalid value: 2026-01-02 00:00:00 +0000 UTC: field is immutable"]
    );
}
