//! Attempts to get more than one has by editing roles and bindings.

use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn roles_cannot_give_more_than_held() {
    let cluster = cluster();
    let held = role(
        "Role",
        "a",
        "x",
        &[rule("get", "", "pods", ""), rule("list", "", "pods", "one")],
    );
    assert_eq!(cluster.write("eve", "roles", "a", None, &held), Ok(()));
    for more in [
        rule("delete", "", "pods", ""),
        rule("get", "", "secrets", ""),
        rule("*", "", "pods", ""),
        rule("get", "*", "pods", ""),
        rule("get", "", "*", ""),
        rule("get", "", "*/log", ""),
        rule("get", "apps", "pods", ""),
        rule("escalate", "rbac.authorization.k8s.io", "clusterroles", ""),
        rule("impersonate", "", "users", "boss"),
    ] {
        let wanted = role(
            "ClusterRole",
            "",
            "x",
            &[rule("get", "", "pods", ""), more.clone()],
        );
        let error = cluster
            .write("eve", "clusterroles", "", None, &wanted)
            .unwrap_err();
        assert!(
            error.contains("is attempting to grant RBAC permissions not currently held"),
            "{more:?}: {error}"
        );
        assert!(
            cluster
                .write("eve", "clusterroles", "", Some(&held), &wanted)
                .is_err()
        );
    }
    let paths = json!({"rules": [{"verbs": ["get"], "nonResourceURLs": ["/metrics"]}]});
    assert!(cluster.write("eve", "clusterroles", "", None, &paths).is_err());
    let error = cluster.write(
        "eve",
        "roles",
        "a",
        None,
        &role("Role", "a", "x", &[rule("delete", "", "pods", "")]),
    );
    assert_eq!(
        error.unwrap_err(),
        "roles.rbac.authorization.k8s.io \"x\" is forbidden: user \"eve\" (groups=[\"system:authenticated\"]) is \
         attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"pods\"], \
         Verbs:[\"delete\"]}"
    );
    // The verb escalate, or holding everything, allows it.
    let much = role("ClusterRole", "", "x", &[rule("*", "*", "*", "")]);
    assert_eq!(cluster.write("rbac", "clusterroles", "", None, &much), Ok(()));
    assert_eq!(cluster.write("boss", "clusterroles", "", None, &much), Ok(()));
    // Malformed rules are not waved through.
    assert!(
        cluster
            .write("eve", "clusterroles", "", None, &json!({"rules": "all"}))
            .is_err()
    );
}

#[test]
fn an_unchanged_role_may_be_relabelled() {
    let cluster = cluster();
    let old = role("ClusterRole", "", "x", &[rule("*", "*", "*", "")]);
    let mut new = old.clone();
    new["metadata"]["labels"] = json!({"a": "b"});
    assert_eq!(cluster.write("eve", "clusterroles", "", Some(&old), &new), Ok(()));
}

#[test]
fn aggregating_roles_need_everything() {
    let cluster = cluster();
    let wanted =
        json!({"rules": [], "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}});
    assert!(cluster.write("eve", "clusterroles", "", None, &wanted).is_err());
    assert_eq!(cluster.write("boss", "clusterroles", "", None, &wanted), Ok(()));
}

#[test]
fn bindings_cannot_give_more_than_held() {
    let cluster = cluster();
    let to = |role: &str| binding("", "x", "ClusterRole", role, "eve");
    assert_eq!(
        cluster.write("eve", "clusterrolebindings", "", None, &to("reader")),
        Ok(())
    );
    assert_eq!(
        cluster.write("eve", "rolebindings", "a", None, &to("reader")),
        Ok(())
    );
    assert!(
        cluster
            .write("eve", "clusterrolebindings", "", None, &to("all"))
            .unwrap_err()
            .contains("not currently held")
    );
    assert!(
        cluster
            .write("eve", "rolebindings", "kube-system", None, &to("all"))
            .is_err()
    );
    // An innocent binding cannot be turned around by an update.
    assert!(
        cluster
            .write("eve", "clusterrolebindings", "", Some(&to("reader")), &to("all"))
            .is_err()
    );
    let mut stolen = to("all");
    stolen["subjects"] = json!([{"kind": "User", "name": "boss"}]);
    assert!(
        cluster
            .write("eve", "clusterrolebindings", "", Some(&stolen), &to("all"))
            .is_err()
    );
    assert!(
        cluster
            .write("eve", "clusterrolebindings", "", None, &to("gone"))
            .unwrap_err()
            .contains("not found")
    );
    assert_eq!(
        cluster.write("rbac", "clusterrolebindings", "", None, &to("all")),
        Ok(()),
        "holds the verb bind"
    );
    // A role that is held in one namespace may be bound there and nowhere else.
    cluster
        .memory
        .put(&ROLE_BINDINGS, &binding("a", "all", "ClusterRole", "all", "eve"));
    assert_eq!(
        cluster.write(
            "eve",
            "rolebindings",
            "a",
            None,
            &binding("a", "x", "ClusterRole", "reader", "z")
        ),
        Ok(())
    );
    let in_a = role("Role", "a", "x", &[rule("*", "*", "*", "")]);
    assert_eq!(cluster.write("eve", "roles", "a", None, &in_a), Ok(()));
    assert!(cluster.write("eve", "roles", "b", None, &in_a).is_err());
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let list = |values: &'static [&'static str]| {
        prop::collection::vec(prop::sample::select(values).prop_map(str::to_owned), 1..3)
    };
    (
        list(&["get", "list", "*"]),
        list(&["", "apps", "*"]),
        list(&["pods", "pods/log", "*/log", "nodes", "*"]),
        prop::collection::vec(
            prop::sample::select(&["a", "b"][..]).prop_map(str::to_owned),
            0..2,
        ),
    )
        .prop_map(|(verbs, api_groups, resources, resource_names)| Rule {
            verbs,
            api_groups,
            resources,
            resource_names,
            ..Rule::default()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]
    /// What counts as covered gives no request that was not allowed before.
    #[test]
    fn covered_rules_allow_nothing_new(
        held in prop::collection::vec(any_rule(), 0..3),
        wanted in any_rule(),
    ) {
        if not_covered(&held, std::slice::from_ref(&wanted)).next().is_some() {
            return Ok(());
        }
        let user = user("x");
        for verb in ["get", "list", "delete"] {
            for group in ["", "apps", "other"] {
                for (resource, subresource) in [("pods", ""), ("pods", "log"), ("nodes", ""), ("nodes", "log"), ("x", "")] {
                    for name in ["", "a", "b"] {
                        let asked = Attributes { subresource, name, ..Attributes::resource(&user, verb, group, resource) };
                        if wanted.allows(&asked) {
                            prop_assert!(held.iter().any(|rule| rule.allows(&asked)), "{asked:?}");
                        }
                    }
                }
            }
        }
    }
}

/// A rule of a thousand verbs, groups and resources has a billion parts.
#[test]
fn very_many_rights_are_refused_at_once() {
    let list = |what: &str| -> Vec<String> { (0..1000).map(|n| format!("{what}{n}")).collect() };
    let wanted = Rule {
        verbs: list("v"),
        api_groups: list("g"),
        resources: list("r"),
        ..Rule::default()
    };
    let cluster = cluster();
    let error = cluster
        .write(
            "eve",
            "roles",
            "a",
            None,
            &role("Role", "a", "x", std::slice::from_ref(&wanted)),
        )
        .unwrap_err();
    assert!(
        error.lines().count() <= 102 && error.contains("not currently held"),
        "{error}"
    );
    // Held whole, it is given; held in parts too many to look at, it is not.
    let missing = |held: &[Rule]| not_covered(held, std::slice::from_ref(&wanted)).next().is_some();
    assert!(!missing(std::slice::from_ref(&wanted)));
    assert!(!missing(&[rule("*", "*", "*", "")]));
    let halves: Vec<Rule> = wanted
        .verbs
        .iter()
        .map(|verb| Rule {
            verbs: vec![verb.clone()],
            ..wanted.clone()
        })
        .collect();
    assert!(missing(&halves));
    // What is there twice is there once.
    let often: Rule = serde_json::from_value(
        json!({"verbs": vec!["get"; 1000], "resources": vec!["pods"; 1000], "apiGroups": [""]}),
    )
    .unwrap();
    assert_eq!(often, rule("get", "", "pods", ""));
}
