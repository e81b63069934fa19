//! The certificates that a kubelet asks for: the part of NodeRestriction that upstream added in 1.31. With the rights
//! of one node, a kubelet could otherwise ask for the certificate of another, which an approver that looks at the
//! subject alone would grant.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keelson_api::status::Status;
use rustls_pki_types::CertificateSigningRequestDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509CertificationRequest};

use super::fields::text;
use super::{Operation, Request};

/// Signers of certificates by which a node is known, to the API server and to its clients.
const NODE_SIGNERS: [&str; 2] = [
    "kubernetes.io/kubelet-serving",
    "kubernetes.io/kube-apiserver-client-kubelet",
];

/// Refuses a request of `node` for a certificate in another node's name.
pub fn check(request: &Request<'_>, node: &str) -> Result<(), Status> {
    if request.operation != Operation::Create || !request.subresource.is_empty() {
        return Ok(());
    }
    let object = request.object();
    if !NODE_SIGNERS.contains(&text(object, "/spec/signerName")) {
        return Ok(());
    }
    let wanted = format!("system:node:{node}");
    match common_name(text(object, "/spec/request")) {
        Err(why) => Err(request.forbidden(&format!("unable to parse csr: {why}"))),
        Ok(name) if name != wanted => {
            Err(request.forbidden(&format!("can only create a node CSR with CN={wanted}")))
        }
        Ok(_) => Ok(()),
    }
}

/// The subject's common name, empty when there is none or it is in an encoding that cannot be read. Of several, the
/// last counts, as it does for who reads the certificate.
fn common_name(encoded: &str) -> Result<String, &'static str> {
    let pem = STANDARD.decode(encoded).unwrap_or_default();
    let der = CertificateSigningRequestDer::from_pem_slice(&pem)
        .map_err(|_| "PEM block type must be CERTIFICATE REQUEST")?;
    let (_, parsed) =
        X509CertificationRequest::from_der(&der).map_err(|_| "x509: malformed certificate request")?;
    let subject = &parsed.certification_request_info.subject;
    let last = subject.iter_common_name().last();
    Ok(last
        .and_then(|name| name.as_str().ok())
        .unwrap_or_default()
        .to_owned())
}
