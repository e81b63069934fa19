//! Who gets which certificate, and for how long requests are kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::{Value, json};

use super::clean::ends;
use super::rules::{CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LEGACY};
use super::sign::issue;
use crate::controllers::model::CertificateRequest;
use crate::pki::SignError;

fn pem(name: &str, groups: &[&str], hosts: &[&str]) -> String {
    let key = KeyPair::generate().unwrap();
    let mut params =
        CertificateParams::new(hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for group in groups {
        params.distinguished_name.push(DnType::OrganizationName, *group);
    }
    params.distinguished_name.push(DnType::CommonName, name);
    params.serialize_request(&key).unwrap().pem().unwrap()
}

fn request(signer: &str, usages: &[&str], pem: &str) -> CertificateRequest {
    let object = json!({
        "metadata": {"name": "x", "creationTimestamp": "1970-01-01T00:00:00Z"},
        "spec": {
            "signerName": signer, "usages": usages, "request": STANDARD.encode(pem), "expirationSeconds": 3600,
        },
    });
    serde_json::from_value(object).unwrap()
}

fn pki() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let request = crate::pki::Request {
        api_sans: Vec::new(),
        service_cidrs: Vec::new(),
        cluster_domain: "cluster.local".to_owned(),
        node_name: "n".to_owned(),
        node_ip: "192.0.2.1".parse().unwrap(),
    };
    crate::pki::ensure(dir.path(), &request).unwrap();
    dir
}

const CLIENT_USAGES: &[&str] = &["digital signature", "client auth"];
const SERVER_USAGES: &[&str] = &["digital signature", "key encipherment", "server auth"];

#[test]
fn each_signer_signs_what_it_is_for() {
    let dir = pki();
    let node = pem("system:node:n2", &["system:nodes"], &[]);
    let server = pem("system:node:n2", &["system:nodes"], &["n2", "192.0.2.2"]);
    let user = pem("jane", &["dev"], &[]);
    for (signer, usages, pem, why) in [
        (KUBELET_CLIENT, CLIENT_USAGES, &node, ""),
        (
            KUBELET_CLIENT,
            &["digital signature", "key encipherment", "client auth"][..],
            &node,
            "",
        ),
        (KUBELET_CLIENT, SERVER_USAGES, &node, "usages did not match"),
        (
            KUBELET_CLIENT,
            CLIENT_USAGES,
            &user,
            "subject organization is not system:nodes",
        ),
        (
            KUBELET_CLIENT,
            CLIENT_USAGES,
            &server,
            "DNS or IP subjectAltNames are not allowed",
        ),
        (KUBELET_SERVING, SERVER_USAGES, &server, ""),
        (
            KUBELET_SERVING,
            SERVER_USAGES,
            &node,
            "DNS or IP subjectAltName is required",
        ),
        (KUBELET_SERVING, CLIENT_USAGES, &server, "usages did not match"),
        (CLIENT, CLIENT_USAGES, &user, ""),
        (CLIENT, SERVER_USAGES, &user, "usages did not match"),
        (CLIENT, &["digital signature"][..], &user, "usages did not match"),
        (LEGACY, SERVER_USAGES, &user, ""),
    ] {
        let issued = issue(&request(signer, usages, pem), dir.path()).unwrap();
        match issued {
            Ok(_) => assert_eq!(why, "", "{signer} {usages:?}"),
            Err(SignError::Request(found)) => {
                assert!(
                    !why.is_empty() && found.contains(why),
                    "{signer} {usages:?}: {found}"
                );
            }
            Err(SignError::Authority(why)) => panic!("{why}"),
        }
    }
    assert!(issue(&request("example.com/other", CLIENT_USAGES, &user), dir.path()).is_none());
    let nonsense = issue(&request(CLIENT, CLIENT_USAGES, "nonsense"), dir.path()).unwrap();
    assert!(matches!(nonsense, Err(SignError::Request(why)) if why.starts_with("unable to parse csr: ")));
}

/// A request that says it is an authority's, or that asks for other usages in its extensions, gets what was approved.
#[test]
fn a_certificate_holds_what_was_approved_and_no_more() {
    use x509_parser::prelude::{FromDer, X509Certificate};

    let dir = pki();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "jane");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let asked = params.serialize_request(&key).unwrap().pem().unwrap();
    let pem = issue(&request(CLIENT, CLIENT_USAGES, &asked), dir.path())
        .unwrap()
        .unwrap();
    let (_, der) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    let (_, certificate) = X509Certificate::from_der(&der.contents).unwrap();
    assert!(!certificate.is_ca());
    let usage = certificate.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && !usage.key_cert_sign());
    let extended = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(extended.client_auth && !extended.server_auth);
    let validity = certificate.validity();
    let life = validity.not_after.timestamp() - validity.not_before.timestamp();
    assert_eq!(life, 3600 + 300, "as long as asked for, from five minutes ago");
    let authority = crate::pki::certificates(&dir.path().join("ca.crt"))
        .unwrap()
        .remove(0);
    let (_, authority) = X509Certificate::from_der(&authority).unwrap();
    certificate
        .verify_signature(Some(authority.public_key()))
        .unwrap();
}

#[test]
fn requests_go_when_nobody_waits_for_them() {
    let with = |status: Value| {
        let mut object = request(CLIENT, CLIENT_USAGES, "").value;
        object["status"] = status;
        serde_json::from_value::<CertificateRequest>(object).unwrap()
    };
    let condition = |kind: &str| json!([{"type": kind, "lastUpdateTime": "1970-01-01T01:00:00Z"}]);
    assert_eq!(ends(&with(json!({})), 0), Some(24 * 3600));
    assert_eq!(
        ends(&with(json!({"conditions": condition("Denied")})), 3600),
        Some(3600)
    );
    let issued = json!({"conditions": condition("Approved"), "certificate": "eA=="});
    assert_eq!(ends(&with(issued), 7200), Some(0));
    let waiting = json!({"conditions": condition("Approved")});
    assert_eq!(ends(&with(waiting), 3600), Some(24 * 3600));
}
