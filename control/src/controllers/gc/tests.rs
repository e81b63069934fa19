mod feed;

use std::sync::Arc;

use serde_json::{Value, json};

use super::decide::{Standing, Verdict, decide, without_finalizer, without_owner};
use super::graph::{Graph, Item};
use crate::controllers::api::resources;
use crate::controllers::model::Meta;

fn meta(uid: &str, owners: &[(&str, bool)], edit: impl FnOnce(&mut Value)) -> Meta {
    let owners: Vec<_> = owners
        .iter()
        .map(|(uid, block)| {
            json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": uid, "uid": uid, "blockOwnerDeletion": block})
        })
        .collect();
    let mut value =
        json!({"metadata": {"name": uid, "namespace": "a", "uid": uid, "ownerReferences": owners}});
    edit(&mut value["metadata"]);
    serde_json::from_value(value).unwrap()
}

fn observe(graph: &mut Graph, meta: &Meta) -> Vec<Item> {
    graph.observe(&Arc::new(resources::pods().clone()), meta)
}

fn object(uid: &str) -> Item {
    Item::Object(uid.to_owned())
}

#[test]
fn owners_that_were_never_seen_are_asked_for_again() {
    let mut graph = Graph::default();
    observe(&mut graph, &meta("owner", &[], |_| {}));
    let known = meta("known", &[("owner", true)], |_| {});
    observe(&mut graph, &known);
    assert_eq!(graph.unseen(), []);
    let waiting = meta("waiting", &[("owner", true), ("unborn", true)], |_| {});
    let asked = observe(&mut graph, &waiting);
    assert_eq!(asked.len(), 1);
    assert_eq!(graph.unseen(), asked);
    observe(&mut graph, &meta("unborn", &[], |_| {}));
    assert_eq!(graph.unseen(), []);
}

#[test]
fn dependents_are_looked_at_when_the_owner_goes() {
    let mut graph = Graph::default();
    assert_eq!(observe(&mut graph, &meta("owner", &[], |_| {})), []);
    assert_eq!(
        observe(&mut graph, &meta("pod", &[("owner", true)], |_| {})),
        [],
        "the owner is known"
    );
    assert_eq!(graph.remove("owner"), [object("pod")]);
    assert!(graph.get("owner").is_none());
}

#[test]
fn unknown_owners_are_looked_for_once() {
    let mut graph = Graph::default();
    let pod = meta("pod", &[("ghost", false)], |_| {});
    assert!(
        matches!(&observe(&mut graph, &pod)[..], [Item::Owner(owner, dependent)]
        if owner.uid == "ghost" && dependent == "pod")
    );
    assert_eq!(observe(&mut graph, &pod), []);
}

/// Owners compared with each other would be 3.6 thousand million for each change.
#[test]
fn an_object_may_have_very_many_owners() {
    const MANY: usize = 60_000;
    let mut graph = Graph::default();
    let uids: Vec<String> = (0..=MANY).map(|number| format!("owner-{number}")).collect();
    let owned = |range: std::ops::Range<usize>| {
        let owners: Vec<_> = uids[range].iter().map(|uid| (uid.as_str(), false)).collect();
        meta("pod", &owners, |_| {})
    };
    assert_eq!(observe(&mut graph, &owned(0..MANY)).len(), MANY);
    assert_eq!(graph.unseen().len(), MANY);
    // A change of something else: the owners are as they were, though they are read anew.
    assert_eq!(observe(&mut graph, &owned(0..MANY)), []);
    let looked_for = observe(&mut graph, &owned(1..MANY + 1));
    assert!(matches!(&looked_for[..], [Item::Owner(owner, _)] if owner.uid == uids[MANY]));
    assert_eq!(graph.dependents(&uids[0]).count(), 0);
    assert_eq!(graph.dependents(&uids[1]).count(), 1);
    graph.remove("pod");
    assert_eq!(graph.unseen(), []);
}

#[test]
fn foreground_waits_for_blocking_dependents() {
    let mut graph = Graph::default();
    observe(&mut graph, &meta("owner", &[], |_| {}));
    observe(&mut graph, &meta("blocking", &[("owner", true)], |_| {}));
    observe(&mut graph, &meta("other", &[("owner", false)], |_| {}));
    let deleting = meta("owner", &[], |m| {
        m["deletionTimestamp"] = json!("2024-01-01T00:00:00Z");
        m["finalizers"] = json!(["foregroundDeletion"]);
    });
    assert_eq!(observe(&mut graph, &deleting), [object("owner")]);
    assert_eq!(
        graph
            .blocking("owner")
            .map(|(uid, _)| uid.as_str())
            .collect::<Vec<_>>(),
        ["blocking"]
    );
    assert_eq!(graph.remove("blocking"), [object("owner")]);
    assert_eq!(graph.blocking("owner").count(), 0);
}

#[test]
fn a_released_dependent_wakes_the_owner() {
    let mut graph = Graph::default();
    let deleting = meta("owner", &[], |m| {
        m["deletionTimestamp"] = json!("2024-01-01T00:00:00Z");
        m["finalizers"] = json!(["foregroundDeletion"]);
    });
    observe(&mut graph, &meta("pod", &[("owner", true)], |_| {}));
    observe(&mut graph, &deleting);
    assert_eq!(observe(&mut graph, &meta("pod", &[], |_| {})), [object("owner")]);
    let orphaning = meta("owner", &[], |m| {
        m["deletionTimestamp"] = json!("2024-01-01T00:00:00Z");
        m["finalizers"] = json!(["orphan"]);
    });
    assert_eq!(
        observe(&mut graph, &orphaning),
        [Item::Orphan("owner".to_owned())]
    );
}

#[test]
fn decisions() {
    use Standing::{Dangling, Solid, Waiting};
    let live = |owners: usize| {
        let owners: Vec<_> = (0..owners)
            .map(|number| json!({"uid": format!("o{number}")}))
            .collect();
        json!({"metadata": {"uid": "u", "resourceVersion": "7", "ownerReferences": owners}})
    };
    assert_eq!(decide(&live(0), &[], false), Verdict::Keep);
    assert_eq!(decide(&live(1), &[Solid], false), Verdict::Keep);
    assert_eq!(decide(&live(1), &[Dangling], true), Verdict::Delete("Background"));
    assert_eq!(
        decide(&live(2), &[Dangling, Solid], false),
        Verdict::SetOwners(vec![json!({"uid": "o1"})])
    );
    assert_eq!(
        decide(&live(2), &[Waiting, Solid], true),
        Verdict::SetOwners(vec![json!({"uid": "o1"})])
    );
    assert_eq!(decide(&live(1), &[Waiting], true), Verdict::Delete("Foreground"));
    assert_eq!(
        decide(&live(2), &[Waiting, Dangling], false),
        Verdict::Delete("Background")
    );
    let mut orphaning = live(1);
    orphaning["metadata"]["finalizers"] = json!(["orphan"]);
    assert_eq!(decide(&orphaning, &[Dangling], true), Verdict::Delete("Orphan"));
    orphaning["metadata"]["deletionTimestamp"] = json!("2024-01-01T00:00:00Z");
    assert_eq!(decide(&orphaning, &[Dangling], true), Verdict::Keep);
}

#[test]
fn patches_name_the_revision() {
    let live = json!({"metadata": {"uid": "u", "resourceVersion": "7", "finalizers": ["orphan", "x"],
        "ownerReferences": [{"uid": "o"}]}});
    assert_eq!(
        without_finalizer(&live, "orphan").unwrap(),
        json!({"metadata": {"uid": "u", "resourceVersion": "7", "finalizers": ["x"]}})
    );
    assert_eq!(
        without_owner(&live, "o").unwrap(),
        json!({"metadata": {"uid": "u", "resourceVersion": "7", "ownerReferences": null}})
    );
    assert_eq!(without_finalizer(&live, "y"), None);
}

#[test]
fn references_that_block_are_taken_apart_to_break_a_circle() {
    let live = json!({"metadata": {"ownerReferences": [
        {"uid": "a", "blockOwnerDeletion": true}, {"uid": "b"},
    ]}});
    let owners = super::decide::unblocked(&live).unwrap();
    assert_eq!(
        owners,
        [
            json!({"uid": "a", "blockOwnerDeletion": false}),
            json!({"uid": "b"})
        ]
    );
    assert_eq!(
        super::decide::unblocked(&json!({"metadata": {"ownerReferences": owners}})),
        None
    );
    assert_eq!(super::decide::unblocked(&json!({"metadata": {}})), None);
}
