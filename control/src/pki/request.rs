//! Signing requests (PKCS#10, RFC 2986): what they ask for, and issuing what they ask for.

use std::path::Path;

use rcgen::{
    CertificateSigningRequestParams, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType,
};
use rustls_pki_types::CertificateSigningRequestDer;
use rustls_pki_types::pem::PemObject;
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::{FromDer, X509CertificationRequest};

use super::issue;

/// Whom a request names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// Common name: the user.
    pub common_name: String,
    /// Organizations: the groups.
    pub organizations: Vec<String>,
    /// DNS names and addresses.
    pub hosts: usize,
    /// Mail addresses.
    pub mails: usize,
    /// URIs.
    pub uris: usize,
}

/// A request whose signature is right.
#[derive(Debug)]
pub struct SigningRequest {
    params: CertificateSigningRequestParams,
    /// Whom it names.
    pub named: Named,
}

impl SigningRequest {
    /// Reads a request in PEM. An error says what is wrong with it.
    pub fn read(pem: &[u8]) -> Result<Self, String> {
        let der = CertificateSigningRequestDer::from_pem_slice(pem).map_err(|error| error.to_string())?;
        let params = CertificateSigningRequestParams::from_der(&der).map_err(|error| error.to_string())?;
        let (_, parsed) = X509CertificationRequest::from_der(&der).map_err(|error| error.to_string())?;
        let subject = &parsed.certification_request_info.subject;
        // rcgen keeps one value of each kind; a certificate without some of its groups is not what was asked for.
        if subject.iter_attributes().count() != params.params.distinguished_name.iter().count() {
            return Err("subjects with several values of one kind are not supported".to_owned());
        }
        let mut named = Named::default();
        for (kind, value) in params.params.distinguished_name.iter() {
            match kind {
                DnType::CommonName => named.common_name = text(value),
                DnType::OrganizationName => named.organizations.push(text(value)),
                _ => {}
            }
        }
        for name in &params.params.subject_alt_names {
            match name {
                SanType::DnsName(_) | SanType::IpAddress(_) => named.hosts += 1,
                SanType::Rfc822Name(_) => named.mails += 1,
                SanType::URI(_) => named.uris += 1,
                _ => {}
            }
        }
        Ok(Self { params, named })
    }

    /// The certificate in PEM, signed by the authority in `dir`, for these usages (as `spec.usages` writes them). It ends
    /// with the authority's if that is earlier.
    pub fn sign(mut self, dir: &Path, usages: &[&str], life: Duration) -> Result<String, SignError> {
        let now = OffsetDateTime::now_utc();
        let authority =
            issue::authority(dir, now).map_err(|error| SignError::Authority(error.to_string()))?;
        let params = &mut self.params.params;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages.clear();
        params.extended_key_usages.clear();
        for usage in usages {
            match purpose(usage) {
                Some(Purpose::Key(purpose)) => params.key_usages.push(purpose),
                Some(Purpose::Extended(purpose)) => params.extended_key_usages.push(purpose),
                None => return Err(SignError::Request(format!("unrecognized usage {usage:?}"))),
            }
        }
        params.use_authority_key_identifier_extension = true;
        params.not_before = now - issue::CLOCK_SKEW;
        params.not_after = (now + life).min(authority.ends());
        authority
            .sign(&self.params)
            .ok_or_else(|| SignError::Authority(format!("{} has no ca.key", dir.display())))?
            .map_err(|error| SignError::Request(error.to_string()))
    }
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The authority cannot sign now.
    #[error("{0}")]
    Authority(String),
    /// The request asks for something that cannot be issued.
    #[error("{0}")]
    Request(String),
}

enum Purpose {
    Key(KeyUsagePurpose),
    Extended(ExtendedKeyUsagePurpose),
}

fn purpose(usage: &str) -> Option<Purpose> {
    use {ExtendedKeyUsagePurpose as E, KeyUsagePurpose as K};
    Some(match usage {
        "signing" | "digital signature" => Purpose::Key(K::DigitalSignature),
        "content commitment" => Purpose::Key(K::ContentCommitment),
        "key encipherment" => Purpose::Key(K::KeyEncipherment),
        "key agreement" => Purpose::Key(K::KeyAgreement),
        "data encipherment" => Purpose::Key(K::DataEncipherment),
        "any" => Purpose::Extended(E::Any),
        "server auth" => Purpose::Extended(E::ServerAuth),
        "client auth" => Purpose::Extended(E::ClientAuth),
        "code signing" => Purpose::Extended(E::CodeSigning),
        "email protection" => Purpose::Extended(E::EmailProtection),
        "timestamping" => Purpose::Extended(E::TimeStamping),
        "ocsp signing" => Purpose::Extended(E::OcspSigning),
        _ => return None,
    })
}

fn text(value: &DnValue) -> String {
    match value {
        DnValue::Utf8String(text) => text.clone(),
        DnValue::PrintableString(text) => text.as_str().to_owned(),
        DnValue::Ia5String(text) => text.as_str().to_owned(),
        DnValue::TeletexString(text) => text.as_str().to_owned(),
        // Nobody's name here is written in the encodings that are left.
        _ => String::new(),
    }
}
