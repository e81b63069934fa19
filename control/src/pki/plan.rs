//! Which certificates a cluster needs, as data. Names, organizations and usages as kubeadm makes them
//! (kubernetes.io, "PKI certificates and requirements").

use std::net::IpAddr;

use super::{PkiError, Request};

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// TLS server.
    Server,
    /// TLS client.
    Client,
}

/// A certificate that there must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// File name without `.crt` and `.key`.
    pub base: String,
    /// Common name: the user name of a client.
    pub common_name: String,
    /// Organization: the group of a client.
    pub organization: Option<&'static str>,
    /// Server or client.
    pub usage: Usage,
    /// DNS names, sorted.
    pub names: Vec<String>,
    /// Addresses, sorted.
    pub addresses: Vec<IpAddr>,
}

/// All certificates below the authority.
pub fn leaves(request: &Request) -> Result<Vec<Leaf>, PkiError> {
    check_name("node name", &request.node_name)?;
    check_name("cluster domain", &request.cluster_domain)?;
    let node = &request.node_name;
    let user = format!("system:node:{node}");
    Ok(vec![
        server("apiserver".to_owned(), "kube-apiserver", None, api_sans(request)?),
        // In no group: whoever gets the API server to dial what is no kubelet, itself say, gains a kubelet's API only. The
        // role `system:kubelet-api-admin` is bound to the name.
        client(
            "apiserver-kubelet-client".to_owned(),
            "kube-apiserver-kubelet-client",
            None,
        ),
        client("admin".to_owned(), "kubernetes-admin", Some("system:masters")),
        client(format!("kubelet-{node}"), &user, Some("system:nodes")),
        server(
            format!("kubelet-{node}-server"),
            &user,
            Some("system:nodes"),
            vec![
                node.clone(),
                "localhost".to_owned(),
                request.node_ip.to_string(),
                "127.0.0.1".to_owned(),
            ],
        ),
        client("netd".to_owned(), "system:kube-proxy", None),
    ])
}

fn client(base: String, common_name: &str, organization: Option<&'static str>) -> Leaf {
    Leaf {
        base,
        common_name: common_name.to_owned(),
        organization,
        usage: Usage::Client,
        names: Vec::new(),
        addresses: Vec::new(),
    }
}

fn server(base: String, common_name: &str, organization: Option<&'static str>, sans: Vec<String>) -> Leaf {
    let (mut names, mut addresses) = (Vec::new(), Vec::new());
    for san in sans {
        match san.parse::<IpAddr>() {
            Ok(address) => addresses.push(address),
            Err(_) => names.push(san),
        }
    }
    names.sort();
    names.dedup();
    addresses.sort();
    addresses.dedup();
    Leaf {
        base,
        common_name: common_name.to_owned(),
        organization,
        usage: Usage::Server,
        names,
        addresses,
    }
}

/// Every name and address of the API server.
fn api_sans(request: &Request) -> Result<Vec<String>, PkiError> {
    let mut sans: Vec<String> = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "localhost",
    ]
    .map(str::to_owned)
    .to_vec();
    sans.push(format!("kubernetes.default.svc.{}", request.cluster_domain));
    sans.extend([request.node_name.clone(), request.node_ip.to_string()]);
    sans.extend(["127.0.0.1", "::1"].map(str::to_owned));
    for san in &request.api_sans {
        if san.parse::<IpAddr>().is_err() {
            check_name("API server name", san.strip_prefix("*.").unwrap_or(san))?;
        }
        sans.push(san.clone());
    }
    for cidr in &request.service_cidrs {
        sans.push(first_address(cidr)?.to_string());
    }
    Ok(sans)
}

/// The first usable address of a CIDR, which is the `kubernetes` Service's: `10.43.0.1` of `10.43.0.0/16`.
fn first_address(cidr: &str) -> Result<IpAddr, PkiError> {
    let wrong = || PkiError::Request {
        what: "service CIDR",
        value: cidr.to_owned(),
        why: "expected ADDRESS/BITS".to_owned(),
    };
    let (address, bits) = cidr.split_once('/').ok_or_else(wrong)?;
    let bits: u32 = bits.parse().map_err(|_| wrong())?;
    match address.parse().map_err(|_| wrong())? {
        IpAddr::V4(v4) if bits <= 30 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            Ok(IpAddr::V4(((u32::from(v4) & mask) + 1).into()))
        }
        IpAddr::V6(v6) if bits <= 126 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            Ok(IpAddr::V6(((u128::from(v6) & mask) + 1).into()))
        }
        _ => Err(wrong()),
    }
}

/// A DNS-1123 subdomain. Node names become file names, so this also keeps slashes out.
fn check_name(what: &'static str, value: &str) -> Result<(), PkiError> {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if value.len() <= 253 && value.split('.').all(label) {
        return Ok(());
    }
    Err(PkiError::Request {
        what,
        value: value.to_owned(),
        why: "must consist of lower case letters, digits, '-' and '.'".to_owned(),
    })
}
