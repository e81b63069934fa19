//! Storage, certificates, events, configurations of admission and the rest.

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
