mod resize;

use serde_json::{Value, json};

use crate::kinds::find;

fn row(pod: &Value) -> Vec<String> {
    let kind = find("", "v1", "pods").unwrap();
    kind.strategy
        .row(pod, 1_000)
        .iter()
        .map(|cell| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned))
        .collect()
}

fn pod(status: &Value) -> Value {
    json!({
        "metadata": {"name": "p", "creationTimestamp": "1970-01-01T00:10:00Z"},
        "spec": {"containers": [{"name": "a"}, {"name": "b"}], "initContainers": [{"name": "i"}, {"name": "j"}]},
        "status": status
    })
}

#[test]
fn phases_and_reasons() {
    let cases = [
        (json!({"phase": "Pending"}), "0/2", "Pending", "0"),
        (
            json!({"phase": "Failed", "reason": "Evicted"}),
            "0/2",
            "Evicted",
            "0",
        ),
        (
            json!({"phase": "Pending", "initContainerStatuses": [
                {"name": "i", "state": {"terminated": {"exitCode": 0}}}, {"name": "j", "state": {"running": {}}}]}),
            "0/2",
            "Init:1/2",
            "0",
        ),
        (
            json!({"phase": "Pending", "initContainerStatuses": [
                {"name": "i", "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                 "lastState": {"terminated": {"finishedAt": "1970-01-01T00:16:30Z"}}}]}),
            "0/2",
            "Init:CrashLoopBackOff",
            "2 (10s ago)",
        ),
        (
            json!({"phase": "Pending", "initContainerStatuses": [{"name": "i", "state": {"terminated": {"exitCode": 3}}}]}),
            "0/2",
            "Init:ExitCode:3",
            "0",
        ),
        (
            json!({"phase": "Running", "containerStatuses": [
                {"name": "a", "ready": true, "state": {"running": {}}},
                {"name": "b", "restartCount": 1, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                 "lastState": {"terminated": {"finishedAt": "1970-01-01T00:15:00Z"}}}]}),
            "1/2",
            "CrashLoopBackOff",
            "1 (100s ago)",
        ),
        (
            json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [
                {"name": "a", "state": {"terminated": {"reason": "Completed", "exitCode": 0}}},
                {"name": "b", "ready": true, "state": {"running": {}}}]}),
            "1/2",
            "Running",
            "0",
        ),
        (
            json!({"phase": "Running", "containerStatuses": [
                {"name": "a", "state": {"terminated": {"signal": 9}}}, {"name": "b", "state": {"running": {}}}]}),
            "0/2",
            "Signal:9",
            "0",
        ),
        (
            json!({"phase": "Succeeded", "containerStatuses": [
                {"name": "a", "state": {"terminated": {"reason": "Completed"}}}]}),
            "0/2",
            "Completed",
            "0",
        ),
    ];
    for (status, ready, text, restarts) in cases {
        let row = row(&pod(&status));
        assert_eq!(
            (row[1].as_str(), row[2].as_str(), row[3].as_str(), row[4].as_str()),
            (ready, text, restarts, "6m40s")
        );
    }
}

#[test]
fn deletion_and_wide_cells() {
    let mut pod = pod(
        &json!({"phase": "Running", "podIPs": [{"ip": "10.42.0.5"}], "conditions": [
        {"type": "x.io/ok", "status": "True"}]}),
    );
    assert_eq!(row(&pod)[5..], ["10.42.0.5", "<none>", "<none>", "<none>"]);
    pod["metadata"]["deletionTimestamp"] = json!("1970-01-01T00:15:00Z");
    pod["spec"]["nodeName"] = json!("n1");
    pod["spec"]["readinessGates"] = json!([{"conditionType": "x.io/ok"}, {"conditionType": "x.io/no"}]);
    let row_of = row(&pod);
    assert_eq!(row_of[2], "Terminating");
    assert_eq!(row_of[5..], ["10.42.0.5", "n1", "<none>", "1/2"]);
    pod["status"]["reason"] = json!("NodeLost");
    assert_eq!(row(&pod)[2], "Unknown");
}

#[test]
fn sidecars_count_once_started() {
    let mut pod = pod(&json!({"phase": "Running",
        "initContainerStatuses": [{"name": "i", "started": true, "ready": true, "state": {"running": {}}},
                                  {"name": "j", "state": {"terminated": {"exitCode": 0}}}],
        "containerStatuses": [{"name": "a", "ready": true, "state": {"running": {}}}]}));
    pod["spec"]["initContainers"][0]["restartPolicy"] = json!("Always");
    assert_eq!(row(&pod)[1..3], ["2/3", "Running"]);
}

#[test]
fn only_a_few_fields_of_a_pod_change() {
    let strategy = &find("", "v1", "pods").unwrap().strategy;
    let mut old = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "x"}]}});
    strategy.default(&mut old);
    let mut new = old.clone();
    new["spec"]["containers"][0]["image"] = json!("y");
    assert_eq!(strategy.validate_update(None, &old, &new), []);
    new["spec"]["hostname"] = json!("h");
    let errors = strategy.validate_update(None, &old, &new);
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0]
            .to_string()
            .starts_with("spec: Forbidden: pod updates may not change fields other than `spec.")
    );
    new["spec"]["containers"] = json!([]);
    let errors = strategy.validate_update(None, &old, &new);
    let mut errors = errors.iter().map(ToString::to_string);
    assert!(errors.any(|e| e == "spec.containers: Forbidden: pod updates may not add or remove containers"));
}

#[test]
fn grace_is_that_of_the_spec_once_bound() {
    let strategy = &find("", "v1", "pods").unwrap().strategy;
    let mut pod = json!({"spec": {"terminationGracePeriodSeconds": 5}});
    assert_eq!(strategy.grace(&pod, None), Some(0));
    assert_eq!(strategy.grace(&pod, Some(77)), Some(0));
    pod["spec"]["nodeName"] = json!("n");
    assert_eq!(strategy.grace(&pod, None), Some(5));
    assert_eq!(strategy.grace(&pod, Some(77)), Some(77));
    pod["status"]["phase"] = json!("Succeeded");
    assert_eq!(strategy.grace(&pod, Some(77)), Some(0));
    let services = &find("", "v1", "services").unwrap().strategy;
    assert_eq!(services.grace(&pod, Some(77)), None);
}

#[test]
fn resizing_and_debugging_change_no_metadata() {
    let strategy = &find("", "v1", "pods").unwrap().strategy;
    let mut old = json!({
        "metadata": {"name": "p", "labels": {"a": "b"}, "finalizers": ["x.io/f"], "resourceVersion": "1"},
        "spec": {"containers": [{"name": "a", "image": "x"}]},
    });
    strategy.default(&mut old);
    for subresource in ["resize", "ephemeralcontainers"] {
        let mut new = old.clone();
        new["metadata"] = json!({
            "name": "p", "labels": {"a": "c"}, "annotations": {"a": "b"}, "resourceVersion": "2",
            "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "none", "uid": "none"}],
            "managedFields": [{"manager": "m"}],
        });
        strategy.prepare_update(Some(subresource), &old, &mut new);
        let expected = json!({
            "name": "p", "labels": {"a": "b"}, "finalizers": ["x.io/f"], "resourceVersion": "2",
            "managedFields": [{"manager": "m"}],
        });
        assert_eq!(new["metadata"], expected, "{subresource}");
    }
}

#[test]
fn apparmor_annotations_stay() {
    let strategy = &find("", "v1", "pods").unwrap().strategy;
    let key = "container.apparmor.security.beta.kubernetes.io/a";
    let mut bare = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "x"}]}});
    strategy.default(&mut bare);
    let with = |profile: &str| {
        let mut pod = bare.clone();
        pod["metadata"]["annotations"] = json!({key: profile, "other": profile});
        pod
    };
    let (default, unconfined) = (with("runtime/default"), with("unconfined"));
    for (old, new, detail) in [
        (&bare, &unconfined, "may not add AppArmor annotations"),
        (
            &default,
            &unconfined,
            "may not remove or update AppArmor annotations",
        ),
        (&default, &bare, "may not remove or update AppArmor annotations"),
    ] {
        for subresource in [None, Some("status")] {
            let errors = strategy.validate_update(subresource, old, new);
            let expected = format!("metadata.annotations[{key}]: Forbidden: {detail}");
            let told: Vec<_> = errors.iter().map(ToString::to_string).collect();
            assert_eq!(told, [expected]);
        }
    }
}

/// What is done to a spec.
type Change<'a> = &'a dyn Fn(&mut Value);

#[test]
fn gated_pods_are_steered_to_fewer_nodes_only() {
    let strategy = &find("", "v1", "pods").unwrap().strategy;
    let affinity = |expressions: &[Value]| {
        json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": expressions}],
        }}})
    };
    let exists = |key: &str| json!({"key": key, "operator": "Exists"});
    let mut old = json!({"metadata": {"name": "p"}, "spec": {
        "containers": [{"name": "a", "image": "x"}], "schedulingGates": [{"name": "x.io/g"}],
        "nodeSelector": {"pool": "tenants"}, "affinity": affinity(&[exists("a")]),
    }});
    strategy.default(&mut old);
    let told = |old: &Value, change: &dyn Fn(&mut Value)| -> Vec<String> {
        let mut new = old.clone();
        change(&mut new["spec"]);
        let errors = strategy.validate_update(None, old, &new);
        errors.iter().map(ToString::to_string).collect()
    };
    let none: [&str; 0] = [];
    assert_eq!(
        told(&old, &|spec| {
            spec["nodeSelector"]["zone"] = json!("z");
            spec["affinity"] = affinity(&[exists("a"), exists("b")]);
            spec["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"] =
                json!([{"weight": 1, "preference": {"matchExpressions": [exists("c")]}}]);
        }),
        none
    );
    let refused: [(&str, Change<'_>); 5] = [
        ("only additions to spec.nodeSelector", &|spec| {
            spec["nodeSelector"] = json!({"pool": "control-plane"});
        }),
        ("only additions to spec.nodeSelector", &|spec| {
            spec.as_object_mut().unwrap().remove("nodeSelector");
        }),
        ("no additions/deletions to non-empty", &|spec| {
            spec.as_object_mut().unwrap().remove("affinity");
        }),
        ("only additions are allowed", &|spec| {
            spec["affinity"] = affinity(&[exists("b")]);
        }),
        ("pod updates may not change fields other than", &|spec| {
            spec["affinity"]["podAntiAffinity"] = json!({});
        }),
    ];
    for (words, change) in refused {
        let told = told(&old, change);
        assert!(told.len() == 1 && told[0].contains(words), "{words}: {told:?}");
    }
    // What is new is validated as in a new pod.
    let told = told(&old, &|spec| spec["nodeSelector"]["no label!"] = json!("x"));
    assert!(told.len() == 1 && told[0].contains("nodeSelector"), "{told:?}");

    let mut free = old.clone();
    for field in ["nodeSelector", "affinity"] {
        free["spec"].as_object_mut().unwrap().remove(field);
    }
    assert_eq!(
        strategy.validate_update(None, &free, &old),
        [],
        "from nothing to anything"
    );
}
