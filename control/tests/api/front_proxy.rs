//! An authenticating proxy in front of the API server, played by curl.

use std::process::Command;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

use crate::cluster::Cluster;

/// Writes a certificate by an authority and its key; their paths.
fn certificate(cluster: &Cluster, authority: &Issuer<'static, KeyPair>, name: &str) -> [String; 2] {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "system:masters");
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let issued = params.signed_by(&key, authority).unwrap();
    [("crt", issued.pem()), ("key", key.serialize_pem())].map(|(suffix, pem)| {
        let path = cluster.dir.path().join(format!("{name}.{suffix}"));
        std::fs::write(&path, pem).unwrap();
        path.display().to_string()
    })
}

/// Who the server takes curl for: status code and `userInfo`.
fn who(cluster: &Cluster, [certificate, key]: &[String; 2], headers: &[&str]) -> (u16, Value) {
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let mut command = Command::new("curl");
    command
        .args([
            "-s",
            "--max-time",
            "20",
            "--cert",
            certificate,
            "--key",
            key,
            "--cacert",
        ])
        .arg(cluster.config.pki_dir.join("ca.crt"))
        .args([
            "-w",
            "\n%{http_code}",
            "-H",
            "content-type: application/json",
            "-d",
            &review.to_string(),
        ]);
    for header in headers {
        command.args(["-H", header]);
    }
    let output = command
        .arg(format!(
            "https://{}/apis/authentication.k8s.io/v1/selfsubjectreviews",
            cluster.config.listen
        ))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, code) = text.rsplit_once('\n').unwrap();
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    (code.parse().unwrap(), body["status"]["userInfo"].clone())
}

/// What a request of curl's is answered with: the status code.
fn code(cluster: &Cluster, [certificate, key]: &[String; 2], headers: &[&str]) -> u16 {
    let mut command = Command::new("curl");
    command
        .args([
            "-s",
            "--max-time",
            "20",
            "--cert",
            certificate,
            "--key",
            key,
            "--cacert",
        ])
        .arg(cluster.config.pki_dir.join("ca.crt"))
        .args(["-o", "/dev/null", "-w", "%{http_code}"]);
    for header in headers {
        command.args(["-H", header]);
    }
    let output = command
        .arg(format!("https://{}/api", cluster.config.listen))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().parse().unwrap()
}

#[test]
fn a_proxy_with_the_right_certificate_names_the_caller() {
    let mut cluster = Cluster::start();
    cluster.stop();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "front-proxy-ca");
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap();
    let pem = authority.pem();
    std::fs::write(cluster.config.pki_dir.join("front-proxy-ca.crt"), &pem).unwrap();
    let authority = Issuer::new(params, key);
    cluster.resume();
    // Extension API servers read there whom to believe; it follows the files.
    let published = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";
    let data = cluster.get(published).1["data"].clone();
    let ca = std::fs::read_to_string(cluster.config.pki_dir.join("ca.crt")).unwrap();
    assert_eq!(
        data,
        json!({
            "client-ca-file": ca,
            "requestheader-client-ca-file": pem,
            "requestheader-allowed-names": "[\"front-proxy-client\"]",
            "requestheader-username-headers": "[\"X-Remote-User\"]",
            "requestheader-uid-headers": "[\"X-Remote-Uid\"]",
            "requestheader-group-headers": "[\"X-Remote-Group\"]",
            "requestheader-extra-headers-prefix": "[\"X-Remote-Extra-\"]",
        })
    );
    let jane = [
        "X-Remote-User: jane",
        "X-Remote-Group: dev",
        "X-Remote-Extra-Team: red",
    ];
    let proxy = certificate(&cluster, &authority, "front-proxy-client");
    let (answer, user) = who(&cluster, &proxy, &jane);
    assert_eq!((answer, &user["username"]), (201, &json!("jane")));
    assert_eq!(user["groups"], json!(["dev", "system:authenticated"]));
    assert_eq!(user["extra"], json!({"team": ["red"]}));
    // Its own name is nobody's, nor is anybody else's by that authority.
    assert_eq!(
        (code(&cluster, &proxy, &jane), code(&cluster, &proxy, &[])),
        (200, 401)
    );
    let other = certificate(&cluster, &authority, "kubernetes-admin");
    assert_eq!(code(&cluster, &other, &[]), 401);
    assert_eq!(code(&cluster, &other, &jane), 401);
    // A client of the cluster stays itself.
    let admin = ["crt", "key"].map(|suffix| {
        let path = cluster.config.pki_dir.join(format!("admin.{suffix}"));
        path.display().to_string()
    });
    let (answer, user) = who(&cluster, &admin, &jane);
    assert_eq!((answer, &user["username"]), (201, &json!("kubernetes-admin")));
}
