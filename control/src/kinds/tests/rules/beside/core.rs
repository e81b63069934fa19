//! Other kinds of the core group.

use super::*;

#[test]
fn an_empty_text_is_none_of_a_few() {
    assert_eq!(
        super::pods::pod(
            &json!({"preemptionPolicy": "", "securityContext": {"fsGroupChangePolicy": ""}, "os": {"name": "dos"}})
        ),
        [
            "spec.os: Unsupported value: \"dos\": supported values: \"linux\", \"windows\"",
            "spec.preemptionPolicy: Required value",
            "spec.securityContext.fsGroupChangePolicy: Unsupported value: \"\": supported values: \"Always\", \
             \"OnRootMismatch\"",
        ]
    );
    let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1"}}, "volumeMode": ""});
    assert_eq!(
        new(
            "",
            "persistentvolumeclaims",
            json!({"metadata": {"name": "c"}, "spec": spec})
        ),
        ["spec.volumeMode: Unsupported value: \"\": supported values: \"Block\", \"Filesystem\""]
    );
    let class = json!({"metadata": {"name": "c"}, "value": 1, "preemptionPolicy": ""});
    assert_eq!(
        new("scheduling.k8s.io", "priorityclasses", class),
        ["preemptionPolicy: Required value"]
    );
    let rule = json!({"podSelector": {}, "ingress": [{"ports": [{"port": 1, "protocol": ""}]}]});
    let policy = json!({"metadata": {"name": "p"}, "spec": rule});
    assert_eq!(new("networking.k8s.io", "networkpolicies", policy).len(), 1);
}

#[test]
fn a_claims_source_is_said_twice() {
    let settled = |spec: Value| {
        let mut claim = json!({"metadata": {"name": "c"}, "spec": spec});
        find("", "v1", "persistentvolumeclaims")
            .unwrap()
            .strategy
            .prepare_create(&mut claim);
        (
            claim["spec"]["dataSource"].take(),
            claim["spec"]["dataSourceRef"].take(),
        )
    };
    let claim = json!({"kind": "PersistentVolumeClaim", "name": "a"});
    let other = json!({"apiGroup": "a.b", "kind": "K", "name": "a"});
    let elsewhere = json!({"kind": "PersistentVolumeClaim", "name": "a", "namespace": "n"});
    assert_eq!(
        settled(json!({"dataSource": claim})),
        (claim.clone(), claim.clone())
    );
    assert_eq!(
        settled(json!({"dataSource": {"name": "a"}})),
        (Value::Null, Value::Null)
    );
    assert_eq!(
        settled(json!({"dataSourceRef": other})),
        (other.clone(), other.clone())
    );
    assert_eq!(
        settled(json!({"dataSourceRef": elsewhere})),
        (Value::Null, Value::Null),
        "the gate is off"
    );
    let base = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1"}}});
    let errors = |one: &Value, two: &Value| {
        let mut spec = base.clone();
        spec["dataSource"] = one.clone();
        spec["dataSourceRef"] = two.clone();
        new(
            "",
            "persistentvolumeclaims",
            json!({"metadata": {"name": "c"}, "spec": spec}),
        )
    };
    assert_eq!(
        errors(&claim, &other),
        ["spec: Invalid value: \"spec.dataSource\": must match dataSourceRef"]
    );
    assert_eq!(errors(&claim, &elsewhere).len(), 1);
    // Stored before there were two fields.
    let mut spec = base.clone();
    spec["dataSource"] = claim;
    let old = json!({"metadata": {"name": "c"}, "spec": spec, "status": {"phase": "Bound"}});
    let change = |change: &dyn Fn(&mut Value)| {
        changed("", "persistentvolumeclaims", old.clone(), |new| {
            change(new);
            let strategy = &find("", "v1", "persistentvolumeclaims").unwrap().strategy;
            strategy.prepare_update(None, &old, new);
        })
    };
    assert_eq!(change(&|new| new["metadata"]["finalizers"] = json!([])), [""; 0]);
    assert_eq!(
        change(&|new| new["spec"]["resources"]["requests"]["storage"] = "2".into()),
        [""; 0]
    );
    assert_eq!(
        change(&|new| new["spec"]["resources"]["limits"] = json!({"storage": "2"})).len(),
        1
    );
}

#[test]
fn a_limit_range_complains_once_of_a_type() {
    let range = |limit: Value| {
        new(
            "",
            "limitranges",
            json!({"metadata": {"name": "r"}, "spec": {"limits": [limit]}}),
        )
    };
    let errors = range(json!({"type": "-"}));
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(
        range(json!({"type": "PersistentVolumeClaim"})),
        [
            "spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided"
        ]
    );
}

#[test]
fn finalizers_of_namespaces_say_whose_they_are() {
    let kind = find("", "v1", "namespaces").unwrap();
    let namespace = json!({"metadata": {"name": "n"}, "spec": {"finalizers": ["kubernetes", "plain"]}});
    let detail =
        "Invalid value: \"plain\": name is neither a standard finalizer name nor is it fully qualified";
    let texts = |errors: Vec<keelson_api::status::FieldError>| -> Vec<String> {
        errors.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        texts(kind.strategy.validate_create(&namespace)),
        [format!("spec.finalizers: {detail}")]
    );
    assert_eq!(
        texts(
            kind.strategy
                .validate_update(Some("finalize"), &namespace, &namespace)
        ),
        [format!("spec.finalizers[1]: {detail}")]
    );
    let deleted =
        json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {"phase": "Active"}});
    assert_eq!(
        texts(kind.strategy.validate_update(Some("status"), &deleted, &deleted)),
        [
            "status.Phase: Invalid value: \"Active\": may only be 'Terminating' if `deletionTimestamp` is not empty"
        ]
    );
}

#[test]
fn the_single_range_of_a_node_is_the_right_one() {
    let ranges = |spec: Value| {
        let mut node = json!({"metadata": {"name": "n"}, "spec": spec});
        find("", "v1", "nodes").unwrap().strategy.default(&mut node);
        (node["spec"]["podCIDR"].take(), node["spec"]["podCIDRs"].take())
    };
    let both = (json!("10.0.0.0/24"), json!(["10.0.0.0/24"]));
    assert_eq!(
        ranges(json!({"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.1.0/24"]})),
        both
    );
    assert_eq!(ranges(json!({"podCIDR": "10.0.0.0/24"})), both);
    assert_eq!(ranges(json!({"podCIDRs": ["10.0.0.0/24"]})), both);
    let node = json!({"metadata": {"name": "n"}, "spec": {"podCIDRs": ["10.0.0.0/24", "10.0.0.0/24"]}});
    assert_eq!(
        new("", "nodes", node),
        [
            "spec.podCIDRs: Invalid value: []string{\"10.0.0.0/24\", \"10.0.0.0/24\"}: may specify no more than one CIDR for \
             each IP family",
            "spec.podCIDRs[1]: Duplicate value: \"10.0.0.0/24\"",
        ]
    );
}

#[test]
fn a_balancers_health_port_stays() {
    let service = json!({"metadata": {"name": "s"}, "spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local",
        "healthCheckNodePort": 30000, "ports": [{"port": 80}]}});
    let mut wrong = service.clone();
    wrong["spec"]["healthCheckNodePort"] = 70000.into();
    assert_eq!(
        new("", "services", wrong),
        ["spec.healthCheckNodePort: Invalid value: 70000: must be between 1 and 65535, inclusive"]
    );
    assert_eq!(
        changed(
            "",
            "services",
            service,
            |new| new["spec"]["healthCheckNodePort"] = 30001.into()
        ),
        ["spec.healthCheckNodePort: Forbidden: field is immutable"]
    );
}

#[test]
fn events_of_the_new_kind_may_be_about_another_namespace() {
    let event = |namespace: &str, name: &str| {
        let regarding = json!({"kind": "Pod", "namespace": namespace, "name": "p"});
        let mut event = json!({"metadata": {"name": name, "namespace": "d"}, "regarding": regarding, "reason": "r", "type":
            "Normal", "action": "a", "reportingController": "a.b/c", "reportingInstance": "i", "note": "n"});
        event["eventTime"] = "2026-11-28T22:00:00.000000Z".into();
        new("events.k8s.io", "events", event)
    };
    assert_eq!(event("other", "e"), [""; 0]);
    assert_eq!(event("", "e").len(), 1);
    let errors = event("d", "Bad_");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].starts_with("metadata.name: Invalid value: \"Bad_\""));
}

/// Of a hundred thousand mistakes in one list, as many are counted as are told.
#[test]
fn long_lists_of_mistakes_are_not_gone_through() {
    let empty = || json!(vec![""; 100_000]);
    let kind = find("", "v1", "configmaps").unwrap();
    let map = json!({"metadata": {"name": "m", "namespace": "a", "finalizers": empty()}});
    let few = 2..1_100;
    assert!(few.contains(&crate::kinds::metadata::validate_metadata(kind, &map).len()));
    let node = json!({"metadata": {"name": "n"}, "spec": {"podCIDRs": empty()}});
    assert!(few.contains(&new("", "nodes", node).len()));
    let space = json!({"metadata": {"name": "n"}, "spec": {"finalizers": empty()}});
    assert!(few.contains(&new("", "namespaces", space).len()));
    let address = json!({"ip": ""});
    let endpoints = json!({"metadata": {"name": "e"}, "subsets": [{"addresses": vec![address; 50_000],
        "ports": [{"port": 1}]}]});
    assert!(few.contains(&new("", "endpoints", endpoints).len()));
}
