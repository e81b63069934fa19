//! Rows as `kubectl get` prints them.

use serde_json::{Value, json};

use crate::kinds::{builtin, find};

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
    crate::kinds::default(kind, &mut object);
    texts(&kind.strategy.row(&object, 1_000))
}

#[test]
fn every_row_has_a_cell_per_column() {
    for kind in builtin() {
        for object in [json!({}), json!({"metadata": {}, "spec": {}, "status": {}})] {
            let mut object = object;
            crate::kinds::default(kind, &mut object);
            let cells = kind.strategy.row(&object, 0);
            assert_eq!(cells.len(), kind.columns.len(), "{}", kind.plural);
        }
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
fn averages_of_what_is_no_pod_are_told_as_such() {
    let targets = |kind: &str, source: &str, now: &Value| {
        let metric = json!({"type": kind, source: {"target": {"averageValue": "10"}}});
        let current = json!([{"type": kind, source: {"current": now}}]);
        let object = json!({"metadata": {"name": "h"}, "spec": {"metrics": [metric]}, "status": {"currentMetrics": current}});
        let kind = find("autoscaling", "v2", "horizontalpodautoscalers").unwrap();
        texts(&kind.strategy.row(&object, 0))[2].clone()
    };
    let (none, some) = (json!({}), json!({"averageValue": "5"}));
    assert_eq!(targets("Object", "object", &none), "<unknown>/10 (avg)");
    assert_eq!(targets("External", "external", &some), "5/10 (avg)");
    assert_eq!(targets("Pods", "pods", &some), "5/10");
}

#[test]
fn addresses_show_whose_they_are() {
    let of = |parent: Value| {
        let object = json!({"metadata": {"name": "10.0.0.1"}, "spec": {"parentRef": parent}});
        row("networking.k8s.io", "ipaddresses", object)[1].clone()
    };
    let service = json!({"resource": "services", "namespace": "a", "name": "w"});
    assert_eq!(of(service), "services/a/w");
    let gateway = json!({"group": "Example.com", "resource": "gateways", "name": "g"});
    assert_eq!(of(gateway), "gateways.example.com/g");
    assert_eq!(of(Value::Null), "<none>");
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
    // A port without a number is shown by its name, if it has one.
    for (name, shown) in [("web", "web"), ("", "<unset>")] {
        let slice = json!({"metadata": {"name": "s"}, "addressType": "IPv4", "ports": [{"name": name}]});
        assert_eq!(row("discovery.k8s.io", "endpointslices", slice)[2], shown);
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
