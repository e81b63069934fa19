//! The ciphers. Formats are upstream's (`apiserver/pkg/storage/value/encrypt`), so that either server reads what the
//! other has written.

use aes::{Aes128, Aes192, Aes256};
use aes_gcm::aead::{Aead, Payload, consts::U12};
use aes_gcm::{AesGcm, KeyInit, Nonce};
use cbc::cipher::{BlockDecryptMut, BlockEncryptMut, KeyIvInit, block_padding::Pkcs7};
use crypto_secretbox::XSalsa20Poly1305;
use ring::rand::{SecureRandom, SystemRandom};

use super::OpenError;

/// Block of AES, and with that the IV of its CBC mode, in bytes.
const BLOCK: usize = 16;
/// Nonce of GCM in bytes.
const GCM_NONCE: usize = 12;
/// Nonce of secretbox in bytes.
const BOX_NONCE: usize = 24;

/// A cipher with its key.
pub enum Cipher {
    /// IV, then whole blocks with PKCS#7 padding.
    Cbc(Vec<u8>),
    /// Nonce, ciphertext, tag; the storage path is authenticated.
    Gcm(Gcm),
    /// Nonce, tag, ciphertext, as NaCl has it.
    Secretbox(Box<XSalsa20Poly1305>),
}

/// AES-GCM by key length.
pub enum Gcm {
    /// 16 bytes.
    Short(Box<AesGcm<Aes128, U12>>),
    /// 24 bytes.
    Middle(Box<AesGcm<Aes192, U12>>),
    /// 32 bytes.
    Long(Box<AesGcm<Aes256, U12>>),
}

impl std::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Cbc(_) => "aescbc",
            Self::Gcm(_) => "aesgcm",
            Self::Secretbox(_) => "secretbox",
        })
    }
}

impl Cipher {
    /// AES-CBC; `None` if the key has the wrong length.
    pub fn cbc(key: &[u8]) -> Option<Self> {
        matches!(key.len(), 16 | 24 | 32).then(|| Self::Cbc(key.to_vec()))
    }

    /// AES-GCM; `None` if the key has the wrong length.
    pub fn gcm(key: &[u8]) -> Option<Self> {
        Some(Self::Gcm(match key.len() {
            16 => Gcm::Short(Box::new(AesGcm::new_from_slice(key).ok()?)),
            24 => Gcm::Middle(Box::new(AesGcm::new_from_slice(key).ok()?)),
            32 => Gcm::Long(Box::new(AesGcm::new_from_slice(key).ok()?)),
            _ => return None,
        }))
    }

    /// Secretbox; `None` if the key has the wrong length.
    pub fn secretbox(key: &[u8]) -> Option<Self> {
        Some(Self::Secretbox(Box::new(
            XSalsa20Poly1305::new_from_slice(key).ok()?,
        )))
    }

    /// Appends the encrypted bytes to `out`; false if the system has no random numbers.
    pub fn seal(&self, path: &str, plain: &[u8], out: &mut Vec<u8>) -> bool {
        let sealed = match self {
            Self::Cbc(key) => random::<BLOCK>().and_then(|iv| {
                out.extend_from_slice(&iv);
                cbc_seal(key, &iv, plain)
            }),
            Self::Gcm(cipher) => random::<GCM_NONCE>().and_then(|nonce| {
                out.extend_from_slice(&nonce);
                let (nonce, payload) = (Nonce::from_slice(&nonce), with(path, plain));
                match cipher {
                    Gcm::Short(cipher) => cipher.encrypt(nonce, payload),
                    Gcm::Middle(cipher) => cipher.encrypt(nonce, payload),
                    Gcm::Long(cipher) => cipher.encrypt(nonce, payload),
                }
                .ok()
            }),
            Self::Secretbox(cipher) => random::<BOX_NONCE>().and_then(|nonce| {
                out.extend_from_slice(&nonce);
                cipher
                    .encrypt(crypto_secretbox::Nonce::from_slice(&nonce), plain)
                    .ok()
            }),
        };
        sealed.map(|sealed| out.extend_from_slice(&sealed)).is_some()
    }

    /// Decrypts.
    pub fn open(&self, path: &str, stored: &[u8]) -> Result<Vec<u8>, OpenError> {
        match self {
            Self::Cbc(key) => {
                let (iv, sealed) = stored.split_at_checked(BLOCK).ok_or(OpenError::Short)?;
                if sealed.len() % BLOCK != 0 {
                    return Err(OpenError::BlockSize);
                }
                cbc_open(key, iv, sealed).ok_or(OpenError::Padding)
            }
            Self::Gcm(cipher) => {
                let (nonce, sealed) = stored.split_at_checked(GCM_NONCE).ok_or(OpenError::Short)?;
                let (nonce, payload) = (Nonce::from_slice(nonce), with(path, sealed));
                match cipher {
                    Gcm::Short(cipher) => cipher.decrypt(nonce, payload),
                    Gcm::Middle(cipher) => cipher.decrypt(nonce, payload),
                    Gcm::Long(cipher) => cipher.decrypt(nonce, payload),
                }
                .map_err(|_| OpenError::Authentication("cipher: message authentication failed"))
            }
            Self::Secretbox(cipher) => {
                let (nonce, sealed) = stored.split_at_checked(BOX_NONCE).ok_or(OpenError::Short)?;
                cipher
                    .decrypt(crypto_secretbox::Nonce::from_slice(nonce), sealed)
                    .map_err(|_| {
                        OpenError::Authentication("output array was not large enough for encryption")
                    })
            }
        }
    }
}

fn with<'a>(path: &'a str, msg: &'a [u8]) -> Payload<'a, 'a> {
    Payload {
        msg,
        aad: path.as_bytes(),
    }
}

fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(bytes)
}

fn cbc_seal(key: &[u8], iv: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
    Some(match key.len() {
        16 => cbc::Encryptor::<Aes128>::new_from_slices(key, iv)
            .ok()?
            .encrypt_padded_vec_mut::<Pkcs7>(plain),
        24 => cbc::Encryptor::<Aes192>::new_from_slices(key, iv)
            .ok()?
            .encrypt_padded_vec_mut::<Pkcs7>(plain),
        _ => cbc::Encryptor::<Aes256>::new_from_slices(key, iv)
            .ok()?
            .encrypt_padded_vec_mut::<Pkcs7>(plain),
    })
}

fn cbc_open(key: &[u8], iv: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    match key.len() {
        16 => cbc::Decryptor::<Aes128>::new_from_slices(key, iv)
            .ok()?
            .decrypt_padded_vec_mut::<Pkcs7>(sealed),
        24 => cbc::Decryptor::<Aes192>::new_from_slices(key, iv)
            .ok()?
            .decrypt_padded_vec_mut::<Pkcs7>(sealed),
        _ => cbc::Decryptor::<Aes256>::new_from_slices(key, iv)
            .ok()?
            .decrypt_padded_vec_mut::<Pkcs7>(sealed),
    }
    .ok()
}
