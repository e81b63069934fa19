//! Ports of a node that its pods have.

use std::collections::HashMap;

use super::pod::{EVERY_ADDRESS, HostPort};

/// Ports in use: protocol, port and address to how many have it. Looking one up does not go over those of all pods: a pod
/// may ask for as many as there are.
#[derive(Debug, Default)]
pub struct Ports(HashMap<String, HashMap<i32, HashMap<String, usize>>>);

impl Ports {
    /// A pod has come.
    pub fn add(&mut self, ports: &[HostPort]) {
        for port in ports {
            let numbers = self.0.entry(port.protocol.clone()).or_default();
            let addresses = numbers.entry(port.port).or_default();
            *addresses.entry(port.ip.clone()).or_insert(0) += 1;
        }
    }

    /// A pod that was there has gone.
    pub fn remove(&mut self, ports: &[HostPort]) {
        for port in ports {
            let Some(numbers) = self.0.get_mut(&port.protocol) else {
                continue;
            };
            let Some(addresses) = numbers.get_mut(&port.port) else {
                continue;
            };
            if let Some(count) = addresses.get_mut(&port.ip) {
                *count -= 1;
                if *count == 0 {
                    addresses.remove(&port.ip);
                }
            }
            if addresses.is_empty() {
                numbers.remove(&port.port);
            }
        }
        self.0.retain(|_, numbers| !numbers.is_empty());
    }

    /// Whether one of them cannot be had: somebody has the port on its address, one of the two being all addresses.
    pub fn has_any(&self, wanted: &[HostPort]) -> bool {
        wanted.iter().any(|port| {
            let numbers = self.0.get(&port.protocol);
            numbers
                .and_then(|numbers| numbers.get(&port.port))
                .is_some_and(|addresses| {
                    port.ip == EVERY_ADDRESS
                        || addresses.contains_key(&port.ip)
                        || addresses.contains_key(EVERY_ADDRESS)
                })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn port(protocol: &str, ip: &str, port: i32) -> HostPort {
        HostPort {
            protocol: protocol.to_owned(),
            ip: ip.to_owned(),
            port,
        }
    }

    /// The rule, for two ports.
    fn conflict(a: &HostPort, b: &HostPort) -> bool {
        a.port == b.port
            && a.protocol == b.protocol
            && (a.ip == b.ip || a.ip == EVERY_ADDRESS || b.ip == EVERY_ADDRESS)
    }

    fn some() -> impl Strategy<Value = HostPort> {
        let ip = prop::sample::select(vec![EVERY_ADDRESS, "10.0.0.1", "10.0.0.2", "::"]);
        (prop::sample::select(vec!["TCP", "UDP"]), ip, 1..4)
            .prop_map(|(protocol, ip, n)| port(protocol, ip, n))
    }

    proptest! {
        #[test]
        fn what_is_taken_is_what_conflicts_with_a_pod_that_is_there(
            pods in prop::collection::vec((prop::collection::vec(some(), 0..4), any::<bool>()), 0..8),
            wanted in prop::collection::vec(some(), 0..3),
        ) {
            let mut ports = Ports::default();
            for (pod, _) in &pods {
                ports.add(pod);
            }
            for (pod, _) in pods.iter().filter(|(_, stays)| !stays) {
                ports.remove(pod);
            }
            let mut stay = pods.iter().filter(|(_, stays)| *stays).flat_map(|(pod, _)| pod);
            let taken = stay.any(|have| wanted.iter().any(|p| conflict(p, have)));
            prop_assert_eq!(ports.has_any(&wanted), taken);
        }
    }

    /// Compared with each other these would be 3.6 thousand million.
    #[test]
    fn pods_of_very_many_ports() {
        let all = |ip: &str| {
            (1..60_001)
                .map(|number| port("TCP", ip, number))
                .collect::<Vec<_>>()
        };
        let mut ports = Ports::default();
        ports.add(&all("10.0.0.1"));
        for _ in 0..10 {
            assert!(!ports.has_any(&all("10.0.0.2")));
        }
        ports.remove(&all("10.0.0.1"));
        assert!(ports.0.is_empty());
    }
}
