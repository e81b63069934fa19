//! Counting over groups finds what going over every pod finds, also where that would take minutes.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{cluster, node, pod, schedule};
use crate::scheduler::affinity::PodTerm;
use crate::scheduler::term::Meaning;
use crate::scheduler::topology::Topology;
use crate::scheduler::{NodeView, PodView, Snapshot};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
const HOST: &str = "kubernetes.io/hostname";

fn zone(zone: &str) -> impl FnOnce(&mut Value) {
    let zone = zone.to_owned();
    move |node| {
        node["metadata"]["labels"]["zone"] = json!(zone);
        node["status"]["allocatable"]["pods"] = json!("500");
    }
}

/// Whether all terms of required affinity mean a pod.
fn is_meant(owner: &PodView, other: &PodView, snapshot: &Snapshot) -> bool {
    let mut terms = owner.affinity.pod_affinity.required.iter();
    terms.all(|term| Meaning::new(term, owner).matches(other, snapshot))
}

/// Pods that the term means in the domain of the node.
fn in_domain(term: &PodTerm, owner: &PodView, node: &NodeView, snapshot: &Snapshot) -> i64 {
    let domain = |node: &NodeView| node.meta.labels.get(&term.topology_key).cloned();
    let Some(here) = domain(node) else { return 0 };
    let others = snapshot
        .nodes()
        .filter(|(_, other)| domain(other).as_ref() == Some(&here))
        .flat_map(|(state, _)| state.pods.values());
    others
        .filter(|other| Meaning::new(term, owner).matches(other, snapshot))
        .count() as i64
}

/// Whether required terms let the pod onto the node, by going over everything.
fn is_let(pod: &PodView, node: &NodeView, snapshot: &Snapshot) -> bool {
    let (towards, away) = (
        &pod.affinity.pod_affinity.required,
        &pod.affinity.pod_anti_affinity.required,
    );
    // Pods that all terms mean, on nodes of the same domain or anywhere.
    let found = |term: &PodTerm, here: Option<&NodeView>| {
        let domain = |node: &NodeView| node.meta.labels.get(&term.topology_key).cloned();
        snapshot.nodes().any(|(state, there)| {
            domain(there).is_some()
                && here.is_none_or(|here| domain(here) == domain(there))
                && state.pods.values().any(|other| is_meant(pod, other, snapshot))
        })
    };
    let has_key = |term: &PodTerm| node.meta.labels.contains_key(&term.topology_key);
    let first = !towards.iter().any(|term| found(term, None))
        && is_meant(pod, pod, snapshot)
        && towards.iter().all(has_key);
    let kept_away = snapshot.nodes().any(|(state, there)| {
        state.pods.values().any(|other| {
            let mut terms = other.affinity.pod_anti_affinity.required.iter();
            terms.any(|term| {
                let same = [there, node].map(|node| node.meta.labels.get(&term.topology_key));
                same[0].is_some() && same[0] == same[1] && Meaning::new(term, other).matches(pod, snapshot)
            })
        })
    });
    (first || towards.iter().all(|term| found(term, Some(node))))
        && !away.iter().any(|term| in_domain(term, pod, node, snapshot) > 0)
        && !kept_away
}

/// What preferred terms are worth on the node, by going over everything.
fn worth(pod: &PodView, node: &NodeView, snapshot: &Snapshot) -> i64 {
    let (towards, away) = (
        &pod.affinity.pod_affinity.preferred,
        &pod.affinity.pod_anti_affinity.preferred,
    );
    let signed = towards
        .iter()
        .map(|term| (1, term))
        .chain(away.iter().map(|term| (-1, term)));
    signed
        .map(|(sign, term)| sign * term.weight * in_domain(&term.pod_affinity_term, pod, node, snapshot))
        .sum()
}

fn some_term() -> impl Strategy<Value = Value> {
    let key = prop::sample::select(vec![HOST, "zone", "rack"]);
    let operator = prop::sample::select(vec!["In", "NotIn"]);
    let value = prop::sample::select(vec!["web", "db", "x"]);
    let spaces = prop::sample::select(vec![json!(null), json!(["other"]), json!(["default", "other"])]);
    let everywhere = prop::sample::select(vec![json!(null), json!({})]);
    (key, operator, value, spaces, everywhere).prop_map(|(key, operator, value, spaces, everywhere)| {
        json!({"topologyKey": key, "namespaces": spaces, "namespaceSelector": everywhere,
            "labelSelector": {"matchExpressions": [{"key": "app", "operator": operator, "values": [value]}]}})
    })
}

/// App, version, namespace, node, terms towards and away, each required and preferred.
type Sketch = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    [Vec<Value>; 4],
);

fn some_pod(most: usize) -> impl Strategy<Value = Sketch> {
    let one = |values: Vec<&'static str>| prop::sample::select(values);
    let terms = || prop::collection::vec(some_term(), 0..most);
    (
        one(vec!["web", "db"]),
        one(vec!["1", "2"]),
        one(vec!["default", "other"]),
        one(vec!["n1", "n2", "n3", "n4"]),
        [terms().boxed(), terms().boxed(), terms().boxed(), terms().boxed()],
    )
}

fn build(name: &str, (app, version, namespace, _, terms): &Sketch) -> std::sync::Arc<PodView> {
    pod(name, |p| {
        p["metadata"]["labels"] = json!({"app": app, "version": version});
        p["metadata"]["namespace"] = json!(namespace);
        let weighted = |terms: &Vec<Value>| -> Value {
            let weighted = terms.iter().enumerate();
            weighted
                .map(|(index, term)| json!({"weight": index + 1, "podAffinityTerm": term}))
                .collect()
        };
        p["spec"]["affinity"] = json!({
            "podAffinity": {REQUIRED: terms[0], PREFERRED: weighted(&terms[2])},
            "podAntiAffinity": {REQUIRED: terms[1], PREFERRED: weighted(&terms[3])},
        });
    })
}

proptest! {
    #[test]
    fn counting_is_going_over_everything(
        placed in prop::collection::vec(some_pod(2), 0..8),
        incoming in some_pod(4),
    ) {
        let mut four = cluster(&[node("n1", zone("a")), node("n2", zone("a")), node("n3", zone("b")), node("n4", |_| {})]);
        for (number, sketch) in placed.iter().enumerate() {
            four.place(&build(&number.to_string(), sketch), sketch.3);
        }
        let incoming = build("incoming", &incoming);
        let topology = Topology::new(&incoming, &four);
        for (_, node) in four.nodes() {
            prop_assert_eq!(topology.filter(node).is_ok(), is_let(&incoming, node, &four), "{}", node.meta.name);
            prop_assert_eq!(topology.preference(node), worth(&incoming, node, &four), "{}", node.meta.name);
        }
    }
}

/// Terms that are all different, and all mean the same pods.
fn many_terms(count: usize, key: &str) -> Vec<Value> {
    let term = |number: usize| {
        json!({"topologyKey": key, "labelSelector": {"matchExpressions": [
            {"key": "app", "operator": "NotIn", "values": [number.to_string()]}]}})
    };
    (0..count).map(term).collect()
}

#[test]
fn very_many_terms_over_many_pods() {
    let nodes: Vec<_> = (0..50)
        .map(|number| node(&format!("n{number}"), zone("a")))
        .collect();
    let mut many = cluster(&nodes);
    many.set_node(&node("empty", zone("b")));
    for number in 0..1000 {
        many.place(&pod(&format!("p{number}"), |_| {}), &format!("n{}", number % 50));
    }
    let preferring = pod("preferring", |p| {
        let weighted = many_terms(5_000, "zone").into_iter();
        let weighted = weighted.map(|term| json!({"weight": 1, "podAffinityTerm": term}));
        p["spec"]["affinity"]["podAntiAffinity"][PREFERRED] = weighted.collect();
    });
    // 5,000 terms, 50 nodes and 1,000 pods are 250 million that one by one would match.
    let topology = Topology::new(&preferring, &many);
    let worth = |index: usize| topology.preference(many.slot(index).unwrap().1);
    assert_eq!((worth(0), worth(49), worth(50)), (-5_000_000, -5_000_000, 0));
    let alone = pod("alone", |p| {
        p["spec"]["affinity"]["podAntiAffinity"][REQUIRED] = many_terms(5_000, HOST).into();
    });
    assert_eq!(schedule(&alone, &many, 0).unwrap(), "empty");
    let close = pod("close", |p| {
        p["spec"]["affinity"]["podAffinity"][REQUIRED] = many_terms(5_000, HOST).into();
    });
    assert_ne!(schedule(&close, &many, 50).unwrap(), "empty");
}

/// What a pod there is wary of is not copied for everybody who comes.
#[test]
fn large_selectors_of_placed_pods_cost_newcomers_nothing() {
    let mut one = cluster(&[node("n1", |n| n["status"]["allocatable"]["pods"] = json!("500"))]);
    let wary = pod("wary", |p| {
        let expressions: Vec<_> = (0..20_000)
            .map(|number| json!({"key": format!("key-{number}"), "operator": "Exists"}))
            .collect();
        p["spec"]["affinity"]["podAntiAffinity"][REQUIRED] = json!([{"topologyKey": HOST, "namespaceSelector": {},
            "labelSelector": {"matchExpressions": expressions}}]);
    });
    for number in 0..50 {
        let mut another = PodView::clone(&wary);
        another.meta.uid = format!("wary-{number}");
        one.place(&another.into(), "n1");
    }
    // A copy of each for each is 100 million expressions.
    for number in 0..100 {
        assert_eq!(
            schedule(&pod(&format!("p{number}"), |_| {}), &one, 0).unwrap(),
            "n1"
        );
    }
}
