//! Whether the files on disk still are what is needed.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::plan::{Leaf, Usage};
use super::{PkiError, files};

/// A certificate is made anew when it has less than this left.
pub const RENEW_BEFORE: Duration = Duration::days(90);

/// The certificates of a PEM file; at least one.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PkiError> {
    let pem = files::read(path)?;
    let damaged = |why: String| PkiError::Damaged {
        path: path.to_owned(),
        why,
    };
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| damaged(error.to_string()))?;
    if found.is_empty() {
        return Err(damaged("no certificate in it".to_owned()));
    }
    Ok(found)
}

/// Parses a DER certificate that came from `path`.
pub fn parse<'a>(der: &'a CertificateDer<'_>, path: &Path) -> Result<X509Certificate<'a>, PkiError> {
    match X509Certificate::from_der(der) {
        Ok((_, certificate)) => Ok(certificate),
        Err(error) => Err(PkiError::Damaged {
            path: path.to_owned(),
            why: error.to_string(),
        }),
    }
}

/// Reads a private key.
pub fn key(path: &Path) -> Result<rcgen::KeyPair, PkiError> {
    let pem = files::read(path)?;
    let damaged = |why: String| PkiError::Damaged {
        path: path.to_owned(),
        why,
    };
    let pem = std::str::from_utf8(&pem).map_err(|error| damaged(error.to_string()))?;
    rcgen::KeyPair::from_pem(pem).map_err(|error| damaged(error.to_string()))
}

/// Whether `leaf` exists in `dir`, was signed by `authority` and needs no renewal. A file that cannot be parsed is an
/// error; a pair that does not match is not, because a crash between the two writes leaves one.
pub fn fits(
    dir: &Path,
    leaf: &Leaf,
    authority: &CertificateDer<'_>,
    now: OffsetDateTime,
) -> Result<bool, PkiError> {
    let (crt, key_file) = (
        dir.join(format!("{}.crt", leaf.base)),
        dir.join(format!("{}.key", leaf.base)),
    );
    if !files::exists(&crt)? || !files::exists(&key_file)? {
        return Ok(false);
    }
    let key = key(&key_file)?;
    let der = certificates(&crt)?.swap_remove(0);
    let certificate = parse(&der, &crt)?;
    let authority = parse(authority, &dir.join("ca.crt"))?;
    Ok(
        certificate.public_key().subject_public_key.data.as_ref() == key_point(&key)
            && signed_by(&certificate, &authority)
            && lasts(&certificate, now)
            && describes(&certificate, leaf),
    )
}

/// The uncompressed public point, which is what a certificate's key field holds.
pub fn key_point(key: &rcgen::KeyPair) -> &[u8] {
    key.public_key_raw()
}

/// Whether the certificate is valid now and for a while longer.
pub fn lasts(certificate: &X509Certificate<'_>, now: OffsetDateTime) -> bool {
    let validity = certificate.validity();
    validity.not_before.to_datetime() <= now && validity.not_after.to_datetime() - now > RENEW_BEFORE
}

fn signed_by(certificate: &X509Certificate<'_>, authority: &X509Certificate<'_>) -> bool {
    let point = authority.public_key().subject_public_key.data.as_ref();
    certificate.issuer() == authority.subject()
        && UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
            .verify(
                certificate.tbs_certificate.as_ref(),
                &certificate.signature_value.data,
            )
            .is_ok()
}

fn describes(certificate: &X509Certificate<'_>, leaf: &Leaf) -> bool {
    let subject = certificate.subject();
    let common_name = subject
        .iter_common_name()
        .next()
        .and_then(|name| name.as_str().ok());
    let organization = subject
        .iter_organization()
        .next()
        .and_then(|name| name.as_str().ok());
    let usage = certificate
        .extended_key_usage()
        .ok()
        .flatten()
        .is_some_and(|usage| match leaf.usage {
            Usage::Server => usage.value.server_auth,
            Usage::Client => usage.value.client_auth,
        });
    let (mut names, mut addresses) = (BTreeSet::new(), BTreeSet::new());
    if let Ok(Some(sans)) = certificate.subject_alternative_name() {
        for san in &sans.value.general_names {
            match san {
                GeneralName::DNSName(name) => {
                    names.insert((*name).to_owned());
                }
                GeneralName::IPAddress(octets) => addresses.extend(address(octets)),
                _ => {}
            }
        }
    }
    common_name == Some(&leaf.common_name)
        && organization == leaf.organization
        && usage
        && names.iter().eq(&leaf.names)
        && addresses.iter().eq(&leaf.addresses)
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(octets) {
        return Some(IpAddr::from(v4));
    }
    <[u8; 16]>::try_from(octets).ok().map(IpAddr::from)
}
