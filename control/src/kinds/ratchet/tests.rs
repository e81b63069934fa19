use keelson_api::status::FieldError;
use serde_json::{Value, json};

use super::{drop_known, is_same};
use crate::kinds::custom;

fn spec(spec: &Value) -> Value {
    json!({"metadata": {"name": "a"}, "spec": spec})
}

#[test]
fn fields_are_looked_up_as_they_are_written() {
    let old = json!({
        "metadata": {"labels": {"a.b/c": "x", "a": "x"}},
        "spec": {
            "list": [{"name": "a"}, {"name": "b"}],
            "dotted.name": {"x": 1},
            "open[0]": 1,
            "p": {"q": 1}, "p.q": 1,
        },
    });
    let changed = |pointer: &str, to: Value| {
        let mut new = old.clone();
        *new.pointer_mut(pointer).unwrap() = to;
        new
    };
    for (field, pointer) in [
        ("metadata.labels[a.b/c]", "/metadata/labels/a.b~1c"),
        ("spec.list[1].name", "/spec/list/1/name"),
        ("spec.list[1]", "/spec/list/1/name"),
        ("spec", "/spec/list/1/name"),
        (".spec.list", "/spec/list/1/name"),
        ("spec.dotted.name.x", "/spec/dotted.name/x"),
        ("spec[dotted.name].x", "/spec/dotted.name/x"),
        ("spec.open[0]", "/spec/open[0]"),
        // Either could be meant.
        ("spec.p.q", "/spec/p/q"),
        ("spec.p.q", "/spec/p.q"),
    ] {
        assert!(is_same(field, &old, &old), "{field}");
        let new = changed(pointer, json!(["else"]));
        assert!(!is_same(field, &old, &new), "{field}");
    }
    let new = changed("/spec/list/0/name", json!("c"));
    assert!(is_same("spec.list[1].name", &old, &new));
    // What is missing in both has not changed; what comes or goes has.
    assert!(is_same("spec.list[0].missing", &old, &new));
    let new = changed("/spec/list", json!([{"name": "a", "missing": 1}]));
    assert!(!is_same("spec.list[0].missing", &old, &new));
    assert!(!is_same("spec.list[1].name", &old, &new));
    let many = "spec".to_owned() + &".x".repeat(300);
    for nowhere in [
        "",
        "spec.list[7].name",
        "spec.list[x]",
        "spec.list.x",
        "spec.missing.below",
        "spec.missing...",
        "spec.dotted.name.x.y",
        &many,
    ] {
        assert!(is_same(nowhere, &old, &old), "{nowhere}");
        let new = changed("/spec", json!({"list": [], "dotted.name": {"x": {}}}));
        assert!(!is_same(nowhere, &old, &new), "{nowhere}");
    }
}

/// What is left of equal errors about these fields.
fn left(fields: &[&str], unfinished: bool, old: &Value, new: &Value) -> Vec<String> {
    let errors = fields.iter().map(|field| FieldError::forbidden(*field, ""));
    let mut errors: Vec<FieldError> = errors.collect();
    if unfinished {
        let last = errors.pop().map(FieldError::unfinished);
        errors.extend(last);
    }
    let before = errors.clone();
    drop_known(&mut errors, &before, old, new);
    errors.into_iter().map(|error| error.field).collect()
}

#[test]
fn errors_about_what_has_changed_stay() {
    let (old, new) = (spec(&json!({"a": 1, "b": 1})), spec(&json!({"a": 1, "b": 2})));
    let fields = ["spec.a", "spec.b", "somewhere[else]", "spec.c"];
    assert_eq!(left(&fields, false, &old, &new), ["spec.b", "somewhere[else]"]);
    assert_eq!(left(&fields, true, &old, &new), fields);
    // Nothing but the metadata has changed.
    let mut labelled = old.clone();
    labelled["metadata"] = json!({"name": "a", "labels": {"x": "y"}, "resourceVersion": "2"});
    for unfinished in [false, true] {
        assert_eq!(left(&fields, unfinished, &old, &labelled), [""; 0]);
        assert_eq!(
            left(&["metadata.labels", "spec"], unfinished, &old, &labelled),
            ["metadata.labels"]
        );
    }
    // Others are none of this.
    let mut errors = vec![FieldError::forbidden("spec.a", "")];
    drop_known(&mut errors, &[FieldError::forbidden("spec.a", "x")], &old, &old);
    assert_eq!(errors.len(), 1);
}

/// How many complaints there are about an update of an object of this schema.
fn complaints(schema: &Value, old: Value, new: Value) -> usize {
    let definition = json!({"metadata": {"name": "widgets.example.com"}, "spec": {
        "group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
            "type": "object", "properties": {"spec": {"type": "object", "properties": {"x": schema}}}}}}],
    }});
    let kind = &custom::kinds(&definition)[0];
    let [old, new] = [old, new].map(|x| {
        json!({"apiVersion": "example.com/v1", "kind": "Widget",
            "metadata": {"name": "a", "namespace": "b", "uid": "1", "resourceVersion": "1",
                "creationTimestamp": "2024-01-01T00:00:00Z"},
            "spec": {"x": x}})
    });
    super::validate_update(kind, None, &old, &new).len()
}

#[test]
fn what_nobody_has_looked_at_is_not_let_pass() {
    // The two differ beyond what an error shows of them.
    let text = |end: &str| Value::from("a".repeat(5000) + end);
    let numbers = json!({"type": "string", "pattern": "^[0-9]*$"});
    assert_eq!(complaints(&numbers, text("b"), text("b")), 0);
    assert_eq!(complaints(&numbers, text("b"), text("c")), 1);
    // There are more errors than are told.
    let list = |last: &str| {
        let mut list = vec![json!(""); 300];
        list.push(last.into());
        Value::from(list)
    };
    let schema = json!({"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 2}});
    assert_eq!(complaints(&schema, list("aa"), list("aa")), 0);
    assert_eq!(complaints(&schema, list("aa"), list("aaa")), 200);
    // Not all is looked at.
    let dear = json!({"type": "string", "pattern": "[ab]*a[ab]{1000}$"});
    let text = |end: &str| Value::from("ab".repeat(500_000) + end);
    assert_eq!(complaints(&dear, text("a"), text("a")), 0);
    assert_eq!(complaints(&dear, text("a"), text("b")), 1);
}
