//! Rules that came after 1.20: later fields of pods, and what 1.33 refuses or allows since.

mod pods;

use super::*;

fn pod(spec: &Value) -> Vec<String> {
    let mut pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    for (field, value) in spec.as_object().unwrap() {
        pod["spec"][field] = value.clone();
    }
    new("", "pods", pod)
}

#[test]
fn ephemeral_containers_come_later_and_have_a_few_fields() {
    let old = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}],
        "initContainers": [{"name": "i", "image": "i"}], "volumes": [{"name": "v"}]}});
    let kind = find("", "v1", "pods").unwrap();
    let add = |fields: Value| -> Vec<String> {
        let (mut old, mut container) = (old.clone(), json!({"name": "e", "image": "i"}));
        for (field, value) in fields.as_object().unwrap() {
            container[field] = value.clone();
        }
        crate::kinds::default(kind, &mut old);
        let mut new = old.clone();
        new["spec"]["ephemeralContainers"] = json!([container]);
        crate::kinds::default(kind, &mut new);
        let errors = kind
            .strategy
            .validate_update(Some("ephemeralcontainers"), &old, &new);
        errors.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        add(
            json!({"targetContainerName": "i", "command": ["sh"], "env": [{"name": "A"}], "tty": true, "stdin": true,
            "resources": {}, "securityContext": {"privileged": true},
            "volumeMounts": [{"name": "v", "mountPath": "/v"}]})
        ),
        [""; 0]
    );
    let path = "spec.ephemeralContainers[0]";
    for (field, value) in [
        ("resources", json!({"limits": {"cpu": "1"}})),
        (
            "resizePolicy",
            json!([{"resourceName": "cpu", "restartPolicy": "NotRequired"}]),
        ),
        ("restartPolicy", json!("Always")),
        ("lifecycle", json!({"preStop": {"sleep": {"seconds": 1}}})),
        ("ports", json!([{"containerPort": 1}])),
    ] {
        assert_eq!(
            add(json!({field: value})),
            [format!(
                "{path}.{field}: Forbidden: cannot be set for an Ephemeral Container"
            )],
        );
    }
    assert_eq!(
        add(json!({"volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "a"}]})),
        [format!(
            "{path}.volumeMounts[0].subPath: Forbidden: cannot be set for an Ephemeral Container"
        )]
    );
}

#[test]
fn a_gated_pod_has_no_node() {
    let gated = json!({"schedulingGates": [{"name": "a.b/c"}], "nodeName": "n"});
    assert_eq!(
        pod(&gated),
        ["spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"]
    );
}

#[test]
fn only_pods_take_ports_of_the_host() {
    let spec = json!({"hostNetwork": true, "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}]});
    let port = |group: &str, plural: &str, mut object: Value, pointer: &str| {
        find(group, "v1", plural).unwrap().strategy.default(&mut object);
        object.pointer(pointer).unwrap()["containers"][0]["ports"][0]["hostPort"].clone()
    };
    assert_eq!(port("", "pods", json!({"spec": spec}), "/spec"), 80);
    let template = json!({"spec": {"template": {"spec": spec}}});
    assert_eq!(
        port("apps", "daemonsets", template, "/spec/template/spec"),
        Value::Null
    );
}

#[test]
fn a_claim_asks_for_less_again_but_not_for_less_than_there_is() {
    let old = json!({"metadata": {"name": "c"}, "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}, "spec":
        {"accessModes": ["ReadWriteOnce"], "volumeName": "v", "resources": {"requests": {"storage": "10Gi"}}}});
    let ask = |amount: &str| {
        changed("", "persistentvolumeclaims", old.clone(), |new| {
            new["spec"]["resources"]["requests"]["storage"] = amount.into();
        })
    };
    assert_eq!(ask("2Gi"), [""; 0]);
    for amount in ["1Gi", "1"] {
        assert_eq!(
            ask(amount),
            ["spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"]
        );
    }
}

#[test]
fn a_volume_tells_since_when_it_has_its_phase() {
    const FIELD: &str = "lastPhaseTransitionTime";
    let strategy = &find("", "v1", "persistentvolumes").unwrap().strategy;
    let mut made = json!({"metadata": {"name": "v"}, "spec": {}, "status": {"phase": "Bound", FIELD: "1"}});
    strategy.prepare_create(&mut made);
    assert_eq!(made["status"]["phase"], "Pending");
    assert!(made["status"][FIELD].as_str().is_some_and(|time| time.len() > 10));
    let change = |status: Value| {
        let old = json!({"spec": {}, "status": {"phase": "Pending", FIELD: "2000-01-01T00:00:00Z"}});
        let mut new = json!({"spec": {}, "status": status});
        strategy.prepare_update(Some("status"), &old, &mut new);
        new["status"][FIELD].clone()
    };
    let before = "2000-01-01T00:00:00Z";
    assert_eq!(change(json!({"phase": "Pending", FIELD: before})), before);
    for status in [
        json!({"phase": "Bound"}),
        json!({"phase": "Bound", FIELD: before}),
    ] {
        let now = change(status);
        assert!(now.as_str().is_some_and(|now| now > before), "{now}");
    }
    let told = "2001-01-01T00:00:00Z";
    assert_eq!(change(json!({"phase": "Bound", FIELD: told})), told);
}

#[test]
fn claims_that_live_with_their_pod() {
    let claim = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    let volumes = |ephemeral: Value| pod(&json!({"volumes": [{"name": "v", "ephemeral": ephemeral}]}));
    let of = |spec: &Value, metadata: Value| {
        volumes(json!({"volumeClaimTemplate": {"metadata": metadata, "spec": spec}}))
    };
    let path = "spec.volumes[0].ephemeral.volumeClaimTemplate";
    let labelled = json!({"labels": {"a": "b"}, "creationTimestamp": null});
    assert_eq!(of(&claim, labelled), [""; 0]);
    assert_eq!(volumes(json!({})), [format!("{path}: Required value")]);
    assert_eq!(
        volumes(json!({"volumeClaimTemplate": {}})),
        [
            format!("{path}.spec.accessModes: Required value: at least 1 access mode is required"),
            format!("{path}.spec.resources[storage]: Required value"),
        ]
    );
    assert_eq!(
        of(&claim, json!({"name": "n", "annotations": {"-": ""}}))
            .iter()
            .map(|error| error.split(": ").next().unwrap())
            .collect::<Vec<_>>(),
        [
            format!("{path}.metadata.annotations"),
            format!("{path}.metadata.name")
        ]
    );
    // Names come of the pod's and the volume's.
    let named = |pod: &str, more: Value| {
        let volume = json!({"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": claim}}});
        let volumes = json!([volume, more]);
        let spec = json!({"containers": [{"name": "c", "image": "i"}], "volumes": volumes});
        new("", "pods", json!({"metadata": {"name": pod}, "spec": spec}))
    };
    assert_eq!(
        named(
            "p",
            json!({"name": "w", "persistentVolumeClaim": {"claimName": "p-v"}})
        ),
        [
            "spec.volumes[1].persistentVolumeClaim.claimName: Invalid value: \"p-v\": must not reference a PVC that gets \
             created for an ephemeral volume"
        ]
    );
    let long = "a".repeat(252);
    assert_eq!(
        named(&long, json!({"name": "w"})),
        [format!(
            "spec.volumes[0].name: Invalid value: \"v\": PVC name \"{long}-v\": must be no more than 253 bytes"
        )]
    );
}

#[test]
fn jobs_that_succeed_early() {
    let policy = |policy: Value| {
        let template =
            json!({"spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}});
        let spec = json!({"completionMode": "Indexed", "completions": 5, "template": template, "successPolicy": policy});
        let job = json!({"metadata": {"name": "c"}, "spec": {"schedule": "@hourly", "jobTemplate": {"spec": spec}}});
        new("batch", "cronjobs", job)
    };
    let path = "spec.jobTemplate.spec.successPolicy.rules";
    let rule = |rule: Value| policy(json!({"rules": [rule]}));
    assert_eq!(
        rule(json!({"succeededIndexes": "0,2-4", "succeededCount": 4})),
        [""; 0]
    );
    assert_eq!(
        policy(json!({})),
        [format!(
            "{path}: Required value: at least one rules must be specified when the successPolicy is specified"
        )]
    );
    let many = vec![json!({"succeededCount": 1}); 21];
    assert_eq!(
        policy(json!({"rules": many})),
        [format!("{path}: Too many: 21: must have at most 20 items")]
    );
    assert_eq!(
        rule(json!({})),
        [format!(
            "{path}[0]: Required value: at least one of succeededCount or succeededIndexes must be specified"
        )]
    );
    assert_eq!(
        rule(json!({"succeededIndexes": "0-1", "succeededCount": 6})),
        [
            format!(
                "{path}[0].succeededCount: Invalid value: 6: must be less than or equal to 5 (the number of specified \
                 completions)"
            ),
            format!(
                "{path}[0].succeededCount: Invalid value: 6: must be less than or equal to 2 (the number of indexes in the \
                 specified succeededIndexes field)"
            ),
        ]
    );
    for (indexes, detail) in [
        ("x", "cannot convert string to integer for index: \"x\""),
        ("-1", "cannot convert string to integer for index: \"\""),
        ("0,5", "too large index: \"5\""),
        ("3,1-2", "non-increasing order, previous: 3, current: 1"),
        ("2-2", "non-increasing order, previous: 2, current: 2"),
        (
            "1-2-3",
            "the fragment \"1-2-3\" violates the requirement that an index interval can have at most two parts separated by '-'",
        ),
    ] {
        assert_eq!(
            rule(json!({"succeededIndexes": indexes})),
            [format!(
                "{path}[0].succeededIndexes: Invalid value: \"{indexes}\": error parsing succeededIndexes: {detail}"
            )]
        );
    }
}

#[test]
fn intervals_of_schedules() {
    let every = |schedule: &str| {
        let spec = json!({"template": {"spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}}});
        let job =
            json!({"metadata": {"name": "c"}, "spec": {"schedule": schedule, "jobTemplate": {"spec": spec}}});
        new("batch", "cronjobs", job)
    };
    assert_eq!(every("@every 1h30m"), [""; 0]);
    assert_eq!(
        every("@every nonsense"),
        [
            "spec.schedule: Invalid value: \"@every nonsense\": failed to parse duration @every nonsense: time: invalid \
             duration \"nonsense\""
        ]
    );
}

#[test]
fn slices_count_labels_and_zones() {
    let strategy = &find("discovery.k8s.io", "v1", "endpointslices").unwrap().strategy;
    let old = json!({"metadata": {"generation": 3, "labels": {"a": "b"}}, "endpoints": []});
    for (labels, annotations, generation) in [
        (json!({"a": "b"}), json!({"x": "y"}), 3),
        (json!({"a": "c"}), json!({}), 4),
    ] {
        let mut new = json!({"metadata": {"labels": labels, "annotations": annotations}, "endpoints": []});
        strategy.prepare_update(None, &old, &mut new);
        assert_eq!(new["metadata"]["generation"], generation);
    }
    let zones = |names: &[&str]| {
        let zones: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        let endpoints = json!([{"addresses": ["10.0.0.1"], "hints": {"forZones": zones}}]);
        let slice = json!({"metadata": {"name": "s"}, "addressType": "IPv4", "endpoints": endpoints});
        new("discovery.k8s.io", "endpointslices", slice)
    };
    let path = "endpoints[0].hints.forZones";
    assert_eq!(zones(&["a", "b"]), [""; 0]);
    assert_eq!(
        zones(&["a", "a"]),
        [format!("{path}[1].name: Duplicate value: \"a\"")]
    );
    assert_eq!(
        zones(&["a"; 9]),
        [format!("{path}: Too many: 9: must have at most 8 items")]
    );
}
