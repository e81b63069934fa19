//! Admission policies of somebody who may not read their parameters.

use serde_json::{Value, json};

use super::{Fixture, ask, user};
use crate::admission::Operation;
use crate::auth::resources::{CUSTOM_RESOURCE_DEFINITIONS, VALIDATING_ADMISSION_POLICIES};

const GROUP: &str = "admissionregistration.k8s.io";

/// Where `amy` may get ConfigMaps, limits of `b.c`, and the secret `s`.
fn fixture() -> Fixture {
    let fixture = Fixture::new();
    let rules = json!([
        {"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"]},
        {"verbs": ["get"], "apiGroups": ["b.c"], "resources": ["limits"]},
        {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["s"]},
        {"verbs": ["list"], "apiGroups": ["b.c"], "resources": ["limits"]},
    ]);
    fixture.allow(("User", "amy"), &rules);
    fixture.memory.put(
        &CUSTOM_RESOURCE_DEFINITIONS,
        &json!({
            "metadata": {"name": "limits.b.c"},
            "spec": {"group": "b.c", "versions": [{"name": "v1", "served": true}, {"name": "v2", "served": false}]},
            "status": {"acceptedNames": {"plural": "limits", "kind": "Limit"}},
        }),
    );
    fixture
}

fn policy(version: &str, kind: &str) -> Value {
    json!({"metadata": {"name": "x"}, "spec": {"paramKind": {"apiVersion": version, "kind": kind}}})
}

#[test]
fn policies_depend_on_what_their_author_may_read() {
    let (fixture, amy) = (fixture(), user("amy", &["g"]));
    let mut question = ask(&amy, Operation::Create, GROUP, "validatingadmissionpolicies");
    question.namespace = "";
    for (object, allowed) in [
        (json!({"metadata": {"name": "x"}, "spec": {}}), true),
        (policy("v1", "ConfigMap"), true),
        (policy("b.c/v1", "Limit"), true),
        (policy("b.c/v2", "Limit"), false),
        (policy("v1", "Secret"), false),
        (policy("d.e/v1", "Other"), false),
    ] {
        let answer = fixture.ask(question, Some(object.clone()));
        assert_eq!(answer.is_ok(), allowed, "{object}");
    }
    let (old, refused) = (
        policy("v1", "Secret"),
        fixture.ask(question, Some(policy("v1", "Secret"))).unwrap_err(),
    );
    assert_eq!(refused.code, 422);
    assert!(
        refused.message.ends_with(
            "spec.paramKind: Forbidden: user &{amy  [g] map[]} must have \"get\" permission on all objects of the \
             referenced paramKind (kind=Secret, apiVersion=v1)"
        ),
        "{}",
        refused.message
    );
    // What it has depended on before it may go on to depend on.
    question.operation = Operation::Update;
    question.old = Some(&old);
    assert!(fixture.ask(question, Some(old.clone())).is_ok());
    assert!(
        fixture
            .create(GROUP, "validatingadmissionpolicies", old.clone())
            .is_ok()
    );
}

#[test]
fn bindings_refer_to_what_their_author_may_read() {
    let (fixture, amy) = (fixture(), user("amy", &[]));
    for (name, version, kind) in [
        ("p", "v1", "Secret"),
        ("m", "v1", "ConfigMap"),
        ("l", "b.c/v1", "Limit"),
    ] {
        let mut stored = policy(version, kind);
        stored["metadata"]["name"] = name.into();
        fixture.memory.put(&VALIDATING_ADMISSION_POLICIES, &stored);
    }
    let mut question = ask(
        &amy,
        Operation::Create,
        GROUP,
        "validatingadmissionpolicybindings",
    );
    question.namespace = "";
    for (policy, reference, allowed) in [
        ("p", json!(null), true),
        ("p", json!({"name": "s", "namespace": "a"}), true),
        ("p", json!({"name": "t", "namespace": "a"}), false),
        ("p", json!({"selector": {}}), false),
        // Whoever selects has to be able to list.
        ("m", json!({"selector": {}}), false),
        ("l", json!({"selector": {}}), true),
        // Nobody knows yet of which kind that will be.
        ("q", json!({"name": "s", "namespace": "a"}), false),
    ] {
        let object =
            json!({"metadata": {"name": "x"}, "spec": {"policyName": policy, "paramRef": reference}});
        let answer = fixture.ask(question, Some(object.clone()));
        assert_eq!(answer.is_ok(), allowed, "{object}");
    }
}
