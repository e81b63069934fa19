use proptest::prelude::*;
use serde_json::{Value, json};

use super::{LISTS, Node, Schema, in_document_order, list_line, parse};

fn conform(group: &str, kind: &str, value: &Value) -> Result<(Value, Vec<String>), String> {
    let mut value = value.clone();
    let kind = Schema::builtin().kind(group, "v1", kind).unwrap();
    match kind.conform(&mut value) {
        Ok(conformed) => Ok((value, conformed.unknown)),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn every_line_of_the_files_is_understood() {
    let schema = Schema::builtin();
    assert!(schema.definitions().len() > 400);
    for definition in schema.definitions() {
        for field in &definition.fields {
            // Every name in a type was found, so that `any` is only where it is written.
            let mut node = &field.node;
            while let Node::List(inner) | Node::Map(inner) = node {
                node = inner;
            }
            let any = *node == Node::Any;
            assert!(
                !any || definition.name.contains("apiextensions") || definition.name.contains("runtime"),
                "{} {}",
                definition.name,
                field.name
            );
        }
    }
    for line in LISTS.lines().filter(|line| !line.starts_with('#')) {
        let (name, field, _) = list_line(line).unwrap_or_else(|| panic!("{line}"));
        let definition = schema
            .named(&name)
            .unwrap_or_else(|| panic!("{line}"))
            .definition();
        assert!(field == "-" || definition.field(field).is_some(), "{line}");
    }
}

#[test]
fn unknown_fields_are_reported_and_pruned() {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "foo": 1, "metadata": {"name": "p", "creationTimestamp": null},
        "spec": {"bar": null, "containers": [{"name": "c", "imag": "x"}, {"name": "d"}], "nodeSelector": {"any": "x"}}});
    let (value, unknown) = conform("", "Pod", &pod).unwrap();
    assert_eq!(
        unknown,
        [
            "unknown field \"foo\"",
            "unknown field \"spec.bar\"",
            "unknown field \"spec.containers[0].imag\""
        ]
    );
    assert_eq!(
        value,
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "c"}, {"name": "d"}], "nodeSelector": {"any": "x"}}})
    );
}

#[test]
fn wrong_types_read_as_in_go() {
    let cases = [
        (
            "apps",
            "Deployment",
            json!({"spec": {"replicas": "3"}}),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            "",
            "Pod",
            json!({"spec": {"containers": {"name": "c"}}}),
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            "",
            "Pod",
            json!({"spec": {"containers": [{"name": 1}]}}),
            "json: cannot unmarshal number into Go struct field Container.spec.containers.name of type string",
        ),
        (
            "",
            "Pod",
            json!({"spec": {"containers": ["c"]}}),
            "json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type v1.Container",
        ),
        (
            "",
            "ConfigMap",
            json!({"data": {"a": true}}),
            "json: cannot unmarshal bool into Go struct field ConfigMap.data of type string",
        ),
        (
            "",
            "Pod",
            json!({"spec": {"terminationGracePeriodSeconds": 1.5}}),
            "json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.terminationGracePeriodSeconds of type int64",
        ),
        (
            "",
            "Pod",
            json!({"spec": {"containers": [{"resources": {"limits": {"cpu": "1x"}}}]}}),
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (
            "",
            "Secret",
            json!({"data": {"a": "%"}}),
            "illegal base64 data at input byte 0",
        ),
        (
            "",
            "Pod",
            json!([]),
            "json: cannot unmarshal array into Go value of type v1.Pod",
        ),
    ];
    for (group, kind, value, text) in cases {
        assert_eq!(conform(group, kind, &value).unwrap_err(), text);
    }
}

#[test]
fn values_take_their_canonical_form() {
    let pod = json!({"metadata": {"creationTimestamp": "2024-01-01T02:00:00.5+02:00"}, "spec": {"terminationGracePeriodSeconds": 5.0,
        "containers": [{"name": "c", "resources": {"requests": {"cpu": 0.5, "memory": "1024Mi"}}, "args": [null],
            "livenessProbe": {"httpGet": {"port": "http"}}}]}});
    let (value, _) = conform("", "Pod", &pod).unwrap();
    let pods = json!({"status": {"disruptedPods": {"a": null, "b": "2024-01-01T02:00:00+02:00"}}});
    assert_eq!(
        conform("policy", "PodDisruptionBudget", &pods).unwrap().0,
        json!({"status": {"disruptedPods": {"a": null, "b": "2024-01-01T00:00:00Z"}}})
    );
    assert_eq!(
        value,
        json!({"metadata": {"creationTimestamp": "2024-01-01T00:00:00Z"}, "spec": {"terminationGracePeriodSeconds": 5,
            "containers": [{"name": "c", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}, "args": [""],
                "livenessProbe": {"httpGet": {"port": "http"}}}]}})
    );
    let lease = json!({"spec": {"renewTime": "2024-01-01T00:00:00.000123Z"}});
    assert_eq!(conform("coordination.k8s.io", "Lease", &lease).unwrap().0, lease);
}

#[test]
fn duplicates_are_noticed() {
    let parsed = parse(br#"{"a": {"b": [{"c": 1, "c": 2}, 1], "b": 1}, "a": 3, "a": 4}"#).unwrap();
    assert_eq!(
        parsed.duplicates,
        [
            "duplicate field \"a.b[0].c\"",
            "duplicate field \"a.b\"",
            "duplicate field \"a\""
        ]
    );
    assert_eq!(parsed.value, json!({"a": 4}));
    assert!(parse(b"{} x").is_err());
    assert!(parse(b"{\"a\": NaN}").is_err());
    let deep = "[".repeat(100_000);
    assert!(parse(deep.as_bytes()).is_err());
}

#[test]
fn mistakes_are_told_as_go_meets_them() {
    let ordered = |document: &str| {
        let mut parsed = parse(document.as_bytes()).unwrap();
        let (_, unknown) = conform("apps", "Deployment", &parsed.value).unwrap();
        let duplicates = std::mem::take(&mut parsed.duplicates);
        in_document_order(document.as_bytes(), duplicates, unknown)
    };
    let strict = r#"{"spec": {"unknownField": 1, "replicas": 1, "replicas": 2}}"#;
    assert_eq!(
        ordered(strict),
        [
            r#"unknown field "spec.unknownField""#,
            r#"duplicate field "spec.replicas""#
        ]
    );
    let mixed = r#"{"metadata": {"name": "a", "name": "b", "unknownMeta": 1, "labels": {"x.y": "1", "x.y": "2"}},
        "spec": {"unknown": 1, "twice": 1, "twice": 2, "paused": true, "template": {"spec": {"containers":
        [{"name": "c"}, {"nested": 1, "image": "a", "image": "b"}]}}, "paused": false}, "apiVersion": "apps/v1", "a": 1}"#;
    assert_eq!(
        ordered(mixed),
        [
            r#"duplicate field "metadata.name""#,
            r#"unknown field "metadata.unknownMeta""#,
            r#"duplicate field "metadata.labels.x.y""#,
            r#"unknown field "spec.unknown""#,
            r#"unknown field "spec.twice""#,
            r#"unknown field "spec.template.spec.containers[1].nested""#,
            r#"duplicate field "spec.template.spec.containers[1].image""#,
            r#"duplicate field "spec.paused""#,
            r#"unknown field "a""#,
        ]
    );
    assert_eq!(ordered("{}"), Vec::<String>::new());
}

#[test]
fn long_paths_are_told_by_their_start() {
    let fields: Vec<String> = (0..100).map(|n| format!("\"x{n}\": 1")).collect();
    let schema = json!({(("k").repeat(1 << 20)): serde_json::from_str::<Value>(&format!("{{{}}}", fields.join(","))).unwrap()});
    let definition = json!({"spec": {"versions": [{"schema": {"openAPIV3Schema": {"properties": schema}}}]}});
    let (_, unknown) = conform("apiextensions.k8s.io", "CustomResourceDefinition", &definition).unwrap();
    assert_eq!(unknown.len(), 100);
    assert!(unknown.iter().all(|text| text.len() < 5000));
}

#[test]
fn the_schema_is_small() {
    // Rough, but catches a schema that grew by an order of magnitude: definitions, fields and their boxes.
    let schema = Schema::builtin();
    let fields: usize = schema
        .definitions()
        .iter()
        .map(|definition| definition.fields.len())
        .sum();
    let bytes = std::mem::size_of_val(schema.definitions()) + fields * size_of::<super::Field>();
    assert!(bytes < 400_000, "{bytes} bytes");
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn parsing_agrees_with_serde(text in r#"(\{"a":(1|"x"|null|[1,2.5]|\{\}),"b":\[true,-7,1e3\]\})"#) {
        let ours = parse(text.as_bytes());
        match serde_json::from_str::<Value>(&text) {
            Ok(value) => prop_assert_eq!(ours.unwrap().value, value),
            Err(_) => prop_assert!(ours.is_err()),
        }
    }
}

#[test]
fn documents_of_too_many_parts_are_refused() {
    let list = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
    assert!(parse(list(crate::depth::MAX_STRUCTURES - 1).as_bytes()).is_ok());
    let error = parse(list(crate::depth::MAX_STRUCTURES).as_bytes())
        .unwrap_err()
        .to_string();
    assert!(error.contains("more than 65536 lists and objects"), "{error}");
}

#[test]
fn conditions_have_all_their_texts() {
    let budget = Schema::builtin()
        .kind("policy", "v1", "PodDisruptionBudget")
        .unwrap();
    let mut object = json!({"status": {"conditions": [{"type": "A", "status": "True", "reason": "R"}]}});
    budget.conform(&mut object).unwrap();
    let wanted = json!({"type": "A", "status": "True", "reason": "R", "message": ""});
    assert_eq!(object["status"]["conditions"][0], wanted);
}

/// A path is not written out for each of many duplicates.
#[test]
fn duplicates_far_below_are_cheap() {
    let text = format!(
        "{{\"{}\":{{{}\"a\":1}}}}",
        "n".repeat(1 << 20),
        "\"a\":1,".repeat(200_000)
    );
    let parsed = parse(text.as_bytes()).unwrap();
    assert_eq!(parsed.duplicates.len(), 1);
    assert!(parsed.duplicates[0].len() < 5_000);
}

#[test]
fn revisions_hold_any_json() {
    for data in [
        json!(5),
        json!("text"),
        json!([{"a": null}]),
        json!({"a": null}),
        json!(false),
    ] {
        let revision = json!({"metadata": {"name": "r"}, "revision": 1, "data": data});
        let (kept, unknown) = conform("apps", "ControllerRevision", &revision).unwrap();
        assert_eq!((&kept["data"], unknown.len()), (&data, 0));
    }
    let wrong = json!({"metadata": {"name": "r"}, "revision": "x", "data": 5});
    assert!(conform("apps", "ControllerRevision", &wrong).is_err());
}

#[test]
fn schemas_are_schemas_wherever_they_stand() {
    let definition = |schema: Value| {
        let value = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": schema}}]}});
        let (value, unknown) = conform("apiextensions.k8s.io", "CustomResourceDefinition", &value)?;
        assert_eq!(unknown, [""; 0]);
        Ok::<_, String>(value["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone())
    };
    for (schema, why) in [
        (
            json!({"additionalProperties": 5}),
            "boolean or JSON schema expected",
        ),
        (
            json!({"additionalProperties": "yes"}),
            "boolean or JSON schema expected",
        ),
        (json!({"additionalItems": []}), "boolean or JSON schema expected"),
        (json!({"items": {"maxLength": "x"}}), "maxLength of type int64"),
        (json!({"items": [{"type": true}]}), "type of type string"),
        (
            json!({"items": [5]}),
            "cannot unmarshal number into Go value of type v1.JSONSchemaProps",
        ),
        (
            json!({"properties": {"a": {"additionalProperties": {"items": {"type": 1}}}}}),
            "type of type string",
        ),
        (json!({"dependencies": {"a": {"type": 1}}}), "type of type string"),
    ] {
        let error = definition(schema.clone()).unwrap_err();
        assert!(error.contains(why), "{schema}: {error}");
    }
    // What is no field goes without a word there, and what is null as everywhere.
    let odd = json!({"items": {"type": "string", "odd": 1}, "additionalProperties": null, "additionalItems": true,
        "dependencies": {"a": ["b"]}});
    let kept = json!({"items": {"type": "string"}, "additionalItems": true, "dependencies": {"a": ["b"]}});
    assert_eq!(definition(odd), Ok(kept));
}

#[test]
fn base64_is_read_as_by_go() {
    let secret = |text: &str| {
        let value = json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": text}});
        conform("", "Secret", &value).map(|(value, _)| value["data"]["a"].clone())
    };
    for (text, kept) in [
        ("YWJj", "YWJj"),
        ("", ""),
        ("YW\r\nJj\n", "YWJj"),
        ("YQ\n==\n", "YQ=="),
        ("\n", ""),
        ("YR==", "YQ=="),
    ] {
        assert_eq!(secret(text), Ok(json!(kept)), "{text:?}");
    }
    for (text, at) in [
        ("YW\nJ!", 4),
        ("YWJj!", 4),
        ("YWJ", 3),
        ("Y W Jj", 1),
        ("YW\u{e9}", 2),
    ] {
        let error = secret(text).unwrap_err();
        assert_eq!(
            error,
            format!("illegal base64 data at input byte {at}"),
            "{text:?}"
        );
    }
}
