//! Topology spread constraints, and required affinity to pods that all terms mean.

use serde_json::{Value, json};

use super::{cluster, node, pod, refusal, schedule};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

fn labels(labels: Value) -> impl FnOnce(&mut Value) {
    move |object| {
        for (key, value) in labels.as_object().unwrap() {
            object["metadata"]["labels"][key] = value.clone();
        }
    }
}

/// A pod with one constraint over zones, changed by these fields.
fn spreading(fields: Value) -> impl FnOnce(&mut Value) {
    move |p| {
        let mut constraint = json!({"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "web"}}});
        for (field, value) in fields.as_object().unwrap() {
            constraint[field] = value.clone();
        }
        p["spec"]["topologySpreadConstraints"] = json!([constraint]);
    }
}

#[test]
fn affinity_is_to_pods_that_all_terms_mean() {
    let mut two = cluster(&[
        node("n1", labels(json!({"zone": "a"}))),
        node("n2", labels(json!({"zone": "b"}))),
    ]);
    two.place(&pod("web", labels(json!({"tier": "x"}))), "n1");
    two.place(&pod("db", labels(json!({"app": "db", "tier": "front"}))), "n1");
    let wants = |p: &mut Value| {
        p["metadata"]["labels"] = json!({"app": "other"});
        p["spec"]["affinity"]["podAffinity"][REQUIRED] = json!([
            {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "zone"},
            {"labelSelector": {"matchLabels": {"tier": "front"}}, "topologyKey": "zone"},
        ]);
    };
    // Each term finds a pod in zone a, but no pod is both.
    let message = refusal(&pod("p", wants), &two);
    assert!(
        message.contains("2 node(s) didn't match pod affinity rules"),
        "{message}"
    );
    two.place(&pod("both", labels(json!({"tier": "front"}))), "n2");
    assert_eq!(schedule(&pod("p", wants), &two, 0).unwrap(), "n2");
    // The first that is both may go anywhere, although single terms find others.
    two.remove_pod("both");
    let first = pod("first", |p| {
        wants(p);
        p["metadata"]["labels"] = json!({"app": "web", "tier": "front"});
    });
    assert!(schedule(&first, &two, 0).is_ok());
}

#[test]
fn nodes_that_the_pod_does_not_want_do_not_count() {
    let ssd = |zone: &str| labels(json!({"zone": zone, "disk": "ssd"}));
    let mut three = cluster(&[
        node("n1", ssd("a")),
        node("n2", ssd("b")),
        node("n3", labels(json!({"zone": "c"}))),
    ]);
    three.place(&pod("w1", |_| {}), "n1");
    three.place(&pod("w2", |_| {}), "n2");
    let wants = |policy: &str| {
        let fields = json!({"nodeAffinityPolicy": policy});
        pod("p", |p| {
            spreading(fields)(p);
            p["spec"]["nodeSelector"] = json!({"disk": "ssd"});
        })
    };
    assert!(schedule(&wants("Honor"), &three, 0).is_ok());
    // Zone c is empty, and counts.
    let message = refusal(&wants("Ignore"), &three);
    assert!(
        message.contains("2 node(s) didn't match pod topology spread constraints"),
        "{message}"
    );
    let default = pod("p", |p| {
        spreading(json!({"nodeAffinityPolicy": null}))(p);
        p["spec"]["nodeSelector"] = json!({"disk": "ssd"});
    });
    assert!(schedule(&default, &three, 0).is_ok());
}

#[test]
fn tainted_nodes_count_unless_taints_are_honored() {
    let mut two = cluster(&[
        node("n1", labels(json!({"zone": "a"}))),
        node("n2", |n| {
            labels(json!({"zone": "b"}))(n);
            n["spec"]["taints"] = json!([{"key": "k", "effect": "NoSchedule"}]);
        }),
    ]);
    two.place(&pod("w1", |_| {}), "n1");
    for ignored in [json!({}), json!({"nodeTaintsPolicy": "Ignore"})] {
        let message = refusal(&pod("p", spreading(ignored)), &two);
        assert!(
            message.contains("1 node(s) didn't match pod topology spread constraints"),
            "{message}"
        );
    }
    let honored = json!({"nodeTaintsPolicy": "Honor"});
    assert_eq!(schedule(&pod("p", spreading(honored)), &two, 0).unwrap(), "n1");
}

#[test]
fn nodes_count_that_have_the_keys_of_all_constraints() {
    let rack = |zone: &str| labels(json!({"zone": zone, "rack": "1"}));
    let mut three = cluster(&[
        node("n1", rack("a")),
        node("n2", rack("b")),
        // No rack: its zone is none for the other constraint either.
        node("n3", labels(json!({"zone": "c"}))),
    ]);
    three.place(&pod("w1", |_| {}), "n1");
    three.place(&pod("w2", |_| {}), "n2");
    let both = |second: &str| {
        let second = json!({"maxSkew": 5, "topologyKey": "rack", "whenUnsatisfiable": second,
            "labelSelector": {"matchLabels": {"app": "web"}}});
        pod("p", |p| {
            spreading(json!({}))(p);
            p["spec"]["topologySpreadConstraints"]
                .as_array_mut()
                .unwrap()
                .push(second);
            p["spec"]["nodeSelector"] = json!({"rack": "1"});
            p["spec"]["topologySpreadConstraints"][0]["nodeAffinityPolicy"] = json!("Ignore");
        })
    };
    assert!(schedule(&both("DoNotSchedule"), &three, 0).is_ok());
    // What need not be met is another matter.
    assert!(schedule(&both("ScheduleAnyway"), &three, 0).is_err());
}

#[test]
fn too_few_domains_count_as_an_empty_one() {
    let mut two = cluster(&[
        node("n1", labels(json!({"zone": "a"}))),
        node("n2", labels(json!({"zone": "b"}))),
    ]);
    two.place(&pod("w1", |_| {}), "n1");
    two.place(&pod("w2", |_| {}), "n2");
    assert!(schedule(&pod("p", spreading(json!({"minDomains": 2}))), &two, 0).is_ok());
    assert!(schedule(&pod("p", spreading(json!({"minDomains": 3}))), &two, 0).is_err());
}

#[test]
fn pods_of_another_revision_do_not_count() {
    let mut two = cluster(&[
        node("n1", labels(json!({"zone": "a"}))),
        node("n2", |n| {
            labels(json!({"zone": "b"}))(n);
            n["spec"]["unschedulable"] = json!(true);
        }),
    ]);
    two.place(&pod("old", labels(json!({"hash": "1"}))), "n1");
    let new = |keys: Value| {
        pod("new", |p| {
            labels(json!({"hash": "2"}))(p);
            spreading(json!({"matchLabelKeys": keys}))(p);
        })
    };
    assert!(schedule(&new(json!([])), &two, 0).is_err());
    assert_eq!(schedule(&new(json!(["hash"])), &two, 0).unwrap(), "n1");
    two.place(&new(json!(["hash"])), "n1");
    let another = pod("another", |p| {
        labels(json!({"hash": "2"}))(p);
        spreading(json!({"matchLabelKeys": ["hash"]}))(p);
    });
    assert!(schedule(&another, &two, 0).is_err());
}

#[test]
fn a_selector_of_everything_counts_nothing() {
    let mut two = cluster(&[
        node("n1", labels(json!({"zone": "a"}))),
        node("n2", |n| {
            labels(json!({"zone": "b"}))(n);
            n["spec"]["unschedulable"] = json!(true);
        }),
    ]);
    two.place(&pod("w1", |_| {}), "n1");
    two.place(&pod("w2", |_| {}), "n1");
    assert!(schedule(&pod("p", spreading(json!({}))), &two, 0).is_err());
    assert!(schedule(&pod("p", spreading(json!({"labelSelector": {}}))), &two, 0).is_ok());
}

#[test]
fn soft_constraints_choose_the_emptier_domain_and_refuse_none() {
    let soft = |fields: Value| {
        let mut fields = fields;
        fields["whenUnsatisfiable"] = json!("ScheduleAnyway");
        pod("p", spreading(fields))
    };
    let mut three = cluster(&[
        // What has no label is no domain: last of all.
        node("n0", |_| {}),
        node("n1", labels(json!({"zone": "a"}))),
        node("n2", labels(json!({"zone": "b"}))),
    ]);
    // Two pods that count in zone a, and three in zone b that do not.
    three.place(&pod("w1", |_| {}), "n1");
    three.place(&pod("w2", |_| {}), "n1");
    for other in ["o1", "o2", "o3"] {
        three.place(&pod(other, labels(json!({"app": "other"}))), "n2");
    }
    assert_eq!(schedule(&soft(json!({})), &three, 0).unwrap(), "n2");
    let others = json!({"labelSelector": {"matchLabels": {"app": "other"}}});
    assert_eq!(schedule(&soft(others), &three, 0).unwrap(), "n1");
    // It is better than others, and not all there is: no domain is no refusal.
    let nowhere = soft(json!({"topologyKey": "rack"}));
    assert!(schedule(&nowhere, &three, 0).is_ok());
}
