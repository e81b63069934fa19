//! Complaints about FlowSchemas and PriorityLevelConfigurations.
#![allow(clippy::needless_pass_by_value)] // reads better at the call: `json!` without a borrow

use serde_json::{Value, json};

use super::new;

const GROUP: &str = "flowcontrol.apiserver.k8s.io";

/// Complaints about a schema with one rule, without the path of the rule.
fn rule(change: Value) -> Vec<String> {
    let mut rule = json!({
        "subjects": [{"kind": "User", "user": {"name": "jane"}}],
        "resourceRules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["a"]}],
    });
    for (field, value) in change.as_object().unwrap() {
        rule[field] = value.clone();
    }
    let schema = json!({"metadata": {"name": "f"}, "spec": {
        "priorityLevelConfiguration": {"name": "p"}, "rules": [rule],
    }});
    let errors = new(GROUP, "flowschemas", schema);
    errors
        .iter()
        .map(|error| error.replace("spec.rules[0].", ""))
        .collect()
}

fn subject(subject: Value) -> Vec<String> {
    rule(json!({"subjects": [subject]}))
}

#[test]
fn subjects_have_the_part_that_their_kind_names() {
    let none: [&str; 0] = [];
    for good in [
        json!({"kind": "Group", "group": {"name": "g"}}),
        json!({"kind": "ServiceAccount", "serviceAccount": {"name": "*", "namespace": "a"}}),
    ] {
        assert_eq!(subject(good), none);
    }
    assert_eq!(
        subject(json!({"kind": "Group", "user": {"name": "x"}})),
        [
            "subjects[0].group: Required value: group is required when subject kind is 'Group'",
            "subjects[0].user: Forbidden: user is forbidden when subject kind is not 'User'",
        ]
    );
    assert_eq!(
        subject(json!({"kind": "User", "user": {"name": ""}})),
        ["subjects[0].user.name: Required value"]
    );
    let errors = subject(json!({"kind": "ServiceAccount", "serviceAccount": {"name": "A"}}));
    assert!(
        errors[0].starts_with("subjects[0].serviceAccount.name: Invalid value: \"A\": a lowercase RFC 1123")
    );
    assert_eq!(
        errors[1],
        "subjects[0].serviceAccount.namespace: Required value: must specify namespace for service account"
    );
}

#[test]
fn rules_say_what_they_cover() {
    let with = |change: Value| {
        let mut one =
            json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["a"]});
        for (field, value) in change.as_object().unwrap() {
            one[field] = value.clone();
        }
        rule(json!({"resourceRules": [one]}))
    };
    let none: [&str; 0] = [];
    assert_eq!(with(json!({"namespaces": null, "clusterScope": true})), none);
    assert_eq!(
        with(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"]})),
        none
    );
    for (change, told) in [
        (
            json!({"verbs": []}),
            "verbs: Required value: verbs must contain at least one value",
        ),
        (
            json!({"verbs": ["*", "get"]}),
            "verbs: Invalid value: [\"*\",\"get\"]: if '*' is present, must not specify other verbs",
        ),
        (
            json!({"verbs": ["get", "eat"]}),
            "verbs: Unsupported value: [\"get\",\"eat\"]: supported values: \"create\"",
        ),
        (
            json!({"apiGroups": null}),
            "apiGroups: Required value: resource rules must supply at least one api group",
        ),
        (
            json!({"apiGroups": ["", "*"]}),
            "apiGroups: Invalid value: [\"\",\"*\"]: if '*' is present, must not specify other api groups",
        ),
        (
            json!({"resources": null}),
            "resources: Required value: resource rules must supply at least one resource",
        ),
        (
            json!({"namespaces": null}),
            "namespaces: Required value: resource rules that are not cluster scoped must supply at least one namespace",
        ),
        (
            json!({"namespaces": ["A"]}),
            "namespaces[0]: Invalid value: \"A\": each member of this list must be '*' or a DNS-1123 label; a lowercase",
        ),
    ] {
        let errors = with(change.clone());
        let expected = format!("resourceRules[0].{told}");
        assert!(
            errors.len() == 1 && errors[0].starts_with(&expected),
            "{change}: {errors:?}"
        );
    }
    for (url, told) in [
        ("", "must not be empty"),
        ("a", "must start with slash"),
        ("/a b", "must not contain white-space"),
        ("/a//b", "must not contain double slash"),
        ("/a*", "wildcard can only do suffix matching"),
    ] {
        let errors =
            rule(json!({"nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/", "/a/*", url]}]}));
        let expected = format!("nonResourceRules[0].nonResourceURLs[2]: Invalid value: \"{url}\": {told}");
        assert_eq!(errors, [expected]);
    }
}

fn level(name: &str, spec: Value) -> Vec<String> {
    new(
        GROUP,
        "prioritylevelconfigurations",
        json!({"metadata": {"name": name}, "spec": spec}),
    )
}

#[test]
fn levels_have_sound_numbers() {
    let limited = |limited: Value| level("l", json!({"type": "Limited", "limited": limited}));
    let queues = |queues: i64, hand: i64| {
        limited(json!({"limitResponse": {"type": "Queue", "queuing": {"queues": queues, "handSize": hand}}}))
    };
    let none: [&str; 0] = [];
    assert_eq!(queues(128, 6), none);
    assert_eq!(
        queues(10_000_001, 1),
        [
            "spec.limited.limitResponse.queuing.queues: Invalid value: 10000001: must not be greater than 10000000"
        ]
    );
    assert_eq!(
        queues(4, 5),
        [
            "spec.limited.limitResponse.queuing.handSize: Invalid value: 5: should not be greater than queues (4)"
        ]
    );
    assert_eq!(
        queues(512, 7),
        [
            "spec.limited.limitResponse.queuing.handSize: Invalid value: 7: required entropy bits of deckSize 512 and \
             handSize 7 should not be greater than 60"
        ]
    );
    assert_eq!(
        limited(json!({"borrowingLimitPercent": -1, "limitResponse": {"type": "Reject"}})),
        [
            "spec.limited.borrowingLimitPercent: Invalid value: -1: if specified, must be a non-negative integer"
        ]
    );
}

#[test]
fn what_every_server_has_is_fixed() {
    let none: [&str; 0] = [];
    assert_eq!(level("exempt", json!({"type": "Exempt"})), none);
    assert_eq!(
        level(
            "exempt",
            json!({"type": "Exempt", "exempt": {"nominalConcurrencyShares": 5}})
        ),
        none
    );
    assert_eq!(
        level(
            "exempt",
            json!({"type": "Exempt", "exempt": {"lendablePercent": 101}})
        ),
        ["spec.exempt.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive"]
    );
    let told =
        "spec.type: Invalid value: \"Exempt\": type must be 'Exempt' if and only if `name` is 'exempt'";
    assert_eq!(level("other", json!({"type": "Exempt"})), [told]);
    let catch_all = |shares: i64| {
        level(
            "catch-all",
            json!({"type": "Limited", "limited": {
                "nominalConcurrencyShares": shares, "limitResponse": {"type": "Reject"},
            }}),
        )
    };
    assert_eq!(catch_all(5), none);
    assert!(catch_all(6)[0].ends_with("spec of 'catch-all' must equal the fixed value"));
    let schema = |user: &str| {
        let spec = json!({
            "priorityLevelConfiguration": {"name": "exempt"}, "matchingPrecedence": 1,
            "rules": [{
                "subjects": [{"kind": "Group", "group": {"name": user}}],
                "resourceRules": [{
                    "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": true,
                }],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            }],
        });
        new(
            GROUP,
            "flowschemas",
            json!({"metadata": {"name": "exempt"}, "spec": spec}),
        )
    };
    assert_eq!(schema("system:masters"), none);
    assert!(schema("tenants")[0].ends_with("spec of 'exempt' must equal the fixed value"));
}
