//! Configurations and managers that do not fit, or mean harm.

use serde_json::json;

use super::*;
use crate::apply::compare::compare;
use crate::apply::place::Place;
use crate::apply::{Set, decode};
use crate::structural::Structural;

#[track_caller]
fn refused(kind: &Kind, config: &Value, expected: &str) {
    let error = kind.apply("m", &kind.empty(), config, &[], false).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[test]
fn errors_read_as_upstreams() {
    refused(
        &DEPLOYMENT,
        &json!({"spec": {"replicaz": 1}}),
        ".spec.replicaz: field not declared in schema",
    );
    refused(
        &DEPLOYMENT,
        &json!({"spec": {"replicas": "1"}}),
        ".spec.replicas: expected numeric (int or float), got string",
    );
    refused(
        &CONFIG_MAP,
        &json!({"metadata": {"annotations": {"a": true}}, "data": {"a": "b"}}),
        ".metadata.annotations.a: expected string, got &value.valueUnstructured{Value:true}",
    );
    refused(
        &CONFIG_MAP,
        &json!({"data": ["a", 1]}),
        ".data: expected map, got &{[a 1]}",
    );
    refused(
        &DEPLOYMENT,
        &json!({"x": 1, "spec": {"y": 1}}),
        "errors:\n  .spec.y: field not declared in schema\n  .x: field not declared in schema",
    );
    refused(
        &POD,
        &json!({"spec": {"containers": [{"name": "a"}, {"name": "a"}]}}),
        ".spec.containers: duplicate entries for key [name=\"a\"]",
    );
    refused(
        &POD,
        &json!({"spec": {"containers": [{"ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "TCP"}]}]}}),
        ".spec.containers[name=\"\"].ports: duplicate entries for key [containerPort=80,protocol=\"TCP\"]",
    );
    refused(
        &CONFIG_MAP,
        &json!({"metadata": {"finalizers": ["a", "a"]}}),
        ".metadata.finalizers: duplicate entries for key [=\"a\"]",
    );
}

#[test]
fn live_duplicates_are_endured_and_replaced() {
    let live = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [
        {"name": "c", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}, {"name": "B"}]}]}});
    let managers = POD.update("m", None, &live, &[]);
    let env = |applied: &Applied| applied.object["spec"]["containers"][0]["env"].clone();
    let config =
        |env: Value| json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "env": env}]}});
    let kept = POD
        .apply(
            "a",
            &live,
            &config(json!([{"name": "C", "value": "3"}])),
            &managers,
            false,
        )
        .unwrap();
    assert_eq!(env(&kept).as_array().unwrap().len(), 4);
    let replaced = POD
        .apply(
            "a",
            &live,
            &config(json!([{"name": "A", "value": "3"}])),
            &managers,
            true,
        )
        .unwrap();
    assert_eq!(
        env(&replaced),
        json!([{"name": "A", "value": "3"}, {"name": "B"}])
    );
}

#[test]
fn foreign_fields_become_canonical_or_are_refused() {
    let read = |value: Value| Set::from_json(&value, true).map(Set::into_json);
    assert_eq!(
        read(json!({"f:a": {"k:{\"protocol\": \"TCP\", \"containerPort\": 80}": {}, "z:new": {}}})).unwrap(),
        json!({"f:a": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {}}})
    );
    for bad in [
        json!({"a": {}}),
        json!({"f:a": 1}),
        json!({"k:[1]": {}}),
        json!({"v:{": {}}),
        json!({"i:x": {}}),
        json!([]),
    ] {
        assert!(read(bad.clone()).is_err(), "{bad}");
    }
    for (bad, why) in [
        (json!([{"manager": "m"}]), "operation must be `Apply` or `Update`"),
        (json!([{"operation": "Apply"}]), "apiVersion must not be empty"),
        (
            json!([{"operation": "Apply", "apiVersion": "v1"}]),
            "missing fieldsType in managed fields entry 0",
        ),
        (
            json!([{"operation": "Apply", "apiVersion": "v1", "fieldsType": "F"}]),
            "invalid fieldsType \"F\" in managed fields entry 0",
        ),
    ] {
        assert_eq!(decode(&bad, true).unwrap_err().to_string(), why);
    }
}

#[test]
fn many_items_take_no_quadratic_time() {
    let items: Vec<Value> = (0..20_000).map(|at| json!(format!("x/{at}"))).collect();
    let config = json!({"metadata": {"name": "c", "finalizers": items}});
    let began = std::time::Instant::now();
    let applied = CONFIG_MAP
        .apply("m", &CONFIG_MAP.empty(), &config, &[], false)
        .unwrap();
    let reversed: Vec<Value> = (0..20_000).rev().map(|at| json!(format!("x/{at}"))).collect();
    let again = json!({"metadata": {"name": "c", "finalizers": reversed}});
    CONFIG_MAP
        .apply("m", &applied.object, &again, &applied.managers, false)
        .unwrap();
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}

/// Ten thousand items are not each looked at for ten thousand fields that they could have.
#[test]
fn wide_types_and_many_items_do_not_multiply() {
    let known: serde_json::Map<String, Value> = (0..10_000)
        .map(|at| (format!("p{at}"), json!({"type": "string"})))
        .collect();
    let schema = json!({"type": "object", "properties": {"list": {
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["p0"],
        "items": {"type": "object", "required": ["p0"], "properties": known},
    }}});
    let types = Structural::read(&schema).types("Wide");
    let object = |name: &str| {
        let items = (0..10_000).map(|at| json!({"p0": at.to_string(), name: "x"}));
        json!({"list": items.collect::<Vec<_>>()})
    };
    let found = compare(Place::root(types.first().unwrap()), &object("p7"), &object("p8"));
    let (changed, removed) = (found.changed.paths(20_000), found.removed.paths(20_000));
    assert_eq!((changed.len(), removed.len()), (10_000, 10_000));
    assert_eq!(changed[0], r#".list[p0="0"].p8"#);
    assert_eq!(removed[0], r#".list[p0="0"].p7"#);
}

/// Of a hundred thousand fields below a name of a megabyte, a few are told.
#[test]
fn messages_are_bounded() {
    let name = "n".repeat(1 << 20);
    let of = |value: &str| -> Value {
        let limits: serde_json::Map<_, _> = (0..100_000).map(|n| (format!("a{n}"), json!(value))).collect();
        let container = json!({"name": name, "image": "i", "resources": {"limits": limits}});
        json!({"metadata": {"name": "p"}, "spec": {"containers": [container]}})
    };
    let owned = POD.apply("first", &POD.empty(), &of("1"), &[], false).unwrap();
    let error = POD
        .apply(&"m".repeat(100), &owned.object, &of("2"), &owned.managers, false)
        .unwrap_err();
    let ApplyError::Conflict(conflicts) = &error else {
        panic!("{error}")
    };
    assert_eq!(conflicts.len(), 100);
    assert!(conflicts.iter().all(|conflict| conflict.field.len() < 5_000));
    let unknown: serde_json::Map<_, _> = (0..100_000).map(|n| (format!("a{n}"), json!(1))).collect();
    let mut wrong = json!({"metadata": {"name": "p"}, "spec": {"containers": [unknown]}});
    wrong["spec"]["containers"][0]["name"] = name.into();
    let error = POD
        .apply("m", &POD.empty(), &wrong, &[], false)
        .unwrap_err()
        .to_string();
    assert!(error.len() < 50 * 5_000, "{}", error.len());
}
