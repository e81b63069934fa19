//! The table `keelson-ID-pods`: what pods need of the node's packet filter whether or not the API server answers.
//!
//! ```text
//! chain spoof        a pod may only send from its own address (reverse path), and nothing to 127.0.0.0/8
//! chain prerouting,  host ports to pods
//!       output
//! chain postrouting  a pod that reaches itself through a Service, and what Services marked, leave with the node's
//!                    address; so does what pods send out of the cluster
//! ```

use std::net::IpAddr;

use super::adopt::{self, Elements, Place};
use super::batch::{Batch, Error, Hook};
use super::expression::{Rule, Verdict};
use super::family::{Family, octets};
use super::set::{Set, Type, Value};
use super::{Marks, pods_table};
use crate::cidr::Cidr;
use crate::client::HostPort;
use crate::ipam::Lease;

const HAIRPIN: Set = Set {
    name: "hairpin",
    key: &[Type::Address, Type::Address],
    value: Value::None,
    dynamic: None,
};
const ENDPOINT: Value = Value::Data(&[Type::Address, Type::Port]);
const HOST_PORTS: Set = Set {
    name: "hostports",
    key: &[Type::Protocol, Type::Port],
    value: ENDPOINT,
    dynamic: None,
};
const HOST_IP_PORTS: Set = Set {
    name: "hostipports",
    key: &[Type::Address, Type::Protocol, Type::Port],
    value: ENDPOINT,
    dynamic: None,
};

/// What the table depends on besides the leases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Cluster id.
    pub(crate) id: String,
    /// Begins the name of every pod interface.
    pub(crate) prefix: String,
    /// Pod ranges of this node.
    pub(crate) pod_cidrs: Vec<Cidr>,
    /// Pod ranges of the whole cluster: traffic to them keeps its source address.
    pub(crate) cluster_cidrs: Vec<Cidr>,
    /// The node's addresses in its pod ranges.
    pub(crate) gateways: Vec<IpAddr>,
}

impl Settings {
    fn of(ranges: &[Cidr], family: Family) -> impl Iterator<Item = &Cidr> {
        ranges.iter().filter(move |r| Family::of(r.base()) == family)
    }
}

/// The transaction that makes the table what `settings` and `leases` say: a change of its elements when its rules are
/// as they should be, else the whole table anew.
pub(crate) fn load<'a>(
    settings: &Settings,
    family: Family,
    leases: impl Iterator<Item = &'a Lease>,
) -> Result<Batch, Error> {
    let table = pods_table(&settings.id);
    let marker = adopt::marker(settings);
    let mut batch = Batch::new(&table, family);
    let wanted: Elements = leases.flat_map(|l| elements(l, family)).collect();
    let present = if adopt::has_rules(&table, family, &marker)? {
        adopt::present(
            &table,
            family,
            &[HAIRPIN.name, HOST_PORTS.name, HOST_IP_PORTS.name],
        )?
    } else {
        create(&mut batch, settings, family, &marker);
        Elements::new()
    };
    adopt::difference(&mut batch, &present, &wanted);
    Ok(batch)
}

fn create(batch: &mut Batch, settings: &Settings, family: Family, marker: &str) {
    batch.replace_table();
    batch.chain(marker, None);
    for set in [HAIRPIN, HOST_PORTS, HOST_IP_PORTS] {
        batch.set(&set);
    }
    spoof(batch, settings, family);
    host_ports(batch);
    postrouting(batch, settings, family);
}

/// Before connection tracking and before any translation: what a pod really sent.
fn spoof(batch: &mut Batch, settings: &Settings, family: Family) {
    batch.chain(
        "spoof",
        Some(Hook {
            kind: "filter",
            number: 0,
            priority: -300,
        }),
    );
    batch.rule("spoof", |r| {
        r.input_prefix(&settings.prefix)
            .source_elsewhere()
            .verdict(Verdict::Drop);
    });
    if family == Family::V4 {
        // Pods' links have route_localnet, so that the node may reach node ports on 127.0.0.1 (CVE-2020-8558).
        let loopback = Cidr::new(IpAddr::from([127, 0, 0, 0]), 8);
        batch.rule("spoof", |r| {
            if let Some(range) = loopback {
                r.input_prefix(&settings.prefix)
                    .destination_in(&range)
                    .verdict(Verdict::Drop);
            }
        });
    }
    for range in Settings::of(&settings.pod_cidrs, family) {
        // Nobody outside may claim to be one of our pods either.
        batch.rule("spoof", |r| {
            r.source_in(range).source_elsewhere().verdict(Verdict::Drop);
        });
    }
}

fn host_ports(batch: &mut Batch) {
    for (chain, number) in [("prerouting", 0), ("output", 3)] {
        batch.chain(
            chain,
            Some(Hook {
                kind: "nat",
                number,
                priority: -100,
            }),
        );
        batch.rule(chain, |r| {
            r.destination_local();
            let word = r.key_destination(0);
            r.key_port(word);
            r.map(HOST_IP_PORTS.name).dnat();
        });
        batch.rule(chain, |r| {
            r.destination_local().key_port(0);
            r.map(HOST_PORTS.name).dnat();
        });
    }
}

fn postrouting(batch: &mut Batch, settings: &Settings, family: Family) {
    let mark = Marks::new(&settings.id).masquerade();
    batch.chain(
        "postrouting",
        Some(Hook {
            kind: "nat",
            number: 4,
            priority: 100,
        }),
    );
    batch.chain("outside", None);
    // Pods' links carry no address of the node, so masquerading towards a pod needs one named.
    if let Some(&gateway) = settings.gateways.iter().find(|g| Family::of(**g) == family) {
        batch.rule("postrouting", |r| {
            r.translated();
            let word = r.key_source(0);
            r.key_destination(word);
            r.in_set(HAIRPIN.name).snat(gateway);
        });
        batch.rule("postrouting", |r| {
            r.output_prefix(&settings.prefix).mark_is(mark).snat(gateway);
        });
        if let (Family::V4, Some(loopback)) = (family, Cidr::new(IpAddr::from([127, 0, 0, 0]), 8)) {
            batch.rule("postrouting", |r| {
                r.output_prefix(&settings.prefix)
                    .source_in(&loopback)
                    .snat(gateway);
            });
        }
    }
    batch.rule("postrouting", |r: &mut Rule<'_>| {
        r.mark_is(mark).masquerade();
    });
    for range in Settings::of(&settings.pod_cidrs, family) {
        batch.rule("postrouting", |r| {
            r.source_in(range).verdict(Verdict::Goto("outside"));
        });
    }
    for range in Settings::of(&settings.cluster_cidrs, family) {
        batch.rule("outside", |r| {
            r.destination_in(range).verdict(Verdict::Return);
        });
    }
    batch.rule("outside", |r| {
        r.masquerade();
    });
}

/// Adds a pod's elements.
pub(crate) fn add(batch: &mut Batch, lease: &Lease) {
    adopt::difference(batch, &Elements::new(), &elements(lease, batch.family()));
}

/// Deletes a pod's elements, which must be there.
pub(crate) fn remove(batch: &mut Batch, lease: &Lease) {
    adopt::difference(batch, &elements(lease, batch.family()), &Elements::new());
}

fn elements(lease: &Lease, family: Family) -> Elements {
    let mut out = Elements::new();
    for &ip in lease.ips.iter().filter(|ip| Family::of(**ip) == family) {
        out.insert((HAIRPIN.name, [octets(ip), octets(ip)].concat()), Vec::new());
        out.extend(lease.host_ports.iter().filter_map(|port| host_port(port, ip)));
    }
    out
}

fn host_port(port: &HostPort, pod: IpAddr) -> Option<(Place, Vec<u8>)> {
    let key = port_key(protocol(&port.protocol)?, port.host_port);
    let value = endpoint(pod, port.container_port);
    match port.host_ip.filter(|ip| !ip.is_unspecified()) {
        None => Some(((HOST_PORTS.name, key), value)),
        Some(ip) if Family::of(ip) == Family::of(pod) => {
            Some(((HOST_IP_PORTS.name, [octets(ip), key].concat()), value))
        }
        Some(_) => None,
    }
}

/// Whether two ports of different pods cannot both be published.
pub(crate) fn conflict(a: &HostPort, b: &HostPort) -> bool {
    let any = |p: &HostPort| p.host_ip.is_none_or(|ip| ip.is_unspecified());
    a.host_port == b.host_port
        && protocol(&a.protocol) == protocol(&b.protocol)
        && (any(a) == any(b) && (any(a) || a.host_ip == b.host_ip))
}

/// The IP protocol number of a Kubernetes protocol name.
pub(crate) fn protocol(name: &str) -> Option<u8> {
    let number = match name {
        "TCP" => libc::IPPROTO_TCP,
        "UDP" => libc::IPPROTO_UDP,
        "SCTP" => libc::IPPROTO_SCTP,
        _ => return None,
    };
    Some(number as u8)
}

/// `inet_proto . inet_service`, each padded to a word.
pub(super) fn port_key(protocol: u8, port: u16) -> Vec<u8> {
    let [high, low] = port.to_be_bytes();
    vec![protocol, 0, 0, 0, high, low, 0, 0]
}

/// `address . inet_service`, padded.
pub(super) fn endpoint(ip: IpAddr, port: u16) -> Vec<u8> {
    let [high, low] = port.to_be_bytes();
    [octets(ip), vec![high, low, 0, 0]].concat()
}
