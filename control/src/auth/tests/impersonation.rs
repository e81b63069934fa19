//! Acting as somebody else.

use std::sync::Arc;

use http::HeaderMap;
use serde_json::json;

use crate::auth::memory::Memory;
use crate::auth::resources::{CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS};
use crate::auth::{Authorizer, UserInfo, impersonate};

fn authorizer() -> Authorizer {
    let memory = Memory::default();
    memory.put(&CLUSTER_ROLES, &json!({"metadata": {"name": "as-jane"}, "rules": [
        {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users"], "resourceNames": ["jane"]},
        {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["groups"], "resourceNames": ["dev"]},
        {"verbs": ["impersonate"], "apiGroups": ["authentication.k8s.io"], "resources": ["userextras/scopes"]},
    ]}));
    memory.put(
        &CLUSTER_ROLE_BINDINGS,
        &json!({
            "metadata": {"name": "x"},
            "roleRef": {"kind": "ClusterRole", "name": "as-jane"},
            "subjects": [{"kind": "User", "name": "proxy"}],
        }),
    );
    // `edit` may impersonate the service accounts of its namespace.
    memory.put(
        &CLUSTER_ROLES,
        &json!({"metadata": {"name": "as-sa"}, "rules": [
            {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["serviceaccounts"]},
        ]}),
    );
    memory.put(
        &ROLE_BINDINGS,
        &json!({
            "metadata": {"name": "x", "namespace": "a"},
            "roleRef": {"kind": "ClusterRole", "name": "as-sa"},
            "subjects": [{"kind": "User", "name": "editor"}],
        }),
    );
    Authorizer::new(Arc::new(memory))
}

fn ask(user: &str, headers: &[(&str, &str)]) -> Result<Option<UserInfo>, (u16, String)> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(
            http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
            value.parse().unwrap(),
        );
    }
    let groups = if user == "admin" {
        vec!["system:masters".to_owned()]
    } else {
        Vec::new()
    };
    let user = UserInfo {
        name: user.to_owned(),
        groups,
        ..UserInfo::default()
    };
    impersonate(&authorizer(), &user, &map).map_err(|status| (status.code, status.message))
}

#[test]
fn without_headers_nothing_happens() {
    assert_eq!(ask("proxy", &[("accept", "x")]), Ok(None));
}

#[test]
fn every_attribute_needs_a_right() {
    let jane = ask(
        "proxy",
        &[
            ("Impersonate-User", "jane"),
            ("Impersonate-Group", "dev"),
            ("Impersonate-Extra-scopes", "view"),
        ],
    )
    .unwrap()
    .unwrap();
    assert_eq!(jane.name, "jane");
    assert_eq!(jane.groups, ["dev", "system:authenticated"]);
    assert_eq!(jane.extra["scopes"], ["view"]);
    for (headers, text) in [
        (
            &[("Impersonate-User", "admin")][..],
            "users \"admin\" is forbidden: User \"proxy\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope",
        ),
        (
            &[
                ("Impersonate-User", "jane"),
                ("Impersonate-Group", "system:masters"),
            ],
            "groups \"system:masters\" is forbidden",
        ),
        (
            &[
                ("Impersonate-User", "jane"),
                ("Impersonate-Group", "dev"),
                ("Impersonate-Group", "system:masters"),
            ],
            "system:masters",
        ),
        (
            &[("Impersonate-User", "jane"), ("Impersonate-Uid", "1")],
            "uids.authentication.k8s.io \"1\" is forbidden",
        ),
        (
            &[("Impersonate-User", "jane"), ("Impersonate-Extra-other", "x")],
            "resource \"userextras/other\"",
        ),
        (
            &[("Impersonate-User", "system:serviceaccount:kube-system:x")],
            "serviceaccounts \"x\" is forbidden",
        ),
    ] {
        let (code, message) = ask("proxy", headers).unwrap_err();
        assert_eq!(code, 403, "{headers:?}");
        assert!(message.contains(text), "{message}");
    }
}

#[test]
fn headers_without_a_user_are_an_error() {
    for headers in [
        &[("Impersonate-Group", "system:masters")][..],
        &[("Impersonate-Uid", "1")],
        &[("Impersonate-User", "")],
        &[("Impersonate-Usr", "jane")],
    ] {
        assert_eq!(ask("admin", headers).unwrap_err().0, 500, "{headers:?}");
    }
}

#[test]
fn service_accounts_bring_their_groups() {
    let user = ask("editor", &[("Impersonate-User", "system:serviceaccount:a:robot")])
        .unwrap()
        .unwrap();
    assert_eq!(
        user.groups,
        [
            "system:serviceaccounts",
            "system:serviceaccounts:a",
            "system:authenticated"
        ]
    );
    assert!(ask("editor", &[("Impersonate-User", "system:serviceaccount:b:robot")]).is_err());
    assert!(ask("editor", &[("Impersonate-User", "jane")]).is_err());
}

#[test]
fn anonymous_stays_unauthenticated() {
    let user = ask("admin", &[("Impersonate-User", "system:anonymous")])
        .unwrap()
        .unwrap();
    assert_eq!(user.groups, ["system:unauthenticated"]);
}

#[test]
fn extra_keys_are_unescaped() {
    let user = ask(
        "admin",
        &[
            ("Impersonate-User", "x"),
            ("Impersonate-Extra-a%2fb", "1"),
            ("Impersonate-Extra-c%zz", "2"),
        ],
    );
    let extra = user.unwrap().unwrap().extra;
    assert_eq!(extra.keys().collect::<Vec<_>>(), ["a/b", "c%zz"]);
}
