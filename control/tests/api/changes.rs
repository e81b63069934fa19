//! Changes of stored objects that upstream takes, as clients with types send them: the whole object, read and written back.

use serde_json::{Value, json};

use crate::cluster::Cluster;

const SERVICES: &str = "/api/v1/namespaces/default/services";

/// Reads, changes and puts; the answer.
#[track_caller]
fn replace(cluster: &Cluster, path: &str, change: impl Fn(&mut Value)) -> Value {
    // A controller may be faster in between.
    for _ in 0..20 {
        let (code, mut object) = cluster.get(path);
        assert_eq!(code, 200, "{object}");
        change(&mut object);
        let (code, answer) = cluster.put(path, &object);
        if code != 409 {
            assert_eq!(code, 200, "{answer}");
            return answer;
        }
    }
    panic!("conflicts without end");
}

#[test]
fn services_change_affinity_and_type() {
    let cluster = Cluster::start();
    let (path, status) = (format!("{SERVICES}/s"), format!("{SERVICES}/s/status"));
    let service = json!({"metadata": {"name": "s"}, "spec": {"selector": {"a": "b"}, "sessionAffinity": "ClientIP",
        "ports": [{"port": 80}]}});
    let (code, made) = cluster.post(SERVICES, &service);
    assert_eq!(code, 201, "{made}");
    assert_eq!(
        made["spec"]["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"],
        10800
    );
    let put = replace(&cluster, &path, |service| {
        service["spec"]["sessionAffinity"] = "None".into();
    });
    assert_eq!(put["spec"].get("sessionAffinityConfig"), None, "{put}");

    // To a load balancer with everything that only those have, and to each other type.
    for kind in ["ClusterIP", "NodePort", "ExternalName"] {
        replace(&cluster, &path, |service| {
            service["spec"]["type"] = "LoadBalancer".into();
            service["spec"]["loadBalancerClass"] = "example.com/lb".into();
            service["spec"]["allocateLoadBalancerNodePorts"] = (kind != "ClusterIP").into();
            service["spec"].as_object_mut().unwrap().remove("externalName");
        });
        let given = json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}});
        let (code, answer) = cluster.patch(&status, "merge-patch+json", &given);
        assert_eq!(code, 200, "{answer}");
        let put = replace(&cluster, &path, |service| {
            service["spec"]["type"] = kind.into();
            if kind == "ExternalName" {
                service["spec"]["externalName"] = "example.com".into();
            }
        });
        for field in ["loadBalancerClass", "allocateLoadBalancerNodePorts"] {
            assert_eq!(put["spec"].get(field), None, "{kind}: {put}");
        }
        assert_eq!(put["status"]["loadBalancer"], json!({}), "{kind}");
        let condition = json!({"status": {"conditions": [{"type": "A", "status": "True", "reason": "R", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
        let (code, answer) = cluster.patch(&status, "merge-patch+json", &condition);
        assert_eq!(code, 200, "{kind}: {answer}");
    }
    // What the client sets itself is not taken away behind its back.
    let wrong = json!({"spec": {"type": "ClusterIP", "loadBalancerClass": "example.com/other"}});
    let (code, answer) = cluster.patch(&path, "merge-patch+json", &wrong);
    assert_eq!(code, 422, "{answer}");
}

#[test]
fn a_deleted_object_is_not_made_again_by_who_knew_it() {
    let cluster = Cluster::start();
    let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles";
    let path = format!("{roles}/r");
    let (code, mut role) = cluster.post(roles, &json!({"metadata": {"name": "r"}, "rules": []}));
    assert_eq!(code, 201, "{role}");
    assert_eq!(cluster.delete(&path, &json!({})).0, 200);
    let (code, answer) = cluster.put(&path, &role);
    assert_eq!((code, &answer["reason"]), (409, &json!("Conflict")), "{answer}");
    assert_eq!(cluster.get(&path).0, 404);
    // A saved one without a UID is made again, whatever version it was.
    role["metadata"].as_object_mut().unwrap().remove("uid");
    let (code, answer) = cluster.put(&path, &role);
    assert_eq!(code, 201, "{answer}");
}

#[test]
fn what_a_typed_client_leaves_out_is_no_change() {
    let cluster = Cluster::start();
    let volumes = "/api/v1/persistentvolumes";
    let volume = json!({"metadata": {"name": "v"}, "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
        "nfs": {"server": "s", "path": "/p", "readOnly": false}}});
    assert_eq!(cluster.post(volumes, &volume).0, 201);
    let path = format!("{volumes}/v");
    replace(&cluster, &path, |volume| {
        volume["spec"]["nfs"].as_object_mut().unwrap().remove("readOnly");
        volume["metadata"]["labels"] = json!({"a": "b"});
    });
    let (_, mut changed) = cluster.get(&path);
    changed["spec"]["nfs"]["server"] = "other".into();
    changed["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("resourceVersion");
    assert_eq!(cluster.put(&path, &changed).0, 422);
}

#[test]
fn forms_of_the_documentation_are_taken() {
    let cluster = Cluster::start();
    let template = |more: Value| {
        let mut spec = json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]});
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({ "spec": spec })
    };
    let job = json!({"metadata": {"name": "j"}, "spec": {"suspend": true, "template": template(json!({})), "backoffLimit": 6,
        "podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]}}});
    let (code, made) = cluster.post("/apis/batch/v1/namespaces/default/jobs", &job);
    assert_eq!(code, 201, "{made}");
    let rule = &made["spec"]["podFailurePolicy"]["rules"][0];
    assert_eq!(rule["onPodConditions"][0]["status"], "True");

    let mut pod = template(json!({"dnsConfig": {"searches": [".", "_sip._tcp.example.com"]},
        "securityContext": {"appArmorProfile": {"type": "Localhost", "localhostProfile": "/usr/sbin/nginx"}}}));
    pod["metadata"] = json!({"name": "p"});
    let (code, answer) = cluster.post("/api/v1/namespaces/default/pods?dryRun=All", &pod);
    assert_eq!(code, 201, "{answer}");

    let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
    let slice = |name: &str, address: &str| {
        json!({"metadata": {"name": name}, "addressType": "FQDN", "endpoints": [{"addresses": [address]}],
            "ports": [{"name": "x", "port": 0, "protocol": "TCP"}]})
    };
    assert_eq!(cluster.post(slices, &slice("a", "db.example.com.")).0, 201);
    assert_eq!(cluster.post(slices, &slice("b", "db")).0, 422);

    let hook = |name: &str, resources: Value| {
        json!({"metadata": {"name": name}, "webhooks": [{"name": "a.example.com", "sideEffects": "None",
            "admissionReviewVersions": ["v1"], "clientConfig": {"url": "https://example.com/x"},
            "rules": [{"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": resources}]}]})
    };
    let hooks = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations?dryRun=All";
    for (resources, wanted) in [
        (json!(["pods", "*"]), 201),
        (json!(["pods/status", "pods/*"]), 201),
        (json!(["*", "pods"]), 422),
        (json!(["pods/*", "pods/status"]), 422),
        (json!(["*/status", "pods/status"]), 422),
        (json!(["*/*", "pods"]), 422),
    ] {
        let (code, answer) = cluster.post(hooks, &hook("h", resources));
        assert_eq!(code, wanted, "{answer}");
    }
}
