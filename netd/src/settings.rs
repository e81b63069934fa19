//! The configuration, parsed and checked.

use std::net::IpAddr;

use crate::cidr::Cidr;
use crate::{Config, Error};

/// The daemon's configuration with every text parsed.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Cluster id.
    pub(crate) id: String,
    /// This node.
    pub(crate) node_name: String,
    /// Pod ranges of this node, empty when its Node object says.
    pub(crate) pod_cidrs: Vec<Cidr>,
    /// Pod ranges of the cluster.
    pub(crate) cluster_cidrs: Vec<Cidr>,
    /// Service ranges.
    pub(crate) service_cidrs: Vec<Cidr>,
    /// Where cluster DNS is served.
    pub(crate) dns_ip: IpAddr,
    /// Domain of the cluster, lower case, without a trailing dot.
    pub(crate) domain: String,
}

impl Settings {
    /// Checks `config`.
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        check_id(&config.id)?;
        let domain = config.cluster_domain.trim_end_matches('.').to_ascii_lowercase();
        if domain.is_empty() {
            return Err(Error::Config("the cluster domain is empty".into()));
        }
        let settings = Self {
            id: config.id.clone(),
            node_name: config.node_name.clone(),
            pod_cidrs: ranges("pod CIDR", &config.pod_cidrs)?,
            cluster_cidrs: ranges("cluster CIDR", &config.cluster_cidrs)?,
            service_cidrs: ranges("service CIDR", &config.service_cidrs)?,
            dns_ip: config.dns_ip,
            domain,
        };
        for service in &settings.service_cidrs {
            let pods = settings.cluster_cidrs.iter().chain(&settings.pod_cidrs);
            if let Some(pod) = pods.clone().find(|p| p.overlaps(service)) {
                return Err(Error::Config(format!(
                    "service CIDR {service} overlaps pod CIDR {pod}"
                )));
            }
        }
        Ok(settings)
    }
}

/// Interface names are built from the id: it must be a plain word, and short.
pub(crate) fn check_id(id: &str) -> Result<(), Error> {
    let plain = id.bytes().all(|b| b.is_ascii_alphanumeric());
    if plain && (2..=9).contains(&id.len()) {
        return Ok(());
    }
    Err(Error::Config(format!(
        "cluster id {id:?} must be 2 to 9 letters and digits"
    )))
}

fn ranges(what: &str, texts: &[String]) -> Result<Vec<Cidr>, Error> {
    let parse = |t: &String| t.parse().map_err(|e| Error::Config(format!("{what}: {e}")));
    texts.iter().map(parse).collect()
}
