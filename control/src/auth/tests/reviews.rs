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
    let local =
        |namespace: &str| reviews::local_subject_access_review(&authorizer, namespace, &about("jane"));
    assert_eq!(local("a").unwrap()["status"]["allowed"], true);
    assert_eq!(local("b").unwrap_err().code, 422);
    assert_eq!(
        reviews::subject_access_review(&authorizer, &json!({"spec": 7}))
            .unwrap_err()
            .code,
        400
    );
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
