//! OpenAPI and discovery of custom resources, and what kubectl makes of them: the CustomResourcePublishOpenAPI rows of
//! the conformance suite.

use std::time::Duration;

use serde_json::{Value, json};

use super::{DEFINITIONS, define, within};
use crate::cluster::Cluster;

/// A schema of objects, arrays and primitives.
fn foo() -> Value {
    json!({
        "description": "Foo for a test", "type": "object",
        "properties": {
            "spec": {"type": "object", "description": "What is wanted of a Foo", "properties": {
                "bars": {"type": "array", "description": "Bars and what is wanted of them", "items": {
                    "type": "object", "required": ["name"], "properties": {
                        "name": {"type": "string", "description": "Name of a bar."},
                        "age": {"type": "string", "description": "Age of a bar."},
                        "feeling": {"type": "string", "description": "Feeling of a bar.", "enum": ["Great", "Down"]},
                        "bazs": {"type": "array", "description": "Things of a bar.", "items": {"type": "string"}},
                    }}},
            }},
            "status": {"type": "object", "description": "What is", "properties": {
                "bars": {"type": "array", "description": "States of bars", "items": {"type": "object", "properties": {
                    "available": {"type": "boolean"}, "value": {"type": "number", "format": "double"}}}},
            }},
        },
    })
}

/// A definition of one kind with versions of one schema, the first of which is stored.
fn definition(group: &str, kind: &str, versions: &[&str], schema: &Value) -> Value {
    let plural = format!("{}s", kind.to_lowercase());
    let version = |(at, name): (usize, &&str)| json!({"name": name, "served": true, "storage": at == 0, "schema": {"openAPIV3Schema": schema}});
    let versions: Vec<_> = versions.iter().enumerate().map(version).collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "names": {"plural": plural, "kind": kind}, "versions": versions},
    })
}

/// The published schema (Swagger 2.0) without what the server adds to every one.
fn published(cluster: &Cluster, name: &str) -> Option<Value> {
    let (_, document) = cluster.get("/openapi/v2");
    let mut schema = document["definitions"].get(name)?.clone();
    schema.as_object_mut()?.remove("x-kubernetes-group-version-kind");
    if let Some(fields) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        fields.retain(|name, _| !["apiVersion", "kind", "metadata"].contains(&name.as_str()));
        if fields.is_empty() {
            schema.as_object_mut()?.remove("properties");
        }
    }
    Some(schema)
}

fn publishes(cluster: &Cluster, name: &str, schema: &Value) {
    within(Duration::from_secs(1), "published within a second", || {
        published(cluster, name).is_some()
    });
    assert_eq!(published(cluster, name).as_ref(), Some(schema), "{name}");
}

#[test]
fn kubectl_validates_and_explains() {
    let cluster = Cluster::start();
    define(&cluster, &definition("foo.example.com", "Foo", &["v1"], &foo()));
    publishes(&cluster, "com.example.foo.v1.Foo", &foo());
    let send = |verb: &str, rest: &str| {
        let text =
            format!(r#"{{"apiVersion":"foo.example.com/v1","kind":"Foo","metadata":{{"name":"a"}},{rest}}}"#);
        cluster.kubectl_with(&[verb, "-f", "-"], &text)
    };
    let valid = r#""spec":{"bars":[{"name":"b","age":"10","feeling":"Great","bazs":["x"]}]}"#;
    send("create", valid).ok();
    cluster.kubectl(&["delete", "foos", "a"]).ok();
    send("apply", valid).ok();
    send("apply", r#""spec":{"bars":[{"name":"other"}]}"#).ok();
    cluster.kubectl(&["delete", "foos", "a"]).ok();
    for verb in ["create", "apply"] {
        let error = send(verb, r#""spec":{"foo":true}"#).failed();
        assert!(error.contains("unknown field \"spec.foo\""), "{error}");
        let error = send(verb, r#""spec":{"bars":[{"age":"10"}]}"#).failed();
        assert!(error.contains("spec.bars[0].name: Required value"), "{error}");
        let error = send(verb, r#""spec":{"bars":[{"name":"b","feeling":"None"}]}"#).failed();
        assert!(
            error.contains("spec.bars[0].feeling: Unsupported value: \"None\""),
            "{error}"
        );
    }
    let explain = |path: &str, parts: &[&str]| {
        let text = cluster.kubectl(&["explain", path]).ok();
        let mut rest = text.as_str();
        for part in parts {
            let at = rest
                .find(part)
                .unwrap_or_else(|| panic!("{path}: no {part:?} where it belongs in {text}"));
            rest = &rest[at + part.len()..];
        }
    };
    explain(
        "foos",
        &[
            "KIND:",
            "Foo",
            "DESCRIPTION:",
            "Foo for a test",
            "FIELDS:",
            "apiVersion",
            "<string>",
            "APIVersion defines",
            "spec",
            "<Object>",
            "What is wanted of a Foo",
        ],
    );
    explain(
        "foos.metadata",
        &[
            "DESCRIPTION:",
            "Standard object's metadata",
            "FIELDS:",
            "creationTimestamp",
            "<string>",
            "CreationTimestamp is a timestamp",
        ],
    );
    explain(
        "foos.spec",
        &[
            "DESCRIPTION:",
            "What is wanted of a Foo",
            "FIELDS:",
            "bars",
            "<[]Object>",
            "Bars and what is wanted",
        ],
    );
    explain(
        "foos.spec.bars",
        &[
            "FIELD: bars",
            "<[]Object>",
            "DESCRIPTION:",
            "Bars and what",
            "FIELDS:",
            "age",
            "<string>",
            "bazs",
            "<[]string>",
            "Things of a bar",
            "name",
            "<string>",
            "Name of a bar",
        ],
    );
    let error = cluster.kubectl(&["explain", "foos.spec.bars2"]).failed();
    assert!(error.contains("field \"bars2\" does not exist"), "{error}");
}

#[test]
fn unknown_fields_are_kept_where_the_schema_says_so() {
    let cluster = Cluster::start();
    let anywhere = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let nested = json!({"description": "preserve-unknown-properties in nested field for Testing", "type": "object", "properties": {
        "spec": {"description": "Wanted", "type": "object", "x-kubernetes-preserve-unknown-fields": true,
            "x-kubernetes-embedded-resource": true},
        "status": {"description": "Is", "type": "object", "properties": {"on": {"type": "boolean"}}}}});
    let root = json!({"description": "preserve-unknown-properties at root for Testing", "type": "object", "x-kubernetes-preserve-unknown-fields": true,
        "properties": {"spec": {"type": "object", "description": "Wanted"}}});
    for (kind, schema) in [("Any", &anywhere), ("Nested", &nested), ("Root", &root)] {
        define(&cluster, &definition("open.example.com", kind, &["v1"], schema));
        let name = format!("com.example.open.v1.{kind}");
        within(Duration::from_secs(1), "published within a second", || {
            published(&cluster, &name).is_some()
        });
        let schema = published(&cluster, &name).unwrap();
        if kind == "Nested" {
            let spec = json!({"description": "Wanted", "type": "object",
                "x-kubernetes-preserve-unknown-fields": true, "x-kubernetes-embedded-resource": true});
            assert_eq!(schema["properties"]["spec"], spec);
        } else {
            // kubectl takes listed fields for the only ones, so upstream lists none there.
            assert_eq!(schema, json!({"type": "object"}));
        }
        let inner = r#"{"apiVersion":"v1","kind":"Inner","metadata":{"name":"i"},"dummy":{"x":[1]}}"#;
        let rest = match kind {
            "Nested" => format!(r#""spec":{inner}"#),
            _ => r#""spec":{},"dummy":{"x":[1]}"#.to_owned(),
        };
        let text = format!(
            r#"{{"apiVersion":"open.example.com/v1","kind":"{kind}","metadata":{{"name":"a"}},{rest}}}"#
        );
        let plural = format!("{}s", kind.to_lowercase());
        cluster.kubectl_with(&["create", "-f", "-"], &text).ok();
        cluster.kubectl(&["delete", &plural, "a"]).ok();
        cluster.kubectl_with(&["apply", "-f", "-"], &text).ok();
        let changed = text.replace("dummy", "other");
        cluster.kubectl_with(&["apply", "-f", "-"], &changed).ok();
        let path = format!("/apis/open.example.com/v1/namespaces/default/{plural}/a");
        let stored = cluster.get(&path).1;
        let holder = if kind == "Nested" {
            &stored["spec"]
        } else {
            &stored
        };
        assert_eq!(
            (&holder["other"], &holder["dummy"]),
            (&json!({"x": [1]}), &Value::Null),
            "{stored}"
        );
        let explained = cluster.kubectl(&["explain", &plural]).ok();
        assert!(explained.contains(&format!("KIND:       {kind}")), "{explained}");
        let description = explained.split("DESCRIPTION:").nth(1).unwrap_or_default();
        let wanted = match kind {
            "Any" => "<empty>",
            "Nested" => "preserve-unknown-properties in nested field for Testing",
            _ => "",
        };
        assert!(description.contains(wanted), "{explained}");
    }
    let explained = cluster.kubectl(&["explain", "nesteds.spec"]).ok();
    for part in ["FIELD: spec <Object>", "DESCRIPTION:", "Wanted"] {
        assert!(explained.contains(part), "{part}: {explained}");
    }
}

#[test]
fn every_served_version_of_every_group_is_published() {
    let cluster = Cluster::start();
    // Two groups, two kinds of one group and version, two versions of one kind.
    define(&cluster, &definition("one.example.com", "Foo", &["v1"], &foo()));
    define(&cluster, &definition("one.example.com", "Bar", &["v1"], &foo()));
    define(
        &cluster,
        &definition("two.example.com", "Foo", &["v2", "v3"], &foo()),
    );
    for name in ["one.v1.Foo", "one.v1.Bar", "two.v2.Foo", "two.v3.Foo"] {
        publishes(&cluster, &format!("com.example.{name}"), &foo());
    }
    let path = format!("{DEFINITIONS}/foos.two.example.com");
    let change = |patch: Value| {
        let (code, answer) = cluster.patch(&path, "json-patch+json", &patch);
        assert_eq!(code, 200, "{answer}");
    };
    // A version gets another name.
    change(
        json!([{"op": "test", "path": "/spec/versions/1/name", "value": "v3"},
        {"op": "replace", "path": "/spec/versions/1/name", "value": "v4"}]),
    );
    within(Duration::from_secs(1), "renamed", || {
        published(&cluster, "com.example.two.v3.Foo").is_none()
            && published(&cluster, "com.example.two.v4.Foo").is_some()
    });
    publishes(&cluster, "com.example.two.v4.Foo", &foo());
    publishes(&cluster, "com.example.two.v2.Foo", &foo());
    // A version is no longer served.
    change(
        json!([{"op": "test", "path": "/spec/versions/1/name", "value": "v4"},
        {"op": "replace", "path": "/spec/versions/1/served", "value": false}]),
    );
    within(Duration::from_secs(1), "no longer published", || {
        published(&cluster, "com.example.two.v4.Foo").is_none()
    });
    publishes(&cluster, "com.example.two.v2.Foo", &foo());
    for name in ["one.v1.Foo", "one.v1.Bar"] {
        publishes(&cluster, &format!("com.example.{name}"), &foo());
    }
}
