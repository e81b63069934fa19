//! What RBAC does not grant is not seen: every verb of every resource and subresource that discovery lists, as objects, Tables
//! and bare metadata; and somebody who has one verb has no other.

use http::Method;
use serde_json::{Value, json};

use crate::cluster::{Caller, message};

const TABLE: &str = "application/json;as=Table;g=meta.k8s.io;v=v1";
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const FORMS: [&str; 5] = ["application/json", TABLE, METADATA, METADATA_LIST, PROTOBUF];
/// Stands in the secret that nobody may see.
const CANARY: &str = "canary-5f1c";
/// Questions about oneself are everybody's.
const OWN: [&str; 3] = [
    "selfsubjectreviews",
    "selfsubjectaccessreviews",
    "selfsubjectrulesreviews",
];

pub async fn denials(admin: &Caller) {
    for kind in ["secrets", "configmaps"] {
        let object = json!({"metadata": {"name": "x", "labels": {"canary": CANARY}}});
        let path = format!("/api/v1/namespaces/other/{kind}");
        assert_eq!(admin.create(&path, object).await.0, 201);
    }
    let mut asked = 0;
    for version in versions(admin).await {
        let (_, found) = admin.get(&version).await;
        for resource in found["resources"].as_array().unwrap() {
            asked += nobody(admin, &version, resource).await;
        }
    }
    assert!(asked > 1500, "only {asked} requests");
    one_verb(admin).await;
    one_name(admin).await;
}

/// The roots of all group versions.
async fn versions(admin: &Caller) -> Vec<String> {
    let (_, groups) = admin.get("/apis").await;
    let mut found = vec!["/api/v1".to_owned()];
    for group in groups["groups"].as_array().unwrap() {
        for version in group["versions"].as_array().unwrap() {
            found.push(format!("/apis/{}", version["groupVersion"].as_str().unwrap()));
        }
    }
    found
}

/// As somebody without any right: everything that this resource could be asked. Returns how much that was.
async fn nobody(admin: &Caller, version: &str, resource: &Value) -> usize {
    let name = resource["name"].as_str().unwrap();
    if OWN.contains(&name) {
        return 0;
    }
    let (plural, sub) = name.split_once('/').unwrap_or((name, ""));
    let mut asked = 0;
    let prefixes = if resource["namespaced"] == true {
        vec![format!("{version}/namespaces/other"), version.to_owned()]
    } else {
        vec![version.to_owned()]
    };
    for prefix in prefixes {
        let all_namespaces = resource["namespaced"] == true && prefix == version;
        let (list, one) = (format!("{prefix}/{plural}"), format!("{prefix}/{plural}/x"));
        let requests: Vec<(Method, String)> = match sub {
            "" if all_namespaces => vec![(Method::GET, list.clone()), watching(&list)],
            "" => vec![
                (Method::GET, list.clone()),
                watching(&list),
                (Method::GET, one.clone()),
                watching(&one),
                (Method::POST, list.clone()),
                (Method::PUT, one.clone()),
                (Method::PATCH, one.clone()),
                (Method::DELETE, one.clone()),
                (Method::DELETE, list.clone()),
            ],
            _ if all_namespaces => Vec::new(),
            sub => [
                Method::GET,
                Method::POST,
                Method::PUT,
                Method::PATCH,
                Method::DELETE,
            ]
            .map(|method| (method, format!("{one}/{sub}")))
            .into(),
        };
        for (method, path) in requests {
            let forms = if method == Method::GET {
                &FORMS[..]
            } else {
                &FORMS[..1]
            };
            for form in forms {
                let headers = [("Impersonate-User", "mallory"), ("Accept", form)];
                let body = (method != Method::GET).then(|| json!({}));
                let answer = admin.with(method.clone(), &path, body, &headers).await;
                assert_eq!(answer.0, 403, "{method} {path} as {form}: {answer:?}");
                assert!(
                    !answer.1.to_string().contains(CANARY),
                    "{method} {path}: {answer:?}"
                );
                asked += 1;
            }
        }
    }
    asked
}

fn watching(path: &str) -> (Method, String) {
    (Method::GET, format!("{path}?watch=1&timeoutSeconds=1"))
}

pub async fn grant(admin: &Caller, user: &str, rule: Value) {
    let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/other";
    let role = json!({"metadata": {"name": user}, "rules": [rule]});
    assert_eq!(admin.create(&format!("{roles}/roles"), role).await.0, 201);
    let binding = json!({
        "metadata": {"name": user},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": user},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    });
    assert_eq!(
        admin.create(&format!("{roles}/rolebindings"), binding).await.0,
        201
    );
}

/// Who has one verb on Secrets has that one and no other; to read one is not to list or watch them.
async fn one_verb(admin: &Caller) {
    let list = "/api/v1/namespaces/other/secrets";
    let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}});
    // A request with a name is never a watch.
    let requests = [
        ("get", Method::GET, format!("{list}/x"), None),
        ("list", Method::GET, list.to_owned(), None),
        (
            "watch",
            Method::GET,
            format!("{list}?watch=1&timeoutSeconds=1"),
            None,
        ),
        (
            "get",
            Method::GET,
            format!("{list}/x?watch=true&timeoutSeconds=1"),
            None,
        ),
        ("create", Method::POST, list.to_owned(), Some(object.clone())),
        ("update", Method::PUT, format!("{list}/x"), Some(object)),
        ("patch", Method::PATCH, format!("{list}/x"), Some(json!({}))),
        ("delete", Method::DELETE, format!("{list}/x?dryRun=All"), None),
        (
            "deletecollection",
            Method::DELETE,
            format!("{list}?dryRun=All"),
            None,
        ),
    ];
    let verbs = [
        "get",
        "list",
        "watch",
        "create",
        "update",
        "patch",
        "delete",
        "deletecollection",
    ];
    for verb in verbs {
        let user = format!("only-{verb}");
        grant(
            admin,
            &user,
            json!({"verbs": [verb], "apiGroups": [""], "resources": ["secrets"]}),
        )
        .await;
        for (needed, method, path, body) in &requests {
            for form in FORMS.iter().take(if *method == Method::GET { 5 } else { 1 }) {
                let headers = [("Impersonate-User", user.as_str()), ("Accept", form)];
                let answer = admin.with(method.clone(), path, body.clone(), &headers).await;
                let shown = answer.1.to_string();
                if verb == *needed {
                    // 406: lists as one object's metadata and the other way round.
                    assert_ne!(answer.0, 403, "{user}: {method} {path} as {form}: {shown}");
                } else {
                    assert_eq!(answer.0, 403, "{user}: {method} {path} as {form}: {shown}");
                    assert!(
                        !shown.contains(CANARY),
                        "{user}: {method} {path} as {form}: {shown}"
                    );
                }
            }
        }
    }
}

/// Who may see one object by its name sees that one only, also in lists, watches and other forms.
async fn one_name(admin: &Caller) {
    let verbs = ["get", "list", "watch", "deletecollection"];
    let rule =
        json!({"verbs": verbs, "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["mine"]});
    grant(admin, "named", rule).await;
    let list = "/api/v1/namespaces/other/secrets";
    assert_eq!(
        admin.create(list, json!({"metadata": {"name": "mine"}})).await.0,
        201
    );
    let ask = async |path: &str, form: &str| {
        let headers = [("Impersonate-User", "named"), ("Accept", form)];
        admin.with(Method::GET, path, None, &headers).await
    };
    for form in FORMS {
        for path in [
            format!("{list}/x"),
            list.to_owned(),
            format!("{list}?watch=1&timeoutSeconds=1"),
            format!("{list}?fieldSelector=metadata.name%3Dx"),
            format!("{list}?fieldSelector=metadata.name%3Dx&watch=1&timeoutSeconds=1"),
            format!("{list}?labelSelector=canary"),
            format!("{list}/mine/../x"),
            format!("{list}/%2e%2e/secrets/x"),
            format!("{list}//x"),
        ] {
            let answer = ask(&path, form).await;
            assert!(matches!(answer.0, 403 | 404), "{path} as {form}: {answer:?}");
            assert!(
                !answer.1.to_string().contains(CANARY),
                "{path} as {form}: {answer:?}"
            );
        }
    }
    let answer = ask(&format!("{list}/mine"), FORMS[0]).await;
    assert_eq!(answer.0, 200, "{}", message(&answer));
    let answer = ask(&format!("{list}?fieldSelector=metadata.name%3Dmine"), TABLE).await;
    assert_eq!(
        (answer.0, answer.1["rows"].as_array().map(Vec::len)),
        (200, Some(1)),
        "{answer:?}"
    );
    let watch = format!("{list}?fieldSelector=metadata.name%3Dmine&watch=1&timeoutSeconds=1");
    let answer = ask(&watch, FORMS[0]).await;
    assert_eq!(answer.0, 200, "{answer:?}");
    assert!(!answer.1.to_string().contains(CANARY), "{answer:?}");
    // Collections are deleted by nobody whose rights are for names.
    let headers = [("Impersonate-User", "named")];
    let path = format!("{list}?fieldSelector=metadata.name%3Dmine");
    let answer = admin.with(Method::DELETE, &path, None, &headers).await;
    assert_eq!(answer.0, 403, "{answer:?}");
}
