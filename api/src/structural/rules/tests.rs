//! Schemas that would take minutes or gigabytes.

use serde_json::{Map, Value, json};

use super::*;

fn complaints(x: Value) -> Vec<String> {
    let schema = json!({"type": "object", "properties": Value::from_iter([("x", x)])});
    check("schema", &schema).iter().map(ToString::to_string).collect()
}

fn named(count: usize, part: impl Fn(usize) -> Value) -> Value {
    let parts: Map<String, Value> = (0..count).map(|n| (format!("p{n}"), part(n))).collect();
    parts.into()
}

#[test]
fn lists_have_few_keys() {
    let list = |count: usize| {
        let keys: Vec<String> = (0..count).map(|n| format!("p{n}")).collect();
        json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys,
            "items": {"type": "object", "required": keys,
                "properties": named(count.min(64), |_| json!({"type": "string"}))}})
    };
    assert_eq!(complaints(list(64)), Vec::<String>::new());
    assert_eq!(
        complaints(list(45_000)),
        ["schema.properties[x].x-kubernetes-list-map-keys: Too many: 45000: must have at most 64 items"]
    );
}

#[test]
fn expressions_are_not_too_much_together() {
    let strings = |count: usize, pattern: &dyn Fn(usize) -> String| {
        let parts = named(count, |n| json!({"type": "string", "pattern": pattern(n)}));
        complaints(json!({"type": "object", "properties": parts}))
    };
    let found = strings(20_000, &|n| format!("(?:a{{999}}){{20}}{n}"));
    assert_eq!(found.len(), 1, "{}", found[0]);
    assert!(
        found[0].contains("must not take more than 32 MiB"),
        "{}",
        found[0]
    );
    // Each counts as what it takes.
    assert_eq!(
        strings(40, &|n| format!("(?:[ab]{{1000}}){{4}}{n}")),
        Vec::<String>::new()
    );
    // Definitions repeat few of them very often.
    assert_eq!(
        strings(20_000, &|_| "(?:a{999}){20}".to_owned()),
        Vec::<String>::new()
    );
    let quantity = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$";
    assert_eq!(strings(500, &|n| format!("{quantity}|{n}")), Vec::<String>::new());
}

#[test]
fn defaults_are_filled_in_within_what_they_may_add() {
    // Each property has a default of many items, each of which has a default.
    let part = |n: usize| {
        json!({"type": "array", "default": vec![json!({}); 250],
            "items": {"type": "object", "properties": {"x": {"type": "string", "default": n.to_string().repeat(2000)}}}})
    };
    let found = complaints(json!({"type": "object", "properties": named(250, part)}));
    assert!(found[0].contains("defaults add more than"), "{}", found[0]);
    let few = complaints(json!({"type": "object", "properties": named(2, part)}));
    assert_eq!(few, Vec::<String>::new());
}

#[test]
fn properties_without_a_default_cost_nothing() {
    let mut properties = named(30_000, |_| json!({"type": "string"}));
    properties["p7"]["default"] = "x".into();
    let schema = json!({"type": "object", "properties": {"x": {"type": "array",
        "items": {"type": "object", "properties": properties}}}});
    assert_eq!(check("schema", &schema), Vec::new());
    let schema = Structural::read(&schema);
    let mut object = json!({"x": vec![json!({}); 60_000]});
    schema.default(&mut object).unwrap();
    assert_eq!(object["x"][59_999], json!({"p7": "x"}));
}

#[test]
fn rules_say_what_is_wrong_in_one_line() {
    let path = "schema.properties[x].x-kubernetes-validations[0]";
    let of = |rule: Value| complaints(json!({"type": "string", "x-kubernetes-validations": [rule]}));
    for good in [
        json!({"rule": "true"}),
        json!({"rule": "a\n&& b", "message": "m", "reason": "FieldValueInvalid", "fieldPath": ".a"}),
    ] {
        assert_eq!(of(good), Vec::<String>::new());
    }
    for (rule, expected) in [
        (
            json!({"rule": " "}),
            vec!["rule: Required value: rule is not specified"],
        ),
        (
            json!({"rule": "a", "message": " "}),
            vec!["message: Invalid value: \" \": message must be non-empty if specified"],
        ),
        (
            json!({"rule": "a", "message": "b\nc"}),
            vec!["message: Invalid value: \"b\\nc\": message must not contain line breaks"],
        ),
        (
            json!({"rule": "a\nb"}),
            vec!["message: Required value: message must be specified if rule contains line breaks"],
        ),
        (
            json!({"rule": "a", "messageExpression": " ", "reason": "x", "fieldPath": "\n"}),
            vec![
                "messageExpression: Required value: messageExpression must be non-empty if specified",
                "reason: Unsupported value: \"x\": supported values: \"FieldValueDuplicate\", \"FieldValueForbidden\", \
                 \"FieldValueInvalid\", \"FieldValueRequired\"",
                "fieldPath: Invalid value: \"\\n\": fieldPath must be non-empty if specified",
                "fieldPath: Invalid value: \"\\n\": fieldPath must not contain line breaks",
            ],
        ),
    ] {
        let expected: Vec<String> = expected.iter().map(|told| format!("{path}.{told}")).collect();
        assert_eq!(of(rule), expected);
    }
    assert_eq!(
        check("schema", &json!({"type": "object", "nullable": true}))[0].to_string(),
        "schema.nullable: Forbidden: nullable cannot be true at the root"
    );
}
