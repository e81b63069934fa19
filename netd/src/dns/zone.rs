//! What the cluster's zone says about a name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::cidr::Cidr;
use crate::service::{Cluster, Endpoint, Key, Service, State};

/// Seconds that answers may be kept: CoreDNS's default.
const TTL: u32 = 5;

/// The cluster's zone: what does not change.
#[derive(Debug, Clone)]
pub(crate) struct Zone {
    /// Labels of the domain, lower case, first label first.
    domain: Vec<String>,
    apex: Name,
    /// Where addresses are named by us, and by nobody else.
    reverse: Vec<Cidr>,
    dns_ip: IpAddr,
}

/// What the zone says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reply {
    /// Records, and records that go with them.
    Found {
        /// The answer.
        answers: Vec<Record>,
        /// Addresses of the answer's targets.
        additionals: Vec<Record>,
    },
    /// An alias for a name that may be somebody else's.
    Alias(Box<Record>, Name),
    /// The name exists, without records of this type.
    NoData,
    /// The name does not exist.
    NoName,
    /// The name is not in the zone: ask others.
    Elsewhere,
    /// The API has not told yet.
    NotYet,
}

impl Zone {
    /// The zone `domain`, which also names the addresses in `reverse`. `None` when the domain is not a name.
    pub(crate) fn new(domain: &str, reverse: Vec<Cidr>, dns_ip: IpAddr) -> Option<Self> {
        let mut apex = Name::from_ascii(domain).ok()?;
        apex.set_fqdn(true);
        Some(Self {
            domain: domain.split('.').map(str::to_owned).collect(),
            apex,
            reverse,
            dns_ip,
        })
    }

    /// The start-of-authority record, which goes with every "no".
    pub(super) fn authority(&self) -> Record {
        let under = |labels: &[&str]| self.absolute(labels).unwrap_or_else(|| self.apex.clone());
        let soa = SOA::new(
            under(&["ns", "dns"]),
            under(&["hostmaster"]),
            1,
            7200,
            1800,
            86_400,
            TTL,
        );
        Record::from_rdata(self.apex.clone(), TTL, RData::SOA(soa))
    }

    /// What the zone says about `name`.
    pub(super) fn answer(&self, cluster: &Cluster, name: &Name, kind: RecordType) -> Reply {
        let Some(labels) = labels(name) else {
            // Labels that are not text: none of ours. In the zone they do not exist.
            return if self.apex.zone_of(name) {
                Reply::NoName
            } else {
                Reply::Elsewhere
            };
        };
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        if let Some(inside) = labels.strip_suffix(
            self.domain
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .as_slice(),
        ) {
            return self.inside(cluster, name, inside, kind);
        }
        match reverse(&labels).filter(|ip| self.reverse.iter().any(|c| c.contains(*ip))) {
            Some(_) if !cluster.complete => Reply::NotYet,
            Some(ip) => self.reverse(cluster, name, ip, kind),
            None => Reply::Elsewhere,
        }
    }

    fn inside(&self, cluster: &Cluster, name: &Name, labels: &[&str], kind: RecordType) -> Reply {
        let found = |data| Reply::Found {
            answers: vec![record(name, data)],
            additionals: Vec::new(),
        };
        match labels {
            [] => match (kind, self.absolute(&["ns", "dns"])) {
                (RecordType::SOA, _) => Reply::Found {
                    answers: vec![self.authority()],
                    additionals: vec![],
                },
                (RecordType::NS, Some(server)) => found(RData::NS(NS(server))),
                _ => Reply::NoData,
            },
            ["dns-version"] if kind == RecordType::TXT => found(RData::TXT(TXT::new(vec!["1.1.0".into()]))),
            ["dns-version" | "svc" | "pod" | "dns"] => Reply::NoData,
            ["ns", "dns"] => addresses(name, [self.dns_ip].into_iter(), kind),
            [dashed, _namespace, "pod"] => match undash(dashed) {
                Some(ip) => addresses(name, [ip].into_iter(), kind),
                None => Reply::NoName,
            },
            // Only Services tell which namespaces there are; any may hold pods.
            [_namespace, "pod"] => Reply::NoData,
            [.., "svc"] if !cluster.complete => Reply::NotYet,
            [namespace, "svc"] if cluster.has_namespace(namespace) => Reply::NoData,
            [rest @ .., service, namespace, "svc"] => {
                let key = Key::new(namespace, service);
                match cluster.service(&key) {
                    Some(found) => self.service(cluster, name, &key, found, rest, kind),
                    None => Reply::NoName,
                }
            }
            _ => Reply::NoName,
        }
    }

    /// `rest` is what stands before `service.namespace.svc`.
    fn service(
        &self,
        cluster: &Cluster,
        name: &Name,
        key: &Key,
        service: &Service,
        rest: &[&str],
        kind: RecordType,
    ) -> Reply {
        if let Some(target) = &service.external_name {
            return match (rest, Name::from_ascii(target.trim_end_matches('.'))) {
                ([], Ok(mut target)) => {
                    target.set_fqdn(true);
                    Reply::Alias(
                        Box::new(record(name, RData::CNAME(CNAME(target.clone())))),
                        target,
                    )
                }
                // An IP address or nonsense: there is nothing to point to.
                ([], Err(_)) => Reply::NoData,
                _ => Reply::NoName,
            };
        }
        let endpoints = || named_endpoints(cluster, key, service);
        match rest {
            [] if service.headless => addresses(name, endpoints().into_iter().map(|e| e.0.ip), kind),
            [] => addresses(name, service.cluster_ips.iter().copied(), kind),
            [protocol] if proto(protocol).is_some() => {
                let number = proto(protocol);
                let any = service
                    .ports
                    .iter()
                    .any(|p| Some(p.protocol) == number && !p.name.is_empty());
                if any { Reply::NoData } else { Reply::NoName }
            }
            [port, protocol] if port.starts_with('_') && proto(protocol).is_some() => self.ports(
                cluster,
                name,
                key,
                service,
                &port[1..],
                proto(protocol).unwrap_or_default(),
                kind,
            ),
            [hostname] if service.headless => {
                let ips: Vec<IpAddr> = endpoints()
                    .into_iter()
                    .filter(|(_, n, _)| n == hostname)
                    .map(|(e, ..)| e.ip)
                    .collect();
                if ips.is_empty() {
                    Reply::NoName
                } else {
                    addresses(name, ips.into_iter(), kind)
                }
            }
            _ => Reply::NoName,
        }
    }

    #[allow(clippy::too_many_arguments)] // all of the question
    fn ports(
        &self,
        cluster: &Cluster,
        name: &Name,
        key: &Key,
        service: &Service,
        port: &str,
        protocol: u8,
        kind: RecordType,
    ) -> Reply {
        let mut answers = Vec::new();
        let mut additionals = Vec::new();
        let mut add = |number, target: Option<Name>, ips: &[IpAddr]| {
            if let Some(target) = target {
                additionals.extend(ips.iter().map(|ip| record(&target, address(*ip))));
                answers.push(record(name, RData::SRV(SRV::new(0, 100, number, target))));
            }
        };
        let labels = [&*key.name, &*key.namespace, "svc"];
        if service.headless {
            for (endpoint, hostname, ports) in named_endpoints(cluster, key, service) {
                for (_, _, number) in ports.iter().filter(|(n, p, _)| &**n == port && *p == protocol) {
                    let target = self.absolute(&[&[hostname.as_str()], &labels[..]].concat());
                    add(*number, target, &[endpoint.ip]);
                }
            }
        } else if let Some(p) = service
            .ports
            .iter()
            .find(|p| &*p.name == port && p.protocol == protocol)
        {
            add(p.port, self.absolute(&labels), &service.cluster_ips);
        }
        match (answers.is_empty(), kind) {
            (true, _) => Reply::NoName,
            (false, RecordType::SRV) => Reply::Found { answers, additionals },
            (false, _) => Reply::NoData,
        }
    }

    fn reverse(&self, cluster: &Cluster, name: &Name, ip: IpAddr, kind: RecordType) -> Reply {
        let mut targets = Vec::new();
        if let Some(key) = cluster.by_ip(ip) {
            targets.extend(self.absolute(&[&key.name, &key.namespace, "svc"]));
        } else {
            for key in cluster.headless() {
                let Some(service) = cluster.service(key) else {
                    continue;
                };
                for (_, hostname, _) in named_endpoints(cluster, key, service)
                    .iter()
                    .filter(|(e, ..)| e.ip == ip)
                {
                    targets.extend(self.absolute(&[hostname, &key.name, &key.namespace, "svc"]));
                }
            }
        }
        match kind {
            _ if targets.is_empty() => Reply::NoName,
            RecordType::PTR => Reply::Found {
                answers: targets
                    .into_iter()
                    .map(|t| record(name, RData::PTR(PTR(t))))
                    .collect(),
                additionals: Vec::new(),
            },
            _ => Reply::NoData,
        }
    }

    /// `labels` and the domain.
    fn absolute(&self, labels: &[&str]) -> Option<Name> {
        let all = labels
            .iter()
            .copied()
            .chain(self.domain.iter().map(String::as_str));
        let mut name = Name::from_labels(all.map(str::as_bytes)).ok()?;
        name.set_fqdn(true);
        Some(name)
    }
}

/// Name, protocol and number of a port.
type Port = (Box<str>, u8, u16);

/// The ready endpoints of a Service, each once, with name and ports. Those without a host name are called by their
/// address, with dashes.
fn named_endpoints<'a>(
    cluster: &'a Cluster,
    key: &Key,
    _service: &Service,
) -> Vec<(&'a Endpoint, String, Vec<Port>)> {
    let mut found: Vec<(&Endpoint, String, Vec<Port>)> = Vec::new();
    for slice in cluster.slices(key) {
        let ports = || slice.ports.iter().map(|p| (p.name.clone(), p.protocol, p.port));
        for endpoint in slice.endpoints.iter().filter(|e| e.state == State::Ready) {
            let name = match &endpoint.hostname {
                Some(hostname) => hostname.to_ascii_lowercase(),
                None => endpoint.ip.to_string().replace(['.', ':'], "-"),
            };
            match found
                .iter_mut()
                .find(|(e, n, _)| e.ip == endpoint.ip && *n == name)
            {
                Some((.., known)) => known.extend(ports()),
                None => found.push((endpoint, name, ports().collect())),
            }
        }
    }
    found
}

fn addresses(name: &Name, ips: impl Iterator<Item = IpAddr>, kind: RecordType) -> Reply {
    let mut ips: Vec<IpAddr> = ips.collect();
    ips.sort_unstable();
    ips.dedup();
    if ips.is_empty() {
        // A headless Service without ready endpoints does not resolve, as with CoreDNS.
        return Reply::NoName;
    }
    let wanted = |ip: &IpAddr| match kind {
        RecordType::A => ip.is_ipv4(),
        RecordType::AAAA => ip.is_ipv6(),
        _ => false,
    };
    let answers: Vec<Record> = ips
        .into_iter()
        .filter(wanted)
        .map(|ip| record(name, address(ip)))
        .collect();
    if answers.is_empty() {
        Reply::NoData
    } else {
        Reply::Found {
            answers,
            additionals: Vec::new(),
        }
    }
}

fn address(ip: IpAddr) -> RData {
    match ip {
        IpAddr::V4(v4) => RData::A(A(v4)),
        IpAddr::V6(v6) => RData::AAAA(AAAA(v6)),
    }
}

fn record(name: &Name, data: RData) -> Record {
    Record::from_rdata(name.clone(), TTL, data)
}

fn proto(label: &str) -> Option<u8> {
    crate::nft::pods::protocol(&label.strip_prefix('_')?.to_ascii_uppercase())
}

/// The labels of a name in lower case; `None` when one is not ASCII.
fn labels(name: &Name) -> Option<Vec<String>> {
    name.iter()
        .map(|l| {
            l.is_ascii()
                .then(|| String::from_utf8_lossy(l).to_ascii_lowercase())
        })
        .collect()
}

/// The address that `10-42-0-5` or `fd00--5` stands for.
fn undash(label: &str) -> Option<IpAddr> {
    let v4 = label.replace('-', ".").parse::<Ipv4Addr>().ok().map(IpAddr::V4);
    v4.or_else(|| label.replace('-', ":").parse::<Ipv6Addr>().ok().map(IpAddr::V6))
}

/// The address that a name under `in-addr.arpa` or `ip6.arpa` stands for.
fn reverse(labels: &[&str]) -> Option<IpAddr> {
    match labels {
        [octets @ .., "in-addr", "arpa"] if octets.len() == 4 => {
            let mut bytes = [0; 4];
            for (byte, label) in bytes.iter_mut().rev().zip(octets) {
                // Neither a sign nor leading zeros.
                *byte = label.parse().ok().filter(|b: &u8| b.to_string() == *label)?;
            }
            Some(bytes.into())
        }
        [nibbles @ .., "ip6", "arpa"] if nibbles.len() == 32 => {
            let mut bits = 0_u128;
            for label in nibbles.iter().rev() {
                let digit = Some(*label)
                    .filter(|l| l.len() == 1)
                    .and_then(|l| u128::from_str_radix(l, 16).ok())?;
                bits = bits << 4 | digit;
            }
            Some(Ipv6Addr::from(bits).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
