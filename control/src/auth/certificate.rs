//! Client certificates: the common name is the user, organizations are groups.

use std::ops::RangeInclusive;

use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::UserInfo;

/// A certificate that a connection came with, read once for all its requests. TLS has verified the chain when the connection
/// began; what can change while it lasts (the time) or is not TLS's business (the usage) is checked here.
#[derive(Debug)]
pub struct Presented {
    /// The certificate.
    pub der: CertificateDer<'static>,
    caller: Result<Caller, &'static str>,
}

/// What a certificate says of its owner.
#[derive(Debug)]
struct Caller {
    /// Seconds of the Unix epoch.
    valid: RangeInclusive<i64>,
    /// None without a common name, which upstream takes for no credentials.
    user: Option<UserInfo>,
}

impl Presented {
    /// Reads a certificate.
    pub fn new(der: CertificateDer<'static>) -> Self {
        let caller = read(&der);
        Self { der, caller }
    }

    /// The caller that it names at this moment, or why it names none. `Ok(None)`: no credentials at all.
    pub fn user(&self, now: i64) -> Result<Option<UserInfo>, &'static str> {
        let caller = self.caller.as_ref().map_err(|why| *why)?;
        if !caller.valid.contains(&now) {
            return Err("certificate has expired or is not yet valid");
        }
        Ok(caller.user.clone())
    }
}

fn read(der: &CertificateDer<'_>) -> Result<Caller, &'static str> {
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| "malformed certificate")?;
    if !rest.is_empty() {
        return Err("data after the certificate");
    }
    let usage = certificate
        .extended_key_usage()
        .map_err(|_| "malformed extended key usage")?;
    if !usage.is_some_and(|usage| usage.value.client_auth) {
        return Err("not a client certificate");
    }
    let validity = certificate.validity();
    Ok(Caller {
        valid: validity.not_before.timestamp()..=validity.not_after.timestamp(),
        user: named(&certificate, der)?,
    })
}

fn named(
    certificate: &X509Certificate<'_>,
    der: &CertificateDer<'_>,
) -> Result<Option<UserInfo>, &'static str> {
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
