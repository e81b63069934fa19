//! Server-side apply.

use serde_json::json;

use super::*;
use crate::apply::decode;

#[test]
fn an_applier_owns_what_it_names_and_no_more() {
    let config =
        json!({"metadata": {"name": "c", "labels": {"test-label": "test"}}, "data": {"key": "some value"}});
    let applied = CONFIG_MAP
        .apply("kubectl", &CONFIG_MAP.empty(), &config, &[], false)
        .unwrap();
    // The documentation's example.
    assert_eq!(
        fields(&applied.managers, "kubectl"),
        json!({"f:metadata": {"f:labels": {"f:test-label": {}}}, "f:data": {"f:key": {}}})
    );
    assert_eq!(applied.object["data"], config["data"]);
    let again = CONFIG_MAP
        .apply("kubectl", &applied.object, &config, &applied.managers, false)
        .unwrap();
    assert_eq!(again, applied);
}

#[test]
fn what_an_applier_no_longer_names_goes() {
    let config = json!({"metadata": {"name": "c", "labels": {"a": "1"}}, "data": {"a": "1", "b": "1"}});
    let one = CONFIG_MAP
        .apply("one", &CONFIG_MAP.empty(), &config, &[], false)
        .unwrap();
    let two = CONFIG_MAP
        .apply(
            "two",
            &one.object,
            &json!({"data": {"b": "1", "c": "1"}}),
            &one.managers,
            false,
        )
        .unwrap();
    // `b` is shared: it stays while one of both names it.
    let less = CONFIG_MAP
        .apply(
            "one",
            &two.object,
            &json!({"metadata": {"name": "c"}, "data": {}}),
            &two.managers,
            false,
        )
        .unwrap();
    assert_eq!(less.object["data"], json!({"b": "1", "c": "1"}));
    assert_eq!(less.object["metadata"], json!({"name": "c"}));
    assert_eq!(
        fields(&less.managers, "two"),
        json!({"f:data": {"f:b": {}, "f:c": {}}})
    );
}

#[test]
fn what_others_wrote_stays_when_an_applier_names_nothing_around_it_any_more() {
    let applied = |object: &Value, config: &Value, managers: &[Entry]| {
        CONFIG_MAP
            .apply("gitops", object, config, managers, false)
            .unwrap()
    };
    let config = json!({"metadata": {"name": "c", "labels": {"app": "x"}}, "data": {"k": "1"}});
    let first = applied(&CONFIG_MAP.empty(), &config, &[]);
    let mut edited = first.object.clone();
    edited["metadata"]["labels"]["team"] = "t".into();
    edited["data"]["t"] = "2".into();
    let managers = CONFIG_MAP.update("ed", Some(&first.object), &edited, &first.managers);
    let last = applied(&edited, &json!({"metadata": {"name": "c"}}), &managers);
    assert_eq!(last.object["data"], json!({"t": "2"}));
    assert_eq!(last.object["metadata"]["labels"], json!({"team": "t"}));
    assert_eq!(
        fields(&last.managers, "ed"),
        json!({"f:metadata": {"f:labels": {"f:team": {}}}, "f:data": {"f:t": {}}})
    );
    // What both have written is the other's alone then.
    let managers = CONFIG_MAP.update("ed", None, &first.object, &[]);
    let shared = applied(&first.object, &config, &managers);
    let last = applied(
        &shared.object,
        &json!({"metadata": {"name": "c"}}),
        &shared.managers,
    );
    assert_eq!(last.object["data"], json!({"k": "1"}));
}

#[test]
fn others_fields_are_conflicts_unless_forced() {
    let live = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"replicas": 1,
        "template": {"spec": {"containers": [{"name": "c", "image": "x:1"}]}}}});
    let managers = DEPLOYMENT.update("creator", None, &live, &[]);
    let config = json!({"metadata": {"name": "d"}, "spec": {"replicas": 3,
        "template": {"spec": {"containers": [{"name": "c", "image": "x:2"}]}}}});
    let error = DEPLOYMENT
        .apply("me", &live, &config, &managers, false)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "Apply failed with 2 conflicts: conflicts with \"creator\" using apps/v1:\n- .spec.replicas\n\
         - .spec.template.spec.containers[name=\"c\"].image"
    );
    let same = json!({"spec": {"replicas": 1}});
    let shared = DEPLOYMENT.apply("me", &live, &same, &managers, false).unwrap();
    assert_eq!(shared.managers.len(), 2);
    let one = json!({"spec": {"replicas": 2}});
    let error = DEPLOYMENT
        .apply("other", &shared.object, &one, &shared.managers, false)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "Apply failed with 2 conflicts: conflicts with \"creator\" using apps/v1:\n- .spec.replicas\n\
         conflicts with \"me\":\n- .spec.replicas"
    );
    let forced = DEPLOYMENT.apply("me", &live, &config, &managers, true).unwrap();
    assert_eq!(forced.object["spec"]["replicas"], 3);
    let creators = fields(&forced.managers, "creator");
    assert_eq!(creators["f:spec"].get("f:replicas"), None);
    assert_eq!(
        creators["f:spec"]["f:template"]["f:spec"]["f:containers"]["k:{\"name\":\"c\"}"],
        json!({".": {}, "f:name": {}, "f:resources": {}})
    );
}

#[test]
fn list_items_merge_by_key_and_keep_their_order() {
    let names = |object: &Value| -> Vec<String> {
        let items = object["spec"]["containers"].as_array().unwrap();
        items
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let pod = |names: &[&str]| {
        let items: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": items}})
    };
    for (live, config, merged) in [
        (&["a", "b", "c"][..], &["b", "d"][..], &["a", "b", "c", "d"][..]),
        (&["a", "b", "c"], &["c", "a"], &["b", "c", "a"]),
        (&["a"], &["x", "a", "y"], &["x", "a", "y"]),
        (&["a", "b"], &["x"], &["a", "b", "x"]),
    ] {
        let applied = POD
            .apply("m", &pod(live), &pod(config), &[], true)
            .unwrap()
            .object;
        assert_eq!(names(&applied), merged, "{live:?} {config:?}");
    }
}

#[test]
fn an_object_of_unknown_managers_belongs_to_one_of_its_own() {
    let live =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}});
    let config = json!({"data": {"a": "2"}});
    let error = CONFIG_MAP.apply("me", &live, &config, &[], false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Apply failed with 1 conflict: conflict with \"before-first-apply\" using v1: .data.a"
    );
    let forced = CONFIG_MAP.apply("me", &live, &config, &[], true).unwrap();
    assert_eq!(names(&forced.managers), ["before-first-apply", "me"]);
}

#[test]
fn kubectls_client_side_apply_becomes_its_server_side_apply() {
    let last = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "annotations": {}},
        "data": {"a": "1", "b": "1"}});
    let live = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": last.to_string()}},
        "data": {"a": "1", "b": "9"}});
    let managers = CONFIG_MAP.update("kubectl-client-side-apply", None, &live, &[]);
    let config = json!({"metadata": {"name": "c"}, "data": {"a": "2"}});
    let applied = CONFIG_MAP
        .apply("kubectl", &live, &config, &managers, false)
        .unwrap();
    assert_eq!(applied.object["data"], json!({"a": "2", "b": "9"}));
    // Somebody else has changed `b` since.
    let both = json!({"metadata": {"name": "c"}, "data": {"a": "2", "b": "2"}});
    let error = CONFIG_MAP
        .apply("kubectl", &live, &both, &managers, false)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using v1: .data.b"
    );
    assert!(
        CONFIG_MAP
            .apply("other", &live, &config, &managers, false)
            .is_err()
    );
}

#[test]
fn a_service_port_is_removed_with_its_keys() {
    let ports = |ports: Value| json!({"metadata": {"name": "s"}, "spec": {"ports": ports}});
    let two = ports(
        json!([{"port": 80, "name": "a"}, {"port": 53, "protocol": "UDP", "name": "b"}, {"port": 53, "name": "c"}]),
    );
    let applied = SERVICE.apply("m", &SERVICE.empty(), &two, &[], false).unwrap();
    let one = ports(json!([{"port": 53, "protocol": "UDP", "name": "b"}]));
    let less = SERVICE
        .apply("m", &applied.object, &one, &applied.managers, false)
        .unwrap();
    assert_eq!(less.object["spec"], one["spec"]);
    let none = json!({"metadata": {"name": "s"}});
    let less = SERVICE
        .apply("m", &less.object, &none, &less.managers, false)
        .unwrap();
    assert_eq!(less.object.get("spec"), None);
    assert_eq!(encode(less.managers), json!([]));
}

/// Managers as an older schema left them: the reference, which is one thing now, was merged field by field.
#[test]
fn what_has_become_one_thing_has_one_manager() {
    let entry = |manager: &str, fields: Value| {
        json!({"manager": manager, "operation": "Apply", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z",
            "fieldsType": "FieldsV1", "fieldsV1": fields})
    };
    let old = json!([entry(
        "first",
        json!({"f:involvedObject": {"f:name": {}}, "f:reason": {}})
    )]);
    let managers = decode(&old, false).unwrap();
    let event = |reference: Value| json!({"metadata": {"name": "e"}, "involvedObject": reference});
    let mut live = event(json!({"name": "p"}));
    live["apiVersion"] = "v1".into();
    live["kind"] = "Event".into();
    live["reason"] = "x".into();
    let other = event(json!({"kind": "Pod"}));
    let refused = EVENT
        .apply("second", &live, &other, &managers, false)
        .unwrap_err();
    let ApplyError::Conflict(conflicts) = refused else {
        panic!("{refused}")
    };
    assert_eq!(conflicts[0].field, ".involvedObject");
    let applied = EVENT.apply("second", &live, &other, &managers, true).unwrap();
    assert_eq!(applied.object["involvedObject"], json!({"kind": "Pod"}));
    assert_eq!(fields(&applied.managers, "first"), json!({"f:reason": {}}));
    assert_eq!(
        fields(&applied.managers, "second"),
        json!({"f:involvedObject": {}})
    );
    // An update by somebody else takes it as a whole, too.
    let mut new = live.clone();
    new["involvedObject"] = json!({"name": "q"});
    let managers = EVENT.update("third", Some(&live), &new, &managers);
    assert_eq!(fields(&managers, "first"), json!({"f:reason": {}}));
}
