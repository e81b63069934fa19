//! What the conformance suite's sig-auth rows describe, where no container has to look.

use base64::Engine as _;
use http::Method;
use serde_json::{Value, json};

use crate::cluster::{Cluster, MAPS};

const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

/// A PKCS#10 request in PEM for a name and a group.
pub fn signing_request(name: &str, group: &str) -> (rcgen::KeyPair, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    let subject = &mut params.distinguished_name;
    if !group.is_empty() {
        subject.push(rcgen::DnType::OrganizationName, group);
    }
    subject.push(rcgen::DnType::CommonName, name);
    let pem = params.serialize_request(&key).unwrap().pem().unwrap();
    (key, pem)
}

/// The object around a request.
pub fn request(name: &str, signer: &str, usages: &[&str], pem: &str) -> Value {
    json!({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name},
        "spec": {
            "request": base64::engine::general_purpose::STANDARD.encode(pem),
            "signerName": signer, "usages": usages, "expirationSeconds": 3600,
        },
    })
}

fn names(list: &Value, field: &str) -> Vec<String> {
    let items = list[field].as_array().unwrap();
    items
        .iter()
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect()
}

/// Certificates API should support CSR API operations.
#[test]
fn signing_requests_have_all_verbs_and_subresources() {
    let cluster = Cluster::start();
    let (_, groups) = cluster.get("/apis");
    assert!(names(&groups, "groups").contains(&"certificates.k8s.io".to_owned()));
    let (_, group) = cluster.get("/apis/certificates.k8s.io");
    assert_eq!(group["versions"][0]["version"], "v1");
    let (_, resources) = cluster.get("/apis/certificates.k8s.io/v1");
    let found = names(&resources, "resources");
    for name in ["", "/approval", "/status"] {
        assert!(
            found.contains(&format!("certificatesigningrequests{name}")),
            "{name}"
        );
    }
    // A signer of the test's own, so that no controller takes the request.
    let (signer, (_, pem)) = ("example.com/e2e", signing_request("somebody", ""));
    let (code, made) = cluster.post(REQUESTS, &request("one", signer, &["digital signature"], &pem));
    assert_eq!(code, 201, "{made}");
    assert_eq!(
        made["spec"]["username"], "kubernetes-admin",
        "who asks is what the server knows"
    );
    assert_eq!(
        made["spec"]["groups"],
        json!(["system:masters", "system:authenticated"])
    );
    let one = format!("{REQUESTS}/one");
    assert_eq!(cluster.get(&one).0, 200);
    let listed = cluster
        .get(&format!(
            "{REQUESTS}?fieldSelector=spec.signerName%3Dexample.com/e2e"
        ))
        .1;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let since = listed["metadata"]["resourceVersion"].as_str().unwrap().to_owned();

    let patch = json!({"metadata": {"annotations": {"patched": "true"}}});
    let (code, patched) = cluster.patch(&one, "merge-patch+json", &patch);
    assert_eq!(
        (code, &patched["metadata"]["annotations"]["patched"]),
        (200, &json!("true"))
    );
    let mut updated = patched.clone();
    updated["metadata"]["annotations"]["updated"] = "true".into();
    let (code, updated) = cluster.put(&one, &updated);
    assert_eq!(
        (code, &updated["metadata"]["annotations"]["updated"]),
        (200, &json!("true"))
    );

    let approval = format!("{one}/approval");
    assert_eq!(cluster.get(&approval).0, 200);
    let patch = json!({
        "metadata": {"annotations": {"patchedapproval": "true"}},
        "status": {"conditions": [{"type": "ApprovalPatch", "status": "True", "reason": "e2e"}]},
    });
    let (code, patched) = cluster.patch(&approval, "merge-patch+json", &patch);
    assert_eq!(
        (code, &patched["status"]["conditions"][0]["type"]),
        (200, &json!("ApprovalPatch")),
        "{patched}"
    );
    let mut approved = patched.clone();
    let approve =
        json!({"type": "Approved", "status": "True", "reason": "E2E", "message": "set from a test"});
    approved["status"]["conditions"]
        .as_array_mut()
        .unwrap()
        .push(approve);
    let (code, approved) = cluster.put(&approval, &approved);
    assert_eq!(
        (code, &approved["status"]["conditions"][1]["type"]),
        (200, &json!("Approved")),
        "{approved}"
    );
    let shown = cluster.kubectl(&["get", "csr", "one"]).ok();
    assert!(shown.contains("Approved"), "{shown}");

    let status = format!("{one}/status");
    assert_eq!(cluster.get(&status).0, 200);
    let certificate = std::fs::read(cluster.config.pki_dir.join("ca.crt")).unwrap();
    let certificate = base64::engine::general_purpose::STANDARD.encode(certificate);
    let patch = json!({"metadata": {"annotations": {"patchedstatus": "true"}}, "status": {"certificate": certificate}});
    let (code, patched) = cluster.patch(&status, "merge-patch+json", &patch);
    assert_eq!(
        (code, &patched["status"]["certificate"]),
        (200, &json!(certificate)),
        "{patched}"
    );
    let mut updated = patched.clone();
    let updated_condition = json!({"type": "StatusUpdate", "status": "True", "reason": "E2E"});
    updated["status"]["conditions"]
        .as_array_mut()
        .unwrap()
        .push(updated_condition);
    let (code, updated) = cluster.put(&status, &updated);
    assert_eq!(
        (code, &updated["status"]["conditions"][2]["type"]),
        (200, &json!("StatusUpdate")),
        "{updated}"
    );

    assert_eq!(cluster.delete(&one, &Value::Null).0, 200);
    let watch = format!("{REQUESTS}?watch=true&resourceVersion={since}&timeoutSeconds=1");
    let (_, seen) = cluster.raw(Method::GET, &watch, &[], b"");
    let seen = String::from_utf8(seen).unwrap();
    assert!(
        seen.contains("\"MODIFIED\"") && seen.contains("\"DELETED\""),
        "{seen}"
    );
    for name in ["two", "three"] {
        let (_, pem) = signing_request("somebody", "");
        assert_eq!(
            cluster
                .post(REQUESTS, &request(name, signer, &["digital signature"], &pem))
                .0,
            201
        );
    }
    let collection = format!("{REQUESTS}?fieldSelector=spec.signerName%3Dexample.com/e2e");
    assert_eq!(cluster.delete(&collection, &Value::Null).0, 200);
    assert_eq!(cluster.get(&collection).1["items"], json!([]));
}

/// ServiceAccounts should run through the lifecycle of a ServiceAccount; and: should update a ServiceAccount.
#[test]
fn a_service_account_lives() {
    let cluster = Cluster::start();
    let (_, list) = cluster.get(ACCOUNTS);
    let since = list["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "robot", "labels": {"test-serviceaccount-static": "true"}},
    });
    assert_eq!(cluster.post(ACCOUNTS, &account).0, 201);
    let one = format!("{ACCOUNTS}/robot");
    let patch = json!({"automountServiceAccountToken": false});
    let (code, patched) = cluster.patch(&one, "strategic-merge-patch+json", &patch);
    assert_eq!(
        (code, &patched["automountServiceAccountToken"]),
        (200, &json!(false))
    );
    let all = "/api/v1/serviceaccounts?labelSelector=test-serviceaccount-static%3Dtrue";
    let (_, listed) = cluster.get(all);
    let items = listed["items"].as_array().unwrap();
    assert_eq!(
        (items.len(), &items[0]["automountServiceAccountToken"]),
        (1, &json!(false))
    );
    let mut updated = patched;
    updated["automountServiceAccountToken"] = true.into();
    let (code, updated) = cluster.put(&one, &updated);
    assert_eq!(
        (code, &updated["automountServiceAccountToken"]),
        (200, &json!(true))
    );
    let labelled = format!("{ACCOUNTS}?labelSelector=test-serviceaccount-static%3Dtrue");
    assert_eq!(cluster.delete(&labelled, &Value::Null).0, 200);
    let watch = format!("{labelled}&watch=true&resourceVersion={since}&timeoutSeconds=1");
    let (_, seen) = cluster.raw(Method::GET, &watch, &[], b"");
    let events: Vec<Value> = seen
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]);
    assert_eq!(
        events[0]["object"]["metadata"]["labels"]["test-serviceaccount-static"],
        "true"
    );
}

/// ServiceAccounts should guarantee kube-root-ca.crt exist in any namespace.
#[test]
fn the_authority_is_in_every_namespace_whatever_is_done_to_it() {
    let cluster = Cluster::start();
    let map = format!("{MAPS}/kube-root-ca.crt");
    let authority = std::fs::read_to_string(cluster.config.pki_dir.join("ca.crt")).unwrap();
    let right = |cluster: &Cluster| cluster.get(&map).1["data"] == json!({"ca.crt": authority});
    cluster.eventually("published", right);
    assert_eq!(cluster.delete(&map, &Value::Null).0, 200);
    cluster.eventually("made again", right);
    let wrong = json!({"data": {"ca.crt": "", "other": "x"}});
    assert_eq!(cluster.patch(&map, "merge-patch+json", &wrong).0, 200);
    cluster.eventually("put right", right);
}

/// ServiceAccountIssuerDiscovery should support OIDC discovery of service account issuer: a client that knows only the
/// issuer's documents verifies a token.
#[test]
fn a_token_is_verified_with_the_issuers_documents() {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    let cluster = Cluster::start();
    let issue = |spec: Value| {
        let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec});
        let (code, answer) = cluster.post(&format!("{ACCOUNTS}/default/token"), &body);
        assert_eq!(code, 201, "{answer}");
        answer["status"]["token"].as_str().unwrap().to_owned()
    };
    let token = issue(json!({"audiences": ["oidc-discovery-test"], "expirationSeconds": 600}));
    // Any service account may read the documents.
    let own = issue(json!({}));
    let own = own.as_str();
    let (code, document) = cluster.anonymous("/.well-known/openid-configuration", Some(own));
    assert_eq!(code, 200, "{document}");
    assert_eq!(
        cluster.anonymous("/.well-known/openid-configuration", None).0,
        403
    );
    let keys_at = document["jwks_uri"].as_str().unwrap();
    let path = keys_at.splitn(4, '/').nth(3).unwrap();
    let (code, keys) = cluster.anonymous(&format!("/{path}"), Some(own));
    assert_eq!(code, 200, "{keys}");

    let parts: Vec<&str> = token.split('.').collect();
    let decode =
        |part: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
    let (header, claims) = (decode(parts[0]), decode(parts[1]));
    assert_eq!(claims["iss"], document["issuer"]);
    assert_eq!(claims["aud"], json!(["oidc-discovery-test"]));
    assert_eq!(claims["sub"], "system:serviceaccount:default:default");
    let algorithms = document["id_token_signing_alg_values_supported"]
        .as_array()
        .unwrap();
    assert!(algorithms.contains(&header["alg"]));
    let key = keys["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["kid"] == header["kid"])
        .unwrap();
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let signed = format!("{}.{}", parts[0], parts[1]);
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(parts[2]).unwrap())
        .unwrap();
}

/// SubjectReview should support SubjectReview API operations: what the reviews say is what happens.
#[test]
fn reviews_say_what_an_impersonated_call_meets() {
    let cluster = Cluster::start();
    assert_eq!(
        cluster
            .post(
                ACCOUNTS,
                &json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "e2e"}})
            )
            .0,
        201
    );
    let user = "system:serviceaccount:default:e2e";
    let review = |local: bool| {
        let (kind, path) = if local {
            (
                "LocalSubjectAccessReview",
                "/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews",
            )
        } else {
            (
                "SubjectAccessReview",
                "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            )
        };
        let body = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": kind, "metadata": {"namespace": if local { "default" } else { "" }},
            "spec": {
                "user": user,
                "resourceAttributes": {"verb": "list", "resource": "configmaps", "namespace": "default", "version": "v1"},
            },
        });
        let (code, answer) = cluster.post(path, &body);
        assert_eq!(code, 201, "{answer}");
        answer["status"]["allowed"].as_bool().unwrap()
    };
    let call = || {
        cluster
            .request(Method::GET, MAPS, &[("impersonate-user", user)], b"")
            .0
    };
    assert_eq!((review(false), review(true), call()), (false, false, 403));
    cluster
        .kubectl(&[
            "create",
            "rolebinding",
            "e2e",
            "--clusterrole=view",
            "--serviceaccount=default:e2e",
        ])
        .ok();
    assert_eq!((review(false), review(true), call()), (true, true, 200));
}
