//! What says which object a write means: namespaces, UIDs and versions in bodies, and how a refusal is told.

use http::Method;
use serde_json::{Value, json};

use crate::cluster::{Cluster, MAPS, config_map};

const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";

/// A server-side apply.
fn apply(cluster: &Cluster, path: &str, body: &Value) -> (u16, Value) {
    let headers = [("content-type", "application/apply-patch+yaml")];
    let path = format!("{path}?fieldManager=tests");
    cluster.request(Method::PATCH, &path, &headers, body.to_string().as_bytes())
}

#[test]
fn namespaces_are_those_of_the_path() {
    let cluster = Cluster::start();
    let (role, map) = (format!("{ROLES}/r"), format!("{MAPS}/a"));
    let config = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "r", "namespace": "charts"}, "rules": []});
    // As clients apply it that send manifests of charts as they are: the second time it is a change.
    for code in [201, 200] {
        let (found, answer) = apply(&cluster, &role, &config);
        assert_eq!(
            (found, answer["metadata"].get("namespace")),
            (code, None),
            "{answer}"
        );
    }
    assert_eq!(cluster.post(MAPS, &config_map("a", "1")).0, 201);
    for (path, namespace, code) in [
        (&role, json!("charts"), 200),
        (&map, json!("default"), 200),
        (&map, Value::Null, 200),
        (&map, json!("other"), 400),
    ] {
        let patch = json!({"metadata": {"namespace": namespace}});
        let (found, answer) = cluster.patch(path, "merge-patch+json", &patch);
        assert_eq!(found, code, "{answer}");
        if code == 200 {
            let stored = answer["metadata"]["namespace"].as_str();
            assert_eq!(stored, path.contains("configmaps").then_some("default"));
        }
    }
}

#[test]
fn a_uid_is_a_precondition_of_replacements_only() {
    let cluster = Cluster::start();
    let map = format!("{MAPS}/a");
    let (_, made) = cluster.post(MAPS, &config_map("a", "1"));
    let other = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "uid": "x"}});
    for (code, answer) in [
        cluster.patch(&map, "merge-patch+json", &other),
        cluster.patch(&map, "strategic-merge-patch+json", &other),
        apply(&cluster, &map, &other),
    ] {
        assert_eq!((code, &answer["reason"]), (422, &json!("Invalid")), "{answer}");
        assert_eq!(
            answer["message"],
            "ConfigMap \"a\" is invalid: metadata.uid: Invalid value: \"x\": field is immutable"
        );
    }
    let (code, answer) = cluster.put(&map, &other);
    assert_eq!((code, &answer["reason"]), (409, &json!("Conflict")), "{answer}");
    let same = json!({"metadata": {"uid": made["metadata"]["uid"]}, "data": {"k": "2"}});
    assert_eq!(cluster.patch(&map, "merge-patch+json", &same).0, 200);
}

#[test]
fn what_is_not_there_has_no_version() {
    let cluster = Cluster::start();
    let config =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "resourceVersion": "5"}});
    let map = format!("{MAPS}/a");
    assert_eq!(apply(&cluster, &map, &config).0, 201);
    assert_eq!(apply(&cluster, &map, &config).0, 409);
    // Some kinds are only changed by who names the version; a patch does unless it takes it away.
    let leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
    assert_eq!(cluster.post(leases, &json!({"metadata": {"name": "l"}})).0, 201);
    for (version, code) in [(json!({}), 200), (json!({"resourceVersion": null}), 422)] {
        let mut patch = json!({"metadata": version, "spec": {"holderIdentity": "h"}});
        patch["metadata"]["labels"] = json!({"a": "b"});
        let (found, answer) = cluster.patch(&format!("{leases}/l"), "merge-patch+json", &patch);
        assert_eq!(found, code, "{answer}");
    }
}

#[test]
fn who_creates_over_what_is_being_deleted_is_told() {
    let cluster = Cluster::start();
    let mut held = config_map("a", "1");
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    let taken = "configmaps \"a\" already exists";
    let create = |path: &str, message: &str| {
        let (code, answer) = cluster.post(path, &held);
        assert_eq!(
            (code, &answer["reason"]),
            (409, &json!("AlreadyExists")),
            "{answer}"
        );
        assert_eq!(answer["message"], message);
    };
    assert_eq!(cluster.post(MAPS, &held).0, 201);
    create(MAPS, taken);
    assert_eq!(cluster.delete(&format!("{MAPS}/a"), &Value::Null).0, 200);
    for path in [MAPS, &format!("{MAPS}?dryRun=All")] {
        create(path, &format!("object is being deleted: {taken}"));
    }
}

#[test]
fn deletes_answer_as_the_kind_does() {
    let cluster = Cluster::start();
    let classes = "/apis/storage.k8s.io/v1/storageclasses";
    let class = json!({"metadata": {"name": "c"}, "provisioner": "example.com/p"});
    assert_eq!(cluster.post(classes, &class).0, 201);
    let (code, deleted) = cluster.delete(&format!("{classes}/c"), &Value::Null);
    assert_eq!(
        (code, &deleted["provisioner"]),
        (200, &json!("example.com/p")),
        "{deleted}"
    );
    let (_, made) = cluster.post(MAPS, &config_map("a", "1"));
    let (uid, version) = (&made["metadata"]["uid"], &made["metadata"]["resourceVersion"]);
    let delete = |preconditions: Value| {
        let (code, answer) = cluster.delete(&format!("{MAPS}/a"), &json!({"preconditions": preconditions}));
        assert_eq!(
            (code, &answer["details"]["kind"]),
            (409, &json!("ConfigMap")),
            "{answer}"
        );
        answer["message"].as_str().unwrap().to_owned()
    };
    let prefix = "Operation cannot be fulfilled on ConfigMap \"a\": the";
    assert_eq!(
        delete(json!({"uid": "x"})),
        format!(
            "{prefix} UID in the precondition (x) does not match the UID in record ({}). The object might have been deleted \
             and then recreated",
            uid.as_str().unwrap()
        )
    );
    assert_eq!(
        delete(json!({"resourceVersion": "1"})),
        format!(
            "{prefix} ResourceVersion in the precondition (1) does not match the ResourceVersion in record ({}). The object \
             might have been modified",
            version.as_str().unwrap()
        )
    );
    assert_eq!(
        cluster.delete(&format!("{MAPS}/a"), &Value::Null).1["kind"],
        "Status"
    );
}

#[test]
fn what_runs_in_a_container_cannot_be_tried() {
    let cluster = Cluster::start();
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let pods = "/api/v1/namespaces/default/pods";
    assert_eq!(cluster.post(pods, &pod).0, 201);
    for stream in ["exec", "attach", "portforward", "proxy"] {
        let path = format!("{pods}/p/{stream}?dryRun=All&command=true");
        let (code, answer) = cluster.request(Method::POST, &path, &[], b"");
        assert_eq!(
            (code, &answer["message"]),
            (400, &json!("dryRun is not supported")),
            "{stream}"
        );
    }
}

#[test]
fn scales_are_printed() {
    let cluster = Cluster::start();
    let sets = "/apis/apps/v1/namespaces/default/replicasets";
    let set = json!({"metadata": {"name": "s"}, "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    assert_eq!(cluster.post(sets, &set).0, 201);
    let get = |form: &str| {
        let accept = format!("application/json;as={form};v=v1;g=meta.k8s.io");
        let (code, answer) = cluster.request(
            Method::GET,
            &format!("{sets}/s/scale"),
            &[("accept", &accept)],
            b"",
        );
        assert_eq!(code, 200, "{answer}");
        answer
    };
    let table = get("Table");
    let columns = table["columnDefinitions"].as_array().unwrap().iter();
    let columns: Vec<_> = columns.map(|column| column["name"].as_str().unwrap()).collect();
    assert_eq!(columns, ["Name", "Desired", "Available", "Age"]);
    let row = &table["rows"][0];
    assert_eq!(
        row["cells"].as_array().unwrap()[..3],
        [json!("s"), json!(0), json!(0)]
    );
    assert_eq!(row["object"]["metadata"]["name"], "s");
    let bare = get("PartialObjectMetadata");
    assert_eq!(
        (&bare["kind"], bare.get("spec")),
        (&json!("PartialObjectMetadata"), None)
    );
}
