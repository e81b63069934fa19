use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::backends::backends;
use super::{legacy, slices};
use crate::controllers::model::{EndpointSlice, Pod, Service};

fn service(edit: impl FnOnce(&mut Value)) -> Service {
    let mut value = json!({
        "metadata": {"name": "web", "namespace": "default", "uid": "s", "labels": {"app": "web"}},
        "spec": {"type": "ClusterIP", "clusterIP": "10.43.0.7", "ipFamilies": ["IPv4"],
            "selector": {"app": "web"},
            "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": "http"}]},
    });
    edit(&mut value);
    serde_json::from_value(value).unwrap()
}

fn pod(number: usize, edit: impl FnOnce(&mut Value)) -> Arc<Pod> {
    let ip = format!("10.42.{}.{}", number / 200, number % 200 + 1);
    let mut value = json!({
        "metadata": {"name": format!("web-{number}"), "namespace": "default", "uid": format!("u{number:04}"),
            "labels": {"app": "web"}},
        "spec": {"nodeName": "n1", "containers": [{"name": "a", "ports": [{"name": "http", "containerPort": 8080}]}]},
        "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}],
            "conditions": [{"type": "Ready", "status": "True"}]},
    });
    edit(&mut value);
    Arc::new(serde_json::from_value(value).unwrap())
}

fn plan(service: &Service, pods: &[Arc<Pod>], existing: &[Arc<EndpointSlice>]) -> slices::Plan {
    let selector = service.spec.selector.clone().unwrap();
    let zones = HashMap::from([("n1".to_owned(), "z1".to_owned())]);
    slices::plan(service, &backends(service, &selector, pods), existing, &zones)
}

/// The slices after the plan, as the API would hold them.
fn apply(
    plan: slices::Plan,
    existing: &[Arc<EndpointSlice>],
    counter: &mut usize,
) -> Vec<Arc<EndpointSlice>> {
    let mut slices = existing.to_vec();
    slices.retain(|slice| !plan.delete.contains(&slice.metadata.name));
    for draft in plan.create {
        *counter += 1;
        let mut body = draft.body();
        body["metadata"]["name"] = json!(format!("web-{counter}"));
        slices.push(Arc::new(serde_json::from_value(body).unwrap()));
    }
    for draft in plan.update {
        let new: EndpointSlice = serde_json::from_value(draft.body()).unwrap();
        let slot = slices
            .iter_mut()
            .find(|slice| slice.metadata.name == new.metadata.name)
            .unwrap();
        *slot = Arc::new(new);
    }
    slices
}

#[test]
fn a_slice_as_upstream_writes_it() {
    let terminating = |p: &mut Value| p["metadata"]["deletionTimestamp"] = json!("2024-01-01T00:00:00Z");
    let named = |p: &mut Value| {
        p["spec"]["hostname"] = json!("zero");
        p["spec"]["subdomain"] = json!("web");
    };
    let plan = plan(&service(|_| {}), &[pod(0, named), pod(1, terminating)], &[]);
    let created: Vec<_> = plan.create.into_iter().map(slices::Draft::body).collect();
    assert_eq!(
        created,
        [json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"generateName": "web-", "namespace": "default",
                "labels": {"app": "web", "kubernetes.io/service-name": "web",
                    "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"},
                "ownerReferences": [{"apiVersion": "v1", "kind": "Service", "name": "web", "uid": "s",
                    "controller": true, "blockOwnerDeletion": true}]},
            "addressType": "IPv4",
            "endpoints": [
                {"addresses": ["10.42.0.1"], "conditions": {"ready": true, "serving": true, "terminating": false},
                    "targetRef": {"kind": "Pod", "namespace": "default", "name": "web-0", "uid": "u0000"},
                    "nodeName": "n1", "zone": "z1", "hostname": "zero"},
                {"addresses": ["10.42.0.2"], "conditions": {"ready": false, "serving": true, "terminating": true},
                    "targetRef": {"kind": "Pod", "namespace": "default", "name": "web-1", "uid": "u0001"},
                    "nodeName": "n1", "zone": "z1"}],
            "ports": [{"name": "http", "protocol": "TCP", "port": 8080}],
        })]
    );
}

#[test]
fn no_endpoints_leaves_one_empty_slice() {
    let (web, mut counter) = (service(|_| {}), 0);
    let slices = apply(plan(&web, &[], &[]), &[], &mut counter);
    assert_eq!((slices.len(), slices[0].endpoints.len()), (1, 0));
    let again = plan(&web, &[], &slices);
    assert!(
        again.create.is_empty() && again.update.is_empty() && again.delete.is_empty(),
        "{again:?}"
    );
    let slices = apply(plan(&web, &[pod(0, |_| {})], &slices), &slices, &mut counter);
    assert_eq!((slices.len(), slices[0].endpoints.len()), (1, 1));
    let slices = apply(plan(&web, &[], &slices), &slices, &mut counter);
    assert_eq!((slices.len(), slices[0].endpoints.len()), (1, 0));
}

#[test]
fn endpoints_object() {
    let unready = |p: &mut Value| p["status"]["conditions"] = json!([]);
    let other_port = |p: &mut Value| p["spec"]["containers"][0]["ports"][0]["containerPort"] = json!(9090);
    let web = service(|_| {});
    let pods = [pod(0, |_| {}), pod(1, unready), pod(2, other_port)];
    let backends = backends(&web, web.spec.selector.as_ref().unwrap(), &pods);
    let body = legacy::desired(&web, &backends, None).unwrap();
    assert_eq!(
        body["subsets"],
        json!([
            {"addresses": [{"ip": "10.42.0.1", "nodeName": "n1",
                "targetRef": {"kind": "Pod", "namespace": "default", "name": "web-0", "uid": "u0000"}}],
             "notReadyAddresses": [{"ip": "10.42.0.2", "nodeName": "n1",
                "targetRef": {"kind": "Pod", "namespace": "default", "name": "web-1", "uid": "u0001"}}],
             "ports": [{"name": "http", "protocol": "TCP", "port": 8080}]},
            {"addresses": [{"ip": "10.42.0.3", "nodeName": "n1",
                "targetRef": {"kind": "Pod", "namespace": "default", "name": "web-2", "uid": "u0002"}}],
             "ports": [{"name": "http", "protocol": "TCP", "port": 9090}]},
        ])
    );
    let stored = serde_json::from_value(body).unwrap();
    assert!(legacy::desired(&web, &backends, Some(&stored)).is_none());
}

#[test]
fn readiness_can_be_ignored_and_numbers_are_targets() {
    let web = service(|s| {
        s["spec"]["publishNotReadyAddresses"] = json!(true);
        s["spec"]["clusterIP"] = json!("None");
        s["spec"]["ports"] = json!([{"port": 80, "protocol": "UDP", "targetPort": 53}]);
    });
    let created = plan(&web, &[pod(0, |p| p["status"]["conditions"] = json!([]))], &[])
        .create
        .remove(0)
        .body();
    assert_eq!(
        created["endpoints"][0]["conditions"],
        json!({"ready": true, "serving": false, "terminating": false})
    );
    assert_eq!(
        created["ports"],
        json!([{"name": "", "protocol": "UDP", "port": 53}])
    );
    assert_eq!(
        created["metadata"]["labels"]["service.kubernetes.io/headless"],
        ""
    );
}

/// Every pod with ports of its own, or looking for each of them among the pod's, would be gigabytes and minutes.
#[test]
fn very_many_ports_are_there_once() {
    const MANY: usize = 20_000;
    let web = service(|s| {
        let port = |number: usize| json!({"name": format!("p{number}"), "port": number + 1, "targetPort": format!("p{}", number % 2)});
        s["spec"]["ports"] = (0..MANY).map(port).collect();
    });
    let many_ports = |odd: i32| {
        move |p: &mut Value| {
            let others = (0..MANY).map(|number| json!({"name": format!("o{number}"), "containerPort": 1}));
            let named = (0..2)
                .map(|number| json!({"name": format!("p{number}"), "containerPort": 8080 + number * odd}));
            p["spec"]["containers"][0]["ports"] = others.chain(named).collect();
        }
    };
    let (even, odd) = (pod(0, many_ports(0)), pod(1, many_ports(1)));
    let pods: Vec<_> = (0..40)
        .map(|number| {
            let mut pod = Pod::clone(if number % 2 == 0 { &even } else { &odd });
            pod.metadata.uid = format!("u{number:04}");
            Arc::new(pod)
        })
        .collect();
    let backends = backends(&web, web.spec.selector.as_ref().unwrap(), &pods);
    let lists: Vec<_> = backends
        .iter()
        .map(|(ports, pods)| (ports.len(), pods.len()))
        .collect();
    assert_eq!(lists, [(MANY, 20), (MANY, 20)]);
    let mut counter = 0;
    let slices = apply(plan(&web, &pods, &[]), &[], &mut counter);
    assert_eq!(slices.len(), 2);
    let again = plan(&web, &pods, &slices);
    assert!(again.create.is_empty() && again.update.is_empty() && again.delete.is_empty());
}

proptest! {
    /// However the pods change, the slices hold exactly the pods, no slice has more than 100, and a second look
    /// finds nothing to do.
    #[test]
    fn slices_follow_the_pods(rounds in prop::collection::vec((0usize..300, 0usize..300, any::<bool>()), 1..6)) {
        let (web, mut slices, mut counter) = (service(|_| {}), Vec::new(), 0);
        for (from, count, odd_port) in rounds {
            let pods: Vec<_> = (from..from + count).map(|number| pod(number, |p| {
                if odd_port && number % 2 == 1 {
                    p["spec"]["containers"][0]["ports"][0]["containerPort"] = json!(9090);
                }
            })).collect();
            slices = apply(plan(&web, &pods, &slices), &slices, &mut counter);
            let mut seen: Vec<String> = slices.iter().flat_map(|slice| &slice.endpoints)
                .map(|endpoint| endpoint["targetRef"]["uid"].as_str().unwrap().to_owned()).collect();
            seen.sort();
            let expected: Vec<String> = pods.iter().map(|pod| pod.metadata.uid.clone()).collect();
            prop_assert_eq!(seen, expected);
            prop_assert!(slices.iter().all(|slice| slice.endpoints.len() <= 100));
            let again = plan(&web, &pods, &slices);
            prop_assert!(again.create.is_empty() && again.update.is_empty() && again.delete.is_empty());
        }
    }
}
