//! Schemas and objects that would take minutes or gigabytes if what they ask for were done.

use serde_json::{Map, Value, json};

use super::report::MOST;
use crate::structural::{Structural, check};

const TOO_LARGE: &str = "too large to be validated";

/// Errors of an object whose `x` has this schema.
fn errors(schema: Value, x: Value) -> Vec<String> {
    let schema = json!({"type": "object", "properties": Value::from_iter([("x", schema)])});
    let complaints = check("schema", &schema);
    assert_eq!(complaints, Vec::new());
    let errors = Structural::read(&schema).validate(&Value::from_iter([("x", x)]));
    errors.iter().map(ToString::to_string).collect()
}

fn integers(more: (&str, Value)) -> Value {
    let mut schema = json!({"type": "array", "items": {"type": "integer"}});
    schema[more.0] = more.1;
    schema
}

#[test]
fn parts_of_a_junctor_share_what_an_object_may_cost() {
    let parts = vec![json!({"items": {"maximum": 0}}); 20_000];
    for name in ["allOf", "anyOf", "oneOf"] {
        // Every part has errors.
        let found = errors(integers((name, parts.clone().into())), vec![1; 200].into());
        assert!(!found.is_empty() && found.len() <= MOST, "{name} {}", found.len());
        // Every part has its error in the end.
        let mut list = vec![0; 300_000];
        list.push(1);
        let found = errors(integers((name, parts.clone().into())), list.into());
        assert_eq!(found.len(), 1, "{name}");
        assert!(found[0].contains(TOO_LARGE), "{name} {}", found[0]);
    }
    let nested = json!({"items": {"not": {"minimum": 1}}});
    assert_eq!(
        errors(integers(("not", nested)), vec![1; 300_000].into()),
        Vec::<String>::new()
    );
}

#[test]
fn choices_are_looked_up() {
    let texts: Vec<String> = (0..90_000).map(|n| format!("t{n}")).collect();
    let schema = json!({"type": "array", "items": {"type": "string", "enum": texts}});
    let last = |count| Value::from(vec!["t89999"; count]);
    assert_eq!(errors(schema.clone(), last(300_000)), Vec::<String>::new());
    let found = errors(schema, vec!["u"; 300_000].into());
    assert_eq!(found.len(), MOST);
    assert!(found[0].starts_with("x[0]: Unsupported value: \"u\": supported values: \"t0\", \"t1\""));
    let numbers: Vec<u32> = (0..90_000).collect();
    let schema = json!({"type": "array", "items": {"type": "integer", "enum": numbers}});
    let found = errors(schema, vec![89_999; 300_000].into());
    assert!(found.len() == 1 && found[0].contains(TOO_LARGE), "{found:?}");
}

#[test]
fn what_is_missing_is_told_up_to_a_number() {
    let names: Vec<String> = (0..30_000).map(|n| format!("p{n}")).collect();
    let known: Map<String, Value> = names
        .iter()
        .map(|name| (name.clone(), json!({"type": "string"})))
        .collect();
    let items = |more: (&str, Value)| {
        let mut items = json!({"type": "object", "properties": known});
        items[more.0] = more.1;
        json!({"type": "array", "items": items})
    };
    let list = || Value::from(vec![json!({}); 60_000]);
    assert_eq!(errors(items(("required", json!(names))), list()).len(), MOST);
    let not = errors(items(("not", json!({"required": names}))), list());
    assert_eq!(not, Vec::<String>::new());
    let again = errors(
        items(("required", vec!["p1"; 30_000].into())),
        vec![json!({"p1": ""}); 60_000].into(),
    );
    assert_eq!(again, Vec::<String>::new());
}

#[test]
fn expressions_cost_what_they_are_searched_in() {
    let text = "ab".repeat(500_000);
    let matching = |pattern: &str| errors(json!({"type": "string", "pattern": pattern}), text.clone().into());
    assert_eq!(matching("^[ab]*$"), Vec::<String>::new());
    assert!(matching("^[b]*$")[0].contains("should match"));
    let found = matching("[ab]*a[ab]{1000}$");
    assert!(found.len() == 1 && found[0].contains(TOO_LARGE), "{found:?}");
}

/// Expressions as cert-manager, the Gateway API, prometheus-operator and Kubernetes' own types have them, each on a megabyte of
/// values.
#[test]
fn usual_expressions_are_searched_in_large_objects() {
    let dns = r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
    let duration =
        r"^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$";
    let quantity = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$";
    let condition = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$";
    for (pattern, text) in [
        (dns, "*.a-rather-long-label.of-a-host.example.com"),
        (duration, "1d12h30m"),
        (r"^([0-9]{1,5}(h|m|s|ms)){1,4}$", "100h30m20s5ms"),
        (quantity, "12.5e3"),
        (r"(^0|([0-9]*[.])?[0-9]+((K|M|G|T|E|P)i?)?B)$", "10.5GiB"),
        (condition, "gateway.networking.k8s.io/ResolvedRefs"),
        (r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$", "NoMatchingParent"),
        (r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$", "X-Forwarded-For"),
        (
            r"^(?:[-A-Za-z0-9/._~!$&'()*+,;=:]|[%][0-9a-fA-F]{2})+$",
            "/a/path/with%20escapes/in/it",
        ),
        (r"^(http|https)://.+$", "https://example.com/a/path?query=1"),
        (r"^[^/]+(/[^/]+)*$", "a/b\u{e4}/c"),
        (
            r"^(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?$",
            "a-label.of_a_node",
        ),
    ] {
        let list = vec![text; 1_000_000 / (text.len() + 3)];
        let schema = json!({"type": "array", "items": {"type": "string", "pattern": pattern}});
        assert_eq!(errors(schema, list.into()), Vec::<String>::new(), "{pattern}");
    }
    // One that is large is not priced as the largest.
    let large = json!({"type": "string", "pattern": "^(?:[ab]{1000}){4}"});
    assert_eq!(errors(large, "ab".repeat(25_000).into()), Vec::<String>::new());
}

#[test]
fn large_objects_are_validated() {
    let either =
        json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]});
    let list = json!({"type": "array", "items": either});
    let mut numbers = vec![json!(1); 1_000_000];
    assert_eq!(errors(list.clone(), numbers.clone().into()), Vec::<String>::new());
    numbers.push(json!(true));
    assert!(errors(list, numbers.into())[0].starts_with("x[1000000]: "));
}
