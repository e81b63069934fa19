//! Which providers a resource has, and what the stored bytes begin with.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::configuration::{self, Configuration};
use super::provider::Cipher;
use super::validate::validate;
use super::{EncryptionError, OpenError, Opened, SealError};
use crate::object::GroupResource;

/// What all encrypted bytes begin with.
const ENCRYPTED: &[u8] = b"k8s:enc:";

/// The providers of all resources.
#[derive(Debug, Default)]
pub struct Rules {
    /// By resource.
    exact: HashMap<GroupResource, Chain>,
    /// By group, for `*.GROUP`.
    groups: HashMap<String, Chain>,
    /// For `*.*`.
    everything: Option<Chain>,
    /// For resources that are not configured.
    plain: Chain,
}

/// The providers of a resource, the one that writes first.
#[derive(Debug)]
pub struct Chain(Vec<Provider>);

impl Default for Chain {
    fn default() -> Self {
        Self(vec![Provider::Identity])
    }
}

#[derive(Debug, Clone)]
enum Provider {
    Identity,
    Keys {
        /// `k8s:enc:NAME:v1:`.
        prefix: &'static str,
        /// For messages.
        title: &'static str,
        keys: std::sync::Arc<[Key]>,
    },
}

#[derive(Debug)]
struct Key {
    /// Name and a colon.
    prefix: String,
    cipher: Cipher,
    /// Tells keys of one name apart.
    fingerprint: [u8; 32],
}

/// `secrets`, `deployments.apps`, `*.`, `*.apps`, `*.*` (schema.ParseGroupResource).
pub fn parse_resource(name: &str) -> GroupResource {
    let (resource, group) = name.split_once('.').unwrap_or((name, ""));
    GroupResource::new(group, resource)
}

impl Rules {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self, EncryptionError> {
        let configuration = Configuration::read(path)?;
        let invalid = |why: String| EncryptionError::Invalid {
            path: path.to_owned(),
            why,
        };
        let errors = validate(&configuration);
        match errors.as_slice() {
            [] => Self::of_configuration(&configuration).map_err(invalid),
            [one] => Err(invalid(one.to_string())),
            several => {
                let texts: Vec<String> = several.iter().map(ToString::to_string).collect();
                Err(invalid(format!("[{}]", texts.join(", "))))
            }
        }
    }

    fn of_configuration(configuration: &Configuration) -> Result<Self, String> {
        let mut rules = Self::default();
        for part in &configuration.resources {
            let providers = part
                .providers
                .iter()
                .map(provider)
                .collect::<Option<Vec<_>>>()
                .ok_or("a provider has no usable key")?;
            for name in &part.resources {
                rules.add(parse_resource(name), name, &providers)?;
            }
        }
        Ok(rules)
    }

    /// Providers of further parts of the file come after those of the earlier ones.
    fn add(&mut self, resource: GroupResource, name: &str, providers: &[Provider]) -> Result<(), String> {
        let masked = |rule: &str| Err(format!("resource {name:?} is masked by earlier rule {rule:?}"));
        let GroupResource {
            group,
            resource: plural,
        } = &resource;
        if self.groups.contains_key(group) {
            return masked(&format!("*.{group}"));
        }
        if self.everything.is_some() {
            return masked("*.*");
        }
        let chain = match (group.as_str(), plural.as_str()) {
            ("*", "*") => self.everything.get_or_insert(Chain(Vec::new())),
            (_, "*") => self.groups.entry(group.clone()).or_insert(Chain(Vec::new())),
            _ => self.exact.entry(resource).or_insert(Chain(Vec::new())),
        };
        chain.0.extend(providers.iter().cloned());
        Ok(())
    }

    /// The providers of a resource: its own, its group's, or everybody's.
    pub fn of(&self, resource: &GroupResource) -> &Chain {
        self.exact
            .get(resource)
            .or_else(|| self.groups.get(&resource.group))
            .or(self.everything.as_ref())
            .unwrap_or(&self.plain)
    }
}

fn provider(provider: &configuration::Provider) -> Option<Provider> {
    type Make = fn(&[u8]) -> Option<Cipher>;
    let (prefix, title, found, make): (_, _, _, Make) = match provider {
        configuration::Provider {
            aescbc: Some(keys), ..
        } => ("k8s:enc:aescbc:v1:", "AES", keys, Cipher::cbc),
        configuration::Provider {
            aesgcm: Some(keys), ..
        } => ("k8s:enc:aesgcm:v1:", "AES", keys, Cipher::gcm),
        configuration::Provider {
            secretbox: Some(keys),
            ..
        } => ("k8s:enc:secretbox:v1:", "Secretbox", keys, Cipher::secretbox),
        configuration::Provider {
            identity: Some(_), ..
        } => return Some(Provider::Identity),
        _ => return None,
    };
    let keys = found
        .keys
        .iter()
        .map(|key| {
            let secret = STANDARD.decode(&key.secret).ok()?;
            Some(Key {
                prefix: format!("{}:", key.name),
                cipher: make(&secret)?,
                fingerprint: Sha256::digest(&secret).into(),
            })
        })
        .collect::<Option<Vec<_>>>()
        .filter(|keys| !keys.is_empty())?;
    Some(Provider::Keys {
        prefix,
        title,
        keys: keys.into(),
    })
}

impl Chain {
    /// The bytes to store.
    pub(crate) fn seal<'a>(&self, path: &str, plain: &'a [u8]) -> Result<Cow<'a, [u8]>, SealError> {
        let Some((prefix, key)) = self.writer() else {
            return Ok(Cow::Borrowed(plain));
        };
        let mut out = Vec::with_capacity(plain.len() + prefix.len() + key.prefix.len() + 64);
        out.extend_from_slice(prefix.as_bytes());
        out.extend_from_slice(key.prefix.as_bytes());
        if key.cipher.seal(path, plain, &mut out) {
            Ok(Cow::Owned(out))
        } else {
            Err(SealError)
        }
    }

    /// The object behind stored bytes.
    pub(crate) fn open<'a>(&self, path: &str, stored: &'a [u8]) -> Result<Opened<'a>, OpenError> {
        let mut errors = Vec::new();
        let mut plain_refused = false;
        for (index, provider) in self.0.iter().enumerate() {
            match provider {
                Provider::Identity if stored.starts_with(ENCRYPTED) => plain_refused = true,
                Provider::Identity => {
                    return Ok(Opened {
                        plain: Cow::Borrowed(stored),
                        stale: index != 0,
                    });
                }
                Provider::Keys { prefix, title, keys } => {
                    let Some(rest) = stored.strip_prefix(prefix.as_bytes()) else {
                        continue;
                    };
                    match open_with(keys, title, path, rest) {
                        Ok((plain, first)) => {
                            return Ok(Opened {
                                plain: Cow::Owned(plain),
                                stale: index != 0 || !first,
                            });
                        }
                        Err(found) => errors.extend(found),
                    }
                }
            }
        }
        Err(match errors.len() {
            // The identity provider alone says more than that nothing matches.
            0 if plain_refused && self.0.len() == 1 => OpenError::Encrypted,
            0 => OpenError::NoPrefix,
            1 => errors.remove(0),
            _ => several(&errors),
        })
    }

    /// Whether objects are not stored plain.
    pub fn encrypts(&self) -> bool {
        self.writer().is_some()
    }

    /// Whether two chains write alike.
    pub fn writes_like(&self, other: &Self) -> bool {
        match (self.writer(), other.writer()) {
            (None, None) => true,
            (Some((prefix, key)), Some((other_prefix, other))) => {
                (prefix, &key.prefix, key.fingerprint) == (other_prefix, &other.prefix, other.fingerprint)
            }
            _ => false,
        }
    }

    /// The provider's prefix and the key that write; `None` if objects are stored plain.
    fn writer(&self) -> Option<(&'static str, &Key)> {
        match self.0.first()? {
            Provider::Identity => None,
            Provider::Keys { prefix, keys, .. } => Some((*prefix, keys.first()?)),
        }
    }
}

/// Tries the keys of the name that the bytes carry; also tells whether it was the first key.
fn open_with(
    keys: &[Key],
    title: &'static str,
    path: &str,
    stored: &[u8],
) -> Result<(Vec<u8>, bool), Vec<OpenError>> {
    let mut errors = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        if let Some(sealed) = stored.strip_prefix(key.prefix.as_bytes()) {
            match key.cipher.open(path, sealed) {
                Ok(plain) => return Ok((plain, index == 0)),
                Err(error) => errors.push(error),
            }
        }
    }
    if errors.is_empty() {
        errors.push(OpenError::NoKey(title));
    }
    Err(errors)
}

fn several(errors: &[OpenError]) -> OpenError {
    let mut texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    texts.dedup();
    match texts.as_slice() {
        [_] => errors[0].clone(),
        _ => OpenError::Several(texts.join(", ")),
    }
}
