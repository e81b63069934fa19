//! Claims, volumes and ingress classes.

use serde_json::{Value, json};

use super::{Ask, Fixture, ask, user};
use crate::admission::Operation;
use crate::auth::resources::{INGRESS_CLASSES, STORAGE_CLASSES};

#[test]
fn claims_and_volumes_are_protected_from_their_first_moment() {
    let fixture = Fixture::new();
    for (plural, finalizer) in [
        ("persistentvolumeclaims", "kubernetes.io/pvc-protection"),
        ("persistentvolumes", "kubernetes.io/pv-protection"),
    ] {
        let create =
            |object: Value| fixture.create("", plural, object).unwrap()["metadata"]["finalizers"].clone();
        assert_eq!(
            create(json!({"metadata": {"name": "x"}, "spec": {}})),
            json!([finalizer])
        );
        let own = json!({"metadata": {"name": "x", "finalizers": ["example.com/x"]}, "spec": {}});
        assert_eq!(create(own), json!(["example.com/x", finalizer]));
        let already = json!({"metadata": {"name": "x", "finalizers": [finalizer]}, "spec": {}});
        assert_eq!(create(already), json!([finalizer]));
    }
    let other = fixture
        .create("", "configmaps", json!({"metadata": {"name": "x"}}))
        .unwrap();
    assert_eq!(other["metadata"]["finalizers"], Value::Null);
}

#[test]
fn a_claim_grows_when_it_is_bound_and_its_class_lets_it() {
    let fixture = Fixture::new();
    for (name, grows) in [
        ("fixed", json!(false)),
        ("silent", Value::Null),
        ("elastic", json!(true)),
    ] {
        let class = json!({"metadata": {"name": name}, "allowVolumeExpansion": grows});
        fixture.memory.put(&STORAGE_CLASSES, &class);
    }
    let claim = |class: &str, size: &str, phase: &str| {
        json!({
            "metadata": {"name": "x", "namespace": "a"},
            "spec": {"storageClassName": class, "resources": {"requests": {"storage": size}}},
            "status": {"phase": phase},
        })
    };
    let boss = user("boss", &["system:masters"]);
    let update = |old: &Value, new: Value| {
        let question = Ask {
            old: Some(old),
            ..ask(&boss, Operation::Update, "", "persistentvolumeclaims")
        };
        fixture
            .ask(question, Some(new))
            .map_err(|status| (status.code, status.message))
    };
    let bound = claim("elastic", "1Gi", "Bound");
    assert!(update(&bound, claim("elastic", "2Gi", "Bound")).is_ok());
    assert!(
        update(&bound, claim("elastic", "1024Mi", "Bound")).is_ok(),
        "the same size in other words"
    );
    let pending = claim("elastic", "1Gi", "Pending");
    assert_eq!(
        update(&pending, claim("elastic", "2Gi", "Pending")).unwrap_err(),
        (
            403,
            "persistentvolumeclaims \"x\" is forbidden: Only bound persistent volume claims can be expanded"
                .to_owned()
        )
    );
    for class in ["fixed", "silent", "unknown", ""] {
        let (code, message) =
            update(&claim(class, "1Gi", "Bound"), claim(class, "2Gi", "Bound")).unwrap_err();
        assert_eq!(code, 403);
        assert_eq!(
            message,
            "persistentvolumeclaims \"x\" is forbidden: only dynamically provisioned pvc can be resized and the \
             storageclass that provisions the pvc must support resize",
            "{class}"
        );
    }
    assert!(
        update(&bound, claim("fixed", "2Gi", "Bound")).is_err(),
        "another class"
    );
}

#[test]
fn an_ingress_without_a_class_gets_the_default_one() {
    let fixture = Fixture::new();
    let create = |ingress: Value| {
        let made = fixture.create("networking.k8s.io", "ingresses", ingress).unwrap();
        made["spec"]["ingressClassName"].clone()
    };
    let plain = || json!({"metadata": {"name": "x"}, "spec": {}});
    assert_eq!(create(plain()), Value::Null);
    for (name, made, default) in [
        ("b", "2021-01-01T00:00:00Z", "true"),
        ("a", "2021-01-01T00:00:00Z", "true"),
        ("old", "2020-01-01T00:00:00Z", "true"),
        ("not", "2022-01-01T00:00:00Z", "false"),
    ] {
        let class = json!({"metadata": {
            "name": name, "creationTimestamp": made,
            "annotations": {"ingressclass.kubernetes.io/is-default-class": default},
        }});
        fixture.memory.put(&INGRESS_CLASSES, &class);
    }
    assert_eq!(create(plain()), "a");
    assert_eq!(
        create(json!({"metadata": {"name": "x"}, "spec": {"ingressClassName": "b"}})),
        "b"
    );
    let annotated = json!({
        "metadata": {"name": "x", "annotations": {"kubernetes.io/ingress.class": "nginx"}}, "spec": {},
    });
    assert_eq!(create(annotated), Value::Null);
}
