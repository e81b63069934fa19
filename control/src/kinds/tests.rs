use serde_json::{Value, json};

use super::{builtin, find, validate_metadata};

fn texts(cells: &[Value]) -> Vec<String> {
    cells
        .iter()
        .map(|cell| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned))
        .collect()
}

/// Defaults an object and prints its row at 1000 s after the epoch.
fn row(group: &str, plural: &str, mut object: Value) -> Vec<String> {
    let kind = find(group, "v1", plural).unwrap_or_else(|| panic!("no {plural}"));
    object["metadata"]["creationTimestamp"] = json!("1970-01-01T00:10:00Z");
    kind.strategy.default(&mut object);
    texts(&kind.strategy.row(&object, 1_000))
}

#[test]
fn every_row_has_a_cell_per_column() {
    for kind in builtin() {
        for object in [json!({}), json!({"metadata": {}, "spec": {}, "status": {}})] {
            let mut object = object;
            kind.strategy.default(&mut object);
            let cells = kind.strategy.row(&object, 0);
            assert_eq!(cells.len(), kind.columns.len(), "{}", kind.plural);
        }
    }
}

#[test]
fn no_strategy_panics_on_odd_objects() {
    let odd = [
        json!(null),
        json!([]),
        json!({"metadata": [], "spec": 1, "status": "x"}),
        json!({"spec": {"template": [], "containers": {}, "ports": [1], "strategy": 1, "selector": []}, "data": [1]}),
        json!({"spec": {"containers": [1, {"resources": 1, "ports": [{}], "env": [{}], "livenessProbe": 1}],
               "volumes": [{}, 1, {"projected": {"sources": [{}]}}], "tolerations": [{}]}, "subsets": [{}], "rules": [{}]}),
    ];
    for kind in builtin() {
        for object in &odd {
            let strategy = &kind.strategy;
            let mut new = object.clone();
            strategy.default(&mut new);
            if new.is_object() {
                let mut created = new.clone();
                strategy.prepare_create(&mut created);
                let mut updated = new.clone();
                strategy.prepare_update(None, &created, &mut updated);
                strategy.prepare_update(Some("status"), &created, &mut updated);
            }
            strategy.validate_create(&new);
            strategy.validate_update(None, object, &new);
            strategy.validate_update(Some("status"), object, &new);
            strategy.row(&new, 0);
            strategy.selectable_fields(&new);
            strategy.default_grace(&new);
            strategy.scale(&new);
            validate_metadata(kind, &new);
        }
    }
}

#[test]
fn names_are_unique() {
    let mut seen = std::collections::BTreeSet::new();
    for kind in builtin() {
        assert!(
            seen.insert((kind.group.clone(), kind.version.clone(), kind.plural.clone())),
            "{}",
            kind.plural
        );
    }
}

#[test]
fn rows_of_workloads() {
    let template = json!({"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [
        {"name": "a", "image": "i:1"}, {"name": "b", "image": "j"}]}});
    let spec = json!({"replicas": 3, "selector": {"matchLabels": {"app": "x"}}, "template": template});
    let status = json!({"replicas": 3, "readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1});
    let object = json!({"metadata": {"name": "d"}, "spec": spec, "status": status});
    assert_eq!(
        row("apps", "deployments", object.clone()),
        ["d", "2/3", "3", "1", "6m40s", "a,b", "i:1,j", "app=x"]
    );
    assert_eq!(
        row("apps", "replicasets", object.clone()),
        ["d", "3", "3", "2", "6m40s", "a,b", "i:1,j", "app=x"]
    );
    assert_eq!(
        row("apps", "statefulsets", object),
        ["d", "2/3", "6m40s", "a,b", "i:1,j"]
    );
}

#[test]
fn rows_of_the_core_group() {
    let service = json!({"metadata": {"name": "s"}, "spec": {"type": "NodePort", "clusterIP": "10.43.0.9",
        "ports": [{"port": 80, "nodePort": 30080}, {"port": 53, "protocol": "UDP"}], "selector": {"a": "b"}}});
    assert_eq!(
        row("", "services", service),
        [
            "s",
            "NodePort",
            "10.43.0.9",
            "<none>",
            "80:30080/TCP,53/UDP",
            "6m40s",
            "a=b"
        ]
    );
    let node = json!({"metadata": {"name": "n", "labels": {"node-role.kubernetes.io/control-plane": ""}},
        "spec": {"unschedulable": true}, "status": {"conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
        "nodeInfo": {"kubeletVersion": "v1.33.0", "osImage": "Debian", "kernelVersion": "6.18",
                     "containerRuntimeVersion": "keelson://0.1.0"}}});
    assert_eq!(
        row("", "nodes", node),
        [
            "n",
            "Ready,SchedulingDisabled",
            "control-plane",
            "6m40s",
            "v1.33.0",
            "10.0.0.1",
            "<none>",
            "Debian",
            "6.18",
            "keelson://0.1.0"
        ]
    );
    let event = json!({"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "p"}, "reason": "Pulled",
        "type": "Normal", "message": " done\n", "lastTimestamp": "1970-01-01T00:16:30Z", "count": 2,
        "firstTimestamp": "1970-01-01T00:16:20Z", "source": {"component": "kubelet", "host": "n"}});
    assert_eq!(
        row("", "events", event),
        [
            "10s",
            "Normal",
            "Pulled",
            "pod/p",
            "",
            "kubelet, n",
            "done",
            "20s",
            "2",
            "e"
        ]
    );
    let secret = json!({"metadata": {"name": "s"}, "stringData": {"a": "b"}});
    assert_eq!(row("", "secrets", secret), ["s", "Opaque", "1", "6m40s"]);
    let slice = json!({"metadata": {"name": "s"}, "addressType": "IPv4", "ports": [{"port": 80}],
        "endpoints": [{"addresses": ["a"]}, {"addresses": ["b"]}, {"addresses": ["c"]}, {"addresses": ["d"]}]});
    assert_eq!(
        row("discovery.k8s.io", "endpointslices", slice),
        ["s", "IPv4", "80", "a,b,c + 1 more...", "6m40s"]
    );
}

#[test]
fn metadata_is_checked_as_upstream() {
    let check = |plural: &str, metadata: Value| -> Vec<String> {
        let kind = find("", "v1", plural)
            .or_else(|| find("rbac.authorization.k8s.io", "v1", plural))
            .unwrap();
        validate_metadata(kind, &json!({"metadata": metadata}))
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    assert!(check("pods", json!({"name": "a.b", "namespace": "x"})).is_empty());
    assert!(check("clusterroles", json!({"name": "system:node"})).is_empty());
    assert_eq!(
        check("namespaces", json!({"name": "a.b"})),
        ["metadata.name: Invalid value: \"a.b\": must not contain dots"]
    );
    assert_eq!(
        check("pods", json!({"namespace": "x"})),
        ["metadata.name: Required value: name or generateName is required"]
    );
    assert!(check("services", json!({"name": "1a", "namespace": "x"}))[0].contains("a DNS-1035 label must"));
    assert_eq!(
        check(
            "pods",
            json!({"name": "a", "namespace": "x", "finalizers": ["f"]})
        ),
        [
            "metadata.finalizers: Invalid value: \"f\": name is neither a standard finalizer name nor is it fully qualified"
        ]
    );
    assert!(
        check(
            "pods",
            json!({"name": "a", "namespace": "x", "labels": {"a": "b c"}})
        )[0]
        .starts_with("metadata.labels: Invalid value: \"b c\": a valid label must be")
    );
}

#[test]
fn workload_errors_read_as_upstream() {
    let strategy = &find("apps", "v1", "deployments").unwrap().strategy;
    let mut object = json!({"kind": "Deployment", "spec": {"replicas": -1, "selector": {"matchLabels": {"app": "x"}},
        "template": {"metadata": {"labels": {"app": "y"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    strategy.default(&mut object);
    let errors: Vec<String> = strategy
        .validate_create(&object)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        errors,
        [
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            "spec.template.metadata.labels: Invalid value: map[string]string{\"app\":\"y\"}: `selector` does not match template `labels`"
        ]
    );
    let mut old = object.clone();
    old["spec"]["selector"] = json!({"matchLabels": {"app": "z"}});
    let errors = strategy.validate_update(None, &old, &object);
    assert_eq!(
        errors.last().unwrap().to_string(),
        "spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string{\"app\":\"x\"}, \
         MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: field is immutable"
    );
}

#[test]
fn generation_follows_the_spec() {
    let strategy = &find("apps", "v1", "deployments").unwrap().strategy;
    let mut object = json!({"metadata": {"name": "d"}, "spec": {}, "status": {"replicas": 7}});
    strategy.default(&mut object);
    strategy.prepare_create(&mut object);
    assert_eq!(
        (&object["metadata"]["generation"], &object["status"]),
        (&json!(1), &json!({}))
    );
    let mut new = object.clone();
    new["status"] = json!({"replicas": 9});
    strategy.prepare_update(None, &object, &mut new);
    assert_eq!(new, object);
    new["spec"]["replicas"] = json!(4);
    strategy.prepare_update(None, &object, &mut new);
    assert_eq!(new["metadata"]["generation"], 2);
    let mut status = object.clone();
    status["spec"]["replicas"] = json!(9);
    status["status"] = json!({"replicas": 9});
    strategy.prepare_update(Some("status"), &object, &mut status);
    assert_eq!(
        (&status["spec"], &status["status"]),
        (&object["spec"], &json!({"replicas": 9}))
    );
    assert_eq!(status["metadata"]["generation"], 1);
}

#[test]
fn events_have_two_forms() {
    let strategy = &find("events.k8s.io", "v1", "events").unwrap().strategy;
    let new = json!({"apiVersion": "events.k8s.io/v1", "metadata": {"name": "e"}, "regarding": {"kind": "Pod"}, "note": "n",
        "eventTime": "1970-01-01T00:00:00.000000Z", "reportingController": "c", "deprecatedCount": 1});
    let mut stored = new.clone();
    strategy.to_storage(&mut stored);
    assert_eq!(
        stored,
        json!({"apiVersion": "v1", "metadata": {"name": "e"}, "involvedObject": {"kind": "Pod"}, "message": "n",
            "eventTime": "1970-01-01T00:00:00.000000Z", "reportingComponent": "c", "count": 1})
    );
    strategy.from_storage(&mut stored);
    assert_eq!(stored, new);
}

#[test]
fn every_stored_kind_has_a_schema() {
    let schema = keelson_api::schema::Schema::builtin();
    for kind in builtin() {
        assert!(
            schema.kind(&kind.group, &kind.version, &kind.kind).is_some(),
            "{}",
            kind.plural
        );
    }
}

#[test]
fn defaults_keep_to_the_schema() {
    // A default that misspells a field would be pruned when the object is written again.
    let schema = keelson_api::schema::Schema::builtin();
    for kind in builtin() {
        let template =
            json!({"metadata": {}, "spec": {"containers": [{"name": "c"}], "volumes": [{"name": "v"}]}});
        let mut object = json!({"metadata": {"name": "x"}, "spec": {}});
        if kind.plural == "pods" {
            object["spec"] = template["spec"].clone();
        } else if matches!(kind.group.as_ref(), "apps" | "batch") || kind.plural == "replicationcontrollers" {
            object["spec"] = json!({ "template": template });
        }
        let of = schema.kind(&kind.group, &kind.version, &kind.kind).unwrap();
        of.conform(&mut object).unwrap();
        kind.strategy.default(&mut object);
        kind.strategy.prepare_create(&mut object);
        let before = object.clone();
        let found = of
            .conform(&mut object)
            .unwrap_or_else(|error| panic!("{}: {error}", kind.plural));
        assert!(found.unknown.is_empty(), "{}: {:?}", kind.plural, found.unknown);
        assert_eq!(object, before, "{}", kind.plural);
    }
}

#[test]
fn rows_of_jobs_and_volumes() {
    let job = json!({"metadata": {"name": "j"}, "spec": {"completions": 3, "template": {"spec": {"containers": [
        {"name": "c", "image": "i"}]}}, "selector": {"matchLabels": {"a": "b"}}},
        "status": {"succeeded": 1, "startTime": "1970-01-01T00:15:00Z"}});
    assert_eq!(
        row("batch", "jobs", job),
        ["j", "Running", "1/3", "100s", "6m40s", "c", "i", "a=b"]
    );
    let cron =
        json!({"metadata": {"name": "c"}, "spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": {}}}});
    assert_eq!(
        row("batch", "cronjobs", cron),
        [
            "c",
            "*/5 * * * *",
            "<none>",
            "False",
            "0",
            "<none>",
            "6m40s",
            "",
            "",
            "<none>"
        ]
    );
    let claim = json!({"metadata": {"name": "c"}, "spec": {"volumeName": "v", "storageClassName": "s"},
        "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}});
    assert_eq!(
        row("", "persistentvolumeclaims", claim),
        [
            "c",
            "Bound",
            "v",
            "1Gi",
            "RWO",
            "s",
            "<unset>",
            "6m40s",
            "Filesystem"
        ]
    );
    let budget = json!({"metadata": {"name": "b"}, "spec": {"minAvailable": "50%"}, "status": {"disruptionsAllowed": 2}});
    assert_eq!(
        row("policy", "poddisruptionbudgets", budget),
        ["b", "50%", "N/A", "2", "6m40s"]
    );
    let binding = json!({"metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": "view"}, "subjects": [
        {"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "namespace": "n", "name": "s"}]});
    assert_eq!(
        row("rbac.authorization.k8s.io", "rolebindings", binding),
        ["b", "ClusterRole/view", "6m40s", "u", "", "n/s"]
    );
}

#[test]
fn jobs_select_their_pods_by_uid() {
    let strategy = &find("batch", "v1", "jobs").unwrap().strategy;
    let mut job = json!({"metadata": {"name": "j", "uid": "u-1"}, "spec": {"template": {"spec": {
        "containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}}}});
    strategy.default(&mut job);
    strategy.prepare_create(&mut job);
    assert_eq!(
        job["spec"]["selector"],
        json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u-1"}})
    );
    assert_eq!(job["spec"]["template"]["metadata"]["labels"]["job-name"], "j");
    assert_eq!(strategy.validate_create(&job), []);
    job["spec"]["template"]["spec"]["restartPolicy"] = json!("Always");
    assert_eq!(
        strategy.validate_create(&job)[0].to_string(),
        "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\""
    );
}

#[test]
fn cron_schedules() {
    let strategy = &find("batch", "v1", "cronjobs").unwrap().strategy;
    let check = |schedule: &str| {
        let mut job = json!({"metadata": {"name": "c"}, "spec": {"schedule": schedule, "jobTemplate": {"spec": {"template":
            {"spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}}}}}});
        strategy.default(&mut job);
        strategy
            .validate_create(&job)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    for good in ["* * * * *", "*/5 0-6,12 1 jan-MAR mon", "@daily", "0 0 ? * 6"] {
        assert_eq!(check(good), Vec::<String>::new(), "{good}");
    }
    for bad in [
        "",
        "* * * *",
        "60 * * * *",
        "* * 0 * *",
        "a * * * *",
        "*/0 * * * *",
        "5-1 * * * *",
        "@never",
        "TZ=UTC * * * * *",
    ] {
        assert_eq!(check(bad).len(), 1, "{bad}");
    }
    assert_eq!(
        check("x"),
        ["spec.schedule: Invalid value: \"x\": expected exactly 5 fields, found 1: [x]"]
    );
}

#[test]
fn autoscalers_convert_both_ways() {
    let (v1, v2) = (
        find("autoscaling", "v1", "horizontalpodautoscalers").unwrap(),
        "autoscaling/v2",
    );
    let memory = json!({"type": "Resource", "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 50}}});
    let cpu = json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}});
    let stored = json!({"apiVersion": v2, "metadata": {"name": "h"}, "spec": {"maxReplicas": 3, "metrics": [cpu, memory],
        "behavior": {"scaleDown": {"selectPolicy": "Max"}}}});
    let mut object = stored.clone();
    v1.strategy.from_storage(&mut object);
    assert_eq!(object["apiVersion"], "autoscaling/v1");
    assert_eq!(
        object["spec"],
        json!({"maxReplicas": 3, "targetCPUUtilizationPercentage": 80})
    );
    v1.strategy.to_storage(&mut object);
    object["metadata"].as_object_mut().unwrap().remove("annotations");
    assert_eq!(object, stored);
}
