//! The four kinds of patch, on objects of a real cluster.

use serde_json::{Value, json};

use crate::random::Random;
use crate::{bodies, driver, json, targets};

fn run(name: &str, more: &[Value], target: fn(&[u8]) -> bool) {
    let seeds = more.iter().map(|seed| seed.to_string().into_bytes()).collect();
    let mutate = |random: &mut Random, corpus: &[Value]| {
        let mut input = random.pick(corpus).clone();
        let lenders: Vec<Value> = corpus
            .iter()
            .take(8)
            .flat_map(|seed| [seed["old"].clone(), seed["patch"].clone()])
            .collect();
        json::mutate(random, &mut input["patch"], &lenders);
        if random.once_in(8) {
            json::mutate(random, &mut input["old"], &lenders);
        }
        input.to_string().into_bytes()
    };
    driver::run(name, seeds, json::parse, mutate, target);
}

#[test]
fn json_patch() {
    let touch = |object: Value| {
        let patch = json!([
            {"op": "add", "path": "/metadata/labels", "value": {"a": "b"}},
            {"op": "test", "path": "/kind", "value": object["kind"]},
            {"op": "copy", "from": "/metadata/labels", "path": "/metadata/annotations"},
            {"op": "move", "from": "/metadata/annotations/a", "path": "/metadata/annotations/c"},
            {"op": "replace", "path": "/metadata/labels/a", "value": "c"},
            {"op": "remove", "path": "/metadata/annotations"},
        ]);
        json!({"old": object, "patch": patch})
    };
    run(
        "json_patch",
        &bodies::objects().into_iter().map(touch).collect::<Vec<_>>(),
        targets::json_patch,
    );
}

/// Of every object the parts that say something, as a patch of itself.
fn parts(object: &Value) -> Value {
    let mut patch = object.clone();
    patch["metadata"] =
        json!({"labels": {"a": "b"}, "annotations": {"c": null}, "finalizers": ["example.com/f"]});
    json!({"old": object, "patch": patch})
}

#[test]
fn merge_patch() {
    run(
        "merge_patch",
        &bodies::objects().iter().map(parts).collect::<Vec<_>>(),
        targets::merge_patch,
    );
}

#[test]
fn strategic_patch() {
    run(
        "strategic_patch",
        &bodies::objects().iter().map(parts).collect::<Vec<_>>(),
        targets::strategic_patch,
    );
}

#[test]
fn apply_patch() {
    let configure = |object: Value| {
        let mut patch = object.clone();
        let (name, namespace) = (&object["metadata"]["name"], &object["metadata"]["namespace"]);
        patch["metadata"] = json!({"name": name, "namespace": namespace, "labels": {"a": "b"}});
        json!({"old": object, "patch": patch})
    };
    run(
        "apply_patch",
        &bodies::objects().into_iter().map(configure).collect::<Vec<_>>(),
        targets::apply_patch,
    );
}
