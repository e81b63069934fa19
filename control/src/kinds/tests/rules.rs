//! Complaints kind by kind, in upstream's words.

use serde_json::{Value, json};

use crate::kinds::find;

/// Complaints about a new object, after its defaults.
fn new(group: &str, plural: &str, mut object: Value) -> Vec<String> {
    let kind = find(group, "v1", plural)
        .or_else(|| find(group, "v2", plural))
        .unwrap_or_else(|| panic!("{plural}"));
    kind.strategy.default(&mut object);
    let errors = kind.strategy.validate_create(&object);
    errors.iter().map(ToString::to_string).collect()
}

/// Complaints about a change, after the defaults of both.
fn changed(group: &str, plural: &str, mut old: Value, change: impl Fn(&mut Value)) -> Vec<String> {
    let kind = find(group, "v1", plural).unwrap_or_else(|| panic!("{plural}"));
    kind.strategy.default(&mut old);
    let mut new = old.clone();
    change(&mut new);
    let errors = kind.strategy.validate_update(None, &old, &new);
    errors.iter().map(ToString::to_string).collect()
}

fn pod(spec: &Value) -> Vec<String> {
    let mut all = json!({"containers": [{"name": "c", "image": "i"}]});
    for (field, value) in spec.as_object().unwrap() {
        all[field] = value.clone();
    }
    new("", "pods", json!({"metadata": {"name": "p"}, "spec": all}))
}

#[test]
fn pods_ask_for_what_there_is() {
    assert_eq!(pod(&json!({})), Vec::<String>::new());
    let sysctl = |name: &str| json!({"name": name, "value": "1"});
    let names = [
        "foo-",
        "kernel.shmmax",
        "safe-and-unsafe",
        "bar..",
        "net/ipv4/tcp_syncookies",
    ];
    let errors = pod(&json!({"securityContext": {"sysctls": names.map(sysctl)}}));
    let rule = "must have at most 253 characters and match regex \
                ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
    assert_eq!(
        errors,
        [
            format!("spec.securityContext.sysctls[0].name: Invalid value: \"foo-\": {rule}"),
            format!("spec.securityContext.sysctls[3].name: Invalid value: \"bar..\": {rule}"),
        ]
    );
    assert_eq!(
        pod(&json!({"securityContext": {"seccompProfile": {"type": "Localhost"}}})),
        [
            "spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost"
        ]
    );
    assert_eq!(
        pod(&json!({"dnsConfig": {"nameservers": ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4"]}})),
        [
            "spec.dnsConfig.nameservers: Invalid value: [\"1.1.1.1\",\"1.1.1.2\",\"1.1.1.3\",\"1.1.1.4\"]: must not have more \
             than 3 nameservers"
        ]
    );
    assert_eq!(
        pod(&json!({"preemptionPolicy": "Always"})),
        [
            "spec.preemptionPolicy: Unsupported value: \"Always\": supported values: \"Never\", \"PreemptLowerPriority\""
        ]
    );
    assert_eq!(
        pod(
            &json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}})
        ),
        [
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must \
             have at least one node selector term"
        ]
    );
    let term = |operator: &str, values: Value| {
        json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 101, "preference":
            {"matchExpressions": [{"key": "a", "operator": operator, "values": values}]}}]}}})
    };
    let path = "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0]";
    assert_eq!(
        pod(&term("Gt", json!(["1", "2"]))),
        [
            format!("{path}.weight: Invalid value: 101: must be in the range 1-100"),
            format!(
                "{path}.preference.matchExpressions[0].values: Required value: must be specified single value when `operator` \
                 is 'Lt' or 'Gt'"
            ),
        ]
    );
    let spread =
        json!({"maxSkew": 0, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "minDomains": 2});
    assert_eq!(
        pod(&json!({"topologySpreadConstraints": [spread]})),
        [
            "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
            "spec.topologySpreadConstraints[0].minDomains: Invalid value: 2: can only use minDomains if \
             whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway",
        ]
    );
    assert_eq!(
        pod(&json!({"ephemeralContainers": [{"name": "e", "image": "i", "targetContainerName": "x"}]})),
        ["spec.ephemeralContainers[0].targetContainerName: Not found: \"x\""]
    );
}

#[test]
fn a_resize_keeps_the_class() {
    let kind = find("", "v1", "pods").unwrap();
    let pod = |resources: Value| {
        let container = json!({"name": "c", "image": "i", "resources": resources});
        let mut pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [container]}, "status": {"qosClass": "Burstable"}});
        kind.strategy.default(&mut pod);
        pod
    };
    let resized = |old: Value, new: Value| -> Vec<String> {
        let errors = kind
            .strategy
            .validate_update(Some("resize"), &pod(old), &pod(new));
        errors.iter().map(ToString::to_string).collect()
    };
    let some = json!({"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}});
    assert!(
        resized(
            some.clone(),
            json!({"requests": {"cpu": "2"}, "limits": {"memory": "1Gi"}})
        )
        .is_empty()
    );
    assert_eq!(
        resized(some, json!({})),
        [
            "spec: Invalid value: \"Burstable\": Pod QOS Class may not change as a result of resizing",
            "spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed",
            "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed",
        ]
    );
}

#[test]
fn services_and_endpoints() {
    let service = |spec: Value| new("", "services", json!({"metadata": {"name": "s"}, "spec": spec}));
    let ports = json!([{"port": 80}]);
    assert_eq!(
        service(json!({"ports": ports, "loadBalancerClass": "a/b", "loadBalancerSourceRanges": ["x"]})),
        [
            "spec.loadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
            "spec.loadBalancerSourceRanges[0]: Invalid value: \"x\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or \
             2001:db8::/64)",
            "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
        ]
    );
    assert_eq!(
        service(json!({"type": "LoadBalancer", "ports": [{"port": 10250}]})),
        [
            "spec.ports[0].port: Invalid value: 10250: may not expose port 10250 externally since it is used by kubelet"
        ]
    );
    assert_eq!(
        service(
            json!({"ports": ports, "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}}})
        ),
        [
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 0: must be greater than 0 and less than 86400"
        ]
    );
    assert_eq!(
        service(json!({"ports": ports, "externalIPs": ["127.0.0.1"]})),
        [
            "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)"
        ]
    );
    let balanced = json!({"metadata": {"name": "s"}, "spec": {"type": "LoadBalancer", "ports": ports, "loadBalancerClass": "a/b"}});
    assert_eq!(
        changed("", "services", balanced, |new| new["spec"]["loadBalancerClass"] =
            "a/c".into()),
        ["spec.loadBalancerClass: Invalid value: \"a/c\": may not change once set"]
    );
    let endpoints = |namespace: &str, name: &str| {
        let meta = json!({"name": name, "namespace": namespace});
        let subsets = json!([{"addresses": [{"ip": "127.0.0.1"}], "ports": [{"port": 1}]}]);
        new("", "endpoints", json!({"metadata": meta, "subsets": subsets}))
    };
    assert!(endpoints("default", "kubernetes").is_empty());
    assert_eq!(
        endpoints("default", "x"),
        [
            "subsets[0].addresses[0].ip: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)"
        ]
    );
    let slice = |kind: &str, address: &str| {
        let endpoints = json!([{"addresses": [address], "hostname": "a.b"}]);
        new(
            "discovery.k8s.io",
            "endpointslices",
            json!({"metadata": {"name": "s"}, "addressType": kind, "endpoints": endpoints}),
        )
    };
    assert_eq!(
        slice("IPv4", "169.254.1.1"),
        [
            "endpoints[0].addresses[0]: Invalid value: \"169.254.1.1\": may not be in the link-local range (169.254.0.0/16, \
             fe80::/10)",
            "endpoints[0].hostname: Invalid value: \"a.b\": must not contain dots",
        ]
    );
    assert!(
        slice("FQDN", "a_b")[0]
            .starts_with("endpoints[0].addresses[0]: Invalid value: \"a_b\": a lowercase RFC 1123")
    );
}

fn job(spec: &Value) -> Value {
    let mut all = json!({"template": {"metadata": {}, "spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}}});
    for (field, value) in spec.as_object().unwrap() {
        all[field] = value.clone();
    }
    let mut job = json!({"metadata": {"name": "j", "uid": "u"}, "spec": all});
    let strategy = &find("batch", "v1", "jobs").unwrap().strategy;
    strategy.default(&mut job);
    strategy.prepare_create(&mut job);
    job
}

#[test]
fn jobs() {
    let check = |spec: Value| new("batch", "jobs", job(&spec));
    assert_eq!(check(json!({})), Vec::<String>::new());
    assert_eq!(
        check(json!({"completionMode": "Indexed", "completions": null, "parallelism": 100_001})),
        [
            "spec.completions: Required value: when completion mode is Indexed",
            "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed",
        ]
    );
    assert_eq!(
        check(json!({"backoffLimitPerIndex": 1})),
        ["spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"]
    );
    assert_eq!(
        check(
            json!({"podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [0, 3, 2], "containerName": "x"}}]}})
        ),
        [
            "spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: \"x\": must be one of the container or \
             initContainer names in the pod template",
            "spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator",
            "spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [0,3,2]: must be ordered",
        ]
    );
    // A selector of one's own needs to be said so.
    let errors = check(json!({"selector": {"matchLabels": {"a": "b"}}}));
    assert!(
        errors
            .iter()
            .any(|error| error.starts_with("spec.selector: Invalid value:")
                && error.ends_with("`selector` not auto-generated")),
        "{errors:?}"
    );
    let change = |spec: Value, change: &dyn Fn(&mut Value)| changed("batch", "jobs", job(&spec), change);
    let indexed = json!({"completionMode": "Indexed", "completions": 2, "parallelism": 2});
    let both = |new: &mut Value| {
        new["spec"]["completions"] = 3.into();
        new["spec"]["parallelism"] = 3.into();
    };
    assert!(change(indexed.clone(), &both).is_empty());
    assert_eq!(
        change(indexed, &|new| new["spec"]["completions"] = 3.into()),
        ["spec.completions: Invalid value: 3: can only be modified in tandem with spec.parallelism"]
    );
    assert_eq!(
        change(json!({}), &|new| new["spec"]["completions"] = 3.into()),
        ["spec.completions: Invalid value: 3: field is immutable"]
    );
    let select = |new: &mut Value| new["spec"]["template"]["spec"]["nodeSelector"] = json!({"a": "b"});
    assert!(change(json!({"suspend": true}), &select).is_empty());
    assert!(change(json!({}), &select)[0].ends_with("field is immutable"));
    let image = |new: &mut Value| new["spec"]["template"]["spec"]["containers"][0]["image"] = "x".into();
    assert!(change(json!({"suspend": true}), &image)[0].ends_with("field is immutable"));
    let zone = |zone: &str| {
        let spec = json!({"schedule": "* * * * *", "timeZone": zone, "jobTemplate": {"spec": {"template": {"spec": {
            "containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}}}}});
        new(
            "batch",
            "cronjobs",
            json!({"metadata": {"name": "c"}, "spec": spec}),
        )
    };
    assert!(zone("Europe/Berlin").is_empty());
    assert_eq!(
        zone("")[..],
        ["spec.timeZone: Invalid value: \"\": timeZone must be nil or non-empty string"]
    );
    assert_eq!(
        zone("a b")[..],
        ["spec.timeZone: Invalid value: \"a b\": unknown time zone a b"]
    );
}

#[test]
fn autoscalers() {
    let check = |mut spec: Value| {
        spec["scaleTargetRef"] = json!({"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"});
        spec["maxReplicas"] = 3.into();
        let kind = find("autoscaling", "v2", "horizontalpodautoscalers").unwrap();
        let mut object = json!({"metadata": {"name": "h"}, "spec": spec});
        kind.strategy.default(&mut object);
        let errors = kind.strategy.validate_create(&object);
        errors.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(check(json!({})), Vec::<String>::new());
    assert_eq!(
        check(
            json!({"metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}]})
        ),
        [
            "spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target \
             utilization"
        ]
    );
    assert_eq!(
        check(json!({"metrics": [{"type": "Pods"}]})),
        ["spec.metrics[0].pods: Required value: must populate information for the given metric source"]
    );
    assert_eq!(
        check(
            json!({"behavior": {"scaleDown": {"stabilizationWindowSeconds": 3601, "policies": [{"type": "Pods", "value": 0, "periodSeconds": 1801}]}}})
        ),
        [
            "spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600",
            "spec.behavior.scaleDown.policies[0].value: Invalid value: 0: must be greater than zero",
            "spec.behavior.scaleDown.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800",
        ]
    );
}

#[test]
fn networking() {
    let group = "networking.k8s.io";
    let ingress = |path: &str, host: &str| {
        let backend = json!({"service": {"name": "s", "port": {"number": 80}}});
        let rule = json!({"host": host, "http": {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]}});
        new(
            group,
            "ingresses",
            json!({"metadata": {"name": "i"}, "spec": {"rules": [rule]}}),
        )
    };
    assert!(ingress("/a", "*.example.com").is_empty());
    assert_eq!(
        ingress("/a//b", "1.2.3.4"),
        [
            "spec.rules[0].host: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address",
            "spec.rules[0].http.paths[0].path: Invalid value: \"/a//b\": must not contain '//'",
        ]
    );
    assert!(ingress("/", "a.*.b")[0].contains("a wildcard DNS-1123 subdomain must start with '*.'"));
    let class = json!({"metadata": {"name": "c"}, "spec": {"controller": "a.b/c"}});
    assert_eq!(
        changed(group, "ingressclasses", class, |new| new["spec"]["controller"] =
            "a.b/d".into()),
        ["spec.controller: Invalid value: \"a.b/d\": field is immutable"]
    );
    let policy = |except: &str| {
        let peer = json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": [except]}});
        new(
            group,
            "networkpolicies",
            json!({"metadata": {"name": "n"}, "spec": {"podSelector": {}, "ingress": [{"from": [peer]}]}}),
        )
    };
    assert!(policy("10.1.0.0/16").is_empty());
    for outside in ["11.0.0.0/16", "10.0.0.0/8", "0.0.0.0/0"] {
        assert_eq!(
            policy(outside),
            [format!(
                "spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: \"{outside}\": must be a strict subset of `cidr`"
            )]
        );
    }
}

#[test]
fn storage() {
    let volume = json!({"metadata": {"name": "v"}, "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": "/a"}}});
    assert!(new("", "persistentvolumes", volume.clone()).is_empty());
    assert_eq!(
        changed(
            "",
            "persistentvolumes",
            volume.clone(),
            |new| new["spec"]["hostPath"]["path"] = "/b".into()
        ),
        ["spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n"]
    );
    let mut wrong = volume;
    wrong["spec"]["capacity"] = json!({"storage": "0"});
    wrong["spec"]["accessModes"] = json!([]);
    wrong["spec"]["hostPath"]["path"] = "/a/../b".into();
    assert_eq!(
        new("", "persistentvolumes", wrong),
        [
            "spec.accessModes: Required value",
            "spec.capacity[storage]: Invalid value: \"0\": must be greater than zero",
            "spec.hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
        ]
    );
    let class = json!({"metadata": {"name": "c"}, "provisioner": "a.b/c"});
    assert_eq!(
        changed("storage.k8s.io", "storageclasses", class, |new| {
            new["volumeBindingMode"] = "WaitForFirstConsumer".into();
            new["parameters"] = json!({"a": "b"});
        }),
        [
            "parameters: Forbidden: updates to parameters are forbidden.",
            "volumeBindingMode: Invalid value: \"WaitForFirstConsumer\": field is immutable",
        ]
    );
}

#[test]
fn single_kinds() {
    let class = json!({"metadata": {"name": "r"}, "handler": "runc"});
    assert_eq!(
        changed("node.k8s.io", "runtimeclasses", class, |new| new["handler"] =
            "kata".into()),
        ["handler: Invalid value: \"kata\": field is immutable"]
    );
    let role = json!({"metadata": {"name": "r"}, "aggregationRule": {}});
    assert_eq!(
        new("rbac.authorization.k8s.io", "clusterroles", role),
        [
            "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule \
             is non-nil"
        ]
    );
    let request = json!({"metadata": {"name": "r"}, "spec": {"request": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K",
        "signerName": "kubernetes.io/legacy-unknown", "usages": ["client auth", "x"]}});
    let errors = new("certificates.k8s.io", "certificatesigningrequests", request);
    assert!(
        errors[0].starts_with(
            "spec.usages[1]: Unsupported value: \"x\": supported values: \"any\", \"cert sign\""
        )
    );
    assert_eq!(
        errors[1],
        "spec.signerName: Invalid value: \"kubernetes.io/legacy-unknown\": the legacy signerName is not allowed via this API \
         version"
    );
    let flow = json!({"metadata": {"name": "f"}, "spec": {"matchingPrecedence": 10001, "priorityLevelConfiguration": {"name": "p"},
        "rules": [{"subjects": [{"kind": "User"}]}]}});
    assert_eq!(
        new("flowcontrol.apiserver.k8s.io", "flowschemas", flow),
        [
            "spec.matchingPrecedence: Invalid value: 10001: must not be greater than 10000",
            "spec.rules[0]: Required value: at least one of resourceRules and nonResourceRules has to be non-empty",
        ]
    );
}

#[test]
fn events_of_the_new_group_are_strict() {
    let event = |fields: &Value| {
        let mut event = json!({"metadata": {"name": "e", "namespace": "n"}, "regarding": {"kind": "Pod", "namespace": "n"},
            "eventTime": "2024-01-01T00:00:00.000000Z", "reportingController": "a.b/c", "reportingInstance": "i",
            "action": "a", "reason": "r", "type": "Normal", "note": "n"});
        for (field, value) in fields.as_object().unwrap() {
            event[field] = value.clone();
        }
        event
    };
    let check = |fields: Value| new("events.k8s.io", "events", event(&fields));
    assert_eq!(check(json!({})), Vec::<String>::new());
    assert_eq!(
        check(json!({"action": "", "type": "x", "deprecatedCount": 3, "series": {"count": 1}})),
        [
            "action: Required value",
            "series.count: Invalid value: \"\": should be at least 2",
            "series.lastObservedTime: Required value",
            "type: Invalid value: \"\": has invalid value: x",
            "count: Invalid value: \"\": needs to be unset",
        ]
    );
    let series = |new: &mut Value| {
        new["series"] = json!({"count": 2, "lastObservedTime": "2024-01-01T00:00:00.000000Z"});
    };
    assert!(changed("events.k8s.io", "events", event(&json!({})), series).is_empty());
    assert_eq!(
        changed("events.k8s.io", "events", event(&json!({})), |new| new["note"] =
            "x".into()),
        ["message: Invalid value: \"x\": field is immutable"]
    );
    // The core group takes what it always took.
    let core = json!({"metadata": {"name": "e", "namespace": "n"}, "involvedObject": {"kind": "Pod", "namespace": "n"}});
    assert!(new("", "events", core).is_empty());
}

#[test]
fn admission_configurations() {
    let group = "admissionregistration.k8s.io";
    let hook = |fields: &Value| {
        let mut hook = json!({"name": "a.b.c", "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "clientConfig": {"service": {"name": "s", "namespace": "n"}},
            "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}]});
        for (field, value) in fields.as_object().unwrap() {
            hook[field] = value.clone();
        }
        new(
            group,
            "validatingwebhookconfigurations",
            json!({"metadata": {"name": "w"}, "webhooks": [hook]}),
        )
    };
    assert_eq!(hook(&json!({})), Vec::<String>::new());
    assert_eq!(
        hook(
            &json!({"timeoutSeconds": 31, "admissionReviewVersions": ["v2"], "clientConfig": {"url": "http://u:p@h/?q"}})
        ),
        [
            "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds",
            "webhooks[0].clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: \
             https://host[/path]",
            "webhooks[0].clientConfig.url: Invalid value: \"u:p\": user information is not permitted in the URL; desired format: \
             https://host[/path]",
            "webhooks[0].clientConfig.url: Invalid value: \"q\": query parameters are not permitted in the URL; desired format: \
             https://host[/path]",
            "webhooks[0].admissionReviewVersions: Invalid value: [\"v2\"]: must include at least one of v1, v1beta1",
        ]
    );
    assert_eq!(
        hook(
            &json!({"rules": [{"operations": ["*", "CREATE"], "apiGroups": [], "apiVersions": ["v1"], "resources": ["*", "pods"]}]})
        ),
        [
            "webhooks[0].rules[0].operations: Invalid value: [\"*\",\"CREATE\"]: if '*' is present, must not specify other operations",
            "webhooks[0].rules[0].apiGroups: Required value",
            "webhooks[0].rules[0].resources: Invalid value: [\"*\",\"pods\"]: if '*' is present, must not specify other resources \
             without subresources",
        ]
    );
    let policy = json!({"metadata": {"name": "p"}, "spec": {"validations": [{"expression": " "}]}});
    assert_eq!(
        new(group, "validatingadmissionpolicies", policy),
        [
            "spec.matchConstraints: Required value",
            "spec.validations[0].expression: Required value: expression is not specified",
        ]
    );
    let binding = json!({"metadata": {"name": "b"}, "spec": {"policyName": "p", "validationActions": ["Deny", "Warn", "x"]}});
    let errors = new(group, "validatingadmissionpolicybindings", binding);
    assert_eq!(
        errors[0],
        "spec.validationActions[2]: Unsupported value: \"x\": supported values: \"Audit\", \"Deny\", \"Warn\""
    );
    assert!(errors[1].contains("must not contain both Deny and Warn"));
}
