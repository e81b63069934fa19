//! One Service and its slices, turned into frontends and their targets. Follows kube-proxy where the API leaves room.

use std::net::{IpAddr, SocketAddr};

use super::{Claim, Frontend, Otherwise, Place, Service, ServicePort, Slice, State, Target};
use crate::nft::Family;

/// What compiling depends on besides the Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scope {
    /// Served by netd itself: never rejected, though the Service has no endpoints.
    pub(crate) dns_ip: IpAddr,
}

/// The frontends of a Service.
pub(crate) fn compile<'a>(
    service: &Service,
    slices: &(impl Iterator<Item = &'a Slice> + Clone),
    scope: Scope,
) -> Vec<(Frontend, Claim, Target)> {
    let mut out = Vec::new();
    if service.other_proxy || service.headless || service.external_name.is_some() {
        return out;
    }
    for port in &service.ports {
        for family in Family::ALL {
            let backends = Backends::new(port, slices.clone(), family);
            out.extend(frontends(service, port, family, &backends, scope));
        }
    }
    out
}

/// The usable endpoints of one port in one family.
struct Backends {
    cluster: Vec<SocketAddr>,
    local: Vec<SocketAddr>,
}

impl Backends {
    fn new<'a>(port: &ServicePort, slices: impl Iterator<Item = &'a Slice>, family: Family) -> Self {
        let mut found = Vec::new();
        for slice in slices {
            let same = |p: &&super::SlicePort| p.name == port.name && p.protocol == port.protocol;
            for slice_port in slice.ports.iter().filter(same) {
                for endpoint in slice.endpoints.iter().filter(|e| Family::of(e.ip) == family) {
                    found.push((
                        SocketAddr::new(endpoint.ip, slice_port.port),
                        endpoint.local,
                        endpoint.state,
                    ));
                }
            }
        }
        let pick = |local_only: bool| {
            let of = |state| {
                let wanted = move |f: &&(SocketAddr, bool, State)| f.2 == state && (f.1 || !local_only);
                let mut picked: Vec<SocketAddr> = found.iter().filter(wanted).map(|f| f.0).collect();
                picked.sort_unstable();
                picked.dedup();
                picked
            };
            let ready = of(State::Ready);
            // Better one that is on its way out than none.
            if ready.is_empty() {
                of(State::Draining)
            } else {
                ready
            }
        };
        Self {
            cluster: pick(false),
            local: pick(true),
        }
    }

    fn target(&self, service: &Service, local: bool, masquerade: bool) -> Target {
        Target {
            endpoints: if local {
                self.local.clone()
            } else {
                self.cluster.clone()
            },
            affinity: service.affinity,
            masquerade,
            otherwise: if self.cluster.is_empty() {
                Otherwise::Reject
            } else {
                Otherwise::Drop
            },
        }
    }
}

fn frontends(
    service: &Service,
    port: &ServicePort,
    family: Family,
    backends: &Backends,
    scope: Scope,
) -> Vec<(Frontend, Claim, Target)> {
    let mut out = Vec::new();
    let mut push = |place, number, external, target| {
        let frontend = Frontend {
            family,
            place,
            protocol: port.protocol,
            port: number,
        };
        out.push((
            frontend,
            Claim {
                external,
                created: service.created,
            },
            target,
        ));
    };
    let of_family = |ips: &[IpAddr]| -> Vec<IpAddr> {
        ips.iter()
            .copied()
            .filter(|ip| Family::of(*ip) == family)
            .collect()
    };
    for ip in of_family(&service.cluster_ips) {
        let target = backends.target(service, service.internal_local, false);
        // Endpoints of an operator's own DNS win over ours.
        if ip != scope.dns_ip || !target.endpoints.is_empty() {
            push(Place::Vip(ip), port.port, false, target);
        }
    }
    // Clients from outside must be answered by the node that they asked, so the endpoint sees that one. With a Local
    // policy it is the endpoint's own node, and the client's address can stay.
    let external = backends.target(service, service.external_local, !service.external_local);
    for ip in of_family(&service.external_ips) {
        push(Place::Vip(ip), port.port, true, external.clone());
    }
    // A node port exists in the families of the Service.
    if port.node_port != 0 && !of_family(&service.cluster_ips).is_empty() {
        push(Place::Node, port.node_port, false, external);
    }
    out
}
