//! Conditions of a client's own in the status of objects whose controllers write that status at the same time.

use serde_json::{Value, json};

use crate::cluster::Cluster;

const ROUNDS: usize = 15;

/// Path, kind, spec, and the change of it that makes the controller write the status again.
struct Case {
    root: &'static str,
    plural: &'static str,
    kind: &'static str,
    spec: Value,
    change: fn(usize) -> Value,
}

fn replicas(round: usize) -> Value {
    json!({"replicas": round % 3})
}

fn cases() -> Vec<Case> {
    let template = json!({
        "metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "i"}]},
    });
    let mut ends = template.clone();
    ends["spec"]["restartPolicy"] = "Never".into();
    let selector = json!({"matchLabels": {"app": "x"}});
    let plain = json!({"replicas": 1, "selector": selector, "template": template});
    let apps = "/apis/apps/v1";
    let case = |root, plural, kind, spec, change| Case {
        root,
        plural,
        kind,
        spec,
        change,
    };
    vec![
        case(apps, "deployments", "Deployment", plain.clone(), replicas),
        case(apps, "replicasets", "ReplicaSet", plain.clone(), replicas),
        case(
            apps,
            "statefulsets",
            "StatefulSet",
            json!({"replicas": 1, "serviceName": "x", "selector": selector, "template": template}),
            replicas,
        ),
        case(
            apps,
            "daemonsets",
            "DaemonSet",
            json!({"selector": selector, "template": template}),
            |round| json!({"minReadySeconds": round}),
        ),
        case(
            "/api/v1",
            "replicationcontrollers",
            "ReplicationController",
            json!({"replicas": 1, "selector": {"app": "x"}, "template": template}),
            replicas,
        ),
        case(
            "/apis/batch/v1",
            "jobs",
            "Job",
            json!({"parallelism": 1, "template": ends}),
            |round| json!({"parallelism": round % 3}),
        ),
        case(
            "/apis/policy/v1",
            "poddisruptionbudgets",
            "PodDisruptionBudget",
            json!({"minAvailable": 1, "selector": selector}),
            |round| json!({"minAvailable": round}),
        ),
    ]
}

fn check(cluster: &Cluster, case: &Case) {
    let Case {
        root, plural, kind, ..
    } = case;
    let collection = format!("{root}/namespaces/default/{plural}");
    let version = root.trim_start_matches("/apis/").trim_start_matches("/api/");
    let object =
        json!({"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, "spec": case.spec.clone()});
    let (code, made) = cluster.post(&collection, &object);
    assert_eq!(code, 201, "{made}");
    let (path, status) = (format!("{collection}/x"), format!("{collection}/x/status"));
    let patch = |path: &str, patch: Value| {
        let (code, answer) = cluster.patch(path, "strategic-merge-patch+json", &patch);
        assert_eq!(code, 200, "{plural}: {answer}");
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..ROUNDS {
                patch(&path, json!({"spec": (case.change)(round)}));
            }
        });
        scope.spawn(|| {
            for round in 0..ROUNDS {
                let condition = json!({
                    "type": format!("Mine{round}"), "status": "True", "reason": "Asked", "message": "by a client",
                    "lastTransitionTime": "2026-11-28T12:00:00Z",
                });
                patch(&status, json!({"status": {"conditions": [condition]}}));
            }
        });
    });
    let (_, now) = cluster.get(&path);
    if !now["status"]["observedGeneration"].is_null() {
        cluster.eventually("the controller has seen it all", |cluster| {
            let (_, now) = cluster.get(&path);
            now["status"]["observedGeneration"] == now["metadata"]["generation"]
        });
    }
    // Once more, in peace: what the controller writes last keeps them as well.
    patch(&path, json!({"spec": (case.change)(1)}));
    std::thread::sleep(std::time::Duration::from_millis(300));
    let (_, now) = cluster.get(&path);
    let there: Vec<&str> = now["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|condition| condition["type"].as_str())
        .filter(|kind| kind.starts_with("Mine"))
        .collect();
    let all: Vec<String> = (0..ROUNDS).map(|round| format!("Mine{round}")).collect();
    let lost: Vec<_> = all
        .iter()
        .filter(|kind| !there.contains(&kind.as_str()))
        .collect();
    assert!(lost.is_empty(), "{plural} has lost {lost:?}");
}

#[test]
fn controllers_keep_what_others_write_into_a_status() {
    let cluster = Cluster::start();
    for case in cases() {
        check(&cluster, &case);
        let path = format!("{}/namespaces/default/{}/x", case.root, case.plural);
        cluster.delete(&path, &json!({"propagationPolicy": "Background"}));
    }
}
