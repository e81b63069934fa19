//! Making keys and certificates: ECDSA P-256 throughout.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls_pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};

use super::plan::{Leaf, Usage};
use super::{PkiError, existing, files};

/// Life of the authority's certificate; kubeadm's.
const AUTHORITY_LIFE: Duration = Duration::days(3650);
/// Life of the others; kubeadm's.
const LEAF_LIFE: Duration = Duration::days(365);
/// Certificates begin a little in the past, for machines whose clocks differ.
pub const CLOCK_SKEW: Duration = Duration::minutes(5);

/// The certificate authority. Without a key it can check, not sign.
pub struct Authority {
    /// Its certificate.
    pub der: CertificateDer<'static>,
    issuer: Option<Issuer<'static, KeyPair>>,
}

impl Authority {
    /// When its certificate ends.
    pub fn ends(&self) -> OffsetDateTime {
        use x509_parser::prelude::FromDer;
        // It was parsed when it was read or made; one that cannot be read any more has ended.
        x509_parser::certificate::X509Certificate::from_der(&self.der)
            .map_or(OffsetDateTime::UNIX_EPOCH, |(_, certificate)| {
                certificate.validity().not_after.to_datetime()
            })
    }

    /// A certificate for a request, in PEM; `None` without the authority's key.
    pub fn sign(
        &self,
        request: &rcgen::CertificateSigningRequestParams,
    ) -> Option<Result<String, rcgen::Error>> {
        let certificate = request.signed_by(self.issuer.as_ref()?);
        Some(certificate.map(|certificate| certificate.pem()))
    }
}

/// Reads or makes the authority. Its certificate is renewed over the same key and name, under which everything that
/// it has signed stays valid.
pub fn authority(dir: &Path, now: OffsetDateTime) -> Result<Authority, PkiError> {
    let (crt, key_file) = (dir.join("ca.crt"), dir.join("ca.key"));
    let unusable = |path: &Path, why: String| PkiError::Authority {
        path: path.to_owned(),
        why,
    };
    let key = if files::exists(&key_file)? {
        Some(existing::key(&key_file).map_err(|error| match error {
            PkiError::Damaged { path, why } => unusable(&path, why),
            other => other,
        })?)
    } else {
        None
    };
    if files::exists(&crt)? {
        let der = existing::certificates(&crt)
            .map_err(|error| match error {
                PkiError::Damaged { path, why } => unusable(&path, why),
                other => other,
            })?
            .swap_remove(0);
        let certificate = existing::parse(&der, &crt).map_err(|error| unusable(&crt, error.to_string()))?;
        if !certificate.is_ca() {
            return Err(unusable(&crt, "it is not an authority's certificate".to_owned()));
        }
        let Some(key) = key else {
            return Ok(Authority { der, issuer: None });
        };
        if certificate.public_key().subject_public_key.data.as_ref() != existing::key_point(&key) {
            return Err(unusable(&crt, "it does not belong to ca.key".to_owned()));
        }
        if existing::lasts(&certificate, now) {
            let issuer =
                Issuer::from_ca_cert_der(&der, key).map_err(|error| unusable(&crt, error.to_string()))?;
            return Ok(Authority {
                der,
                issuer: Some(issuer),
            });
        }
        return new_authority(dir, key, now);
    }
    let key = if let Some(key) = key {
        key
    } else {
        let key = new_key("ca")?;
        files::write(&key_file, key.serialize_pem().as_bytes(), 0o600)?;
        key
    };
    new_authority(dir, key, now)
}

fn new_authority(dir: &Path, key: KeyPair, now: OffsetDateTime) -> Result<Authority, PkiError> {
    let mut params = CertificateParams::default();
    params.not_before = now - CLOCK_SKEW;
    params.not_after = now + AUTHORITY_LIFE;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "kubernetes");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
    ];
    let certificate = params.self_signed(&key).map_err(failed("ca"))?;
    files::write(&dir.join("ca.crt"), certificate.pem().as_bytes(), 0o644)?;
    Ok(Authority {
        der: certificate.der().clone(),
        issuer: Some(Issuer::new(params, key)),
    })
}

/// Issues `leaf` with a new key.
pub fn leaf(dir: &Path, leaf: &Leaf, authority: &Authority, now: OffsetDateTime) -> Result<(), PkiError> {
    let Some(issuer) = &authority.issuer else {
        return Err(PkiError::Authority {
            path: dir.join("ca.key"),
            why: format!("it is missing, and {}.crt has to be issued", leaf.base),
        });
    };
    let key = new_key(&leaf.base)?;
    let certificate = params(leaf, now)
        .and_then(|params| params.signed_by(&key, issuer))
        .map_err(failed(&leaf.base))?;
    files::write(
        &dir.join(format!("{}.key", leaf.base)),
        key.serialize_pem().as_bytes(),
        0o600,
    )?;
    files::write(
        &dir.join(format!("{}.crt", leaf.base)),
        certificate.pem().as_bytes(),
        0o644,
    )
}

fn params(leaf: &Leaf, now: OffsetDateTime) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.not_before = now - CLOCK_SKEW;
    params.not_after = now + LEAF_LIFE;
    params.distinguished_name = rcgen::DistinguishedName::new();
    if let Some(organization) = leaf.organization {
        params
            .distinguished_name
            .push(DnType::OrganizationName, organization);
    }
    params
        .distinguished_name
        .push(DnType::CommonName, leaf.common_name.as_str());
    for name in &leaf.names {
        params
            .subject_alt_names
            .push(SanType::DnsName(name.as_str().try_into()?));
    }
    params
        .subject_alt_names
        .extend(leaf.addresses.iter().copied().map(SanType::IpAddress));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![match leaf.usage {
        Usage::Server => ExtendedKeyUsagePurpose::ServerAuth,
        Usage::Client => ExtendedKeyUsagePurpose::ClientAuth,
    }];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// Makes the key that signs service-account tokens, once; `sa.pub` always follows `sa.key`.
pub fn service_account_key(dir: &Path) -> Result<(), PkiError> {
    let (key_file, public_file) = (dir.join("sa.key"), dir.join("sa.pub"));
    let key = if files::exists(&key_file)? {
        existing::key(&key_file)?
    } else {
        let key = new_key("sa")?;
        files::write(&key_file, key.serialize_pem().as_bytes(), 0o600)?;
        key
    };
    let public = key.public_key_pem();
    if files::exists(&public_file)? && files::read(&public_file)? == public.as_bytes() {
        return Ok(());
    }
    files::write(&public_file, public.as_bytes(), 0o644)
}

fn new_key(name: &str) -> Result<KeyPair, PkiError> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(failed(name))
}

fn failed(name: &str) -> impl FnOnce(rcgen::Error) -> PkiError + '_ {
    move |source| PkiError::Issue {
        name: name.to_owned(),
        source,
    }
}
