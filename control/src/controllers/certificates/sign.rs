//! Signs what is approved.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use time::Duration;

use super::answer;
use super::rules::{check, is_ours};
use crate::controllers::api::{Api, Error};
use crate::controllers::model::CertificateRequest;
use crate::pki::{SignError, SigningRequest};

/// Longest life of a certificate (`--cluster-signing-duration`), and of those that ask for none.
const LIFE: Duration = Duration::days(365);
/// Shortest life.
const SHORTEST: Duration = Duration::minutes(10);

/// Signs a request, or says why it cannot be signed.
pub async fn look(api: &Api, request: &CertificateRequest, pki_dir: &Path) -> Result<(), Error> {
    let open =
        request.is("Approved") && !request.is("Denied") && !request.is("Failed") && !request.is_issued();
    if !open {
        return Ok(());
    }
    match issue(request, pki_dir) {
        None => Ok(()),
        Some(Ok(pem)) => answer(api, request, "status", None, Some(&STANDARD.encode(pem))).await,
        Some(Err(SignError::Request(why))) => {
            let failed = ("Failed", "SignerValidationFailure", why.as_str());
            answer(api, request, "status", Some(failed), None).await
        }
        Some(Err(SignError::Authority(why))) => {
            tracing::error!(
                request = request.metadata.name,
                why,
                "a certificate cannot be signed"
            );
            Ok(())
        }
    }
}

/// The certificate in PEM; `None` if the signer is not ours.
pub(super) fn issue(request: &CertificateRequest, pki_dir: &Path) -> Option<Result<String, SignError>> {
    let usages = request.usages();
    let signer = request.spec("signerName");
    if !is_ours(signer) {
        return None;
    }
    let pem = STANDARD.decode(request.spec("request")).unwrap_or_default();
    let parsed = match SigningRequest::read(&pem) {
        Ok(parsed) => parsed,
        Err(why) => {
            return Some(Err(SignError::Request(format!("unable to parse csr: {why}"))));
        }
    };
    if let Err(why) = check(signer, &parsed.named, &usages) {
        return Some(Err(SignError::Request(why)));
    }
    let asked = request.value["spec"]["expirationSeconds"].as_i64();
    let life = asked.map_or(LIFE, |seconds| Duration::seconds(seconds).clamp(SHORTEST, LIFE));
    Some(parsed.sign(pki_dir, &usages, life))
}
