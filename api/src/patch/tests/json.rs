//! JSON patches.

use serde_json::{Value, json};

use super::super::{Format, PatchError, apply};
use crate::status::Status;

#[test]
fn json_patches_and_their_errors() {
    let object = json!({"metadata": {"labels": {"a": "b"}}});
    let run = |body: &str| apply(Format::Json, None, &object, body.as_bytes());
    let patched = run(r#"[{"op": "replace", "path": "/metadata/labels/a", "value": "c"}]"#).unwrap();
    assert_eq!(patched.value, json!({"metadata": {"labels": {"a": "c"}}}));
    let code = |body: &str| Status::from(run(body).unwrap_err()).code;
    assert_eq!(
        code(r#"[{"op": "test", "path": "/metadata/labels/a", "value": "x"}]"#),
        422
    );
    assert_eq!(code(r#"[{"op": "remove", "path": "/nothing"}]"#), 422);
    assert_eq!(code(r#"[{"op": "jump", "path": "/a"}]"#), 422);
    assert_eq!(code("{}"), 400);
    assert_eq!(code("[{"), 400);
    let many = format!(
        "[{}]",
        vec![r#"{"op":"test","path":"","value":1}"#; 10_001].join(",")
    );
    assert_eq!(code(&many), 413);
    let copies: Vec<String> = (0..40)
        .map(|i| format!(r#"{{"op":"copy","from":"","path":"/c{i}"}}"#))
        .collect();
    assert_eq!(code(&format!("[{}]", copies.join(","))), 422);
}

/// Each copy puts the whole into its own deepest leaf, which doubles the depth.
#[test]
fn json_patches_cannot_nest_without_end() {
    let object = json!({"a": {"a": 1}});
    let run = |patch: &Value| apply(Format::Json, None, &object, patch.to_string().as_bytes());
    let copies: Vec<Value> = (1..18)
        .map(|i| json!({"op": "copy", "from": "", "path": "/a".repeat(1 << i)}))
        .collect();
    let refused = run(&json!(copies)).unwrap_err();
    assert!(refused.to_string().contains("nests deeper"), "{refused}");
    assert_eq!(Status::from(refused).code, 422);
    let path = |levels| "/a".repeat(levels);
    let deep = (0..60).fold(json!(1), |value, _| json!({ "a": value }));
    let mut steps = vec![
        json!({"op": "add", "path": "/x", "value": deep}),
        json!({"op": "add", "path": "/y", "value": deep}),
    ];
    assert!(run(&json!(steps)).is_ok());
    for op in ["add", "replace", "copy", "move"] {
        steps.truncate(2);
        steps.push(json!({"op": op, "from": "/y", "path": format!("/x{}", path(60)), "value": deep}));
        assert_eq!(Status::from(run(&json!(steps)).unwrap_err()).code, 422, "{op}");
    }
}

#[test]
fn json_patches_cannot_shift_lists_for_minutes() {
    let object = json!({ "x": vec![0; 1_000_000], "y": [] });
    let began = std::time::Instant::now();
    for operation in [
        json!({"op": "remove", "path": "/x/0"}),
        json!({"op": "add", "path": "/x/0", "value": 1}),
        json!({"op": "copy", "from": "/x/0", "path": "/x/0"}),
        json!({"op": "move", "from": "/x/0", "path": "/x/-"}),
        json!({"op": "move", "from": "/x", "path": "/x"}),
    ] {
        let patch = json!(vec![operation; 10_000]).to_string();
        let refused = apply(Format::Json, None, &object, patch.as_bytes()).unwrap_err();
        assert_eq!(Status::from(refused).code, 422);
    }
    assert!(began.elapsed() < std::time::Duration::from_mins(1));
    let appends = json!(vec![json!({"op": "add", "path": "/x/-", "value": 1}); 10_000]).to_string();
    assert!(apply(Format::Json, None, &object, appends.as_bytes()).is_ok());
}

#[test]
fn what_is_not_there_tests_as_null() {
    let object = json!({"metadata": {"name": "a"}, "list": []});
    let patch = |patch: Value| apply(Format::Json, None, &object, patch.to_string().as_bytes());
    let add = json!({"op": "add", "path": "/metadata/finalizers", "value": ["x/y"]});
    let patched = patch(json!([{"op": "test", "path": "/metadata/finalizers", "value": null}, add])).unwrap();
    assert_eq!(patched.value["metadata"]["finalizers"], json!(["x/y"]));
    for path in ["/nothing/at/all", "/list/3", "/metadata/name"] {
        assert!(
            patch(json!([{"op": "test", "path": path, "value": null}])).is_err(),
            "{path}"
        );
    }
    assert!(patch(json!([{"op": "test", "path": "/metadata/finalizers", "value": []}])).is_err());
}

/// What upstream's library takes beyond RFC 6902.
#[test]
fn places_from_the_end_and_missing_values() {
    let object = json!({"l": [1, 2, 3], "o": {"-1": "x"}, "n": {"m": [{"a": 1}, {"a": 2}]}});
    let run = |patch: Value| apply(Format::Json, None, &object, patch.to_string().as_bytes());
    for (operation, pointer, expected) in [
        (json!({"op": "remove", "path": "/l/-1"}), "/l", json!([1, 2])),
        (json!({"op": "remove", "path": "/l/-3"}), "/l", json!([2, 3])),
        (
            json!({"op": "add", "path": "/l/-1", "value": 4}),
            "/l",
            json!([1, 2, 3, 4]),
        ),
        (
            json!({"op": "add", "path": "/l/-4", "value": 0}),
            "/l",
            json!([0, 1, 2, 3]),
        ),
        (
            json!({"op": "add", "path": "/l/-", "value": 4}),
            "/l",
            json!([1, 2, 3, 4]),
        ),
        (
            json!({"op": "replace", "path": "/n/m/-1/a", "value": 5}),
            "/n/m/1/a",
            json!(5),
        ),
        (
            json!({"op": "replace", "path": "/l/01", "value": 5}),
            "/l",
            json!([1, 5, 3]),
        ),
        (
            json!({"op": "move", "from": "/l/0", "path": "/l/-1"}),
            "/l",
            json!([2, 3, 1]),
        ),
        (
            json!({"op": "copy", "from": "/l/-1", "path": "/l/0"}),
            "/l",
            json!([3, 1, 2, 3]),
        ),
        (
            json!({"op": "test", "path": "/l/-1", "value": 3}),
            "/l",
            json!([1, 2, 3]),
        ),
        (json!({"op": "remove", "path": "/o/-1"}), "/o", json!({})),
        // Where the target is, is seen when the source is gone.
        (
            json!({"op": "move", "from": "/l/0", "path": "/n/m/-2/b"}),
            "/n/m/0/b",
            json!(1),
        ),
        (
            json!({"op": "move", "from": "/n/m/0", "path": "/n/m/-1/b"}),
            "/n/m",
            json!([{"a": 2, "b": {"a": 1}}]),
        ),
        // A member that is not there is replaced all the same, and copied as null.
        (
            json!({"op": "replace", "path": "/o/new", "value": 1}),
            "/o/new",
            json!(1),
        ),
        (
            json!({"op": "copy", "from": "/o/none", "path": "/o/new"}),
            "/o/new",
            Value::Null,
        ),
        (
            json!({"op": "add", "path": "/o/a~b~0c", "value": 1}),
            "/o/a~0b~0c",
            json!(1),
        ),
        (json!({"op": "add", "path": "/new"}), "/new", Value::Null),
        (
            json!({"op": "replace", "path": "/l/0"}),
            "/l",
            json!([null, 2, 3]),
        ),
    ] {
        let patched = run(json!([operation])).unwrap();
        assert_eq!(patched.value.pointer(pointer), Some(&expected), "{operation}");
    }
    for nowhere in [
        json!({"op": "replace", "path": "/none/new", "value": 1}),
        json!({"op": "replace", "path": "/l/3", "value": 1}),
        json!({"op": "move", "from": "/o/none", "path": "/o/new"}),
        json!({"op": "move", "from": "/o", "path": "/o/new"}),
    ] {
        let refused = run(json!([nowhere]));
        assert!(matches!(refused, Err(PatchError::DoesNotApply(_))), "{nowhere}");
    }
    for outside in ["/l/-4", "/l/3", "/l/-9999999999999999999999", "/n/m/-3/a"] {
        let refused = run(json!([{"op": "remove", "path": outside}]));
        assert!(matches!(refused, Err(PatchError::DoesNotApply(_))), "{outside}");
    }
}

#[test]
fn what_a_json_patch_does_not_mean_is_told() {
    let body = r#"[{"op":"add","path":"/a","path":"/b","value":1,"foo":1},{"op":"add","path":"/c","value":1,"bar":2}]"#;
    let patched = apply(Format::Json, None, &json!({}), body.as_bytes()).unwrap();
    assert_eq!(patched.value, json!({"b": 1, "c": 1}));
    let told = [
        r#"duplicate field "[0].path""#,
        r#"unknown field "[0].foo""#,
        r#"unknown field "[1].bar""#,
    ];
    assert_eq!(patched.mistakes, told.map(|told| format!("json patch {told}")));
}
