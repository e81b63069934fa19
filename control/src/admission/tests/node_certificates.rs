//! A kubelet that asks for the certificate of another.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Fixture, ask, user};
use crate::admission::Operation;

#[test]
fn certificates_are_asked_for_in_the_own_name() {
    let (fixture, kubelet) = (Fixture::new(), user("system:node:n1", &["system:nodes"]));
    let mut question = ask(
        &kubelet,
        Operation::Create,
        "certificates.k8s.io",
        "certificatesigningrequests",
    );
    question.namespace = "";
    let request = |signer: &str, pem: &str| {
        Some(json!({"metadata": {"name": "x"}, "spec": {
            "signerName": signer,
            "request": STANDARD.encode(pem),
        }}))
    };
    let named = |name: &str| {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = rcgen::KeyPair::generate().unwrap();
        params.serialize_request(&key).unwrap().pem().unwrap()
    };
    let (own, other) = (named("system:node:n1"), named("system:node:n2"));
    let refused = |object| {
        let status = fixture.ask(question, object).unwrap_err();
        assert_eq!(status.code, 403);
        status.message
    };
    for signer in [
        "kubernetes.io/kubelet-serving",
        "kubernetes.io/kube-apiserver-client-kubelet",
    ] {
        assert!(fixture.ask(question, request(signer, &own)).is_ok(), "{signer}");
        assert!(
            refused(request(signer, &other)).contains("CN=system:node:n1"),
            "{signer}"
        );
        assert!(refused(request(signer, "none")).contains("unable to parse csr"));
    }
    assert!(fixture.ask(question, request("example.org/any", &other)).is_ok());
}
