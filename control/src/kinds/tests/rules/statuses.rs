//! What a status may say, and texts that Go holds by pointer: an empty one is not none.

use super::*;

/// Complaints about a status in the place of another, after the defaults of both.
fn told(group: &str, plural: &str, mut old: Value, status: Value) -> Vec<String> {
    let kind = find(group, "v1", plural)
        .or_else(|| find(group, "v2", plural))
        .unwrap_or_else(|| panic!("{plural}"));
    crate::kinds::default(kind, &mut old);
    let mut new = old.clone();
    new["status"] = status;
    let errors = kind.strategy.validate_update(Some("status"), &old, &new);
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn of_pods() {
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let address = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
    let status = |status| told("", "pods", pod.clone(), status);
    assert_eq!(
        status(json!({"podIPs": [{"ip": "1"}]})),
        [format!("status.podIPs[0]: Invalid value: \"1\": {address}")]
    );
    assert_eq!(
        status(json!({"podIPs": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]})),
        [
            "status.podIPs: Invalid value: \"10.0.0.1,10.0.0.2\": may specify no more than one IP for each IP family"
        ]
    );
    assert_eq!(
        status(json!({"hostIP": "10.0.0.1", "hostIPs": [{"ip": "10.0.0.2"}]})),
        ["status.hostIPs[0].ip: Invalid value: \"10.0.0.2\": must be equal to `hostIP`"]
    );
    let dual = json!([{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]);
    let both = json!({"hostIP": "10.0.0.1", "hostIPs": dual, "podIPs": dual, "nominatedNodeName": "n"});
    assert!(status(both).is_empty());
    assert_eq!(status(json!({"nominatedNodeName": "-n"})).len(), 1);
    let conditions = status(json!({"conditions": [{"type": "Ready"}, {"type": ""}]}));
    assert!(conditions[0].starts_with("metadata.conditions[1].Type: Invalid value: \"\""));
}

#[test]
fn of_what_is_reached_by_a_load_balancer() {
    let rule = json!({"metadata": {"name": "i"}, "spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}});
    let at = |points| {
        told(
            "networking.k8s.io",
            "ingresses",
            rule.clone(),
            json!({"loadBalancer": {"ingress": points}}),
        )
    };
    assert!(at(json!([{"ip": "10.0.0.1"}, {"hostname": "a.b"}])).is_empty());
    assert_eq!(
        at(json!([{"ip": "a"}, {"hostname": "1.2.3.4"}])),
        [
            "status.loadBalancer.ingress[0].ip: Invalid value: \"a\": must be a valid IP address, (e.g. 10.9.8.7 or \
             2001:db8::ffff)",
            "status.loadBalancer.ingress[1].hostname: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address",
        ]
    );
}

#[test]
fn of_workloads() {
    let template =
        json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let mut workload = json!({"metadata": {"name": "w"}, "status": {"collisionCount": 2},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "serviceName": "s", "template": template}});
    let many = json!({"replicas": 2, "availableReplicas": 2, "readyReplicas": 1, "collisionCount": 1});
    let lower = "status.collisionCount: Invalid value: 1: cannot be decremented";
    for (plural, than) in [
        ("deployments", "readyReplicas"),
        ("statefulsets", "status.readyReplicas"),
    ] {
        assert_eq!(
            told("apps", plural, workload.clone(), many.clone()),
            [
                &format!("status.availableReplicas: Invalid value: 2: cannot be greater than {than}"),
                lower
            ]
        );
    }
    let counts = json!({"currentNumberScheduled": 0, "collisionCount": 1, "observedGeneration": -1});
    assert_eq!(
        told("apps", "daemonsets", workload.clone(), counts),
        [
            "status.observedGeneration: Invalid value: -1: must be greater than or equal to 0",
            lower
        ]
    );
    workload["status"] = json!({});
    let fine = json!({"replicas": 2, "availableReplicas": 1, "readyReplicas": 1, "collisionCount": 1});
    assert!(told("apps", "deployments", workload, fine).is_empty());
    let scaler = json!({"metadata": {"name": "h"}, "spec": {"maxReplicas": 1, "scaleTargetRef": {"kind": "K", "name": "n"}}});
    assert_eq!(
        told(
            "autoscaling",
            "horizontalpodautoscalers",
            scaler,
            json!({"desiredReplicas": -1})
        ),
        ["status.desiredReplicas: Invalid value: -1: must be greater than or equal to 0"]
    );
}

#[test]
fn what_is_empty_by_pointer_is_there() {
    let scaler = |rules: Value| {
        let spec = json!({"maxReplicas": 1, "scaleTargetRef": {"kind": "K", "name": "n"}, "behavior": {"scaleDown": rules}});
        let v2 = find("autoscaling", "v2", "horizontalpodautoscalers").unwrap();
        let mut object = json!({"metadata": {"name": "h"}, "spec": spec});
        v2.strategy.default(&mut object);
        let errors = v2.strategy.validate_create(&object);
        errors.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let path = "spec.behavior.scaleDown";
    assert!(scaler(json!({"selectPolicy": null, "policies": null})).is_empty());
    assert_eq!(
        scaler(json!({"selectPolicy": ""})),
        [format!(
            "{path}.selectPolicy: Unsupported value: \"\": supported values: \"Disabled\", \"Max\", \"Min\""
        )]
    );
    assert_eq!(
        scaler(json!({"policies": []})),
        [format!(
            "{path}.policies: Required value: must specify at least one Policy"
        )]
    );
    let slice = json!({"metadata": {"name": "s"}, "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"], "hostname": "", "nodeName": ""}],
        "ports": [{"port": 80, "protocol": "", "appProtocol": ""}]});
    let fields: Vec<String> = new("discovery.k8s.io", "endpointslices", slice)
        .iter()
        .filter_map(|complaint| complaint.split(": ").next().map(str::to_owned))
        .collect();
    for field in [
        "endpoints[0].hostname",
        "endpoints[0].nodeName",
        "ports[0].protocol",
        "ports[0].appProtocol",
    ] {
        assert!(fields.iter().any(|one| one == field), "{field}: {fields:?}");
    }
    let pod = json!({"metadata": {"name": "p"}, "spec": {"runtimeClassName": "", "hostname": "",
        "containers": [{"name": "c", "image": "i"}]}});
    let complaints = new("", "pods", pod);
    assert!(
        complaints
            .iter()
            .all(|one| one.starts_with("spec.runtimeClassName: ")),
        "{complaints:?}"
    );
    assert!(!complaints.is_empty());
}

/// What isolates all pods of a namespace is written by leaving everything out.
#[test]
fn a_policy_without_a_spec_has_one() {
    let kind = find("networking.k8s.io", "v1", "networkpolicies").unwrap();
    let mut policy = json!({"metadata": {"name": "p"}});
    crate::kinds::default(kind, &mut policy);
    assert_eq!(
        policy["spec"],
        json!({"podSelector": {}, "policyTypes": ["Ingress"]})
    );
    assert!(kind.strategy.validate_create(&policy).is_empty());
}

#[test]
fn updates_are_complained_of_as_creates_are() {
    let attachment = json!({"metadata": {"name": "v"}, "spec": {"attacher": "a", "nodeName": "n", "source": {"persistentVolumeName": "v"}}});
    let complaints = changed("storage.k8s.io", "volumeattachments", attachment, |new| {
        new["spec"]["attacher"] = "".into();
    });
    assert_eq!(
        complaints.first().map(String::as_str),
        Some("spec.attacher: Required value")
    );
    assert!(
        complaints
            .last()
            .is_some_and(|last| last.ends_with(": field is immutable")),
        "{complaints:?}"
    );
    let v1 = find("autoscaling", "v1", "horizontalpodautoscalers").unwrap();
    let mut scaler = json!({"metadata": {"name": "h"}, "spec": {"maxReplicas": 1, "scaleTargetRef": {"kind": "K", "name": "n"}}});
    let counts = json!({"currentReplicas": 0, "desiredReplicas": 0});
    v1.strategy.default(&mut scaler);
    assert_eq!(scaler["status"], counts);
    v1.strategy.prepare_create(&mut scaler);
    assert_eq!(scaler["status"], counts, "as the client would have it");
}

#[test]
fn what_the_schema_requires_is_there() {
    for (group, plural, field) in [
        ("scheduling.k8s.io", "priorityclasses", "value"),
        ("apps", "controllerrevisions", "revision"),
    ] {
        let mut object = json!({"metadata": {"name": "a"}});
        find(group, "v1", plural).unwrap().strategy.default(&mut object);
        assert_eq!(object[field], 0, "{plural}");
    }
}

#[test]
fn overhead_is_of_what_a_container_has() {
    let class = |fixed| {
        let class = json!({"metadata": {"name": "r"}, "handler": "h", "overhead": {"podFixed": fixed}});
        new("node.k8s.io", "runtimeclasses", class)
    };
    assert!(class(json!({"cpu": "1m", "example.com/d": "1"})).is_empty());
    assert_eq!(
        class(json!({"storage": "1", "cpu": "-1"})),
        [
            "overhead.limits[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
            "overhead.limits[storage]: Invalid value: \"storage\": must be a standard resource for containers",
        ]
    );
}

#[test]
fn amounts_of_what_there_are_whole_ones_of() {
    let quota = |hard| {
        new(
            "",
            "resourcequotas",
            json!({"metadata": {"name": "q"}, "spec": {"hard": hard}}),
        )
    };
    assert!(quota(json!({"count/pods": "2", "requests.cpu": "1m", "a.kubernetes.io/b": "1m"})).is_empty());
    assert_eq!(
        quota(json!({"count/pods": "1m"})),
        ["spec.hard[count/pods]: Invalid value: \"1m\": must be an integer"]
    );
}
