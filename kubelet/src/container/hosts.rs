//! `/etc/hosts` of a pod, and its host name.
//!
//! Source: `pkg/kubelet/kubelet_pods.go` (`managedHostsFileContent`, `truncatePodHostnameIfNeeded`).

use std::fmt::Write;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::Pod;

/// Most characters of a host name (the kernel takes 64 bytes with the terminator).
const HOSTNAME_LIMIT: usize = 63;

/// Short host name and, with a subdomain, the fully qualified one.
pub fn hostname(pod: &Pod, cluster_domain: &str) -> (String, Option<String>) {
    let spec = pod.spec.clone().unwrap_or_default();
    let given = spec.hostname.filter(|name| !name.is_empty());
    let mut short = given.or_else(|| pod.metadata.name.clone()).unwrap_or_default();
    if short.len() > HOSTNAME_LIMIT {
        short.truncate(HOSTNAME_LIMIT);
        short.truncate(short.trim_end_matches(['-', '.']).len());
    }
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
    let qualified = spec
        .subdomain
        .filter(|sub| !sub.is_empty())
        .map(|sub| format!("{short}.{sub}.{namespace}.svc.{cluster_domain}"));
    (short, qualified)
}

/// The host name the pod's UTS namespace gets.
pub fn kernel_hostname(pod: &Pod, cluster_domain: &str) -> Result<String, super::ConfigError> {
    let (short, qualified) = hostname(pod, cluster_domain);
    let fqdn = pod
        .spec
        .as_ref()
        .and_then(|s| s.set_hostname_as_fqdn)
        .unwrap_or(false);
    match qualified {
        Some(name) if fqdn => {
            if name.len() > HOSTNAME_LIMIT + 1 {
                return Err(super::ConfigError::Other(format!(
                    "failed to construct FQDN from pod hostname and cluster domain, FQDN {name} is too long (64 \
                     characters is the max, {} characters requested)",
                    name.len()
                )));
            }
            Ok(name)
        }
        _ => Ok(short),
    }
}

/// The file's content. `host_file` is the node's own, used for host-network pods.
pub fn content(pod: &Pod, ips: &[IpAddr], cluster_domain: &str, host_file: Option<&str>) -> String {
    let mut text = String::new();
    if let Some(host) = host_file {
        text.push_str("# Kubernetes-managed hosts file (host network).\n");
        text.push_str(host);
    } else {
        text.push_str(
            "# Kubernetes-managed hosts file.\n\
             127.0.0.1\tlocalhost\n\
             ::1\tlocalhost ip6-localhost ip6-loopback\n\
             fe00::0\tip6-localnet\n\
             fe00::0\tip6-mcastprefix\n\
             fe00::1\tip6-allnodes\n\
             fe00::2\tip6-allrouters\n",
        );
        let (short, qualified) = hostname(pod, cluster_domain);
        for ip in ips {
            // Writing to a string cannot fail.
            let _ = match &qualified {
                Some(name) => writeln!(text, "{ip}\t{name}\t{short}"),
                None => writeln!(text, "{ip}\t{short}"),
            };
        }
    }
    let aliases = pod.spec.iter().flat_map(|s| s.host_aliases.iter().flatten());
    for (index, alias) in aliases.enumerate() {
        if index == 0 {
            text.push_str("\n# Entries added by HostAliases.\n");
        }
        let names = alias.hostnames.clone().unwrap_or_default().join("\t");
        let _ = writeln!(text, "{}\t{names}", alias.ip);
    }
    text
}
