//! More of what came after 1.20, or what a comparison of random objects did not find.

use super::*;

fn pod(spec: &Value) -> Vec<String> {
    let mut all = json!({"containers": [{"name": "c", "image": "i"}]});
    for (field, value) in spec.as_object().unwrap() {
        all[field] = value.clone();
    }
    new("", "pods", json!({"metadata": {"name": "p"}, "spec": all}))
}

#[test]
fn gates_have_paths_without_a_field() {
    let told = pod(&json!({"schedulingGates": [{"name": "a"}, {"name": "a"}, {"name": "-"}]}));
    assert_eq!(told[0], "spec.schedulingGates[1]: Duplicate value: \"a\"");
    assert!(
        told[1].starts_with("spec.schedulingGates[2]: Invalid value: \"-\": "),
        "{told:?}"
    );
}

#[test]
fn values_that_no_node_has() {
    let term = json!({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b", "-c"]}]});
    let required = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}});
    let told = pod(&json!({"affinity": required}));
    let path =
        "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]";
    let start = format!("{path}.matchExpressions[0].values[1]: Invalid value: \"-c\": ");
    assert!(told.len() == 1 && told[0].starts_with(&start), "{told:?}");
    let preferred = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": term}]}});
    assert_eq!(pod(&json!({"affinity": preferred})), [""; 0]);
}

#[test]
fn restart_policies_of_containers() {
    let with = |list: &str| pod(&json!({list: [{"name": "x", "image": "i", "restartPolicy": ""}]}));
    assert_eq!(
        with("initContainers"),
        ["spec.initContainers[0].restartPolicy: Unsupported value: \"\": supported values: \"Always\""]
    );
    assert_eq!(
        with("containers"),
        ["spec.containers[0].restartPolicy: Forbidden: may not be set for non-init containers"]
    );
}

#[test]
fn ports_of_the_host_one_after_the_other() {
    let port = json!([{"containerPort": 80, "hostPort": 80}]);
    let two = json!([{"name": "x", "image": "i", "ports": port}, {"name": "y", "image": "i", "ports": port}]);
    assert_eq!(pod(&json!({"initContainers": two})), [""; 0]);
    assert_eq!(
        pod(&json!({"containers": two})),
        ["spec.containers[1].ports[0].hostPort: Duplicate value: \"TCP//80\""]
    );
}

#[test]
fn statuses_of_pods() {
    let kind = find("", "v1", "pods").unwrap();
    let told = |old: Value, new: Value| -> (Vec<String>, Value) {
        let with = |status: Value| {
            let mut pod = json!({"metadata": {"name": "p"}, "status": status,
                "spec": {"containers": [{"name": "c", "image": "i"}]}});
            crate::kinds::default(kind, &mut pod);
            pod
        };
        let (old, mut new) = (with(old), with(new));
        kind.strategy.prepare_update(Some("status"), &old, &mut new);
        let errors = kind.strategy.validate_update(Some("status"), &old, &new);
        (
            errors.iter().map(ToString::to_string).collect(),
            new["status"]["qosClass"].clone(),
        )
    };
    let class = json!({"qosClass": "Burstable"});
    assert_eq!(told(class.clone(), json!({})), (Vec::new(), json!("Burstable")));
    assert_eq!(
        told(class, json!({"qosClass": "Guaranteed"})).0,
        ["status.qosClass: Invalid value: \"Guaranteed\": field is immutable"]
    );
    let ended = |list: &str, state: Value| json!({list: [{"name": "e", "state": state}]});
    let (terminated, running) = (json!({"terminated": {"exitCode": 1}}), json!({"running": {}}));
    let list = "ephemeralContainerStatuses";
    assert_eq!(
        told(ended(list, terminated.clone()), ended(list, running.clone())).0,
        [
            "status.ephemeralContainerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"
        ]
    );
    let list = "containerStatuses";
    assert!(
        told(ended(list, terminated), ended(list, running)).0.is_empty(),
        "Always"
    );
    let user =
        json!({list: [{"name": "c", "user": {"linux": {"uid": -1, "gid": 0, "supplementalGroups": [0]}}}]});
    assert_eq!(
        told(json!({}), user).0,
        [
            "status.containerStatuses[0].linux.uid: Invalid value: -1: must be between 0 and 2147483647, inclusive"
        ]
    );
}

#[test]
fn workloads() {
    let template =
        json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let with = |plural: &str, fields: &Value| {
        let mut spec =
            json!({"selector": {"matchLabels": {"a": "b"}}, "serviceName": "s", "template": template});
        for (field, value) in fields.as_object().unwrap() {
            spec[field] = value.clone();
        }
        new("apps", plural, json!({"metadata": {"name": "w"}, "spec": spec}))
    };
    assert_eq!(
        with("statefulsets", &json!({"revisionHistoryLimit": -1})),
        [""; 0],
        "keeps all"
    );
    let rolling = json!({"updateStrategy": {"type": "OnDelete", "rollingUpdate": {"partition": 1}}});
    assert_eq!(
        with("statefulsets", &rolling),
        [
            "spec.updateStrategy.rollingUpdate: Invalid value: {\"partition\":1}: only allowed for updateStrategy 'RollingUpdate'"
        ]
    );
    let surge = json!({"maxSurge": "101%", "maxUnavailable": 0});
    assert_eq!(
        with("daemonsets", &json!({"updateStrategy": {"rollingUpdate": surge}})),
        [
            "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: intstr.IntOrString{Type:1, IntVal:0, StrVal:\"101%\"}: must not be greater than 100%"
        ]
    );
    assert_eq!(
        with("deployments", &json!({"strategy": {"rollingUpdate": surge}})),
        [""; 0]
    );
}

#[test]
fn budgets() {
    let budget = |spec: Value| json!({"metadata": {"name": "b"}, "spec": spec});
    assert_eq!(
        new(
            "policy",
            "poddisruptionbudgets",
            budget(json!({"minAvailable": "101%"}))
        ),
        [
            "spec.minAvailable: Invalid value: intstr.IntOrString{Type:1, IntVal:0, StrVal:\"101%\"}: must not be greater than 100%"
        ]
    );
    let kind = find("policy", "v1", "poddisruptionbudgets").unwrap();
    let told = |status: Value| -> Vec<String> {
        let mut old = budget(json!({"minAvailable": "150%"}));
        crate::kinds::default(kind, &mut old);
        let mut new = old.clone();
        new["status"] = status;
        let errors = kind.strategy.validate_update(Some("status"), &old, &new);
        errors.iter().map(ToString::to_string).collect()
    };
    let time = "2024-01-01T00:00:00Z";
    let good = json!({"type": "A", "status": "True", "reason": "Because", "lastTransitionTime": time});
    assert_eq!(told(json!({"conditions": [good]})), [""; 0]);
    let bad = json!({"type": "A", "status": "Yes", "observedGeneration": -1});
    let path = "status.conditions[1]";
    assert_eq!(
        told(json!({"conditions": [good, bad], "currentHealthy": -1})),
        [
            format!("{path}.type: Duplicate value: \"A\""),
            format!(
                "{path}.status: Unsupported value: \"Yes\": supported values: \"False\", \"True\", \"Unknown\""
            ),
            format!("{path}.observedGeneration: Invalid value: -1: must be greater than or equal to zero"),
            format!("{path}.lastTransitionTime: Required value: must be set"),
            format!("{path}.reason: Required value: must be set"),
            "status.currentHealthy: Invalid value: -1: must be greater than or equal to 0".to_owned(),
        ]
    );
}

#[test]
fn credentials_of_registries() {
    for key in ["dockercfg", "dockerconfigjson"] {
        let secret = |data: &str| {
            let field = format!(".{key}");
            let secret = json!({"metadata": {"name": "s"}, "type": format!("kubernetes.io/{key}"), "stringData": {field: data}});
            new("", "secrets", secret)
        };
        assert_eq!(secret("{}"), [""; 0]);
        for wrong in ["[]", "1", "{"] {
            let told = secret(wrong);
            let start = format!("data[.{key}]: Invalid value: \"<secret contents redacted>\": ");
            assert!(told.len() == 1 && told[0].starts_with(&start), "{told:?}");
        }
    }
}

#[test]
fn jobs() {
    let job = |name: &str, spec: &Value| {
        let mut all = json!({"template": {"metadata": {}, "spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}}});
        for (field, value) in spec.as_object().unwrap() {
            all[field] = value.clone();
        }
        let mut job = json!({"metadata": {"name": name, "uid": "u"}, "spec": all});
        let strategy = &find("batch", "v1", "jobs").unwrap().strategy;
        strategy.default(&mut job);
        strategy.prepare_create(&mut job);
        job
    };
    assert_eq!(job("j", &json!({}))["spec"]["manualSelector"], false);
    let check = |spec: Value| new("batch", "jobs", job("j", &spec));
    let indexed = |more: Value| {
        let mut spec = json!({"completionMode": "Indexed", "completions": 100_001, "parallelism": 1, "backoffLimitPerIndex": 1});
        for (field, value) in more.as_object().unwrap() {
            spec[field] = value.clone();
        }
        check(spec)
    };
    let above = "must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index";
    assert_eq!(
        indexed(json!({"parallelism": 10_001})),
        [
            format!("spec.parallelism: Invalid value: 10001: {above}"),
            "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000"
                .to_owned(),
        ]
    );
    assert_eq!(
        indexed(json!({"maxFailedIndexes": 10_001})),
        [format!("spec.maxFailedIndexes: Invalid value: 10001: {above}")]
    );
    assert_eq!(
        indexed(json!({"completions": 3, "maxFailedIndexes": 4})),
        ["spec.maxFailedIndexes: Invalid value: 4: must be less than or equal to completions"]
    );
    for (manager, expected) in [
        ("", "Required value"),
        (
            "a/",
            "Invalid value: \"a/\": must be a domain-prefixed path (such as \"acme.io/foo\")",
        ),
        (
            "a.io/b c",
            "Invalid value: \"b c\": Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')",
        ),
    ] {
        assert_eq!(
            check(json!({"managedBy": manager})),
            [format!("spec.managedBy: {expected}")]
        );
    }
    let rule = |conditions: Value| json!({"podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": conditions}]}});
    let path = "spec.podFailurePolicy.rules[0].onPodConditions";
    let told = check(rule(json!([{"type": "a b"}])));
    assert!(
        told.len() == 1 && told[0].starts_with(&format!("{path}[0].type: Invalid value: \"a b\"")),
        "{told:?}"
    );
    let many: Vec<Value> = (0..21).map(|_| json!({"type": "A"})).collect();
    assert_eq!(
        check(rule(many.into())),
        [format!("{path}: Too many: 21: must have at most 20 items")]
    );
    // The longest host name is that of the last index.
    let name = "n".repeat(61);
    let short = json!({"completionMode": "Indexed", "completions": 10, "parallelism": 1});
    assert_eq!(new("batch", "jobs", job(&name, &short)), [""; 0]);
    let long = json!({"completionMode": "Indexed", "completions": 11, "parallelism": 1});
    let told = new("batch", "jobs", job(&name, &long));
    assert_eq!(
        told,
        [format!(
            "metadata.name: Invalid value: \"{name}\": will not able to create pod with invalid DNS label: {name}-10"
        )]
    );
    // Completions follow the number of pods at once, whatever both were.
    let old = json!({"completionMode": "Indexed", "completions": 3, "parallelism": 1});
    let grow = |new: &mut Value| {
        new["spec"]["completions"] = 4.into();
        new["spec"]["parallelism"] = 4.into();
    };
    assert_eq!(changed("batch", "jobs", job("j", &old), grow), [""; 0]);
}

#[test]
fn huge_pages() {
    let with =
        |resources: Value| pod(&json!({"containers": [{"name": "c", "image": "i", "resources": resources}]}));
    let path = "spec.containers[0].resources";
    let alone = json!({"limits": {"hugepages-2Mi": "4Mi"}, "requests": {"hugepages-2Mi": "4Mi"}});
    assert_eq!(
        with(alone),
        [format!("{path}: Forbidden: HugePages require cpu or memory")]
    );
    let half = json!({"limits": {"hugepages-2Mi": "3Mi", "memory": "1Gi"}});
    assert_eq!(
        with(half),
        ["limits", "requests"].map(|list| format!(
            "{path}.{list}[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer multiple of hugepages-2Mi"
        ))
    );
    assert_eq!(
        with(json!({"limits": {"hugepages-2Mi": "4Mi", "cpu": "1"}})),
        [""; 0]
    );
}

#[test]
fn defaults_of_what_is_handed_out_whole() {
    let range = |kind: &str, resource: &str| {
        let item = json!({"type": kind, "default": {resource: "2"}, "defaultRequest": {resource: "1"}});
        new(
            "",
            "limitranges",
            json!({"metadata": {"name": "r"}, "spec": {"limits": [item]}}),
        )
    };
    assert_eq!(
        range("Container", "example.com/gpu"),
        [
            "spec.limits[0].defaultRequest[example.com/gpu]: Invalid value: \"1\": default value 2 must equal to defaultRequest \
             value 1 in example.com/gpu"
        ]
    );
    assert_eq!(range("Container", "cpu"), [""; 0]);
}

#[test]
fn selectors_of_scopes_that_no_pod_is_in() {
    let scope = |name: &str| json!({"scopeName": name, "operator": "Exists"});
    let selector = json!({"matchExpressions": [scope("Terminating"), scope("NotTerminating")]});
    let quota =
        json!({"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}, "scopeSelector": selector}});
    assert_eq!(
        new("", "resourcequotas", quota),
        ["spec.scopeSelector.matchExpressions: Invalid value: []: conflicting scopes"]
    );
}

#[test]
fn a_map_that_is_too_large_as_a_whole() {
    let map = json!({"metadata": {"name": "m"}, "data": {"a": "x".repeat((1 << 20) + 1)}});
    assert_eq!(
        new("", "configmaps", map),
        ["[]: Too long: may not be more than 1048576 bytes"]
    );
}
