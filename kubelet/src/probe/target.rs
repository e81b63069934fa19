//! Where a probe goes: named ports, default hosts, URLs.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, HTTPGetAction, TCPSocketAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// An HTTP request to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `https` without verification of the certificate, as upstream.
    pub tls: bool,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path with query, beginning with a slash.
    pub path: String,
    /// Headers in order.
    pub headers: Vec<(String, String)>,
}

impl Target {
    /// The request of an `httpGet` action; without a host it goes to the pod.
    pub fn http(
        action: &HTTPGetAction,
        container: &Container,
        pod_ip: Option<IpAddr>,
    ) -> Result<Self, String> {
        let path = action.path.clone().unwrap_or_default();
        Ok(Self {
            tls: action
                .scheme
                .as_deref()
                .is_some_and(|s| s.eq_ignore_ascii_case("https")),
            host: host(action.host.as_deref(), pod_ip)?,
            port: port(&action.port, container)?,
            path: if path.starts_with('/') {
                path
            } else {
                format!("/{path}")
            },
            headers: action
                .http_headers
                .iter()
                .flatten()
                .map(|h| (h.name.clone(), h.value.clone()))
                .collect(),
        })
    }

    /// Host as it stands in a URL.
    pub fn url_host(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        }
    }

    /// The URL.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}:{}{}", self.url_host(), self.port, self.path)
    }
}

pub(super) fn tcp(
    action: &TCPSocketAction,
    container: &Container,
    pod_ip: Option<IpAddr>,
) -> Result<(String, u16), String> {
    Ok((
        host(action.host.as_deref(), pod_ip)?,
        port(&action.port, container)?,
    ))
}

fn host(named: Option<&str>, pod_ip: Option<IpAddr>) -> Result<String, String> {
    match named.filter(|host| !host.is_empty()) {
        Some(host) => Ok(host.to_owned()),
        None => pod_ip
            .map(|ip| ip.to_string())
            .ok_or_else(|| "the pod has no address".into()),
    }
}

pub(super) fn port(port: &IntOrString, container: &Container) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => match container
            .ports
            .iter()
            .flatten()
            .find(|p| p.name.as_deref() == Some(name))
        {
            Some(found) => found.container_port,
            None => name.parse().map_err(|_| format!("couldn't find port: {name}"))?,
        },
    };
    u16::try_from(number)
        .ok()
        .filter(|n| *n > 0)
        .ok_or_else(|| format!("invalid port number: {number}"))
}
