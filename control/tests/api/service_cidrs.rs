//! ServiceCIDRs and IPAddresses: made at the start, following their Services, kept while they are needed.

use serde_json::{Value, json};

use crate::cluster::Cluster;

const SERVICES: &str = "/api/v1/namespaces/default/services";
const CIDRS: &str = "/apis/networking.k8s.io/v1/servicecidrs";
const ADDRESSES: &str = "/apis/networking.k8s.io/v1/ipaddresses";

fn condition(cluster: &Cluster, name: &str) -> (Value, Value) {
    let (_, cidr) = cluster.get(&format!("{CIDRS}/{name}"));
    let ready = &cidr["status"]["conditions"][0];
    (ready["status"].clone(), ready["reason"].clone())
}

fn at(name: &str, address: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"clusterIP": address, "ports": [{"port": 80}]}})
}

#[test]
fn addresses_follow_their_services() {
    let cluster = Cluster::start();
    cluster.eventually("the range is ready", |cluster| {
        condition(cluster, "kubernetes").0 == "True"
    });
    let (_, cidr) = cluster.get(&format!("{CIDRS}/kubernetes"));
    assert_eq!(cidr["spec"]["cidrs"], json!(["10.43.0.0/16"]));
    // Those that were there before anybody looked.
    for (address, namespace, name) in [
        ("10.43.0.1", "default", "kubernetes"),
        ("10.43.0.10", "kube-system", "kube-dns"),
    ] {
        let path = format!("{ADDRESSES}/{address}");
        cluster.eventually(name, |cluster| cluster.get(&path).0 == 200);
        assert_eq!(
            cluster.get(&path).1["spec"]["parentRef"],
            json!({"resource": "services", "namespace": namespace, "name": name})
        );
    }
    let (code, made) = cluster.post(SERVICES, &at("s", "10.43.7.7"));
    assert_eq!(code, 201, "{made}");
    let path = format!("{ADDRESSES}/10.43.7.7");
    cluster.eventually("its address", |cluster| cluster.get(&path).0 == 200);
    let (_, address) = cluster.get(&path);
    assert_eq!(
        address["metadata"]["labels"],
        json!({"ipaddress.kubernetes.io/ip-family": "IPv4", "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"})
    );
    let table = cluster.kubectl(&["get", "ipaddress", "10.43.7.7"]).ok();
    assert!(table.contains("services/default/s"), "{table}");
    // It cannot be given away, and comes back when it is taken away.
    let foreign =
        json!({"metadata": {"name": "10.43.7.7"}, "spec": {"parentRef": {"resource": "x", "name": "x"}}});
    assert_eq!(cluster.post(ADDRESSES, &foreign).0, 409);
    let uid = address["metadata"]["uid"].clone();
    assert_eq!(cluster.delete(&path, &json!({})).0, 200);
    cluster.eventually("another one", |cluster| {
        let (code, now) = cluster.get(&path);
        code == 200 && now["metadata"]["uid"] != uid
    });
    // Another Service has it at once when the first is gone, and then the address is that one's.
    assert_eq!(cluster.delete(&format!("{SERVICES}/s"), &json!({})).0, 200);
    let (code, made) = cluster.post(SERVICES, &at("t", "10.43.7.7"));
    assert_eq!(code, 201, "{made}");
    cluster.eventually("the new parent", |cluster| {
        cluster.get(&path).1["spec"]["parentRef"]["name"] == "t"
    });
    assert_eq!(cluster.delete(&format!("{SERVICES}/t"), &json!({})).0, 200);
    cluster.eventually("it is free", |cluster| cluster.get(&path).0 == 404);
    // What somebody else has is not given out.
    assert_eq!(cluster.post(ADDRESSES, &foreign).0, 201);
    let (code, refused) = cluster.post(SERVICES, &at("t", "10.43.7.7"));
    assert_eq!(code, 422, "{refused}");
}

#[test]
fn a_range_stays_while_its_addresses_are_taken() {
    let cluster = Cluster::start();
    let path = format!("{CIDRS}/more");
    let more = json!({"metadata": {"name": "more"}, "spec": {"cidrs": ["10.77.0.0/24"]}});
    let (code, refused) = cluster.post(SERVICES, &at("s", "10.77.0.7"));
    assert_eq!(code, 422, "{refused}");
    assert_eq!(cluster.post(CIDRS, &more).0, 201);
    cluster.eventually("it is ready", |cluster| {
        let (_, cidr) = cluster.get(&path);
        condition(cluster, "more").0 == "True"
            && cidr["metadata"]["finalizers"] == json!(["networking.k8s.io/service-cidr-finalizer"])
    });
    let (code, made) = cluster.post(SERVICES, &at("s", "10.77.0.7"));
    assert_eq!(code, 201, "{made}");
    assert_eq!(cluster.delete(&path, &json!({})).0, 200);
    cluster.eventually("it waits", |cluster| {
        condition(cluster, "more") == (json!("False"), json!("Terminating"))
    });
    assert_eq!(cluster.post(SERVICES, &at("u", "10.77.0.8")).0, 422);
    assert_eq!(cluster.delete(&format!("{SERVICES}/s"), &json!({})).0, 200);
    cluster.eventually("it is gone", |cluster| cluster.get(&path).0 == 404);
}

#[test]
fn what_is_wrong_with_a_range_is_told_in_events() {
    let mut cluster = Cluster::start();
    let events = |cluster: &Cluster, reason: &str| -> Vec<Value> {
        let path = format!("/api/v1/namespaces/default/events?fieldSelector=reason={reason}");
        cluster.get(&path).1["items"].as_array().unwrap().clone()
    };
    // The controller may write statuses no more.
    let path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:controller:service-cidrs-controller";
    let (_, mut role) = cluster.get(path);
    let rules = role["rules"].as_array_mut().unwrap();
    let before = rules.len();
    rules.retain(|rule| rule["resources"] != json!(["servicecidrs/status"]));
    assert_eq!(rules.len(), before - 1);
    let json = [("content-type", "application/json")];
    let (code, _) = cluster.request(http::Method::PUT, path, &json, role.to_string().as_bytes());
    assert_eq!(code, 200);
    let more = json!({"metadata": {"name": "more"}, "spec": {"cidrs": ["10.77.0.0/24"]}});
    assert_eq!(cluster.post(CIDRS, &more).0, 201);
    let reason = "KubernetesServiceCIDRError";
    cluster.eventually(reason, |cluster| !events(cluster, reason).is_empty());
    let event = &events(&cluster, reason)[0];
    assert_eq!(
        event["message"],
        "The ServiceCIDR Status can not be set to Ready=True"
    );
    assert_eq!(event["type"], "Warning");
    assert_eq!(event["source"]["component"], "service-cidr-controller");
    assert_eq!(
        (&event["involvedObject"]["kind"], &event["involvedObject"]["name"]),
        (&json!("ServiceCIDR"), &json!("more"))
    );
    // The configuration says something else than it did.
    cluster.stop();
    cluster.config.service_cidrs = vec!["10.42.0.0/15".to_owned()];
    cluster.resume();
    let reason = "KubernetesDefaultServiceCIDRInconsistent";
    cluster.eventually(reason, |cluster| !events(cluster, reason).is_empty());
    let event = &events(&cluster, reason)[0];
    assert_eq!(
        event["message"],
        "The default ServiceCIDR [10.43.0.0/16] does not match the controller flag configurations [10.42.0.0/15]"
    );
    assert_eq!(event["source"]["component"], "kubernetes-service-cidr-controller");
}
