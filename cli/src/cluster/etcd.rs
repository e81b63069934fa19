//! Which etcd holds a cluster's objects.

use std::path::PathBuf;

use anyhow::Result;
use keelson_control::store::Servers;
use serde::{Deserialize, Serialize};

use crate::args;

/// As it is in `cluster.json`, so that the control plane finds it at every start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Etcd {
    /// URLs.
    pub servers: Vec<String>,
    /// Authority of the servers' certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Our certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    /// Its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// What all keys begin with.
    pub prefix: String,
}

impl Etcd {
    /// What the options say, or else what was there before.
    pub fn choose(options: &args::Etcd, before: Option<Self>) -> Result<Option<Self>> {
        let Some(servers) = &options.etcd_servers else {
            return Ok(before);
        };
        let servers: Vec<String> = servers
            .iter()
            .map(|url| url.trim().to_owned())
            .filter(|url| !url.is_empty())
            .collect();
        if servers.is_empty() {
            return Ok(None);
        }
        // The control plane may be started in another directory.
        let absolute = |path: &Option<PathBuf>| path.as_ref().map(std::path::absolute).transpose();
        Ok(Some(Self {
            servers,
            ca_file: absolute(&options.etcd_cafile)?,
            cert_file: absolute(&options.etcd_certfile)?,
            key_file: absolute(&options.etcd_keyfile)?,
            prefix: options.etcd_prefix.clone(),
        }))
    }

    /// For the control plane.
    pub fn servers(&self) -> Servers {
        Servers {
            urls: self.servers.clone(),
            ca_file: self.ca_file.clone(),
            cert_file: self.cert_file.clone(),
            key_file: self.key_file.clone(),
            prefix: self.prefix.clone(),
        }
    }
}
