//! What generations count, and what is taken out of objects on their way in.

use super::*;
use crate::kinds::Kind;

fn updated(kind: &Kind, old: &Value, change: impl Fn(&mut Value)) -> Value {
    let mut new = old.clone();
    change(&mut new);
    crate::kinds::default(kind, &mut new);
    kind.strategy.prepare_update(None, old, &mut new);
    new
}

fn created(kind: &Kind, mut object: Value) -> Value {
    crate::kinds::default(kind, &mut object);
    kind.strategy.prepare_create(&mut object);
    object
}

#[test]
fn of_webhooks_are_changes_of_webhooks() {
    for plural in ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"] {
        let kind = find("admissionregistration.k8s.io", "v1", plural).unwrap();
        let old = created(
            kind,
            json!({"metadata": {"name": "w"}, "webhooks": [{"name": "a.b.c"}]}),
        );
        assert_eq!(old["metadata"]["generation"], 1);
        let labelled = updated(kind, &old, |new| new["metadata"]["labels"] = json!({"a": "b"}));
        assert_eq!(labelled["metadata"]["generation"], 1, "{plural}");
        let slower = updated(kind, &old, |new| new["webhooks"][0]["timeoutSeconds"] = json!(7));
        assert_eq!(slower["metadata"]["generation"], 2, "{plural}");
    }
}

#[test]
fn of_pod_templates_are_changes_of_templates() {
    let kind = find("", "v1", "podtemplates").unwrap();
    let template = json!({"spec": {"containers": [{"name": "c", "image": "i"}]}});
    let old = created(kind, json!({"metadata": {"name": "t"}, "template": template}));
    assert_eq!(old["metadata"]["generation"], 1);
    let labelled = updated(kind, &old, |new| new["metadata"]["labels"] = json!({"a": "b"}));
    assert_eq!(labelled["metadata"]["generation"], 1);
    let other = updated(kind, &old, |new| new["template"]["spec"]["nodeName"] = json!("n"));
    assert_eq!(other["metadata"]["generation"], 2);
}

#[test]
fn of_templates_of_daemon_sets_are_annotations() {
    const ANNOTATION: &str = "deprecated.daemonset.template.generation";
    let kind = find("apps", "v1", "daemonsets").unwrap();
    let sent = |annotations: Value| {
        json!({"metadata": {"name": "d", "annotations": annotations}, "spec": {"template": {"spec": {"containers": [
            {"name": "c", "image": "i"}]}}}})
    };
    let of = |set: &Value| set["metadata"]["annotations"][ANNOTATION].clone();
    for (annotations, expected) in [
        (json!({}), "1"),
        (json!({"a": "b"}), "1"),
        (json!({ANNOTATION: "-3"}), "1"),
        (json!({ANNOTATION: "+7"}), "7"),
    ] {
        let set = created(kind, sent(annotations));
        assert_eq!(of(&set), expected);
    }

    let old = created(kind, sent(json!({ANNOTATION: "4"})));
    let same = updated(kind, &old, |new| new["metadata"]["annotations"] = json!({}));
    assert_eq!(of(&same), "4", "nobody takes it away");
    let same = updated(kind, &old, |new| {
        new["metadata"]["annotations"][ANNOTATION] = json!("9");
        new["spec"]["minReadySeconds"] = json!(1);
    });
    assert_eq!(of(&same), "4", "or changes it");
    let rolled = updated(kind, &old, |new| {
        new["spec"]["template"]["metadata"]["labels"] = json!({"a": "b"});
    });
    assert_eq!(
        (of(&rolled), &rolled["metadata"]["generation"]),
        (json!("5"), &json!(2))
    );

    let why = |text: &str| kind.strategy.undecodable(&sent(json!({ANNOTATION: text})));
    assert_eq!(why("3"), None);
    assert_eq!(
        why("x").as_deref(),
        Some("strconv.ParseInt: parsing \"x\": invalid syntax")
    );
    assert_eq!(
        why("9223372036854775808").as_deref(),
        Some("strconv.ParseInt: parsing \"9223372036854775808\": value out of range")
    );
}

#[test]
fn secrets_of_service_accounts_are_names() {
    let kind = find("", "v1", "serviceaccounts").unwrap();
    let secrets = json!([{"name": "x", "namespace": "y", "kind": "Z", "fieldPath": "q"}, {"name": ""}]);
    let account = created(kind, json!({"metadata": {"name": "a"}, "secrets": secrets}));
    assert_eq!(account["secrets"], json!([{"name": "x"}, {}]));
    let account = updated(kind, &account, |new| new["secrets"] = secrets.clone());
    assert_eq!(account["secrets"], json!([{"name": "x"}, {}]));
}

#[test]
fn topologies_of_slices_are_not_for_v1() {
    let kind = find("discovery.k8s.io", "v1", "endpointslices").unwrap();
    let endpoints = json!([{"addresses": ["10.0.0.1"], "deprecatedTopology": {"a": "b"}}]);
    let slice = created(
        kind,
        json!({"metadata": {"name": "e"}, "addressType": "IPv4", "endpoints": endpoints}),
    );
    assert_eq!(slice["endpoints"][0].get("deprecatedTopology"), None);
    // What v1beta1 has written stays until somebody changes the endpoints.
    let mut old = slice.clone();
    old["endpoints"][0]["deprecatedTopology"] = json!({"a": "b"});
    let same = updated(kind, &old, |new| new["metadata"]["labels"] = json!({"c": "d"}));
    assert_eq!(same["endpoints"], old["endpoints"]);
    let moved = updated(kind, &old, |new| {
        new["endpoints"][0]["addresses"] = json!(["10.0.0.2"]);
    });
    assert_eq!(moved["endpoints"][0].get("deprecatedTopology"), None);
}
