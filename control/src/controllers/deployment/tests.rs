use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::plan::{Plan, plan};
use super::state::Action;
use super::{execute, revision};
use crate::controllers::model::{Condition, Deployment, ReplicaSet, Time};

const NOW: Time = Time(1_704_070_800);

fn deployment(replicas: i64, image: &str, edit: impl FnOnce(&mut Value)) -> Deployment {
    let mut value = json!({
        "metadata": {"name": "web", "namespace": "default", "uid": "d", "generation": 1},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
            "template": {"metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "a", "image": image}]}}},
    });
    edit(&mut value);
    serde_json::from_value(value).unwrap()
}

/// The ReplicaSets as the API would hold them after the actions, every pod available at once.
fn apply(deployment: &Deployment, sets: &[Arc<ReplicaSet>], plan: &Plan) -> Vec<Arc<ReplicaSet>> {
    let mut sets: Vec<ReplicaSet> = sets.iter().map(|set| (**set).clone()).collect();
    for action in &plan.actions {
        match action {
            Action::Create {
                name,
                hash,
                replicas,
                annotations,
            } => {
                let mut body = execute::replica_set(deployment, name, hash, *replicas, &json!(annotations));
                body["metadata"]["uid"] = json!(name);
                body["metadata"]["creationTimestamp"] =
                    json!(Time(NOW.0 + i64::try_from(sets.len()).unwrap()).to_string());
                sets.push(serde_json::from_value(body).unwrap());
            }
            Action::Update {
                name,
                replicas,
                annotations,
                ..
            } => {
                let set = sets.iter_mut().find(|set| set.metadata.name == *name).unwrap();
                if let Some(replicas) = replicas {
                    set.spec.replicas = Some(*replicas);
                }
                set.metadata.annotations = annotations.clone().into();
            }
            Action::Delete { name } => sets.retain(|set| set.metadata.name != *name),
            Action::SetRevision(_) | Action::Event(..) => {}
        }
    }
    sets.into_iter().map(Arc::new).collect()
}

fn settle(sets: &[Arc<ReplicaSet>]) -> Vec<Arc<ReplicaSet>> {
    sets.iter()
        .map(|set| {
            let mut set = (**set).clone();
            let count = set.replicas();
            (
                set.status.replicas,
                set.status.ready_replicas,
                set.status.available_replicas,
            ) = (count, count, count);
            Arc::new(set)
        })
        .collect()
}

fn events(plan: &Plan) -> Vec<String> {
    let event = |action: &Action| match action {
        Action::Event(_, reason, message) => Some(format!("{reason}: {message}")),
        _ => None,
    };
    plan.actions.iter().filter_map(event).collect()
}

fn reason<'a>(plan: &'a Plan, kind: &str) -> &'a str {
    Condition::find(&plan.status.conditions, kind).map_or("", |condition| condition.reason.as_str())
}

#[test]
fn first_rollout() {
    let mut web = deployment(2, "a:1", |_| {});
    let first = plan(&web, &[], |_| false, NOW);
    let Action::Create {
        name,
        replicas: 2,
        annotations,
        ..
    } = &first.actions[0]
    else {
        panic!("{:?}", first.actions);
    };
    assert!(name.starts_with("web-"));
    assert_eq!(annotations[revision::REVISION], "1");
    assert_eq!(
        (
            annotations[revision::DESIRED].as_str(),
            annotations[revision::MAX].as_str()
        ),
        ("2", "3")
    );
    assert_eq!(
        events(&first),
        [format!(
            "ScalingReplicaSet: Scaled up replica set {name} from 0 to 2"
        )]
    );
    assert!(first.actions.contains(&Action::SetRevision("1".to_owned())));
    assert_eq!(reason(&first, "Progressing"), "NewReplicaSetCreated");
    assert_eq!(reason(&first, "Available"), "MinimumReplicasUnavailable");

    let sets = apply(&web, &[], &first);
    web.metadata.annotations = BTreeMap::from([(revision::REVISION.to_owned(), "1".to_owned())]).into();
    web.status = first.status.clone();
    let idle = plan(&web, &sets, |_| false, NOW);
    assert_eq!(idle.actions, [], "nothing to do while pods start");
    let done = plan(&web, &settle(&sets), |_| false, NOW);
    assert_eq!(done.actions, []);
    assert_eq!(reason(&done, "Progressing"), "NewReplicaSetAvailable");
    assert_eq!(reason(&done, "Available"), "MinimumReplicasAvailable");
    let message = &Condition::find(&done.status.conditions, "Progressing")
        .unwrap()
        .message;
    assert_eq!(
        *message,
        format!("ReplicaSet {name:?} has successfully progressed.")
    );
    assert_eq!(
        (done.status.available_replicas, done.status.unavailable_replicas),
        (2, 0)
    );
}

/// Runs until nothing changes; returns the last sets and the lowest availability seen.
fn roll_out(web: &mut Deployment, mut sets: Vec<Arc<ReplicaSet>>) -> (Vec<Arc<ReplicaSet>>, i64, i64) {
    let available = |sets: &[Arc<ReplicaSet>]| sets.iter().map(|s| s.status.available_replicas).sum::<i64>();
    let (mut lowest, mut highest) = (i64::MAX, 0);
    for _ in 0..200 {
        let step = plan(web, &sets, |_| false, NOW);
        for action in &step.actions {
            if let Action::SetRevision(text) = action {
                let mut annotations = BTreeMap::clone(&web.metadata.annotations);
                annotations.insert(revision::REVISION.to_owned(), text.clone());
                web.metadata.annotations = annotations.into();
            }
        }
        let after = apply(web, &sets, &step);
        highest = highest.max(after.iter().map(|set| set.replicas()).sum());
        // Pods of shrunk sets go at once, new ones are there but not available before the next round.
        let shrunk: Vec<_> = after
            .iter()
            .map(|set| {
                let mut set = (**set).clone();
                set.status.available_replicas = set.status.available_replicas.min(set.replicas());
                Arc::new(set)
            })
            .collect();
        lowest = lowest.min(available(&shrunk));
        let settled = settle(&after);
        let done = step.actions.is_empty() && settled.iter().zip(&sets).all(|(a, b)| a.status == b.status);
        web.status = step.status;
        sets = settled;
        if done {
            return (sets, lowest, highest);
        }
    }
    panic!("no end to the rollout: {sets:?}");
}

#[test]
fn undo_takes_the_old_replica_set_again() {
    let mut web = deployment(3, "a:1", |_| {});
    let (sets, _, _) = roll_out(&mut web, Vec::new());
    web.spec.template = deployment(3, "a:2", |_| {}).spec.template;
    web.metadata.generation += 1;
    let (sets, _, _) = roll_out(&mut web, sets);
    assert_eq!(sets.iter().map(|set| set.replicas()).collect::<Vec<_>>(), [0, 3]);
    web.spec.template = deployment(3, "a:1", |_| {}).spec.template;
    web.metadata.generation += 1;
    let (sets, _, _) = roll_out(&mut web, sets);
    assert_eq!(sets.len(), 2);
    assert_eq!(sets[0].replicas(), 3);
    assert_eq!(sets[0].metadata.annotations[revision::REVISION], "3");
    assert_eq!(sets[0].metadata.annotations[revision::HISTORY], "1");
    assert_eq!(web.metadata.annotations[revision::REVISION], "3");
}

#[test]
fn history_limit() {
    let mut web = deployment(1, "a:0", |value| value["spec"]["revisionHistoryLimit"] = json!(2));
    let mut sets = Vec::new();
    for version in 0..6 {
        web.spec.template = deployment(1, &format!("a:{version}"), |_| {}).spec.template;
        (sets, _, _) = roll_out(&mut web, sets);
    }
    let revisions: Vec<_> = sets
        .iter()
        .map(|set| revision::revision(&set.metadata.annotations))
        .collect();
    assert_eq!(revisions, [4, 5, 6]);
}

#[test]
fn recreate_waits_for_old_pods() {
    let recreate = |value: &mut Value| value["spec"]["strategy"] = json!({"type": "Recreate"});
    let mut web = deployment(2, "a:1", recreate);
    let (sets, _, _) = roll_out(&mut web, Vec::new());
    web.spec.template = deployment(2, "a:2", |_| {}).spec.template;
    let stop = plan(&web, &sets, |_| true, NOW);
    assert!(events(&stop)[0].ends_with("from 2 to 0"), "{:?}", events(&stop));
    let stopped = settle(&apply(&web, &sets, &stop));
    assert_eq!(
        plan(&web, &stopped, |_| true, NOW).actions,
        [],
        "old pods are still there"
    );
    assert!(matches!(
        plan(&web, &stopped, |_| false, NOW).actions[0],
        Action::Create { replicas: 2, .. }
    ));
}

#[test]
fn paused_scales_but_does_not_roll() {
    let mut web = deployment(2, "a:1", |_| {});
    let (sets, _, _) = roll_out(&mut web, Vec::new());
    web.spec.template = deployment(2, "a:2", |_| {}).spec.template;
    web.spec.paused = true;
    let paused = plan(&web, &sets, |_| false, NOW);
    assert_eq!(paused.actions, []);
    assert_eq!(reason(&paused, "Progressing"), "DeploymentPaused");
    web.spec.replicas = Some(4);
    let scaled = plan(&web, &sets, |_| false, NOW);
    assert!(events(&scaled)[0].ends_with("from 2 to 4"));
}

#[test]
fn deadline_is_reported() {
    let mut web = deployment(1, "a:1", |_| {});
    let first = plan(&web, &[], |_| false, NOW);
    let sets = apply(&web, &[], &first);
    web.status = first.status;
    let waiting = plan(&web, &sets, |_| false, Time(NOW.0 + 600));
    assert_eq!(reason(&waiting, "Progressing"), "NewReplicaSetCreated");
    assert_eq!(
        super::progress::check_again(&web, &waiting.status, Time(NOW.0 + 590)),
        Some(11)
    );
    let late = plan(&web, &sets, |_| false, Time(NOW.0 + 601));
    assert_eq!(reason(&late, "Progressing"), "ProgressDeadlineExceeded");
}

#[test]
fn proportional_scaling_in_a_rollout() {
    // The example of upstream's documentation: 10 replicas, surge 3, unavailable 2, stuck at 8 + 5; to 15.
    let mut web = deployment(10, "a:1", |value| {
        value["spec"]["strategy"]["rollingUpdate"] = json!({"maxSurge": 3, "maxUnavailable": 2});
    });
    let (sets, _, _) = roll_out(&mut web, Vec::new());
    web.spec.template = deployment(10, "a:2", |_| {}).spec.template;
    let mut sets = apply(&web, &sets, &plan(&web, &sets, |_| false, NOW));
    assert_eq!(sets.iter().map(|set| set.replicas()).collect::<Vec<_>>(), [8, 3]);
    sets = apply(&web, &sets, &plan(&web, &sets, |_| false, NOW));
    assert_eq!(sets.iter().map(|set| set.replicas()).collect::<Vec<_>>(), [8, 5]);
    web.spec.replicas = Some(15);
    sets = apply(&web, &sets, &plan(&web, &sets, |_| false, NOW));
    assert_eq!(sets.iter().map(|set| set.replicas()).collect::<Vec<_>>(), [11, 7]);
}

proptest! {
    #[test]
    fn rollouts_end_and_keep_their_bounds(
        replicas in 0i64..25, surge in 0i64..5, unavailable in 0i64..5, target in 0i64..25,
    ) {
        let strategy = |value: &mut Value| {
            value["spec"]["strategy"]["rollingUpdate"] = json!({"maxSurge": surge, "maxUnavailable": unavailable});
        };
        let mut web = deployment(replicas, "a:1", strategy);
        let (sets, _, _) = roll_out(&mut web, Vec::new());
        web.spec.template = deployment(replicas, "a:2", |_| {}).spec.template;
        let (sets, lowest, highest) = roll_out(&mut web, sets);
        let allowed = if surge == 0 && unavailable == 0 { 1 } else { unavailable };
        prop_assert!(lowest >= replicas - allowed.min(replicas), "{lowest} available of {replicas}");
        prop_assert!(highest <= replicas + surge, "{highest} pods of {replicas}");
        prop_assert_eq!(sets.iter().map(|s| s.replicas()).sum::<i64>(), replicas);
        web.spec.replicas = Some(target);
        let (sets, _, _) = roll_out(&mut web, sets);
        prop_assert_eq!(sets.iter().map(|s| s.replicas()).sum::<i64>(), target);
        prop_assert_eq!(web.status.available_replicas, target);
    }
}
