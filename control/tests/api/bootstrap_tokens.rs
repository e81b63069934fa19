//! A machine joins with a bootstrap token: it finds the cluster, gets a certificate and registers, with kubectl for a
//! kubelet.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::identity::{request, signing_request};

const TOKEN: &str = "abcdef.0123456789abcdef";
const SECRETS: &str = "/api/v1/namespaces/kube-system/secrets";
const INFO: &str = "/api/v1/namespaces/kube-public/configmaps/cluster-info";
const NODES: &str = "system:bootstrappers:kubeadm:default-node-token";

/// The Secret that `kubeadm token create` makes.
fn secret(groups: &str, expiration: &str) -> Value {
    let mut data = json!({
        "token-id": "abcdef", "token-secret": "0123456789abcdef", "description": "for the test",
        "usage-bootstrap-authentication": "true", "usage-bootstrap-signing": "true", "auth-extra-groups": groups,
    });
    if !expiration.is_empty() {
        data["expiration"] = expiration.into();
    }
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token",
        "metadata": {"name": "bootstrap-token-abcdef"}, "stringData": data,
    })
}

/// Writes a kubeconfig: that of `cluster-info` with this user.
fn kubeconfig(cluster: &Cluster, name: &str, user: &Value) -> PathBuf {
    let (code, info) = cluster.anonymous(INFO, None);
    assert_eq!(code, 200, "{info}");
    let text = info["data"]["kubeconfig"].as_str().unwrap();
    let mut config: Value = serde_yaml_ng::from_str(text).unwrap();
    config["clusters"][0]["name"] = "c".into();
    config["users"] = json!([{"name": "me", "user": user}]);
    config["contexts"] = json!([{"name": "it", "context": {"cluster": "c", "user": "me"}}]);
    config["current-context"] = "it".into();
    let path = cluster.dir.path().join(name);
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

/// What kubeadm does with `cluster-info` before it trusts it.
fn is_signed(info: &Value) -> bool {
    let Some(signature) = info["data"]["jws-kubeconfig-abcdef"].as_str() else {
        return false;
    };
    let parts: Vec<&str> = signature.split('.').collect();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[0]).unwrap()).unwrap();
    assert_eq!(header, json!({"alg": "HS256", "kid": "abcdef"}));
    let payload = URL_SAFE_NO_PAD.encode(info["data"]["kubeconfig"].as_str().unwrap());
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"0123456789abcdef");
    let signed = format!("{}.{payload}", parts[0]);
    hmac::verify(
        &key,
        signed.as_bytes(),
        &URL_SAFE_NO_PAD.decode(parts[2]).unwrap(),
    )
    .is_ok()
}

#[test]
fn a_machine_joins_with_a_token() {
    let cluster = Cluster::start();
    cluster.eventually("cluster-info", |cluster| {
        cluster.anonymous(INFO, None).1["data"]["kubeconfig"].is_string()
    });
    // Nothing else there is for everybody.
    assert_eq!(
        cluster
            .anonymous("/api/v1/namespaces/kube-public/configmaps", None)
            .0,
        403
    );
    assert_eq!(cluster.anonymous("/api", Some(TOKEN)).0, 401);
    assert_eq!(cluster.post(SECRETS, &secret(NODES, "")).0, 201);
    cluster.eventually("signed", |cluster| is_signed(&cluster.anonymous(INFO, None).1));

    let joining = kubeconfig(&cluster, "joining", &json!({"token": TOKEN}));
    let with = |config: &PathBuf, arguments: &[&str], input: &str| {
        let config = format!("--kubeconfig={}", config.display());
        cluster.kubectl_with(&[&[config.as_str()], arguments].concat(), input)
    };
    let who: Value =
        serde_json::from_str(&with(&joining, &["auth", "whoami", "-o", "json"], "").ok()).unwrap();
    assert_eq!(who["status"]["userInfo"]["username"], "system:bootstrap:abcdef");
    assert_eq!(
        who["status"]["userInfo"]["groups"],
        json!(["system:bootstrappers", NODES, "system:authenticated"])
    );
    let denied = with(&joining, &["get", "pods"], "").failed();
    assert!(
        denied.contains("User \"system:bootstrap:abcdef\" cannot list resource \"pods\""),
        "{denied}"
    );

    // The certificate, approved and signed without anybody's doing.
    let usages = ["digital signature", "client auth"];
    let signer = "kubernetes.io/kube-apiserver-client-kubelet";
    let certificate = |config: &PathBuf, name: &str| {
        let (key, pem) = signing_request("system:node:n9", "system:nodes");
        let asked = request(name, signer, &usages, &pem).to_string();
        with(config, &["create", "-f", "-"], &asked).ok();
        let path = format!("/apis/certificates.k8s.io/v1/certificatesigningrequests/{name}");
        cluster.eventually("issued", |cluster| {
            cluster.get(&path).1["status"]["certificate"].is_string()
        });
        let (_, issued) = cluster.get(&path);
        let condition = &issued["status"]["conditions"][0];
        assert_eq!(
            (&condition["type"], &condition["reason"]),
            (&json!("Approved"), &json!("AutoApproved"))
        );
        let user = json!({
            "client-certificate-data": issued["status"]["certificate"],
            "client-key-data": STANDARD.encode(key.serialize_pem()),
        });
        (
            kubeconfig(&cluster, name, &user),
            condition["message"].as_str().unwrap().to_owned(),
        )
    };
    let (node, how) = certificate(&joining, "first");
    assert_eq!(
        how,
        "Auto approving kubelet client certificate after SubjectAccessReview."
    );
    let object =
        |name: &str| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}).to_string();
    with(&node, &["create", "-f", "-"], &object("n9")).ok();
    let other = with(&node, &["create", "-f", "-"], &object("n8")).failed();
    assert!(other.contains("is not allowed to modify node \"n8\""), "{other}");
    // It renews its certificate by itself.
    let (_, how) = certificate(&node, "second");
    assert_eq!(
        how,
        "Auto approving self kubelet client certificate after SubjectAccessReview."
    );

    assert_eq!(
        cluster
            .delete(&format!("{SECRETS}/bootstrap-token-abcdef"), &Value::Null)
            .0,
        200
    );
    assert_eq!(cluster.anonymous("/api", Some(TOKEN)).0, 401);
    cluster.eventually("the signature goes", |cluster| {
        let (_, info) = cluster.anonymous(INFO, None);
        info["data"]["jws-kubeconfig-abcdef"].is_null() && info["data"]["kubeconfig"].is_string()
    });
    let (code, _) = cluster.request(http::Method::GET, "/api/v1/nodes/n9", &[], b"");
    assert_eq!(code, 200);
}

#[test]
fn a_token_without_the_nodes_group_gets_no_certificate_and_an_old_one_goes() {
    let cluster = Cluster::start();
    assert_eq!(
        cluster
            .post(SECRETS, &secret("system:bootstrappers:others", ""))
            .0,
        201
    );
    let (code, who) = cluster.anonymous("/api", Some(TOKEN));
    assert_eq!(code, 200, "{who}");
    cluster.eventually("cluster-info", |cluster| {
        is_signed(&cluster.anonymous(INFO, None).1)
    });
    let joining = kubeconfig(&cluster, "joining", &json!({"token": TOKEN}));
    let (_, pem) = signing_request("system:node:n9", "system:nodes");
    let signer = "kubernetes.io/kube-apiserver-client-kubelet";
    let asked = request("first", signer, &["digital signature", "client auth"], &pem).to_string();
    let config = format!("--kubeconfig={}", joining.display());
    let denied = cluster
        .kubectl_with(&[&config, "create", "-f", "-"], &asked)
        .failed();
    assert!(
        denied.contains("cannot create resource \"certificatesigningrequests\""),
        "{denied}"
    );

    // The end of its time: refused at once, and removed.
    let one = format!("{SECRETS}/bootstrap-token-abcdef");
    assert_eq!(cluster.delete(&one, &Value::Null).0, 200);
    let end = keelson_api::time::format(keelson_api::time::now() + 2);
    assert_eq!(cluster.post(SECRETS, &secret(NODES, &end)).0, 201);
    assert_eq!(cluster.anonymous("/api", Some(TOKEN)).0, 200);
    cluster.eventually("removed", |cluster| cluster.get(&one).0 == 404);
    assert_eq!(cluster.anonymous("/api", Some(TOKEN)).0, 401);
    assert!(
        keelson_api::time::now() >= keelson_api::time::parse(&end).unwrap(),
        "not before"
    );
}
