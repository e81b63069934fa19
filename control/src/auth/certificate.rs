//! Client certificates: the common name is the user, organizations are groups.

use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::UserInfo;

/// The caller that a certificate names, or why it names none. TLS has verified the chain when the connection began;
/// what can change while it lasts (the time) or is not TLS's business (the usage) is checked here.
///
/// `Ok(None)`: a certificate without a common name, which upstream takes for no credentials.
pub fn user(der: &CertificateDer<'_>, now: i64) -> Result<Option<UserInfo>, &'static str> {
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| "malformed certificate")?;
    if !rest.is_empty() {
        return Err("data after the certificate");
    }
    let validity = certificate.validity();
    if now < validity.not_before.timestamp() || now > validity.not_after.timestamp() {
        return Err("certificate has expired or is not yet valid");
    }
    let usage = certificate
        .extended_key_usage()
        .map_err(|_| "malformed extended key usage")?;
    if !usage.is_some_and(|usage| usage.value.client_auth) {
        return Err("not a client certificate");
    }
    let subject = certificate.subject();
    let Some(name) = subject.iter_common_name().next() else {
        return Ok(None);
    };
    let name = name.as_str().map_err(|_| "malformed common name")?;
    if name.is_empty() {
        return Ok(None);
    }
    let groups = subject
        .iter_organization()
        .map(|group| group.as_str().map(str::to_owned))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| "malformed organization")?;
    let digest: [u8; 32] = Sha256::digest(der).into();
    let hex: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let fingerprint = format!("X509SHA256={}", hex.concat());
    Ok(Some(UserInfo {
        name: name.to_owned(),
        uid: String::new(),
        groups,
        extra: [(
            "authentication.kubernetes.io/credential-id".to_owned(),
            vec![fingerprint],
        )]
        .into(),
    }))
}
