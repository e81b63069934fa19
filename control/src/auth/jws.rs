//! Compact JWS (RFC 7515) with ES256 (RFC 7518) and nothing else.
//!
//! One algorithm and one key: a token's header is compared with what this key makes, never used to choose how to
//! verify. That leaves no room for `none`, for HMAC with the public key, or for keys embedded in the token.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Longer tokens are not looked at. Ours have about 1,000 bytes; extras from many audiences fit as well.
const MAX_TOKEN: usize = 16 * 1024;

/// `SubjectPublicKeyInfo` of a P-256 key up to the point (RFC 5480); the point's 65 bytes follow.
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Why a token is not ours, or a key is unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Longer than any token of ours.
    #[error("token too long")]
    TooLong,
    /// Not three base64url parts, or a header that is not the expected JSON.
    #[error("malformed token")]
    Malformed,
    /// Another algorithm, key or an extension that must be understood.
    #[error("token is not signed with this cluster's key")]
    Foreign,
    /// The signature does not match.
    #[error("invalid signature")]
    Signature,
    /// The private key is not a P-256 key in PKCS#8.
    #[error("not an ECDSA P-256 key in PKCS#8")]
    Key,
    /// The system's random number generator failed.
    #[error("no random numbers")]
    Random,
}

/// A signing key and its public half.
pub struct Key {
    pair: EcdsaKeyPair,
    random: SystemRandom,
    id: String,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<Value>,
}

impl Key {
    /// From PKCS#8 DER.
    pub fn new(pkcs8: &[u8]) -> Result<Self, JwsError> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random)
            .map_err(|_| JwsError::Key)?;
        let mut digest = Sha256::new();
        digest.update(SPKI_PREFIX);
        digest.update(pair.public_key().as_ref());
        let id = URL_SAFE_NO_PAD.encode(digest.finalize());
        Ok(Self { pair, random, id })
    }

    /// Signs a payload.
    pub fn sign(&self, payload: &[u8]) -> Result<String, JwsError> {
        let header = json!({"alg": "ES256", "kid": self.id}).to_string();
        let mut token = URL_SAFE_NO_PAD.encode(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = self
            .pair
            .sign(&self.random, token.as_bytes())
            .map_err(|_| JwsError::Random)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut token);
        Ok(token)
    }

    /// The payload of a token that this key has signed.
    pub fn verify(&self, token: &str) -> Result<Vec<u8>, JwsError> {
        if token.len() > MAX_TOKEN {
            return Err(JwsError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JwsError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(JwsError::Malformed)?;
        // A further dot would be in `payload`, where base64 refuses it.
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| JwsError::Malformed);
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| JwsError::Malformed)?;
        if header.alg != "ES256" || header.crit.is_some() || header.kid.is_some_and(|id| id != self.id) {
            return Err(JwsError::Foreign);
        }
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.pair.public_key().as_ref())
            .verify(signed.as_bytes(), &decode(signature)?)
            .map_err(|_| JwsError::Signature)?;
        decode(payload)
    }

    /// The key set (RFC 7517) with which others verify.
    pub fn jwks(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        // An uncompressed point is 0x04, x, y.
        let (x, y) = point.split_at(1).1.split_at(32);
        json!({"keys": [{
            "use": "sig",
            "kty": "EC",
            "kid": self.id,
            "crv": "P-256",
            "alg": "ES256",
            "x": URL_SAFE_NO_PAD.encode(x),
            "y": URL_SAFE_NO_PAD.encode(y),
        }]})
    }
}
