//! Docker's `config.json`, and what Kubernetes and podman make of it: credentials by registry or repository.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::Deserialize;

use super::Credentials;
use crate::image::{Error, Reference, limits};

/// Credentials by the registry or repository that they are for.
#[derive(Debug, Default)]
pub struct DockerConfig {
    auths: BTreeMap<String, Entry>,
    helpers: BTreeMap<String, String>,
    store: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Deserialize, Default)]
struct Entry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    identitytoken: String,
    #[serde(default)]
    registrytoken: String,
}

/// Secrets are not for logs.
impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entry")
    }
}

impl DockerConfig {
    /// Parses `config.json` (a Secret's `.dockerconfigjson`, podman's `auth.json`).
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let file: File = json(bytes)?;
        Ok(Self {
            auths: file.auths,
            helpers: file.cred_helpers,
            store: file.creds_store.filter(|name| !name.is_empty()),
        })
    }

    /// Parses the older form without `auths` (a Secret's `.dockercfg`).
    pub fn parse_legacy(bytes: &[u8]) -> Result<Self, Error> {
        Ok(Self {
            auths: json(bytes)?,
            ..Self::default()
        })
    }

    /// The credentials for an image: those of the longest key that matches its repository, in Kubernetes' rules (globs
    /// within the labels of a host name, prefixes of the path).
    pub fn credentials(&self, image: &str) -> Option<Credentials> {
        let reference: Reference = image.parse().ok()?;
        let matching = self.auths.iter().filter_map(|(key, entry)| {
            let key = Key::parse(key);
            let credentials = key.matches(&reference).then(|| entry.credentials()).flatten()?;
            Some((key.length(), credentials))
        });
        matching
            .max_by_key(|(length, _)| *length)
            .map(|(_, credentials)| credentials)
    }

    /// The program that a docker client would ask for the credentials for an image. It is not run here.
    pub fn helper(&self, image: &str) -> Option<&str> {
        let reference: Reference = image.parse().ok()?;
        let own = self
            .helpers
            .iter()
            .find(|(key, _)| Key::parse(key).matches(&reference));
        own.map(|(_, name)| name)
            .or(self.store.as_ref())
            .map(String::as_str)
    }
}

fn json<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    if bytes.len() as u64 > limits::DOCUMENT {
        return Err(Error::Invalid("the docker configuration is too large".to_owned()));
    }
    // Not serde's words: they may repeat what is in the file.
    serde_json::from_slice(bytes).map_err(|error| {
        Error::Invalid(format!(
            "the docker configuration is damaged at line {} column {}",
            error.line(),
            error.column()
        ))
    })
}

impl Entry {
    fn credentials(&self) -> Option<Credentials> {
        if !self.registrytoken.is_empty() {
            return Some(Credentials::RegistryToken(self.registrytoken.clone()));
        }
        if !self.identitytoken.is_empty() {
            return Some(Credentials::IdentityToken(self.identitytoken.clone()));
        }
        if !self.username.is_empty() {
            return Some(Credentials::Password(
                self.username.clone(),
                self.password.clone(),
            ));
        }
        let text = self.auth.trim();
        let decoded = STANDARD
            .decode(text)
            .or_else(|_| STANDARD_NO_PAD.decode(text))
            .ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        let (user, password) = decoded.split_once(':')?;
        // Some writers count a terminating NUL.
        let password = password.trim_end_matches('\0');
        (!user.is_empty()).then(|| Credentials::Password(user.to_owned(), password.to_owned()))
    }
}

/// What an entry is for: a host, perhaps with globs, and the beginning of a path.
struct Key<'a> {
    host: &'a str,
    path: &'a str,
}

impl<'a> Key<'a> {
    fn parse(key: &'a str) -> Self {
        let key = key
            .strip_prefix("https://")
            .or_else(|| key.strip_prefix("http://"))
            .unwrap_or(key);
        let (host, path) = key.split_once('/').unwrap_or((key, ""));
        let host = match host {
            "index.docker.io" | "registry-1.docker.io" => "docker.io",
            host => host,
        };
        // The API's root stands for all of the registry.
        let path = match path.trim_end_matches('/') {
            "v1" | "v2" => "",
            path => path,
        };
        Self { host, path }
    }

    fn length(&self) -> (usize, usize) {
        (self.path.len(), self.host.len() - self.host.matches('*').count())
    }

    fn matches(&self, reference: &Reference) -> bool {
        let path = self.path.is_empty()
            || reference
                .path
                .strip_prefix(self.path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        path && host_matches(self.host, &reference.domain)
    }
}

/// `*` and `?` stand for characters within one label; ports must be the same.
fn host_matches(pattern: &str, host: &str) -> bool {
    let (mut patterns, mut labels) = (pattern.split('.'), host.split('.'));
    loop {
        match (patterns.next(), labels.next()) {
            (None, None) => return true,
            (Some(pattern), Some(label)) if glob(pattern.as_bytes(), label.as_bytes()) => {}
            _ => return false,
        }
    }
}

/// Linear but for one step back: no pattern makes it slow.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == text[t] || (*byte == b'?' && text[t] != b':') => {
                p += 1;
                t += 1;
            }
            _ => match star {
                // A port is not for globs.
                Some((at, from)) if text[from] != b':' => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                _ => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn password(user: &str, password: &str) -> Credentials {
        Credentials::Password(user.to_owned(), password.to_owned())
    }

    #[test]
    fn what_docker_podman_and_kubernetes_write() {
        // "u:p:q"
        let hub =
            DockerConfig::parse(br#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpwOnE="}}}"#).unwrap();
        for image in ["busybox", "docker.io/team/app:1", "index.docker.io/library/x"] {
            assert_eq!(hub.credentials(image), Some(password("u", "p:q")), "{image}");
        }
        assert_eq!(hub.credentials("ghcr.io/x"), None);
        let legacy =
            DockerConfig::parse_legacy(br#"{"r.example:5000":{"username":"a","password":"b"}}"#).unwrap();
        assert_eq!(legacy.credentials("r.example:5000/x"), Some(password("a", "b")));
        assert_eq!(legacy.credentials("r.example/x"), None);
        let tokens = DockerConfig::parse(
            br#"{"auths":{"a.io":{"auth":"dTpwOnE=","identitytoken":"t"},"b.io":{"registrytoken":"r"}}}"#,
        )
        .unwrap();
        assert_eq!(
            tokens.credentials("a.io/x"),
            Some(Credentials::IdentityToken("t".into()))
        );
        assert_eq!(
            tokens.credentials("b.io/x"),
            Some(Credentials::RegistryToken("r".into()))
        );
        let helpers =
            DockerConfig::parse(br#"{"credHelpers":{"a.io":"ecr-login"},"credsStore":"pass"}"#).unwrap();
        assert_eq!(helpers.helper("a.io/x"), Some("ecr-login"));
        assert_eq!(helpers.helper("busybox"), Some("pass"));
    }

    #[test]
    fn the_longest_key_counts() {
        let entry = |user: &str| format!("{{\"username\":\"{user}\",\"password\":\"p\"}}");
        let text = format!(
            "{{\"auths\":{{\"r.io\":{},\"r.io/team\":{},\"r.io/team/app\":{},\"*.glob.io\":{},\"a*.glob.io\":{},\"p.io:*\":{}}}}}",
            entry("host"),
            entry("team"),
            entry("app"),
            entry("glob"),
            entry("a"),
            entry("port")
        );
        let config = DockerConfig::parse(text.as_bytes()).unwrap();
        for (image, user) in [
            ("r.io/x", Some("host")),
            ("r.io/team/x", Some("team")),
            ("r.io/team/app:2", Some("app")),
            ("r.io/team/app/sub", Some("app")),
            ("r.io/team/apple", Some("team")),
            ("r.io/teams", Some("host")),
            ("b.glob.io/x", Some("glob")),
            ("ab.glob.io/x", Some("a")),
            ("glob.io/x", None),
            ("x.y.glob.io/x", None),
            ("b.glob.io:5000/x", None),
            ("evil-r.io/x", None),
        ] {
            let found = config.credentials(image);
            assert_eq!(found, user.map(|user| password(user, "p")), "{image}");
        }
    }

    #[test]
    fn damaged_ones_say_where_and_not_what() {
        for bad in [
            &b""[..],
            b"[]",
            b"{\"auths\":3}",
            b"{\"auths\":{\"r\":{\"auth\":5}}}",
            b"{\"auths\":{\"r\":{\"password\":\"hunter2\", oops}}}",
            &vec![b' '; 5 << 20],
        ] {
            let error = DockerConfig::parse(bad).unwrap_err().to_string();
            assert!(
                error.contains("docker configuration") && !error.contains("hunter2"),
                "{error}"
            );
        }
        for useless in ["!!", "", "bm9jb2xvbg==", "OnBhc3N3b3Jk", "/////w=="] {
            let text = format!("{{\"auths\":{{\"r.io\":{{\"auth\":\"{useless}\"}}}}}}");
            assert_eq!(
                DockerConfig::parse(text.as_bytes())
                    .unwrap()
                    .credentials("r.io/x"),
                None
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = DockerConfig::parse(&bytes);
            let _ = DockerConfig::parse_legacy(&bytes);
        }

        #[test]
        fn any_key(key in "[a-z*?./:]{0,30}", auth in "[A-Za-z0-9+/=]{0,12}") {
            let text = serde_json::json!({"auths": {key: {"auth": auth}}}).to_string();
            let config = DockerConfig::parse(text.as_bytes()).unwrap();
            let _ = config.credentials("a.b/c:d");
            let _ = config.helper("a.b/c:d");
        }
    }
}
