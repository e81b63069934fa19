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
        let Some(servers) = &options.servers else {
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
            ca_file: absolute(&options.ca_file)?,
            cert_file: absolute(&options.cert_file)?,
            key_file: absolute(&options.key_file)?,
            prefix: options.prefix.clone(),
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Arguments, Command};

    fn options(arguments: &[&str]) -> Result<args::Etcd, clap::Error> {
        let all = ["keelson", "up"].iter().chain(arguments);
        match Arguments::try_parse_from(all)?.command {
            Command::Up(up) => Ok(up.etcd),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_replace_what_was_there_and_an_empty_one_removes_it() {
        let given = options(&[
            "--etcd-servers",
            "https://a:2379, https://b:2379",
            "--etcd-cafile=ca.crt",
            "--etcd-certfile=/c.crt",
            "--etcd-keyfile=/c.key",
        ]);
        let given = given.unwrap();
        let chosen = Etcd::choose(&given, None).unwrap().unwrap();
        assert_eq!(chosen.servers, ["https://a:2379", "https://b:2379"]);
        assert!(chosen.ca_file.as_ref().unwrap().is_absolute());
        assert_eq!(chosen.prefix, "/registry");
        // What is passed on means the same.
        let passed: Vec<String> = given
            .arguments()
            .into_iter()
            .map(|argument| argument.into_string().unwrap())
            .collect();
        let passed: Vec<&str> = passed.iter().map(String::as_str).collect();
        let again = Etcd::choose(&options(&passed).unwrap(), None).unwrap();
        assert_eq!(again.as_ref(), Some(&chosen));
        let kept = Etcd::choose(&options(&[]).unwrap(), again).unwrap();
        assert_eq!(kept.as_ref(), Some(&chosen));
        let none = Etcd::choose(&options(&["--etcd-servers="]).unwrap(), kept).unwrap();
        assert_eq!(none, None);
    }

    #[test]
    fn options_that_need_others_say_so() {
        for arguments in [
            &["--etcd-cafile=ca.crt"][..],
            &["--etcd-servers=http://a", "--etcd-certfile=c"],
            &["--etcd-servers=http://a", "--etcd-keyfile=k"],
        ] {
            let error = options(arguments).unwrap_err().to_string();
            assert!(error.contains("required"), "{error}");
        }
    }
}
