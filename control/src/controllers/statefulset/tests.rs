use std::sync::Arc;

use serde_json::{Value, json};

use super::plan::{Plan, plan};
use super::pod;
use crate::controllers::model::{Pod, StatefulSet, Time};

const NOW: Time = Time(1_704_070_800);

fn set(replicas: i64, edit: impl FnOnce(&mut Value)) -> StatefulSet {
    let mut value = json!({
        "metadata": {"name": "db", "namespace": "default", "uid": "s", "generation": 1},
        "spec": {"replicas": replicas, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}},
            "podManagementPolicy": "OrderedReady",
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "a"}]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}]},
    });
    edit(&mut value);
    serde_json::from_value(value).unwrap()
}

fn member(ordinal: i64, revision: &str, ready: bool) -> Arc<Pod> {
    let status = if ready { "True" } else { "False" };
    let value = json!({
        "metadata": {"name": format!("db-{ordinal}"), "uid": format!("u{ordinal}"),
            "labels": {"app": "db", "controller-revision-hash": revision}},
        "status": {"phase": "Running", "conditions": [
            {"type": "Ready", "status": status, "lastTransitionTime": "2024-01-01T00:00:00Z"}]},
    });
    Arc::new(serde_json::from_value(value).unwrap())
}

fn decide(set: &StatefulSet, pods: &[Arc<Pod>]) -> (Vec<(i64, bool)>, Vec<String>, Plan) {
    let plan = plan(set, pods, "old", "new", NOW);
    let deleted = plan.delete.iter().map(|pod| pod.metadata.name.clone()).collect();
    (plan.create.clone(), deleted, plan)
}

#[test]
fn starts_in_order() {
    let three = set(3, |_| {});
    assert_eq!(decide(&three, &[]).0, [(0, true)]);
    assert_eq!(
        decide(&three, &[member(0, "new", false)]).0,
        [],
        "waits until the first is ready"
    );
    assert_eq!(decide(&three, &[member(0, "new", true)]).0, [(1, true)]);
    assert_eq!(
        decide(&three, &[member(0, "new", true), member(2, "new", true)]).0,
        [(1, true)],
        "fills gaps"
    );
    let parallel = set(3, |s| s["spec"]["podManagementPolicy"] = json!("Parallel"));
    assert_eq!(decide(&parallel, &[]).0, [(0, true), (1, true), (2, true)]);
    let shifted = set(2, |s| s["spec"]["ordinals"] = json!({"start": 5}));
    assert_eq!(decide(&shifted, &[]).0, [(5, true)]);
}

#[test]
fn stops_in_reverse() {
    let pods = [0, 1, 2].map(|ordinal| member(ordinal, "new", true));
    assert_eq!(decide(&set(1, |_| {}), &pods).1, ["db-2"]);
    let sick = [member(0, "new", false), member(1, "new", true)];
    assert_eq!(
        decide(&set(1, |_| {}), &sick).1,
        [] as [&str; 0],
        "a sick pod that stays holds it up"
    );
    let parallel = set(1, |s| s["spec"]["podManagementPolicy"] = json!("Parallel"));
    assert_eq!(decide(&parallel, &pods).1, ["db-2", "db-1"]);

    // Of those that are to go, a sick one goes if it is the first.
    let ready = |states: [bool; 3]| [0, 1, 2].map(|ordinal| member(ordinal, "new", states[ordinal as usize]));
    let none = set(0, |_| {});
    for (states, deleted) in [
        ([false, false, false], &[] as &[&str]),
        ([true, false, false], &[]),
        ([true, true, false], &["db-2"]),
        ([false, true, true], &["db-2"]),
    ] {
        assert_eq!(decide(&none, &ready(states)).1, deleted, "{states:?}");
    }
    assert_eq!(decide(&none, &[member(0, "new", false)]).1, ["db-0"]);
    let parallel = set(0, |s| s["spec"]["podManagementPolicy"] = json!("Parallel"));
    assert_eq!(decide(&parallel, &ready([false, false, false])).1.len(), 3);
    // Ready, but not long enough.
    let patient = set(0, |s| s["spec"]["minReadySeconds"] = json!(1_000_000));
    assert!(decide(&patient, &ready([true, true, true])).1.is_empty());
}

#[test]
fn updates_from_the_end() {
    let old = [0, 1, 2].map(|ordinal| member(ordinal, "old", true));
    assert_eq!(decide(&set(3, |_| {}), &old).1, ["db-2"]);
    let half = [
        member(0, "old", true),
        member(1, "old", true),
        member(2, "new", true),
    ];
    assert_eq!(decide(&set(3, |_| {}), &half).1, ["db-1"]);
    let starting = [
        member(0, "old", true),
        member(1, "old", true),
        member(2, "new", false),
    ];
    assert!(decide(&set(3, |_| {}), &starting).1.is_empty());
    let partition = set(3, |s| {
        s["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = json!(2);
    });
    assert!(decide(&partition, &half).1.is_empty());
    assert_eq!(
        decide(&partition, &[member(1, "old", true)]).0,
        [(0, false)],
        "below the partition: the old template"
    );
    let manual = set(3, |s| s["spec"]["updateStrategy"] = json!({"type": "OnDelete"}));
    assert!(decide(&manual, &old).1.is_empty());
    let done = [0, 1, 2].map(|ordinal| member(ordinal, "new", true));
    let status = decide(&set(3, |_| {}), &done).2.status;
    assert_eq!(
        (status.current_revision.as_str(), status.current_replicas),
        ("new", 3)
    );
}

#[test]
fn names_claims_and_identity() {
    let set = set(1, |_| {});
    let body = pod::pod(&set, &set.spec.template.value(), "db-abc", 4);
    assert_eq!(
        (
            body["metadata"]["name"].as_str(),
            body["spec"]["hostname"].as_str()
        ),
        (Some("db-4"), Some("db-4"))
    );
    assert_eq!(body["spec"]["subdomain"], "db");
    assert_eq!(body["metadata"]["labels"]["apps.kubernetes.io/pod-index"], "4");
    assert_eq!(
        body["spec"]["volumes"],
        json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data-db-4"}}])
    );
    assert_eq!(pod::claims(&set, 4)[0]["metadata"]["name"], "data-db-4");
    let named = |name: &str| {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        pod::ordinal(&set, &pod)
    };
    assert_eq!(
        (named("db-12"), named("db-012"), named("db-x"), named("other-1")),
        (Some(12), None, None, None)
    );
}
