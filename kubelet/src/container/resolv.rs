//! `/etc/resolv.conf` of a pod.
//!
//! Source: `pkg/kubelet/network/dns/dns.go`; limits as glibc and upstream have them.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Pod, PodDNSConfig};

const MAX_NAMESERVERS: usize = 3;
const MAX_SEARCHES: usize = 32;

/// A resolver configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolver {
    /// Servers.
    pub nameservers: Vec<String>,
    /// Search domains.
    pub searches: Vec<String>,
    /// Options.
    pub options: Vec<String>,
}

impl Resolver {
    /// Reads the format of resolv.conf(5); what it does not know it skips, and of repeated `search` lines the last
    /// counts.
    pub fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace().map(str::to_owned);
            match words.next().as_deref() {
                Some("nameserver") => found.nameservers.extend(words.next()),
                Some("search" | "domain") => found.searches = words.filter(|w| w != ".").collect(),
                Some("options") => found.options = words.collect(),
                _ => {}
            }
        }
        found
    }

    /// The text of the file.
    pub fn text(&self) -> String {
        let line = |key: &str, words: &[String]| match words {
            [] => String::new(),
            words => format!("{key} {}\n", words.join(" ")),
        };
        let servers: Vec<_> = self
            .nameservers
            .iter()
            .map(|s| format!("nameserver {s}\n"))
            .collect();
        line("search", &self.searches) + &servers.concat() + &line("options", &self.options)
    }
}

/// The pod's configuration, given the node's.
pub fn resolver(pod: &Pod, host: &Resolver, cluster_dns: IpAddr, cluster_domain: &str) -> Resolver {
    let spec = pod.spec.as_ref();
    let policy = spec
        .and_then(|s| s.dns_policy.as_deref())
        .unwrap_or("ClusterFirst");
    let host_network = spec.and_then(|s| s.host_network).unwrap_or(false);
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
    let mut resolver = match policy {
        "None" => Resolver::default(),
        "ClusterFirst" if !host_network => cluster(host, cluster_dns, cluster_domain, namespace),
        "ClusterFirstWithHostNet" => cluster(host, cluster_dns, cluster_domain, namespace),
        _ => host.clone(),
    };
    if let Some(config) = spec.and_then(|s| s.dns_config.as_ref()) {
        merge(&mut resolver, config);
    }
    resolver.nameservers.truncate(MAX_NAMESERVERS);
    resolver.searches.truncate(MAX_SEARCHES);
    resolver
}

fn cluster(host: &Resolver, dns: IpAddr, domain: &str, namespace: &str) -> Resolver {
    let mut searches = vec![
        format!("{namespace}.svc.{domain}"),
        format!("svc.{domain}"),
        domain.to_owned(),
    ];
    append_new(&mut searches, &host.searches);
    Resolver {
        nameservers: vec![dns.to_string()],
        searches,
        options: vec!["ndots:5".into()],
    }
}

fn append_new(list: &mut Vec<String>, more: &[String]) {
    for item in more {
        if !list.contains(item) {
            list.push(item.clone());
        }
    }
}

fn merge(resolver: &mut Resolver, config: &PodDNSConfig) {
    append_new(
        &mut resolver.nameservers,
        config.nameservers.as_deref().unwrap_or_default(),
    );
    append_new(
        &mut resolver.searches,
        config.searches.as_deref().unwrap_or_default(),
    );
    for option in config.options.iter().flatten() {
        let Some(name) = &option.name else { continue };
        resolver.options.retain(|old| old.split(':').next() != Some(name));
        resolver.options.push(match &option.value {
            Some(value) if !value.is_empty() => format!("{name}:{value}"),
            _ => name.clone(),
        });
    }
}
