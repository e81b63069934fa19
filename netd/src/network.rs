//! The node's pod network: leases, links and the table of pods, changed together.
//!
//! Everything here is synchronous and short (an attach is 1 to 3 ms); the daemon calls it from a blocking thread,
//! one change at a time.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use tracing::{info, warn};

use crate::cidr::Cidr;
use crate::client::{AttachRequest, Attachment, HostPort};
use crate::conntrack;
use crate::ipam::{self, Lease, Store, format_mac, gateway};
use crate::link;
use crate::netlink::Socket;
use crate::nft::{self, Batch, Family, pods};
use crate::settings::Settings;

/// Why the network of a pod or of the node could not be changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No address.
    #[error(transparent)]
    Ipam(#[from] ipam::Error),
    /// No link.
    #[error(transparent)]
    Link(#[from] link::Error),
    /// No rules.
    #[error(transparent)]
    Nft(#[from] nft::Error),
    /// Two pods want the same port of the node.
    #[error("host port {port}/{protocol} is in use by pod {namespace}/{name}")]
    HostPort {
        /// The port.
        port: u16,
        /// Its protocol.
        protocol: String,
        /// The pod that has it.
        namespace: String,
        /// The pod that has it.
        name: String,
    },
}

/// The pod network of this node.
#[derive(Debug)]
pub(crate) struct Network {
    settings: Settings,
    store: Store,
    nft: Socket,
    mtu: Option<u32>,
}

impl Network {
    /// Reads the leases. Nothing is changed in the kernel before [`Network::apply`].
    pub(crate) fn open(settings: Settings, state_dir: &Path) -> Result<Self, Error> {
        Ok(Self {
            settings,
            store: Store::open(state_dir)?,
            nft: nft::open()?,
            mtu: link::uplink_mtu(),
        })
    }

    /// Puts the node's device, routes and table in force for the ranges `pod_cidrs`, and removes links of pods that
    /// have no lease (left by a crash between the two). Idempotent; established connections go on.
    pub(crate) fn apply(&mut self, pod_cidrs: &[Cidr]) -> Result<(), Error> {
        self.store.set_cidrs(pod_cidrs);
        let ipv6 = pod_cidrs.iter().any(Cidr::is_ipv6);
        link::enable_forwarding(ipv6)?;
        let mut addresses = self.gateways();
        addresses.push(self.settings.dns_ip);
        link::ensure_bridge(
            &self.settings.id,
            &addresses,
            &self.settings.service_cidrs,
            &self.gateways(),
        )?;
        self.load_pods_table()?;
        self.remove_orphans()?;
        info!(
            ?pod_cidrs,
            leases = self.store.iter().count(),
            "pod network is up"
        );
        Ok(())
    }

    /// Makes the table of pods what the leases say, in one transaction for each family.
    pub(crate) fn load_pods_table(&mut self) -> Result<(), Error> {
        let settings = self.pods_settings();
        for family in Family::ALL {
            pods::load(&settings, family, self.store.iter())?.commit(&mut self.nft)?;
        }
        Ok(())
    }

    fn pods_settings(&self) -> pods::Settings {
        // Leases outside the present ranges (the node was given another) keep working.
        let mut pod_cidrs = self.store.cidrs();
        let strangers = self.store.iter().flat_map(|l| &l.ips).copied();
        let strangers: Vec<_> = strangers
            .filter(|ip| !pod_cidrs.iter().any(|c| c.contains(*ip)))
            .collect();
        pod_cidrs.extend(
            strangers
                .into_iter()
                .filter_map(|ip| Cidr::new(ip, if ip.is_ipv6() { 128 } else { 32 })),
        );
        pods::Settings {
            id: self.settings.id.clone(),
            prefix: link::pod_prefix(&self.settings.id),
            pod_cidrs,
            cluster_cidrs: self.settings.cluster_cidrs.clone(),
            gateways: self.gateways(),
        }
    }

    fn gateways(&self) -> Vec<IpAddr> {
        self.store.cidrs().iter().filter_map(gateway).collect()
    }

    fn remove_orphans(&self) -> Result<(), Error> {
        let bridge = link::bridge_name(&self.settings.id);
        for name in link::owned_links(&self.settings.id)? {
            if name != bridge && !self.store.iter().any(|l| l.interface == name) {
                warn!(interface = name, "removing the link of a pod that has no lease");
                link::remove(&name)?;
            }
        }
        Ok(())
    }

    /// Connects a pod. A pod that is connected already gets the same answer, after a check that it still is.
    pub(crate) fn attach(&mut self, request: &AttachRequest) -> Result<Attachment, Error> {
        self.check_host_ports(request)?;
        let known = self.store.get(&request.pod_uid).cloned();
        let lease = match &known {
            Some(known) => Lease {
                netns: request.netns.clone(),
                host_ports: request.host_ports.clone(),
                ..known.clone()
            },
            None => Lease::new(request, self.store.allocate()?, self.free_name(&request.pod_uid)),
        };
        // The lease comes first: a crash after this line leaves an address in use, which detach frees, and never an
        // interface whose address could be given to another pod.
        self.store.put(lease.clone())?;
        let outcome = self.connect(&lease, known.as_ref());
        if outcome.is_err()
            && known.is_none()
            && let Err(error) = self.store.remove(&lease.pod_uid)
        {
            warn!(pod = lease.pod_uid, %error, "could not free the addresses of a failed attach");
        }
        outcome?;
        forget_connections(&lease);
        Ok(Attachment {
            mac: format_mac(lease.pod_mac()),
            ips: lease.ips,
            interface: lease.interface,
        })
    }

    fn connect(&mut self, lease: &Lease, known: Option<&Lease>) -> Result<(), Error> {
        link::connect(lease, &self.gateways(), self.mtu)?;
        let outcome = if known.is_some() {
            // Published ports may have changed, and a crash may have come between lease and rules.
            self.load_pods_table()
        } else {
            self.change(lease, pods::add)
        };
        if outcome.is_err()
            && known.is_none()
            && let Err(error) = link::disconnect(&lease.interface)
        {
            warn!(interface = lease.interface, %error, "could not remove the link of a failed attach");
        }
        outcome
    }

    /// Disconnects a pod and frees its addresses. Unknown pods are fine. Returns the interface, which the caller
    /// removes with [`link::disconnect`]: that takes the kernel 20 ms and needs nothing of this.
    pub(crate) fn detach(&mut self, pod_uid: &str) -> Result<Option<String>, Error> {
        let Some(lease) = self.store.get(pod_uid).cloned() else {
            // Says what is wrong with an impossible UID.
            self.store.remove(pod_uid)?;
            return Ok(None);
        };
        self.store.remove(pod_uid)?;
        self.change(&lease, pods::remove)?;
        Ok(Some(lease.interface))
    }

    /// Changes the elements of one pod; when the table is not as expected, loads it anew.
    fn change(&mut self, lease: &Lease, change: fn(&mut Batch, &Lease)) -> Result<(), Error> {
        for family in Family::ALL {
            let mut batch = Batch::new(&nft::pods_table(&self.settings.id), family);
            change(&mut batch, lease);
            if batch.is_empty() {
                continue;
            }
            if let Err(error) = batch.commit(&mut self.nft) {
                warn!(%error, "table of pods is not as expected, loading it anew");
                return self.load_pods_table();
            }
        }
        Ok(())
    }

    fn free_name(&self, pod_uid: &str) -> String {
        let taken = |name: &str| self.store.iter().any(|l| l.interface == name);
        (0..=u32::MAX)
            .map(|attempt| link::pod_name(&self.settings.id, pod_uid, attempt))
            .find(|name| !taken(name))
            .unwrap_or_default()
    }

    fn check_host_ports(&self, request: &AttachRequest) -> Result<(), Error> {
        let taken = |port: &HostPort, namespace: &str, name: &str| Error::HostPort {
            port: port.host_port,
            protocol: port.protocol.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        for (i, ours) in request.host_ports.iter().enumerate() {
            if request.host_ports[..i]
                .iter()
                .any(|other| pods::conflict(ours, other))
            {
                return Err(taken(ours, &request.namespace, &request.name));
            }
            for lease in self.store.iter().filter(|l| l.pod_uid != request.pod_uid) {
                if lease.host_ports.iter().any(|theirs| pods::conflict(ours, theirs)) {
                    return Err(taken(ours, &lease.namespace, &lease.name));
                }
            }
        }
        Ok(())
    }
}

/// UDP clients of a published port go on sending to the pod that had it before.
fn forget_connections(lease: &Lease) {
    for port in lease.host_ports.iter().filter(|p| p.protocol == "UDP") {
        for ip in &lease.ips {
            let pod = SocketAddr::new(*ip, port.container_port);
            if let Err(error) = conntrack::forget_host_port(port.host_port, pod) {
                warn!(pod = lease.pod_uid, %error, "could not forget stale UDP connections");
            }
        }
    }
}
