//! Storage, certificates, events, configurations of admission and the rest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

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
    let request = |request: &str, signer: &str| {
        let request = STANDARD.encode(request);
        let spec = json!({"request": request, "signerName": signer, "usages": ["client auth", "x"]});
        let object = json!({"metadata": {"name": "r"}, "spec": spec});
        new("certificates.k8s.io", "certificatesigningrequests", object)
    };
    let key = rcgen::KeyPair::generate().unwrap();
    let good = rcgen::CertificateParams::default()
        .serialize_request(&key)
        .unwrap();
    let good = good.pem().unwrap();
    let empty = "-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n";
    let renamed = good.replace("CERTIFICATE REQUEST", "CERTIFICATE");
    for (pem, detail) in [
        ("", "PEM block type must be CERTIFICATE REQUEST"),
        (
            "-----BEGIN CERTIFICATE REQUEST-----",
            "PEM block type must be CERTIFICATE REQUEST",
        ),
        (&renamed, "PEM block type must be CERTIFICATE REQUEST"),
        (empty, "asn1: "),
    ] {
        let errors = request(pem, "a.b/c");
        assert!(
            errors[0].starts_with("spec.request: Invalid value: "),
            "{errors:?}"
        );
        assert!(errors[0].contains(detail), "{errors:?}");
    }
    assert_eq!(request(&format!("a comment\n{good}"), "a.b/c").len(), 1);
    let errors = request(&good, "kubernetes.io/legacy-unknown");
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
            "spec.rules[0].subjects[0].user: Required value: user is required when subject kind is 'User'",
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
            "webhooks[0].admissionReviewVersions: Invalid value: []string{\"v2\"}: must include at least one of v1, v1beta1",
        ]
    );
    assert_eq!(
        hook(
            &json!({"rules": [{"operations": ["*", "CREATE"], "apiGroups": [], "apiVersions": ["v1"], "resources": ["*", "pods"]}]})
        ),
        [
            "webhooks[0].rules[0].operations: Invalid value: []admissionregistration.OperationType{\"*\", \"CREATE\"}: if '*' is present, must not specify other operations",
            "webhooks[0].rules[0].apiGroups: Required value",
            "webhooks[0].rules[0].resources: Invalid value: []string{\"*\", \"pods\"}: if '*' is present, must not specify other resources \
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

#[test]
fn controllers_of_ingress_classes_are_domain_prefixed_paths() {
    let class = |controller: &str| {
        let class = json!({"metadata": {"name": "c"}, "spec": {"controller": controller}});
        new("networking.k8s.io", "ingressclasses", class)
    };
    for good in ["a.b/c", "a.b/c/d", "a/(c)"] {
        assert_eq!(class(good), Vec::<String>::new(), "{good}");
    }
    for bad in ["x", "/", "a/", "/a"] {
        let why = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        assert_eq!(
            class(bad),
            [format!("spec.controller: Invalid value: {bad:?}: {why}")]
        );
    }
    assert!(
        class("A.b/c")[0]
            .starts_with("spec.controller: Invalid value: \"A.b\": a lowercase RFC 1123 subdomain")
    );
    assert_eq!(
        class("a.b/c d"),
        [
            "spec.controller: Invalid value: \"c d\": Invalid path (regex used for validation is \
             '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')"
        ]
    );
    let long = format!("a.b/{}", "c".repeat(247));
    assert_eq!(
        class(&long),
        ["spec.controller: Too long: may not be more than 250 bytes"]
    );
}

#[test]
fn names_and_values_of_priorities_are_wrong_together() {
    let class = |name: &str, value: i64| {
        let class = json!({"metadata": {"name": name}, "value": value, "preemptionPolicy": "Bad"});
        new("scheduling.k8s.io", "priorityclasses", class)
    };
    let policy =
        "preemptionPolicy: Unsupported value: \"Bad\": supported values: \"Never\", \"PreemptLowerPriority\"";
    assert_eq!(
        class("c", 1_000_000_001),
        [
            "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
            policy
        ]
    );
    assert_eq!(
        class("system-x", 1_000_000_001),
        [
            "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: \
             system-x is not a known system priority class",
            policy
        ]
    );
}

#[test]
fn classes_of_the_system_are_as_they_are() {
    let class = |name: &str, value: i64, is_default: bool| {
        let class = json!({"metadata": {"name": name}, "value": value, "globalDefault": is_default});
        new("scheduling.k8s.io", "priorityclasses", class)
    };
    let refused = |why: &str| {
        let said = "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: ";
        [format!("{said}{why}")]
    };
    for (name, value) in [
        ("system-node-critical", 2_000_001_000),
        ("system-cluster-critical", 2_000_000_000),
    ] {
        assert_eq!(class(name, value, false), Vec::<String>::new());
        assert_eq!(
            class(name, 5, true),
            refused(&format!("value of {name} PriorityClass must be {value}"))
        );
        assert_eq!(
            class(name, value, true),
            refused(&format!("globalDefault of {name} PriorityClass must be false"))
        );
    }
    // A change is not asked whose class it is: name and value do not change.
    let system = json!({"metadata": {"name": "system-node-critical"}, "value": 2_000_001_000});
    let errors = changed("scheduling.k8s.io", "priorityclasses", system.clone(), |class| {
        class["globalDefault"] = true.into();
    });
    assert_eq!(errors, Vec::<String>::new());
    let errors = changed("scheduling.k8s.io", "priorityclasses", system, |class| {
        class["value"] = 5.into();
    });
    assert_eq!(errors, ["value: Forbidden: may not be changed in an update."]);
}

#[test]
fn limits_are_of_resources_that_there_are() {
    let range = |kind: &str, limit: Value| {
        let mut limit = limit;
        limit["type"] = kind.into();
        let range = json!({"metadata": {"name": "r"}, "spec": {"limits": [limit]}});
        new("", "limitranges", range)
    };
    assert!(
        range(
            "Pod",
            json!({"max": {"cpu": "1", "a.b/c": "1", "hugepages-2Mi": "2Mi"}})
        )
        .is_empty()
    );
    assert!(range("a.b/image", json!({"max": {"storage": "1", "pods": "1"}})).is_empty());
    let (any, contained) = (
        "must be a standard resource type or fully qualified",
        "must be a standard resource for containers",
    );
    assert_eq!(
        range("Pod", json!({"max": {"foo": "1", "pods": "1", "requests.a.b/c": "1"}})),
        [
            format!("spec.limits[0].max[foo]: Invalid value: \"foo\": {any}"),
            format!("spec.limits[0].max[foo]: Invalid value: \"foo\": {contained}"),
            format!("spec.limits[0].max[pods]: Invalid value: \"pods\": {contained}"),
            "spec.limits[0].max[requests.a.b/c]: Invalid value: \"requests.a.b/c\": doesn't follow extended resource name \
             standard"
                .to_owned(),
        ]
    );
    assert_eq!(
        range("a.b/image", json!({"min": {"foo": "1"}})),
        [format!("spec.limits[0].min[foo]: Invalid value: \"foo\": {any}")]
    );
}

#[test]
fn counts_of_a_controllers_status_are_none_below_zero() {
    let kind = find("", "v1", "replicationcontrollers").unwrap();
    let spec = json!({"replicas": 1, "selector": {"a": "b"}, "template": {"metadata": {"labels": {"a": "b"}}, "spec":
        {"containers": [{"name": "c", "image": "i"}]}}});
    let old = json!({"metadata": {"name": "r"}, "spec": spec, "status": {"replicas": 1}});
    let status = |status: Value| -> Vec<String> {
        let mut new = old.clone();
        new["status"] = status;
        let errors = kind.strategy.validate_update(Some("status"), &old, &new);
        errors.iter().map(ToString::to_string).collect()
    };
    assert!(status(json!({"replicas": 1, "readyReplicas": 1})).is_empty());
    let errors = status(json!({"replicas": -1}));
    let negative = "status.replicas: Invalid value: -1: must be greater than or equal to 0";
    assert!(errors.iter().any(|error| error == negative), "{errors:?}");
    let errors = status(json!({"replicas": 1, "readyReplicas": 2}));
    assert_eq!(
        errors,
        ["status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas"]
    );
    let selectable = kind.strategy.selectable_fields(&old);
    assert_eq!(selectable.get("status.replicas").map(String::as_str), Some("1"));
}

#[test]
fn definitions_say_their_scope() {
    let schema = json!({"openAPIV3Schema": {"type": "object"}});
    let version = json!({"name": "v1", "served": true, "storage": true, "schema": schema});
    let definition = |scope: &str| {
        let names = json!({"plural": "as", "kind": "A"});
        let spec = json!({"group": "b.c", "scope": scope, "names": names, "versions": [version]});
        let definition = json!({"metadata": {"name": "as.b.c"}, "spec": spec});
        new("apiextensions.k8s.io", "customresourcedefinitions", definition)
    };
    assert!(definition("Cluster").is_empty());
    assert_eq!(definition(""), ["spec.scope: Required value"]);
    assert_eq!(
        definition("x"),
        ["spec.scope: Unsupported value: \"x\": supported values: \"Cluster\", \"Namespaced\""]
    );
}
