//! Address ranges of a cluster, chosen so that two clusters on one machine, or a cluster and the machine's own
//! networks, do not collide.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The second octets of the pod ranges that are tried; the service range is the next number up.
/// 42/43 are the field's usual choice for a small cluster (k3s).
const CANDIDATES: &[u8] = &[
    42, 64, 66, 68, 70, 72, 74, 76, 78, 80, 82, 84, 86, 88, 90, 92, 94, 98, 100, 102, 104, 106, 108, 110,
];

/// The pod and service networks of one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ranges {
    /// Second octet of the pod network `10.x.0.0/16`; services have `10.(x+1).0.0/16`.
    pub network: u8,
}

impl Ranges {
    /// The first candidate that no route of this machine and no other cluster uses.
    pub fn choose(run_root: &Path, own_id: &str) -> Option<Self> {
        let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
        let taken = others(run_root, own_id);
        CANDIDATES
            .iter()
            .map(|&network| Self { network })
            .find(|ranges| !ranges.overlaps_routes(&routes) && !taken.contains(ranges))
    }

    /// All pods of the cluster.
    pub fn cluster_cidr(self) -> String {
        format!("10.{}.0.0/16", self.network)
    }

    /// All services.
    pub fn service_cidr(self) -> String {
        format!("10.{}.0.0/16", self.network + 1)
    }

    /// The cluster DNS service.
    pub fn dns_ip(self) -> IpAddr {
        Ipv4Addr::new(10, self.network + 1, 0, 10).into()
    }

    /// The bridge address of the first node: the first address of the first `/24`.
    pub fn first_gateway(self) -> IpAddr {
        Ipv4Addr::new(10, self.network, 0, 1).into()
    }

    /// Whether a line of `/proc/net/route` lies in these ranges or contains them. The default route does not count.
    fn overlaps_routes(self, routes: &str) -> bool {
        routes
            .lines()
            .skip(1)
            .filter_map(parse_route)
            .any(|(destination, mask)| {
                mask != 0
                    && [self.network, self.network + 1].iter().any(|&octet| {
                        let net = u32::from(Ipv4Addr::new(10, octet, 0, 0));
                        let common = mask & 0xffff_0000;
                        net & common == destination & common
                    })
            })
    }
}

/// Destination and mask of a `/proc/net/route` line (both little-endian hexadecimal).
fn parse_route(line: &str) -> Option<(u32, u32)> {
    let mut columns = line.split_whitespace();
    let destination = u32::from_str_radix(columns.nth(1)?, 16).ok()?;
    let mask = u32::from_str_radix(columns.nth(5)?, 16).ok()?;
    Some((destination.swap_bytes(), mask.swap_bytes()))
}

/// Ranges that other clusters on this machine have registered in their run directories.
fn others(run_root: &Path, own_id: &str) -> Vec<Ranges> {
    let Ok(entries) = std::fs::read_dir(run_root) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("keelson-kl") && name != format!("keelson-{own_id}")
        })
        .filter_map(|entry| std::fs::read(entry.path().join("ranges.json")).ok())
        .filter_map(|bytes| serde_json::from_slice(&bytes).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        cni0\t00002A0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";

    #[test]
    fn a_route_inside_a_range_takes_it() {
        assert!(Ranges { network: 42 }.overlaps_routes(ROUTES));
        assert!(!Ranges { network: 64 }.overlaps_routes(ROUTES));
    }

    #[test]
    fn a_route_around_a_range_takes_it() {
        let routes = "header\nvpn0\t0000000A\t0\t0\t0\t0\t0\t000000FF\t0\t0\t0\n";
        assert!(
            Ranges { network: 64 }.overlaps_routes(routes),
            "10.0.0.0/8 contains 10.64.0.0/16"
        );
    }

    #[test]
    fn another_cluster_keeps_its_ranges() {
        let root = tempfile::tempdir().unwrap();
        let other = root.path().join("keelson-kl0001");
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join("ranges.json"), r#"{"network":42}"#).unwrap();
        std::fs::create_dir(root.path().join("keelson-kl0002")).unwrap();
        std::fs::write(root.path().join("keelson-kl0002/ranges.json"), "garbage").unwrap();
        assert_eq!(others(root.path(), "kl0003"), [Ranges { network: 42 }]);
        assert_eq!(others(root.path(), "kl0001"), []);
    }

    #[test]
    fn the_default_cluster_has_the_usual_addresses() {
        let ranges = Ranges { network: 42 };
        assert_eq!(ranges.service_cidr(), "10.43.0.0/16");
        assert_eq!(ranges.dns_ip().to_string(), "10.43.0.10");
        assert_eq!(ranges.first_gateway().to_string(), "10.42.0.1");
    }
}
