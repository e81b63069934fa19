//! Namespaces, roles, owners, storage.

use serde_json::json;

use super::{Fixture, ask, user};
use crate::admission::Operation;
use crate::auth::resources::{NAMESPACES, STORAGE_CLASSES};

#[test]
fn namespaces_must_exist_and_live() {
    let fixture = Fixture::new();
    let boss = user("boss", &["system:masters"]);
    let mut question = ask(&boss, Operation::Create, "", "configmaps");
    question.namespace = "gone";
    let error = fixture.ask(question, Some(json!({}))).unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (404, "namespaces \"gone\" not found")
    );
    question.operation = Operation::Delete;
    assert!(fixture.ask(question, None).is_ok());
    question.namespace = "";
    assert!(fixture.ask(question, None).is_ok());

    fixture.memory.put(
        &NAMESPACES,
        &json!({"metadata": {"name": "a"}, "status": {"phase": "Terminating"}}),
    );
    let error = fixture
        .create("", "configmaps", json!({"metadata": {"name": "x"}}))
        .unwrap_err();
    assert_eq!(error.code, 403);
    assert_eq!(
        error.message,
        "configmaps \"x\" is forbidden: unable to create new content in namespace a because it is being terminated"
    );
    let cause = &error.details.unwrap().causes[0];
    assert_eq!(cause.reason, "NamespaceTerminating");
    assert_eq!(cause.message, "namespace a is being terminated");
    let update = ask(&boss, Operation::Update, "", "configmaps");
    assert!(fixture.ask(update, Some(json!({}))).is_ok());
}

#[test]
fn system_namespaces_stay() {
    let fixture = Fixture::new();
    let boss = user("boss", &["system:masters"]);
    for (name, deletable) in [
        ("default", false),
        ("kube-system", false),
        ("kube-public", false),
        ("a", true),
    ] {
        let mut question = ask(&boss, Operation::Delete, "", "namespaces");
        (question.name, question.namespace) = (name, "");
        let answer = fixture.ask(question, None);
        assert_eq!(answer.is_ok(), deletable, "{name}");
        if let Err(status) = answer {
            assert_eq!(
                status.message,
                format!("namespaces \"{name}\" is forbidden: this namespace may not be deleted")
            );
        }
    }
}

#[test]
fn default_storage_classes() {
    let fixture = Fixture::new();
    let claim = || json!({"metadata": {"name": "x"}, "spec": {}});
    let spec = |claim| fixture.create("", "persistentvolumeclaims", claim).unwrap()["spec"].clone();
    assert_eq!(spec(claim()), json!({}));
    let class = |name: &str, made: &str, default: &str| {
        json!({"metadata": {
            "name": name,
            "creationTimestamp": made,
            "annotations": {"storageclass.kubernetes.io/is-default-class": default},
        }})
    };
    fixture
        .memory
        .put(&STORAGE_CLASSES, &class("old", "2020-01-01T00:00:00Z", "true"));
    fixture
        .memory
        .put(&STORAGE_CLASSES, &class("new", "2021-01-01T00:00:00Z", "true"));
    fixture
        .memory
        .put(&STORAGE_CLASSES, &class("not", "2022-01-01T00:00:00Z", "false"));
    let given = fixture.create("", "persistentvolumeclaims", claim()).unwrap();
    assert_eq!(given["spec"]["storageClassName"], "new");
    let none = json!({"metadata": {"name": "x"}, "spec": {"storageClassName": ""}});
    assert_eq!(spec(none), json!({"storageClassName": ""}));
}

#[test]
fn escalation_is_stopped_in_the_chain() {
    let fixture = Fixture::new();
    fixture.allow(
        ("User", "eve"),
        &json!([
            {"verbs": ["create", "update"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["*"]},
        ]),
    );
    let eve = user("eve", &["system:authenticated"]);
    let role = json!({"metadata": {"name": "x"}, "rules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]});
    for plural in ["roles", "clusterroles"] {
        let question = ask(&eve, Operation::Create, "rbac.authorization.k8s.io", plural);
        assert_eq!(fixture.ask(question, Some(role.clone())).unwrap_err().code, 403);
    }
    // Another group's resource of that name is not a role.
    assert!(
        fixture
            .ask(ask(&eve, Operation::Create, "example.org", "roles"), Some(role))
            .is_ok()
    );
}

#[test]
fn owners_need_rights() {
    let fixture = Fixture::new();
    fixture.allow(
        ("User", "amy"),
        &json!([
            {"verbs": ["update"], "apiGroups": ["example.org"], "resources": ["*/finalizers"]},
        ]),
    );
    let owned = |version: &str, block: bool| {
        json!({"metadata": {"name": "x", "ownerReferences": [
            {"apiVersion": version, "kind": "Thing", "name": "t", "uid": "u", "blockOwnerDeletion": block},
        ]}})
    };
    let (amy, eve) = (user("amy", &[]), user("eve", &[]));
    let create = |user, object| fixture.ask(ask(user, Operation::Create, "", "configmaps"), Some(object));
    assert!(create(&eve, owned("example.org/v1", false)).is_ok());
    assert!(
        create(&eve, owned("example.org/v1", true))
            .unwrap_err()
            .message
            .contains("cannot set blockOwnerDeletion")
    );
    assert!(create(&amy, owned("example.org/v1", true)).is_ok());
    assert!(create(&amy, owned("other.org/v1", true)).is_err());
    // Whoever may not delete an object may not have it collected either.
    let old = json!({"metadata": {"name": "x"}});
    for (plural, subresource, group) in [
        ("configmaps", "", ""),
        ("deployments", "status", "apps"),
        ("deployments", "scale", "apps"),
        ("pods", "resize", ""),
    ] {
        let mut update = ask(&amy, Operation::Update, group, plural);
        (update.old, update.subresource) = (Some(&old), subresource);
        let error = fixture
            .ask(update, Some(owned("example.org/v1", false)))
            .unwrap_err();
        assert!(
            error
                .message
                .contains("cannot set an ownerRef on a resource you can't delete"),
            "{plural}/{subresource}: {error:?}"
        );
    }
    // The strategy of this one lets no owners pass.
    let mut update = ask(&amy, Operation::Update, "", "pods");
    (update.old, update.subresource) = (Some(&old), "status");
    assert!(fixture.ask(update, Some(owned("example.org/v1", false))).is_ok());
    // To delete a deployment is not to delete its status.
    fixture.allow(
        ("User", "amy"),
        &json!([
            {"verbs": ["delete"], "apiGroups": ["apps"], "resources": ["deployments"]},
        ]),
    );
    for (subresource, allowed) in [("", true), ("status", false)] {
        let mut update = ask(&amy, Operation::Update, "apps", "deployments");
        (update.old, update.subresource) = (Some(&old), subresource);
        let answer = fixture.ask(update, Some(owned("example.org/v1", false)));
        assert_eq!(answer.is_ok(), allowed, "{subresource}");
    }
}

#[test]
fn certificate_requests() {
    use base64::Engine as _;
    let fixture = Fixture::new();
    fixture.allow(("User", "amy"), &json!([
        {"verbs": ["approve"], "apiGroups": ["certificates.k8s.io"], "resources": ["signers"], "resourceNames": ["example.org/*"]},
    ]));
    let amy = user("amy", &[]);
    let old = |signer: &str| json!({"metadata": {"name": "x"}, "spec": {"signerName": signer}});
    let change = |signer: &str, subresource: &'static str, status: serde_json::Value| {
        let old = old(signer);
        let mut new = old.clone();
        new["status"] = status;
        let mut question = ask(
            &amy,
            Operation::Update,
            "certificates.k8s.io",
            "certificatesigningrequests",
        );
        (question.subresource, question.old, question.namespace) = (subresource, Some(&old), "");
        fixture
            .ask(question, Some(new))
            .map(drop)
            .map_err(|status| status.message)
    };
    assert_eq!(change("example.org/any", "approval", json!({})), Ok(()));
    assert!(
        change("kubernetes.io/kubelet-serving", "approval", json!({}))
            .unwrap_err()
            .contains("not permitted to approve")
    );
    assert!(
        change("example.org/any", "status", json!({"certificate": "x"}))
            .unwrap_err()
            .contains("not permitted to sign")
    );
    assert_eq!(change("example.org/any", "status", json!({})), Ok(()));

    let request = |organization: rcgen::DnValue| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params
            .distinguished_name
            .push(rcgen::DnType::OrganizationName, organization);
        let pem = params.serialize_request(&key).unwrap().pem().unwrap();
        json!({"metadata": {"name": "x"}, "spec": {
            "signerName": "kubernetes.io/kube-apiserver-client",
            "request": base64::engine::general_purpose::STANDARD.encode(pem),
        }})
    };
    let create = |object| fixture.create("certificates.k8s.io", "certificatesigningrequests", object);
    assert!(create(request("dev".into())).is_ok());
    assert_eq!(create(request("system:masters".into())).unwrap_err().code, 403);
    for masters in [
        rcgen::DnValue::PrintableString("system:masters".try_into().unwrap()),
        rcgen::DnValue::Ia5String("system:masters".try_into().unwrap()),
        rcgen::DnValue::TeletexString("system:masters".try_into().unwrap()),
        rcgen::DnValue::BmpString("system:masters".try_into().unwrap()),
        rcgen::DnValue::UniversalString("system:masters".try_into().unwrap()),
    ] {
        assert_eq!(
            create(request(masters.clone())).unwrap_err().code,
            403,
            "{masters:?}"
        );
    }

    let mut forged = request("dev".into());
    for (field, value) in [
        ("username", json!("system:node:n1")),
        ("uid", json!("u")),
        ("groups", json!(["system:nodes"])),
        ("extra", json!({"a": ["b"]})),
    ] {
        forged["spec"][field] = value;
    }
    let question = ask(
        &amy,
        Operation::Create,
        "certificates.k8s.io",
        "certificatesigningrequests",
    );
    let stored = fixture.ask(question, Some(forged)).unwrap();
    assert_eq!(stored["spec"]["username"], "amy", "the server knows who asks");
    for field in ["uid", "groups", "extra"] {
        assert!(stored["spec"][field].is_null(), "{field}");
    }
}
