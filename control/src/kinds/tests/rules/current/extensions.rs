//! Webhooks, admission policies and definitions.

use super::*;

#[test]
fn conditions_of_webhooks_have_names() {
    let webhook = |conditions: Value| {
        let webhook = json!({"name": "a.b.c", "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "clientConfig": {"url": "https://a"}, "matchConditions": conditions});
        new(
            "admissionregistration.k8s.io",
            "validatingwebhookconfigurations",
            json!({"metadata": {"name": "w"}, "webhooks": [webhook]}),
        )
    };
    assert!(webhook(json!([{"name": "a.b/c", "expression": "true"}])).is_empty());
    let errors =
        webhook(json!([{"name": "a", "expression": " "}, {"name": "a", "expression": "x"}, {"name": "b_"}]));
    assert_eq!(
        errors[..3],
        [
            "webhooks[0].matchConditions[0].expression: Required value",
            "webhooks[0].matchConditions[1].name: Duplicate value: \"a\"",
            "webhooks[0].matchConditions[2].expression: Required value",
        ]
    );
    assert!(
        errors[3].starts_with("webhooks[0].matchConditions[2].name: Invalid value: \"b_\": name part must")
    );
}

fn policy(more: Value) -> Vec<String> {
    let rule = json!({"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]});
    let mut spec =
        json!({"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": "true"}]});
    let (Value::Object(more), Some(all)) = (more, spec.as_object_mut()) else {
        unreachable!("the test gives objects")
    };
    all.extend(more);
    let object = json!({"metadata": {"name": "p"}, "spec": spec});
    new(
        "admissionregistration.k8s.io",
        "validatingadmissionpolicies",
        object,
    )
}

#[test]
fn policies_say_what_can_be_carried_out() {
    for (more, expected) in [
        (json!({}), vec![]),
        (
            json!({"paramKind": {"apiVersion": "a.b/v1", "kind": "ConfigMap"}, "variables": [{"name": "x_1", "expression": "1"}],
                "auditAnnotations": [{"key": "k", "valueExpression": "'v'"}]}),
            vec![],
        ),
        (
            json!({"paramKind": {"apiVersion": "a/b/c", "kind": "K"}}),
            vec![
                "spec.paramKind.apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion string: a/b/c",
            ],
        ),
        (
            json!({"paramKind": {"apiVersion": "a/", "kind": ""}}),
            vec![
                "spec.paramKind.apiVersion: Invalid value: \"a/\": version must be specified",
                "spec.paramKind.kind: Required value",
            ],
        ),
        (
            json!({"matchConditions": [{"name": "a", "expression": ""}]}),
            vec!["spec.matchConditions[0].expression: Required value"],
        ),
        (
            json!({"validations": [{"expression": "x", "message": "a\nb", "messageExpression": " ", "reason": "Unauthorized"}]}),
            vec![
                "spec.validations[0].messageExpression: Invalid value: \" \": must be non-empty if specified",
                "spec.validations[0].message: Invalid value: \"a\\nb\": message must not contain line breaks",
                "spec.validations[0].reason: Unsupported value: \"Unauthorized\": supported values: \"Forbidden\", \
                 \"Invalid\", \"RequestEntityTooLarge\"",
            ],
        ),
        (
            json!({"auditAnnotations": [{"key": "k", "valueExpression": ""}, {"key": "k", "valueExpression": "x".repeat(5121)}]}),
            vec![
                "spec.auditAnnotations[0].valueExpression: Required value: valueExpression is not specified",
                "spec.auditAnnotations[1].valueExpression: Required value: must not exceed 5120 bytes in length",
                "spec.auditAnnotations[1].key: Duplicate value: \"k\"",
            ],
        ),
        (
            json!({"variables": [{"name": "if", "expression": "1"}, {"name": "a-b", "expression": "1"}]}),
            vec![
                "spec.variables[0].name: Invalid value: \"if\": name is not a valid CEL identifier",
                "spec.variables[1].name: Invalid value: \"a-b\": name is not a valid CEL identifier",
            ],
        ),
    ] {
        assert_eq!(policy(more.clone()), expected, "{more}");
    }
}

#[test]
fn bindings_say_of_which_resources() {
    let kind = find(
        "admissionregistration.k8s.io",
        "v1",
        "validatingadmissionpolicybindings",
    )
    .unwrap();
    let rule = json!({"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"],
        "resourceNames": ["a", "a", "b/c"]});
    let reference = json!({"name": "x/y", "selector": {}, "parameterNotFoundAction": "Deny"});
    let spec = json!({"policyName": "p", "validationActions": ["Deny"], "paramRef": reference,
        "matchResources": {"excludeResourceRules": [rule]}});
    let mut binding = json!({"metadata": {"name": "b"}, "spec": spec});
    crate::kinds::default(kind, &mut binding);
    let resources = &binding["spec"]["matchResources"];
    assert_eq!(
        (
            &resources["matchPolicy"],
            &resources["namespaceSelector"],
            &resources["objectSelector"]
        ),
        (&json!("Equivalent"), &json!({}), &json!({}))
    );
    assert_eq!(resources["excludeResourceRules"][0]["scope"], "*");
    let errors = kind.strategy.validate_create(&binding);
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "spec.paramRef.name: Invalid value: \"x/y\": may not contain '/'",
            "spec.paramRef.name: Forbidden: name and selector are mutually exclusive",
            "spec.paramRef.selector: Forbidden: name and selector are mutually exclusive",
            "spec.matchResouces.excludeResourceRules[0].resourceNames[1]: Duplicate value: \"a\"",
            "spec.matchResouces.excludeResourceRules[0].resourceNames[2]: Invalid value: \"b/c\": may not contain '/'",
        ]
    );
}

fn definition(more: Value) -> Value {
    let schema = json!({"openAPIV3Schema": {"type": "object"}});
    let version = json!({"name": "v1", "served": true, "storage": true, "schema": schema});
    let mut spec = json!({"group": "b.c", "scope": "Cluster", "names": {"plural": "as", "kind": "A"}, "versions": [version]});
    let (Value::Object(more), Some(all)) = (more, spec.as_object_mut()) else {
        unreachable!("the test gives objects")
    };
    all.extend(more);
    json!({"metadata": {"name": "as.b.c"}, "spec": spec})
}

#[test]
fn conversions_are_asked_for_somewhere() {
    let path = "spec.conversion";
    let of = |conversion: Value| {
        let definition = definition(json!({"conversion": conversion}));
        new("apiextensions.k8s.io", "customresourcedefinitions", definition)
    };
    let service = json!({"clientConfig": {"service": {"name": "s", "namespace": "n", "path": "/x"}}});
    let with = |versions: Value| {
        let mut webhook = service.clone();
        webhook["conversionReviewVersions"] = versions;
        json!({"strategy": "Webhook", "webhook": webhook})
    };
    for (conversion, expected) in [
        (with(json!(["v2", "v1"])), vec![]),
        (
            with(json!(["v2", "v2"])),
            vec![
                format!("{path}.conversionReviewVersions[1]: Invalid value: \"v2\": duplicate version"),
                format!(
                    "{path}.conversionReviewVersions: Invalid value: []string{{\"v2\", \"v2\"}}: must include at least one of \
                     v1, v1beta1"
                ),
            ],
        ),
        (
            json!({"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": {}}}),
            vec![format!(
                "{path}.webhookClientConfig: Required value: exactly one of url or service is required"
            )],
        ),
        (
            json!({"strategy": "Webhook"}),
            vec![
                format!(
                    "{path}.webhookClientConfig: Required value: required when strategy is set to Webhook"
                ),
                format!("{path}.conversionReviewVersions: Required value"),
            ],
        ),
        (
            json!({"strategy": "None", "webhook": {"conversionReviewVersions": ["v1"]}}),
            vec![format!(
                "{path}.conversionReviewVersions: Forbidden: should not be set when strategy is not set to Webhook"
            )],
        ),
    ] {
        assert_eq!(of(conversion.clone()), expected, "{conversion}");
    }
}

#[test]
fn the_root_of_a_schema_with_a_status_is_plain() {
    let of = |schema: Value, subresources: Value| {
        let version = json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
            "subresources": subresources});
        let definition = definition(json!({"versions": [version]}));
        new("apiextensions.k8s.io", "customresourcedefinitions", definition)
    };
    let any =
        json!({"type": "object", "properties": {"a": {"type": "string"}}, "anyOf": [{"required": ["a"]}]});
    assert_eq!(of(any.clone(), json!({})), Vec::<String>::new());
    let errors = of(any, json!({"status": {}}));
    assert!(
        errors.len() == 1
            && errors[0].starts_with("spec.versions[0].schema.openAPIV3Schema: Invalid value: ")
            && errors[0].ends_with(
                "fields are allowed at the root of the schema if the status subresource is enabled"
            ),
        "{errors:?}"
    );
    let rules = json!({"type": "object", "x-kubernetes-validations": [{"rule": "true"}]});
    assert_eq!(of(rules, json!({"status": {}})), Vec::<String>::new());
}

#[test]
fn versions_are_called_differently_and_stay() {
    let group = "apiextensions.k8s.io";
    let twice = definition(json!({}));
    let mut version = twice["spec"]["versions"][0].clone();
    version["storage"] = false.into();
    let twice = definition(json!({"versions": [twice["spec"]["versions"][0], version]}));
    let errors = new(group, "customresourcedefinitions", twice);
    assert!(
        errors.len() == 1
            && errors[0].starts_with("spec.versions: Invalid value: ")
            && errors[0].ends_with("must contain unique version names"),
        "{errors:?}"
    );
    let mut old = definition(json!({}));
    old["status"] = json!({"storedVersions": ["v0", "v1"]});
    let errors = changed(group, "customresourcedefinitions", old, |new| {
        new["metadata"]["labels"] = json!({"a": "b"});
    });
    assert_eq!(
        errors,
        [
            "status.storedVersions[0]: Invalid value: \"v0\": missing from spec.versions; v0 was previously a storage version, \
             and must remain in spec.versions until a storage migration ensures no data remains persisted in v0 and removes \
             v0 from status.storedVersions"
        ]
    );
    // Who has written the status may have left none.
    let kind = find(group, "v1", "customresourcedefinitions").unwrap();
    let (old, mut new) = (definition(json!({})), definition(json!({})));
    kind.strategy.prepare_update(None, &old, &mut new);
    assert_eq!(new["status"]["storedVersions"], json!(["v1"]));
}

#[test]
fn stored_definitions_may_know_no_version_of_reviews() {
    let (group, plural) = ("apiextensions.k8s.io", "customresourcedefinitions");
    let change = |from: &str, to: &str| {
        let webhook = json!({"clientConfig": {"url": "HTTPS://a.b"}, "conversionReviewVersions": [from]});
        let mut old = definition(json!({"conversion": {"strategy": "Webhook", "webhook": webhook}}));
        old["status"] = json!({"storedVersions": ["v1"]});
        changed(group, plural, old, |new| {
            new["spec"]["conversion"]["webhook"]["conversionReviewVersions"][0] = to.into();
        })
    };
    assert_eq!(change("v8", "v9"), [""; 0]);
    assert_eq!(change("v8", "v1"), [""; 0]);
    let told = change("v1", "v9");
    assert!(
        told.len() == 1 && told[0].ends_with("must include at least one of v1, v1beta1"),
        "{told:?}"
    );
    let mut old = definition(json!({}));
    let stored: Vec<String> = (2..5000).map(|number| format!("v{number}")).collect();
    old["status"] = json!({"storedVersions": stored});
    let told = changed(group, plural, old, |new| {
        new["metadata"]["labels"] = json!({"a": "b"});
    });
    assert!((1000..1010).contains(&told.len()), "{}", told.len());
}
