use proptest::prelude::*;
use serde_json::json;

use super::{FieldSelector, Selector};

fn selects(selector: &str, labels: &serde_json::Value) -> bool {
    Selector::parse(selector).unwrap().matches_value(labels)
}

#[test]
fn label_grammar() {
    let labels = json!({"app": "web", "tier": "a", "n": "5", "empty": ""});
    for good in [
        "",
        "app",
        "app=web",
        "app==web",
        "app = web",
        "app in (web)",
        "app in (x, web),tier!=b",
        "!gone",
        "gone!=x",
        "gone notin (x,y)",
        "n>4",
        "n<6,n>1",
        "empty=",
        "empty in (,x)",
        "empty in ()",
        "in in (x),app",
        " app , tier ",
    ] {
        if good.starts_with("in in") {
            assert!(!selects(good, &labels), "{good}");
        } else {
            assert!(selects(good, &labels), "{good}");
        }
    }
    for bad in [
        "app=x",
        "!app",
        "gone",
        "app notin (web)",
        "app!=web",
        "n>5",
        "app in (x)",
        "gone=",
        "app>1",
    ] {
        match Selector::parse(bad) {
            Ok(selector) => assert!(!selector.matches_value(&labels), "{bad}"),
            Err(error) => panic!("{bad}: {error}"),
        }
    }
}

#[test]
fn label_errors_are_upstreams() {
    let cases = [
        (
            "app web",
            "unable to parse requirement: found 'web', expected: in, notin, =, ==, !=, gt, lt",
        ),
        (
            "app in web",
            "unable to parse requirement: found 'web' expected: '('",
        ),
        ("=x", "found '=', expected: !, identifier, or 'end of string'"),
        ("a,,b", "found ',', expected: identifier after ','"),
        ("a,", "found '', expected: identifier after ','"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        (
            "a in (b",
            "unable to parse requirement: found '', expected: ',' or ')'",
        ),
    ];
    for (text, error) in cases {
        assert_eq!(Selector::parse(text).unwrap_err().to_string(), error, "{text}");
    }
    let text = Selector::parse("a/b/c=x").unwrap_err().to_string();
    assert!(
        text.starts_with("unable to parse requirement: <nil>: Invalid value: \"a/b/c\": a qualified name"),
        "{text}"
    );
    let text = Selector::parse("a=b@").unwrap_err().to_string();
    assert!(
        text.starts_with("unable to parse requirement: values[0][a]: Invalid value: \"b@\""),
        "{text}"
    );
}

#[test]
fn label_selector_objects() {
    let selector = json!({"matchLabels": {"b": "1", "a": "2"}, "matchExpressions": [
        {"key": "c", "operator": "In", "values": ["y", "x"]}, {"key": "d", "operator": "DoesNotExist"}]});
    let selector = Selector::from_label_selector(&selector).unwrap();
    assert_eq!(selector.to_string(), "a=2,b=1,c in (x,y),!d");
    assert!(selector.matches_value(&json!({"a": "2", "b": "1", "c": "x"})));
    assert!(!selector.matches_value(&json!({"a": "2", "b": "1", "c": "x", "d": ""})));
    assert!(
        !Selector::from_label_selector(&json!(null))
            .unwrap()
            .matches_value(&json!({}))
    );
    assert!(Selector::from_label_selector(&json!({})).unwrap().is_everything());
    let wrong = json!({"matchExpressions": [{"key": "a", "operator": "Like"}]});
    let error = Selector::from_label_selector(&wrong).unwrap_err().to_string();
    assert_eq!(error, "\"Like\" is not a valid label selector operator");
    assert_eq!(Selector::from_map(&json!({"a": "b"})).to_string(), "a=b");
}

#[test]
fn field_grammar() {
    let fields = [("a.b", "x"), ("c", "d,e=f\\")];
    let look = |name: &str| fields.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
    for (text, matches) in [
        ("", true),
        ("a.b=x", true),
        ("a.b==x,c!=y", true),
        ("a.b!=x", false),
        ("c=d\\,e\\=f\\\\", true),
        ("gone=", true),
        ("gone!=", false),
        (",a.b=x,", true),
        ("=", true),
        ("!=,==,a.b=x", true),
        ("=x", false),
    ] {
        let selector = FieldSelector::parse(text).unwrap();
        assert_eq!(selector.matches(look), matches, "{text}");
        assert_eq!(FieldSelector::parse(&selector.to_string()).unwrap(), selector);
    }
    assert_eq!(FieldSelector::parse("a.b=x").unwrap().exact("a.b"), Some("x"));
    assert_eq!(
        FieldSelector::parse("ab").unwrap_err().to_string(),
        "invalid selector: 'ab'; can't understand 'ab'"
    );
    assert!(FieldSelector::parse("a=b=c").is_err());
    assert!(FieldSelector::parse("a=b\\c").is_err());
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,40}") {
        let _ = Selector::parse(&text);
        let _ = FieldSelector::parse(&text);
    }

    #[test]
    fn what_is_printed_parses_to_the_same(text in "([a-c](=|!=|==)[x-z]?|!?[a-c]|[a-c] (not)?in \\([x-z],[x-z]\\))(,[d-f]=[x-z])?") {
        let selector = Selector::parse(&text).unwrap();
        prop_assert_eq!(Selector::parse(&selector.to_string()).unwrap(), selector);
    }
}
