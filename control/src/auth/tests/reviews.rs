//! The review kinds.

use std::sync::Arc;

use serde_json::{Value, json};

use super::fixture;
use crate::auth::memory::Memory;
use crate::auth::resources::{CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES};
use crate::auth::{Attributes, Authorizer, UserInfo, forbidden, reviews};

fn authorizer() -> Authorizer {
    let memory = Memory::default();
    memory.put(
        &CLUSTER_ROLES,
        &json!({"metadata": {"name": "r"}, "rules": [
            {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]},
            {"verbs": ["get"], "nonResourceURLs": ["/metrics"]},
        ]}),
    );
    memory.put(
        &CLUSTER_ROLE_BINDINGS,
        &json!({
            "metadata": {"name": "b"},
            "roleRef": {"kind": "ClusterRole", "name": "r"},
            "subjects": [{"kind": "User", "name": "jane"}],
        }),
    );
    Authorizer::new(Arc::new(memory))
}

fn jane() -> UserInfo {
    UserInfo {
        name: "jane".to_owned(),
        ..UserInfo::default()
    }
}

#[allow(clippy::needless_pass_by_value)] // reads better at the call: `json!` without a borrow
fn status(spec: Value) -> Value {
    let review = json!({"kind": "SelfSubjectAccessReview", "spec": spec});
    reviews::self_subject_access_review(&authorizer(), &jane(), &review).unwrap()["status"].clone()
}

#[test]
fn access_reviews() {
    let pods = json!({"verb": "get", "resource": "pods", "namespace": "a"});
    assert_eq!(status(json!({"resourceAttributes": pods}))["allowed"], true);
    assert_eq!(
        status(json!({"resourceAttributes": {"verb": "list", "resource": "pods"}})),
        json!({"allowed": false})
    );
    assert_eq!(
        status(json!({"nonResourceAttributes": {"verb": "get", "path": "/metrics"}}))["allowed"],
        true
    );
    assert_eq!(
        status(json!({"resourceAttributes": {"verb": "get"}}))["allowed"],
        false
    );
    let authorizer = authorizer();
    for spec in [
        json!({}),
        json!({"resourceAttributes": {}, "nonResourceAttributes": {}}),
    ] {
        let error =
            reviews::self_subject_access_review(&authorizer, &jane(), &json!({"spec": spec})).unwrap_err();
        assert_eq!(error.code, 422);
    }
    let about = |user: &str| json!({"spec": {"user": user, "resourceAttributes": pods}});
    let ask = |user: &str| reviews::subject_access_review(&authorizer, &about(user));
    assert_eq!(ask("jane").unwrap()["status"]["allowed"], true);
    assert_eq!(ask("joe").unwrap()["status"]["allowed"], false);
    assert_eq!(ask("").unwrap_err().code, 422);
    let mut named = about("jane");
    named["metadata"] = json!({"creationTimestamp": null, "labels": {}});
    assert!(reviews::subject_access_review(&authorizer, &named).is_ok());
    named["metadata"]["labels"]["a"] = "b".into();
    let refused = reviews::subject_access_review(&authorizer, &named).unwrap_err();
    assert!(
        refused.message.ends_with(": must be empty"),
        "{}",
        refused.message
    );
    let local =
        |namespace: &str| reviews::local_subject_access_review(&authorizer, namespace, &about("jane"));
    assert_eq!(local("a").unwrap()["status"]["allowed"], true);
    assert_eq!(local("b").unwrap_err().code, 422);
    let local_of = |spec: Value| {
        let review = json!({"spec": spec});
        let refused = reviews::local_subject_access_review(&authorizer, "a", &review).unwrap_err();
        refused.message
    };
    assert!(!local_of(json!({"user": "jane"})).contains("disallowed"));
    let told = local_of(json!({"user": "jane", "nonResourceAttributes": {"path": "/x"}}));
    assert!(
        told.contains("{\"path\":\"/x\"}: disallowed on this kind of request"),
        "{told}"
    );
    assert_eq!(
        reviews::subject_access_review(&authorizer, &json!({"spec": 7}))
            .unwrap_err()
            .code,
        400
    );
}

#[test]
fn selectors_are_checked_and_told_where_they_are_not_understood() {
    let spec = |field: &str, selector: Value| {
        let mut attributes = json!({"verb": "list", "resource": "pods", "version": "v1"});
        attributes[field] = selector;
        json!({"spec": {"resourceAttributes": attributes}})
    };
    let ask = |field: &str, selector: Value| {
        reviews::self_subject_access_review(&authorizer(), &jane(), &spec(field, selector))
    };
    let requirement = |key: &str, operator: &str, values: Value| json!({"requirements": [{"key": key, "operator": operator, "values": values}]});
    for (field, selector, told) in [
        (
            "fieldSelector",
            json!({}),
            "fieldSelector.requirements: Required value: when spec.resourceAttributes.fieldSelector is specified",
        ),
        (
            "labelSelector",
            json!({"rawSelector": "a=b", "requirements": [{"key": "a", "operator": "Exists"}]}),
            "labelSelector.rawSelector: Invalid value: \"a=b\": may not specified at the same time as requirements",
        ),
        (
            "fieldSelector",
            requirement("", "In", json!(["x"])),
            "fieldSelector.requirements[0].key: Required value: must be specified",
        ),
        (
            "fieldSelector",
            requirement("a", "In", json!([])),
            "fieldSelector.requirements[0].values: Required value: must be specified when `operator` is 'In'",
        ),
        (
            "labelSelector",
            requirement("a", "Exists", json!(["x"])),
            "labelSelector.requirements[0].values: Forbidden: may not be specified when `operator` is 'Exists'",
        ),
        (
            "labelSelector",
            requirement("-", "In", json!(["x"])),
            "labelSelector.requirements[0].key: Invalid value: \"-\": name part must consist of",
        ),
        (
            "labelSelector",
            requirement("a", "In", json!(["-"])),
            "labelSelector.requirements[0].values[0]: Invalid value: \"-\": a valid label must be",
        ),
    ] {
        let error = ask(field, selector).unwrap_err();
        assert_eq!(error.code, 422);
        assert!(error.message.contains(told), "{}", error.message);
    }
    let told =
        |field: &str, selector: Value| ask(field, selector).unwrap()["status"]["evaluationError"].clone();
    for (field, selector) in [
        ("fieldSelector", json!({"rawSelector": "spec.nodeName=n1"})),
        ("fieldSelector", requirement("a", "NotIn", json!(["x"]))),
        ("labelSelector", json!({"rawSelector": "a in (b, c),!d"})),
        ("labelSelector", requirement("a", "DoesNotExist", Value::Null)),
    ] {
        assert_eq!(told(field, selector.clone()), Value::Null, "{selector}");
    }
    for (field, selector) in [
        ("fieldSelector", json!({"rawSelector": "nonsense"})),
        ("fieldSelector", requirement("a", "In", json!(["x", "y"]))),
        ("fieldSelector", requirement("a", "Exists", Value::Null)),
        ("labelSelector", json!({"rawSelector": "a in"})),
        ("labelSelector", requirement("a", "Near", json!(["x"]))),
    ] {
        let expected = format!("spec.resourceAttributes.{field} ignored due to parse error");
        assert_eq!(told(field, selector.clone()), json!(expected), "{selector}");
    }
    let partly = json!({"requirements": [
        {"key": "a", "operator": "In", "values": ["x"]}, {"key": "b", "operator": "Near"},
    ]});
    assert_eq!(
        told("fieldSelector", partly),
        "spec.resourceAttributes.fieldSelector partially ignored due to parse error"
    );
}

#[test]
fn roles_that_are_not_there_are_told() {
    let memory = Memory::default();
    for name in ["b", "c"] {
        memory.put(
            &CLUSTER_ROLE_BINDINGS,
            &json!({
                "metadata": {"name": name},
                "roleRef": {"kind": "ClusterRole", "name": "gone"},
                "subjects": [{"kind": "User", "name": "jane"}],
            }),
        );
    }
    let authorizer = Authorizer::new(Arc::new(memory));
    let review = json!({"spec": {"namespace": "a"}});
    let answer = reviews::self_subject_rules_review(&authorizer, &jane(), &review).unwrap();
    assert_eq!(
        answer["status"]["evaluationError"],
        "clusterrole.rbac.authorization.k8s.io \"gone\" not found"
    );
    assert_eq!(answer["status"]["incomplete"], false);
}

#[test]
fn rules_reviews() {
    let ask =
        |spec: Value| reviews::self_subject_rules_review(&authorizer(), &jane(), &json!({"spec": spec}));
    assert_eq!(ask(json!({})).unwrap_err().code, 400);
    let answer = ask(json!({"namespace": "a"})).unwrap();
    assert_eq!(
        answer["status"],
        json!({
            "resourceRules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}],
            "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/metrics"]}],
            "incomplete": false,
        })
    );
}

#[test]
fn who_am_i_and_whose_token() {
    let answer = reviews::self_subject_review(&jane(), &json!({}));
    assert_eq!(answer["status"]["userInfo"]["username"], "jane");
    let fixture = fixture();
    let review = |spec: Value| reviews::token_review(&fixture.authenticator, &json!({"spec": spec}));
    let token = fixture.token(json!({"audiences": ["vault", "x"]}));
    let answer = review(json!({"token": token, "audiences": ["vault", "y"]})).unwrap();
    assert_eq!(answer["status"]["authenticated"], true);
    assert_eq!(answer["status"]["audiences"], json!(["vault"]));
    assert_eq!(
        answer["status"]["user"]["username"],
        "system:serviceaccount:a:robot"
    );
    let answer = review(json!({"token": token})).unwrap();
    assert!(answer["status"]["authenticated"].is_null());
    assert!(
        answer["status"]["error"]
            .as_str()
            .unwrap()
            .starts_with("[invalid bearer token, ")
    );
    assert_eq!(review(json!({})).unwrap_err().code, 400);
}

#[test]
fn forbidden_texts() {
    let jane = jane();
    let text = |attributes: Attributes<'_>, reason: &str| forbidden(&attributes, reason).message;
    let list = Attributes {
        namespace: "default",
        ..Attributes::resource(&jane, "list", "", "pods")
    };
    assert_eq!(
        text(list, ""),
        "pods is forbidden: User \"jane\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\""
    );
    let scale = Attributes {
        name: "x",
        subresource: "scale",
        ..Attributes::resource(&jane, "get", "apps", "deployments")
    };
    assert_eq!(
        text(scale, "why"),
        "deployments.apps \"x\" is forbidden: User \"jane\" cannot get resource \"deployments/scale\" in API group \
         \"apps\" at the cluster scope: why"
    );
    assert_eq!(
        text(Attributes::path(&jane, "get", "/metrics"), ""),
        "forbidden: User \"jane\" cannot get path \"/metrics\""
    );
}
