//! Rules, pruning, defaults and validation, by upstream's words.

use serde_json::{Value, json};

use super::{Structural, check};

fn complaints(schema: &Value) -> Vec<String> {
    check("schema", schema).iter().map(ToString::to_string).collect()
}

fn errors(schema: &Value, object: &Value) -> Vec<String> {
    let schema = json!({"type": "object", "properties": {"spec": schema}});
    assert_eq!(complaints(&schema), Vec::<String>::new());
    let schema = Structural::read(&schema);
    let errors = schema.validate(&json!({"spec": object}));
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn schemas_must_be_structural() {
    let object = |properties: Value| json!({"type": "object", "properties": properties});
    for (schema, complaint) in [
        (
            json!({}),
            "schema.type: Required value: must not be empty at the root",
        ),
        (
            json!({"type": "string"}),
            "schema.type: Invalid value: \"string\": must be object at the root",
        ),
        (
            object(json!({"a": {}})),
            "schema.properties[a].type: Required value: must not be empty for specified object fields",
        ),
        (
            object(json!({"a": {"type": "array", "items": {}}})),
            "schema.properties[a].items.type: Required value: must not be empty for specified array items",
        ),
        (
            object(json!({"a": {"type": "array"}})),
            "schema.properties[a].items: Required value: must be specified",
        ),
        (
            object(json!({"a": {"type": "text"}})),
            "schema.properties[a].type: Unsupported value: \"text\": supported values: \"array\", \"boolean\", \"integer\", \
             \"number\", \"object\", \"string\"",
        ),
        (
            object(json!({"a": {"type": "string", "pattern": "("}})),
            "schema.properties[a].pattern: Invalid value: \"(\": must be a valid regular expression, but isn't: error \
             parsing regexp: unclosed group",
        ),
        (
            object(json!({"a": {"type": "array", "items": {"type": "string"}, "uniqueItems": true}})),
            "schema.properties[a].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity \
             becomes quadratic",
        ),
        (
            object(
                json!({"a": {"type": "object", "properties": {"b": {"type": "string"}}, "additionalProperties": true}}),
            ),
            "schema.properties[a].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive",
        ),
        (
            object(
                json!({"a": {"type": "object", "x-kubernetes-embedded-resource": true, "default": {"kind": "K"},
                "x-kubernetes-preserve-unknown-fields": true}}),
            ),
            "schema.properties[a].default.apiVersion: Required value: must not be empty",
        ),
        (
            object(
                json!({"a": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "object"}}}),
            ),
            "schema.properties[a].items.x-kubernetes-map-type: Invalid value: \"null\": must be atomic as item of a list with \
             x-kubernetes-list-type=set",
        ),
        (
            object(json!({"a": {"type": "array", "items": {"type": "string", "$schema": "x"}}})),
            "schema: Invalid value: \"\": OpenAPIV3Schema 'schema' is not supported",
        ),
        (
            object(json!({"a": {"$ref": "#/x"}})),
            "schema.properties[a].$ref: Forbidden: $ref is not supported",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "integer"}}, "anyOf": [{"properties": {"b": {"minimum": 1}}}]}),
            "schema.properties[b]: Required value: because it is defined in schema.anyOf[0].properties[b]",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "integer"}}, "not": {"properties": {"a": {"type": "integer"}}}}),
            "schema.not.properties[a].type: Forbidden: must be empty to be structural",
        ),
        (
            object(json!({"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}})),
            "schema.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but \
             metadata is implicitly specified",
        ),
        (
            object(json!({"a": {"type": "integer", "default": "x"}})),
            "schema.properties[a].default: Invalid value: \"string\": schema.properties[a].default in body must be of type \
             integer: \"string\"",
        ),
        (
            object(
                json!({"a": {"type": "array", "x-kubernetes-list-type": "map", "items": {"type": "object"}}}),
            ),
            "schema.properties[a].x-kubernetes-list-map-keys: Required value: must not be empty if \
             x-kubernetes-list-type is map",
        ),
        (
            object(
                json!({"a": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                "items": {"type": "object", "properties": {"k": {"type": "string"}}}}}),
            ),
            "schema.properties[a].items.properties[k].default: Required value: this property is in \
             x-kubernetes-list-map-keys, so it must have a default or be a required property",
        ),
    ] {
        assert_eq!(complaints(&schema), [complaint], "{schema}");
    }
    let int_or_string =
        json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]});
    assert_eq!(
        complaints(&object(json!({"a": int_or_string}))),
        Vec::<String>::new()
    );
    let free = json!({"x-kubernetes-preserve-unknown-fields": true});
    assert_eq!(complaints(&object(json!({"a": free}))), Vec::<String>::new());
}

#[test]
fn values_are_checked_in_upstreams_words() {
    let integer = |more: Value| {
        let mut schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
        for (name, value) in more.as_object().unwrap() {
            schema["properties"]["n"][name] = value.clone();
        }
        schema
    };
    let of = |schema: Value| json!({"type": "object", "properties": {"x": schema}});
    for (schema, object, expected) in [
        (
            integer(json!({})),
            json!({"n": "a"}),
            "spec.n: Invalid value: \"string\": spec.n in body must be of type integer: \"string\"",
        ),
        (
            integer(json!({})),
            json!({"n": 1.5}),
            "spec.n: Invalid value: \"number\": spec.n in body must be of type integer: \"number\"",
        ),
        (
            integer(json!({"maximum": 10})),
            json!({"n": 11}),
            "spec.n: Invalid value: 11: spec.n in body should be less than or equal to 10",
        ),
        (
            integer(json!({"minimum": 1, "exclusiveMinimum": true})),
            json!({"n": 1}),
            "spec.n: Invalid value: 1: spec.n in body should be greater than 1",
        ),
        (
            integer(json!({"multipleOf": 3})),
            json!({"n": 4}),
            "spec.n: Invalid value: 4: spec.n in body should be a multiple of 3",
        ),
        (
            of(json!({"type": "string", "pattern": "^a+$"})),
            json!({"x": "b"}),
            "spec.x: Invalid value: \"b\": spec.x in body should match '^a+$'",
        ),
        (
            of(json!({"type": "string", "enum": ["a", "b"]})),
            json!({"x": "c"}),
            "spec.x: Unsupported value: \"c\": supported values: \"a\", \"b\"",
        ),
        (
            of(json!({"type": "string", "maxLength": 2})),
            json!({"x": "abc"}),
            "spec.x: Too long: may not be more than 2 bytes",
        ),
        (
            of(json!({"type": "string", "minLength": 2})),
            json!({"x": "\u{e4}"}),
            "spec.x: Invalid value: \"\u{e4}\": spec.x in body should be at least 2 chars long",
        ),
        (
            of(json!({"type": "string", "format": "date-time"})),
            json!({"x": "today"}),
            "spec.x: Invalid value: \"today\": spec.x in body must be of type date-time: \"today\"",
        ),
        (
            json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}),
            json!({}),
            "spec.a: Required value",
        ),
        (
            of(json!({"type": "array", "maxItems": 1, "items": {"type": "string"}})),
            json!({"x": ["a", "b"]}),
            "spec.x: Too many: 2: must have at most 1 item",
        ),
        (
            of(json!({"type": "array", "items": {"type": "string"}})),
            json!({"x": ["a", 1]}),
            "spec.x[1]: Invalid value: \"integer\": spec.x[1] in body must be of type string: \"integer\"",
        ),
        (
            of(json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}})),
            json!({"x": ["a", "b", "a"]}),
            "spec.x[2]: Duplicate value: \"a\"",
        ),
        (
            of(
                json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                "items": {"type": "object", "required": ["k"],
                    "properties": {"k": {"type": "string"}, "v": {"type": "integer"}}}}),
            ),
            json!({"x": [{"k": "a", "v": 1}, {"k": "a", "v": 2}]}),
            "spec.x[1]: Duplicate value: {\"k\":\"a\"}",
        ),
        (
            of(json!({"type": "object", "additionalProperties": {"type": "boolean"}})),
            json!({"x": {"k": 1}}),
            "spec.x.k: Invalid value: \"integer\": spec.x.k in body must be of type boolean: \"integer\"",
        ),
        (
            of(json!({"x-kubernetes-int-or-string": true})),
            json!({"x": true}),
            "spec.x: Invalid value: \"boolean\": spec.x in body must be of type integer,string: \"boolean\"",
        ),
        (
            of(json!({"type": "string"})),
            json!({"x": null}),
            "spec.x: Invalid value: \"null\": spec.x in body must be of type string: \"null\"",
        ),
        (
            of(json!({"type": "integer", "not": {"minimum": 3}})),
            json!({"x": 4}),
            "spec.x: Invalid value: \"\": \"spec.x\" must not validate the schema (not)",
        ),
        (
            of(json!({"type": "integer", "oneOf": [{"minimum": 3}, {"minimum": 4}]})),
            json!({"x": 4}),
            "spec.x: Invalid value: \"\": \"spec.x\" must validate one and only one schema (oneOf). Found 2 valid alternatives",
        ),
    ] {
        assert_eq!(errors(&schema, &object), [expected], "{schema} {object}");
    }
    let any = of(json!({"type": "integer", "anyOf": [{"maximum": 3}, {"minimum": 5}]}));
    assert_eq!(
        errors(&any, &json!({"x": 4})),
        [
            "spec.x: Invalid value: \"\": \"spec.x\" must validate at least one schema (anyOf)",
            "spec.x: Invalid value: 4: spec.x in body should be less than or equal to 3",
        ]
    );
    let good = of(json!({"type": "string", "nullable": true}));
    assert_eq!(errors(&good, &json!({"x": null})), Vec::<String>::new());
    assert_eq!(
        errors(&integer(json!({})), &json!({"n": 3.0})),
        Vec::<String>::new()
    );
}

#[test]
fn unknown_fields_go() {
    let schema = Structural::read(&json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "a": {"type": "string"},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                "properties": {"known": {"type": "object", "properties": {"x": {"type": "string"}}}}},
            "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"x": {"type": "string"}}}},
            "list": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "string"}}}},
            "pod": {"type": "object", "x-kubernetes-embedded-resource": true,
                "x-kubernetes-preserve-unknown-fields": true},
        }},
    }}));
    let mut object = json!({
        "apiVersion": "example.com/v1", "kind": "Foo", "metadata": {"name": "n", "nonsense": 1}, "other": 1,
        "spec": {"a": "x", "b": 1, "free": {"any": {"thing": 1}, "known": {"x": "1", "y": 2}}, "map": {"k": {"x": "", "y": 1}},
            "list": [{"x": "1"}, {"y": 1}],
            "pod": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "nonsense": 1}, "spec": {"any": 1}}},
    });
    let pruned = schema.prune(&mut object).unwrap();
    assert_eq!(
        object,
        json!({
            "apiVersion": "example.com/v1", "kind": "Foo", "metadata": {"name": "n"},
            "spec": {"a": "x", "free": {"any": {"thing": 1}, "known": {"x": "1"}}, "map": {"k": {"x": ""}},
                "list": [{"x": "1"}, {}],
                "pod": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"any": 1}}},
        })
    );
    assert_eq!(
        pruned.unknown,
        [
            "unknown field \"metadata.nonsense\"",
            "unknown field \"other\"",
            "unknown field \"spec.b\"",
            "unknown field \"spec.free.known.y\"",
            "unknown field \"spec.list[1].y\"",
            "unknown field \"spec.map.k.y\"",
            "unknown field \"spec.pod.metadata.nonsense\"",
        ]
    );
    let mut wrong = json!({"metadata": {"labels": {"a": 1}}});
    assert!(
        schema
            .prune(&mut wrong)
            .unwrap_err()
            .to_string()
            .contains("cannot unmarshal number")
    );
}

#[test]
fn defaults_are_filled_in() {
    let schema = Structural::read(&json!({"type": "object", "properties": {
        "spec": {"type": "object", "default": {}, "properties": {
            "n": {"type": "integer", "default": 3},
            "may": {"type": "string", "nullable": true, "default": "x"},
            "plain": {"type": "string"},
            "list": {"type": "array", "items": {"type": "object", "properties": {"p": {"type": "string", "default": "TCP"}}}},
            "map": {"type": "object", "additionalProperties": {"type": "string", "default": "d"}},
        }},
    }}));
    let fill = |mut object: Value| {
        schema.default(&mut object).unwrap();
        object
    };
    assert_eq!(fill(json!({})), json!({"spec": {"n": 3, "may": "x"}}));
    assert_eq!(
        fill(json!({"spec": {"n": null, "may": null, "plain": null, "list": [{}], "map": {"k": null}}})),
        json!({"spec": {"n": 3, "may": null, "list": [{"p": "TCP"}], "map": {"k": "d"}}})
    );
    assert!(schema.has_defaults());
}

#[test]
fn hostile_schemas() {
    // Depth.
    let mut deep = json!({"type": "string"});
    for _ in 0..200 {
        deep = json!({"type": "object", "properties": {"a": deep}});
    }
    assert!(complaints(&deep)[0].contains("nested too deeply"));
    // Size.
    let wide: Value = (0..60_000)
        .map(|n| (format!("p{n}"), json!({"type": "string"})))
        .collect::<serde_json::Map<_, _>>()
        .into();
    assert!(complaints(&json!({"type": "object", "properties": wide}))[0].contains("Too many"));
    // A default that a long list of empty items would multiply.
    let schema = Structural::read(
        &json!({"type": "object", "properties": {"list": {"type": "array", "items": {
        "type": "object", "properties": {"x": {"type": "string", "default": "x".repeat(100_000)}}}}}}),
    );
    let mut object = json!({"list": vec![json!({}); 10_000]});
    assert!(schema.default(&mut object).is_err());
    assert!(object.to_string().len() < 8 << 20);
    // A name is not written out for each of the things below it.
    let name = "n".repeat(1 << 20);
    let numbers =
        json!({"type": "object", "additionalProperties": {"type": "array", "items": {"type": "integer"}}});
    let schema = Structural::read(&numbers);
    let mut object = json!({&name: vec![1; 300_000]});
    assert_eq!(schema.prune(&mut object).unwrap().unknown, Vec::<String>::new());
    assert_eq!(schema.validate(&object), Vec::new());
    object[&name] = vec!["x"; 300_000].into();
    let errors = schema.validate(&object);
    assert!(errors.iter().all(|error| error.to_string().len() < 20_000));
    let parts: serde_json::Map<_, _> = (0..100_000).map(|n| (format!("p{n}"), json!(1))).collect();
    let maps = json!({"type": "object", "additionalProperties": {"type": "object", "properties": {}}});
    let unknown = Structural::read(&maps)
        .prune(&mut json!({&name: parts}))
        .unwrap()
        .unknown;
    assert!(unknown.len() <= 100 && unknown.iter().all(|text| text.len() < 5_000));
    let many: Value = (0..20_000)
        .map(|n| (format!("p{n}"), json!({"type": "string"})))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let below = json!({"type": "object", "properties": {&name: {"type": "object", "properties": many}}});
    assert_eq!(complaints(&below), Vec::<String>::new());
    let of_types = Structural::read(&below).types("com.example.v1.Foo");
    let longest = of_types.definitions().iter().map(|of| of.name.len()).max();
    assert!(longest < Some(1024), "{longest:?}");
    // Errors are bounded.
    let schema = Structural::read(
        &json!({"type": "object", "properties": {"list": {"type": "array", "items": {"type": "string"}}}}),
    );
    let errors = schema.validate(&json!({"list": vec![1; 100_000]}));
    assert!(errors.len() <= 200, "{}", errors.len());
    // A set of many items is not compared pair by pair.
    let schema = Structural::read(&json!({"type": "object", "properties": {"list": {"type": "array",
        "x-kubernetes-list-type": "set", "items": {"type": "integer"}}}}));
    let list: Vec<u32> = (0..200_000).collect();
    assert!(schema.validate(&json!({"list": list})).is_empty());
    // Anything at all may be read.
    for schema in [
        json!(null),
        json!([]),
        json!({"properties": [], "items": 1, "enum": {}, "required": "x", "default": 1}),
    ] {
        let _ = check("schema", &schema);
        let _ = Structural::read(&schema).validate(&json!({"a": 1}));
    }
}

#[test]
fn apply_knows_the_types() {
    let schema = Structural::read(
        &json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
            "items": {"type": "object", "required": ["port"], "properties": {
                "port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"}}}}}}}}),
    );
    let types = schema.types("com.example.v1.Foo");
    let first = types.first().unwrap();
    assert_eq!(first.definition().name, "com.example.v1.Foo");
    assert!(first.definition().field("metadata").is_some());
    let crate::schema::Node::Struct(spec) = first.definition().field("spec").unwrap().node else {
        panic!("spec is a struct");
    };
    let ports = types.definition(spec).unwrap().field("ports").unwrap();
    assert_eq!(ports.merge.as_ref().unwrap().map_keys, ["port", "protocol"]);
}
