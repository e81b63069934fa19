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
