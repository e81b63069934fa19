//! Where etcd is.

use std::path::PathBuf;

/// Where etcd is, and how it is spoken to (kube-apiserver's options of these names).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Servers {
    /// `--etcd-servers`: URLs, `https://HOST:PORT` or `http://HOST:PORT`.
    pub urls: Vec<String>,
    /// `--etcd-cafile`: who must have signed the servers' certificates.
    pub ca_file: Option<PathBuf>,
    /// `--etcd-certfile`: our certificate.
    pub cert_file: Option<PathBuf>,
    /// `--etcd-keyfile`: its key.
    pub key_file: Option<PathBuf>,
    /// `--etcd-prefix`: what all keys begin with, usually [`Servers::PREFIX`].
    pub prefix: String,
}

impl Servers {
    /// The usual prefix.
    pub const PREFIX: &str = "/registry";

    /// These, with the usual prefix and without certificates.
    pub fn new(urls: Vec<String>) -> Self {
        Self {
            urls,
            ca_file: None,
            cert_file: None,
            key_file: None,
            prefix: Self::PREFIX.to_owned(),
        }
    }

    /// etcd's command line for this, at one member: more are refused for snapshots.
    pub fn etcdctl(&self, action: &str) -> String {
        let mut words = vec!["etcdctl".to_owned()];
        words.extend(self.urls.first().map(|url| format!("--endpoints={url}")));
        let files = [
            ("cacert", &self.ca_file),
            ("cert", &self.cert_file),
            ("key", &self.key_file),
        ];
        for (option, file) in files {
            words.extend(file.as_ref().map(|file| format!("--{option}={}", file.display())));
        }
        words.push(action.to_owned());
        words.join(" ")
    }
}
