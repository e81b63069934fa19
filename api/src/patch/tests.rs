mod json;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Format, PatchError, apply, merge_patch, strategic_patch};
use crate::schema::Schema;
use crate::status::Status;

#[allow(
    clippy::needless_pass_by_value,
    reason = "tests read better with json! in place"
)]
fn strategic(group: &str, kind: &str, object: Value, patch: Value) -> Result<Value, PatchError> {
    strategic_patch(Schema::builtin().kind(group, "v1", kind).unwrap(), &object, patch)
}

#[allow(clippy::needless_pass_by_value, reason = "as above")]
fn pod(object: Value, patch: Value) -> Value {
    strategic("", "Pod", json!({ "spec": object }), json!({ "spec": patch })).unwrap()["spec"].take()
}

#[test]
fn lists_merge_by_key() {
    let object = json!({"containers": [{"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}]},
                                       {"name": "b", "image": "1"}]});
    let patch =
        json!({"containers": [{"name": "b", "image": "2"}, {"name": "c", "image": "3", "tty": null}]});
    assert_eq!(
        pod(object.clone(), patch),
        json!({"containers": [{"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}]},
                              {"name": "b", "image": "2"}, {"name": "c", "image": "3"}]})
    );
    let patch = json!({"containers": [{"name": "a", "env": [{"name": "X", "value": null}, {"name": "Y", "value": "2"}]}]});
    assert_eq!(
        pod(object.clone(), patch)["containers"][0]["env"],
        json!([{"name": "X"}, {"name": "Y", "value": "2"}])
    );
    let patch = json!({"containers": [{"name": "a", "$patch": "delete"}]});
    assert_eq!(
        pod(object.clone(), patch),
        json!({"containers": [{"name": "b", "image": "1"}]})
    );
    let patch = json!({"containers": [{"$patch": "replace"}, {"name": "z"}]});
    assert_eq!(pod(object, patch), json!({"containers": [{"name": "z"}]}));
}

#[test]
fn atomic_lists_and_plain_values_are_replaced() {
    let object =
        json!({"tolerations": [{"key": "a"}], "nodeSelector": {"a": "1", "b": "2"}, "hostname": "x"});
    let patch =
        json!({"tolerations": [{"key": "b"}], "nodeSelector": {"b": null, "c": "3"}, "hostname": null});
    assert_eq!(
        pod(object, patch),
        json!({"tolerations": [{"key": "b"}], "nodeSelector": {"a": "1", "c": "3"}})
    );
}

#[test]
fn order_directives() {
    let object = json!({"containers": [{"name": "a"}, {"name": "server"}, {"name": "b"}]});
    let patch = json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "c"}, {"name": "a"}],
                       "containers": [{"name": "c", "image": "i"}]});
    assert_eq!(
        pod(object.clone(), patch),
        json!({"containers": [{"name": "server"}, {"name": "b"}, {"name": "c", "image": "i"}, {"name": "a"}]})
    );
    let wrong =
        json!({"spec": {"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "c"}]}});
    let error = strategic("", "Pod", json!({ "spec": object }), wrong)
        .unwrap_err()
        .to_string();
    assert!(error.contains("doesn't match $setElementOrder list"), "{error}");
}

#[test]
fn lists_of_plain_values() {
    let object = json!({"metadata": {"finalizers": ["a", "b"]}});
    let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"],
        "$setElementOrder/finalizers": ["b", "c"], "finalizers": ["c"]}});
    assert_eq!(
        strategic("", "Pod", object.clone(), patch).unwrap(),
        json!({"metadata": {"finalizers": ["b", "c"]}})
    );
    let patch = json!({"metadata": {"finalizers": ["b", "c"]}});
    assert_eq!(
        strategic("", "Pod", object, patch).unwrap(),
        json!({"metadata": {"finalizers": ["a", "b", "c"]}})
    );
}

#[test]
fn retained_keys() {
    let object = json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
    let patch = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
    assert_eq!(
        strategic("apps", "Deployment", object.clone(), patch).unwrap(),
        json!({"spec": {"strategy": {"type": "Recreate"}}})
    );
    let patch = json!({"spec": {"strategy": {"$retainKeys": [], "type": "Recreate"}}});
    assert!(strategic("apps", "Deployment", object, patch).is_err());
    let object = json!({"volumes": [{"name": "v", "emptyDir": {}}]});
    let patch =
        json!({"volumes": [{"name": "v", "$retainKeys": ["name", "secret"], "secret": {"secretName": "s"}}]});
    assert_eq!(
        pod(object, patch),
        json!({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]})
    );
}

#[test]
fn object_directives() {
    let object = json!({"securityContext": {"runAsUser": 1, "runAsGroup": 2}});
    let replace = json!({"securityContext": {"$patch": "replace", "runAsUser": 3}});
    assert_eq!(
        pod(object.clone(), replace),
        json!({"securityContext": {"runAsUser": 3}})
    );
    let delete = json!({"securityContext": {"$patch": "delete"}});
    assert_eq!(pod(object.clone(), delete), json!({"securityContext": {}}));
    let wrong = json!({"spec": {"securityContext": {"$patch": "x"}}});
    assert!(strategic("", "Pod", json!({ "spec": object }), wrong).is_err());
}

#[test]
fn what_cannot_be_merged() {
    let object = json!({"spec": {"containers": [{"name": "a"}]}});
    let error = strategic(
        "",
        "Pod",
        object.clone(),
        json!({"spec": {"containers": [{"image": "x"}]}}),
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "map: {\"image\":\"x\"} does not contain declared merge key: name"
    );
    assert!(strategic("", "Pod", object.clone(), json!([])).is_err());
    assert!(strategic("", "Pod", object, json!({"spec": {"containers": [["x"]]}})).is_err());
}

#[test]
fn kubectl_set_image_and_scale() {
    let object = json!({"spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "a", "image": "x:1"}]}}}});
    let patch = json!({"spec": {"template": {"spec": {"$setElementOrder/containers": [{"name": "a"}],
        "containers": [{"name": "a", "image": "x:2"}]}}}});
    let new = strategic("apps", "Deployment", object, patch).unwrap();
    assert_eq!(
        new,
        json!({"spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "a", "image": "x:2"}]}}}})
    );
}

#[test]
fn merge_patches() {
    // The table of RFC 7386, appendix A.
    let cases = [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
        (json!({"a": "b"}), json!({"a": null}), json!({})),
        (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
        (
            json!({"a": {"b": "c"}}),
            json!({"a": {"b": "d", "c": null}}),
            json!({"a": {"b": "d"}}),
        ),
        (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
        (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
        (json!({"a": "b"}), json!(["c"]), json!(["c"])),
        (json!({"a": "foo"}), json!(null), json!(null)),
        (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
        (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
        (
            json!({}),
            json!({"a": {"bb": {"ccc": null}}}),
            json!({"a": {"bb": {}}}),
        ),
    ];
    for (mut object, patch, expected) in cases {
        merge_patch(&mut object, patch);
        assert_eq!(object, expected);
    }
}

/// A body of the other formats reaches no deeper than the parser lets it.
#[test]
fn merged_patches_are_as_deep_as_their_body() {
    let deep = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    let kind = Schema::builtin().kind("", "v1", "ConfigMap");
    let object: Value = serde_json::from_str(&deep(100)).unwrap();
    for format in [Format::Merge, Format::Strategic] {
        let patched = apply(format, kind, &object, deep(127).as_bytes()).unwrap();
        assert_eq!(crate::depth::measure(&patched.value).0, 127);
        assert!(apply(format, kind, &object, deep(128).as_bytes()).is_err());
    }
}

#[test]
fn content_types() {
    let of = Format::from_content_type;
    assert_eq!(
        of("application/strategic-merge-patch+json; charset=utf-8"),
        Some(Format::Strategic)
    );
    assert_eq!(of("application/apply-patch+yaml"), None);
    let error = apply(Format::Strategic, None, &json!({}), b"{}").unwrap_err();
    assert_eq!(Status::from(error).code, 415);
}

fn names() -> impl Strategy<Value = Vec<String>> {
    proptest::sample::subsequence(vec!["a", "b", "c", "d", "e"], 0..5)
        .prop_shuffle()
        .prop_map(|names| names.into_iter().map(str::to_owned).collect())
}

proptest! {
    #[test]
    fn merging_keeps_every_item_once(old in names(), new in names()) {
        let list = |names: &[String], image: &str| -> Value {
            names.iter().map(|name| json!({"name": name, "image": image})).collect()
        };
        let merged = pod(json!({"containers": list(&old, "old")}), json!({"containers": list(&new, "new")}));
        let merged: Vec<(String, String)> = merged["containers"].as_array().unwrap().iter()
            .map(|item| (item["name"].as_str().unwrap().to_owned(), item["image"].as_str().unwrap().to_owned()))
            .collect();
        for name in old.iter().chain(&new) {
            let expected = if new.contains(name) { "new" } else { "old" };
            prop_assert_eq!(merged.iter().filter(|(n, image)| n == name && image == expected).count(), 1);
        }
        prop_assert_eq!(merged.len(), old.iter().chain(&new).collect::<std::collections::BTreeSet<_>>().len());
        // Items of the patch keep the patch's order.
        let ours: Vec<&String> = merged.iter().map(|(n, _)| n).filter(|n| new.contains(n)).collect();
        prop_assert_eq!(ours, new.iter().collect::<Vec<_>>());
    }

    #[test]
    fn an_empty_patch_changes_nothing(old in names()) {
        let object = json!({"containers": old.iter().map(|name| json!({"name": name})).collect::<Value>()});
        prop_assert_eq!(pod(object.clone(), json!({})), object);
    }
}

#[test]
fn lists_that_would_take_minutes_item_by_item_are_merged() {
    let list = |from: usize, count: usize| -> Value {
        (from..from + count).map(|n| json!(format!("x/{n}"))).collect()
    };
    let merge = |count: usize| {
        let object = json!({"metadata": {"finalizers": list(0, count)}});
        strategic(
            "",
            "Pod",
            object,
            json!({"metadata": {"finalizers": list(count / 2, count)}}),
        )
    };
    let began = std::time::Instant::now();
    assert_eq!(
        merge(1000).unwrap()["metadata"]["finalizers"]
            .as_array()
            .unwrap()
            .len(),
        1500
    );
    let long = merge(100_000).unwrap();
    assert_eq!(long["metadata"]["finalizers"].as_array().unwrap().len(), 150_000);
    // Long lists are no matter where nothing is merged.
    let object = json!({"metadata": {"name": "a"}, "spec": {"containers": []}});
    assert!(
        strategic(
            "",
            "Pod",
            object,
            json!({"metadata": {"finalizers": list(0, 5000)}})
        )
        .is_ok()
    );
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
}

/// What Go's decoder says of a patch of the wrong shape, and what is only noticed when the patch is applied.
#[test]
fn patches_of_the_wrong_shape() {
    let refused = |format: Format, body: &str| {
        let schema = Schema::builtin().kind("", "v1", "Pod");
        let status = Status::from(apply(format, schema, &json!({"a": 1}), body.as_bytes()).unwrap_err());
        (status.code, status.message)
    };
    let decoding = "error decoding patch: json: cannot unmarshal";
    for (format, body, why) in [
        (
            Format::Json,
            "{}",
            "object into Go value of type []handlers.jsonPatchOp",
        ),
        (
            Format::Json,
            "\"x\"",
            "string into Go value of type []handlers.jsonPatchOp",
        ),
        (
            Format::Json,
            "[3]",
            "number into Go value of type handlers.jsonPatchOp",
        ),
        (
            Format::Json,
            r#"[{"op": "remove", "path": 3}]"#,
            "number into Go struct field jsonPatchOp.path of type string",
        ),
        (
            Format::Merge,
            "[]",
            "array into Go value of type map[string]interface {}",
        ),
        (
            Format::Strategic,
            "[]",
            "array into Go value of type map[string]interface {}",
        ),
    ] {
        assert_eq!(
            refused(format, body),
            (400, format!("{decoding} {why}")),
            "{body}"
        );
    }
    for format in [Format::Json, Format::Strategic] {
        let schema = Schema::builtin().kind("", "v1", "Pod");
        let patched = apply(format, schema, &json!({"a": 1}), b"null").unwrap();
        assert_eq!(patched.value, json!({"a": 1}));
    }
    for body in [
        "[null]",
        r#"[{"op": "sing", "path": "/a"}]"#,
        r#"[{"op": "remove"}]"#,
        r#"[{"op": "remove", "path": "a"}]"#,
    ] {
        assert_eq!(refused(Format::Json, body).0, 422, "{body}");
    }
}

#[test]
fn long_lists_are_merged() {
    // Of items whose keys are large, and of plain values; each with each would be minutes.
    let key = |n: usize| -> Value {
        let members: serde_json::Map<String, Value> =
            (0..40).map(|m| (format!("member{m:02}"), m.into())).collect();
        json!({"all": members, "n": n})
    };
    let containers = |count: usize, image: &str| -> Vec<Value> {
        (0..count)
            .map(|n| json!({"name": key(n), "image": image}))
            .collect()
    };
    let finalizers =
        |from: usize| -> Vec<String> { (from..from + 30_000).map(|n| format!("f{n}")).collect() };
    let object =
        json!({"metadata": {"finalizers": finalizers(0)}, "spec": {"containers": containers(3000, "a")}});
    let mut changed = containers(6000, "b").split_off(2000);
    changed.reverse();
    let order: Vec<Value> = changed.iter().map(|item| json!({"name": item["name"]})).collect();
    changed.push(json!({"$patch": "delete", "name": key(7)}));
    let patch = json!({
        "metadata": {"finalizers": finalizers(20_000), "$deleteFromPrimitiveList/finalizers": finalizers(0)[..10_000]},
        "spec": {"containers": changed, "$setElementOrder/containers": order},
    });
    let merged = strategic("", "Pod", object, patch).unwrap();
    let containers = merged["spec"]["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 5999);
    assert!(containers.iter().all(|item| item["name"]["n"] != 7));
    assert_eq!(containers[0], json!({"name": key(5999), "image": "b"}));
    assert_eq!(containers[3000], json!({"name": key(0), "image": "a"}));
    assert_eq!(containers[5998], json!({"name": key(2000), "image": "b"}));
    assert_eq!(merged["metadata"]["finalizers"].as_array().unwrap().len(), 40_000);
}
