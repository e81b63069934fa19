//! CertificateApproval, CertificateSigning and CertificateSubjectRestriction: who may say that a certificate is
//! issued, who may issue it, and that nobody gets one for `system:masters` on request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keelson_api::status::{Status, go_quote};
use rustls_pki_types::CertificateSigningRequestDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};
use x509_parser::prelude::{FromDer, X509CertificationRequest};

use super::fields::{items, map, text};
use super::{Context, Operation, Request};
use crate::auth::{Attributes, MASTERS};

const GROUP: &str = "certificates.k8s.io";
const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";

/// Who asks is what the server knows, never what the client says.
pub fn mutate(request: &mut Request<'_>) {
    if !request.creates(GROUP, "certificatesigningrequests") {
        return;
    }
    let user = request.user;
    let Some(spec) = request
        .object
        .as_deref_mut()
        .and_then(|object| map(object, "spec"))
    else {
        return;
    };
    for (field, value, is_empty) in [
        ("username", json!(user.name), user.name.is_empty()),
        ("uid", json!(user.uid), user.uid.is_empty()),
        ("groups", json!(user.groups), user.groups.is_empty()),
        ("extra", json!(user.extra), user.extra.is_empty()),
    ] {
        if is_empty {
            spec.remove(field);
        } else {
            spec.insert(field.to_owned(), value);
        }
    }
}

pub fn validate(context: &Context, request: &Request<'_>) -> Result<(), Status> {
    if request.kind.group != GROUP || request.kind.plural != "certificatesigningrequests" {
        return Ok(());
    }
    match (request.operation, request.subresource) {
        (Operation::Create, "") => subject(request),
        (Operation::Update, "approval") => signer_right(context, request, "approve"),
        (Operation::Update, "status") => {
            let issued = |object: &Value| text(object, "/status/certificate").to_owned();
            let failed = |object: &Value| {
                items(object, "/status/conditions")
                    .iter()
                    .filter(|one| text(one, "/type") == "Failed")
                    .count()
            };
            let same = issued(request.stored()) == issued(request.object())
                && failed(request.stored()) == failed(request.object());
            if same {
                Ok(())
            } else {
                signer_right(context, request, "sign")
            }
        }
        _ => Ok(()),
    }
}

/// The right to `verb` (approve, sign) for the signer, by its name or for all of its domain.
fn signer_right(context: &Context, request: &Request<'_>, verb: &str) -> Result<(), Status> {
    let signer = text(request.stored(), "/spec/signerName");
    let domain = signer.split_once('/').map(|(domain, _)| format!("{domain}/*"));
    let may = |name: &str| {
        let attributes = Attributes {
            name,
            ..Attributes::resource(request.user, verb, GROUP, "signers")
        };
        context.authorizer.authorize(&attributes).is_allowed()
    };
    if may(signer) || domain.is_some_and(|domain| may(&domain)) {
        return Ok(());
    }
    Err(request.forbidden(&format!(
        "user not permitted to {verb} requests with signerName {}",
        go_quote(signer)
    )))
}

fn subject(request: &Request<'_>) -> Result<(), Status> {
    let object = request.object();
    if text(object, "/spec/signerName") != CLIENT_SIGNER {
        return Ok(());
    }
    let pem = STANDARD.decode(text(object, "/spec/request")).unwrap_or_default();
    // A request that is none is for validation to refuse; what cannot be read here cannot be signed later either.
    let Ok(der) = CertificateSigningRequestDer::from_pem_slice(&pem) else {
        return Ok(());
    };
    let Ok((_, parsed)) = X509CertificationRequest::from_der(&der) else {
        return Ok(());
    };
    let subject = &parsed.certification_request_info.subject;
    for group in subject.iter_organization() {
        match group.as_str() {
            Ok(MASTERS) => {
                return Err(request.forbidden(&format!(
                    "use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed"
                )));
            }
            Ok(_) => {}
            Err(_) => return Err(unreadable(request, "an organization")),
        }
    }
    if subject.iter_common_name().any(|name| name.as_str().is_err()) {
        return Err(unreadable(request, "a common name"));
    }
    Ok(())
}

/// Text in another encoding than UTF8String, PrintableString or IA5String: who reads the certificate later may decode
/// what this cannot.
fn unreadable(request: &Request<'_>, what: &str) -> Status {
    request.forbidden(&format!(
        "the request's subject has {what} in an encoding that is not supported"
    ))
}
