//! Connecting one pod: a veth pair between its namespace and the node's.

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use netlink_packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkInfo, LinkMessage};
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};

use super::request::{self, Batch};
use super::{Error, bridge, sysctl};
use crate::cidr::Cidr;
use crate::ipam::Lease;
use crate::netlink::Socket;

/// Name of the interface in the pod.
const POD_INTERFACE: &str = "eth0";

/// Connects the pod of `lease` to the node, whose addresses in the pod ranges are `gateways`. Idempotent; after an
/// error nothing is left. Blocks for a few milliseconds.
pub(crate) fn connect(lease: &Lease, gateways: &[IpAddr], mtu: Option<u32>) -> Result<(), Error> {
    let node_namespace = open(Path::new("/proc/thread-self/ns/net"))?;
    let pod_namespace = open(&lease.netns)?;
    if same_file(&node_namespace, &pod_namespace)? {
        return Err(Error::NodeNamespace(lease.netns.clone()));
    }
    let mut node = bridge::open()?;
    // A thread of its own enters the pod's namespace and ends there: no thread of the pool is ever in the wrong one.
    let outcome = std::thread::scope(|scope| {
        let work = || -> Result<Socket, Error> {
            setns(&pod_namespace, CloneFlags::CLONE_NEWNET).map_err(|errno| Error::Io {
                what: format!("enter {}", lease.netns.display()),
                source: errno.into(),
            })?;
            let mut pod = bridge::open()?;
            make(lease, &mut node, &mut pod, node_namespace.as_raw_fd(), mtu)?;
            sysctl::pod_end()?;
            configure_pod(lease, gateways, &mut pod)?;
            Ok(pod)
        };
        let thread = scope.spawn(work);
        thread
            .join()
            .unwrap_or_else(|_| Err(Error::Conflict("the thread in the pod's namespace died".into())))
    })
    .and_then(|mut pod| {
        configure_node(lease, gateways, &mut node)?;
        // An end that came up before its peer sends nothing until the kernel's link watch has run, and the pod's first
        // packet would be lost, at the cost of a second. Asking for a link makes it run at once (since 6.14).
        index(&mut pod, POD_INTERFACE)?;
        index(&mut node, &lease.interface).map(drop)
    });
    if outcome.is_err() {
        undo(lease, &mut node);
    }
    outcome
}

/// Disconnects a pod. A pair that is gone already, with the pod's namespace, is fine.
pub(crate) fn disconnect(interface: &str) -> Result<(), Error> {
    bridge::remove(interface)
}

/// Makes the pair, or recognises the one that an earlier call made.
fn make(
    lease: &Lease,
    node: &mut Socket,
    pod: &mut Socket,
    node_fd: RawFd,
    mtu: Option<u32>,
) -> Result<(), Error> {
    for _ in 0..2 {
        let mut batch = Batch::default();
        batch.create(veth(lease, node_fd, mtu));
        match batch.run(pod) {
            Err(Error::Netlink { source, .. }) if source.errno() == Some(Errno::EEXIST) => {}
            outcome => return outcome,
        }
        let ours = request::find(node, &lease.interface)?;
        let inside = request::find(pod, POD_INTERFACE)?;
        let is = |link: &Option<LinkMessage>, mac: [u8; 6]| {
            link.as_ref().is_some_and(|l| request::mac(l) == Some(&mac))
        };
        match (&ours, &inside) {
            _ if is(&ours, lease.host_mac()) && is(&inside, lease.pod_mac()) => return Ok(()),
            // Ours from a crashed attempt, for another address or another namespace: make it again.
            (Some(stale), _) => {
                let mut batch = Batch::default();
                batch.delete(stale.header.index);
                batch.run(node)?;
            }
            (None, Some(_)) => {
                let netns = lease.netns.display();
                return Err(Error::Conflict(format!(
                    "{netns} has an {POD_INTERFACE} that is not ours"
                )));
            }
            (None, None) => {}
        }
    }
    Err(Error::Conflict(format!("{} keeps existing", lease.interface)))
}

fn veth(lease: &Lease, node_fd: RawFd, mtu: Option<u32>) -> LinkMessage {
    let mut peer = LinkMessage::default();
    peer.attributes = vec![
        LinkAttribute::IfName(lease.interface.clone()),
        LinkAttribute::Address(lease.host_mac().to_vec()),
        LinkAttribute::NetNsFd(node_fd),
    ];
    let mut link = LinkMessage::default();
    link.attributes = vec![
        LinkAttribute::IfName(POD_INTERFACE.into()),
        LinkAttribute::Address(lease.pod_mac().to_vec()),
    ];
    for attributes in [&mut peer.attributes, &mut link.attributes] {
        attributes.extend(mtu.map(LinkAttribute::Mtu));
    }
    link.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
    ]));
    link
}

fn configure_node(lease: &Lease, gateways: &[IpAddr], node: &mut Socket) -> Result<(), Error> {
    let link = index(node, &lease.interface)?;
    sysctl::node_end(&lease.interface, lease.ips.iter().any(IpAddr::is_ipv6))?;
    let mut batch = Batch::default();
    batch.up(link);
    for &ip in &lease.ips {
        let source = gateways.iter().copied().find(|g| g.is_ipv6() == ip.is_ipv6());
        batch.neighbour(link, ip, lease.pod_mac());
        batch.route(link, &host(ip), None, source);
    }
    batch.run(node)
}

fn configure_pod(lease: &Lease, gateways: &[IpAddr], pod: &mut Socket) -> Result<(), Error> {
    let loopback = index(pod, "lo")?;
    let link = index(pod, POD_INTERFACE)?;
    let mut batch = Batch::default();
    batch.up(loopback);
    batch.up(link);
    for &ip in &lease.ips {
        let Some(gateway) = gateways.iter().copied().find(|g| g.is_ipv6() == ip.is_ipv6()) else {
            return Err(Error::Conflict(format!(
                "the node has no gateway address for {ip}"
            )));
        };
        batch.address(link, ip);
        batch.neighbour(link, gateway, lease.host_mac());
        batch.route(link, &everything(ip), Some(gateway), None);
    }
    batch.run(pod)
}

/// Best effort: deleting one end deletes the other.
fn undo(lease: &Lease, node: &mut Socket) {
    if let Ok(Some(link)) = request::find(node, &lease.interface) {
        let mut batch = Batch::default();
        batch.delete(link.header.index);
        if let Err(error) = batch.run(node) {
            tracing::warn!(interface = lease.interface, %error, "could not undo a failed attach");
        }
    }
}

fn index(socket: &mut Socket, name: &str) -> Result<u32, Error> {
    request::find(socket, name)?
        .map(|l| l.header.index)
        .ok_or_else(|| Error::Conflict(format!("{name} is missing")))
}

fn host(ip: IpAddr) -> Cidr {
    range(ip, if ip.is_ipv6() { 128 } else { 32 })
}

fn everything(ip: IpAddr) -> Cidr {
    range(ip, 0)
}

fn range(ip: IpAddr, length: u8) -> Cidr {
    // Both callers pass a length within the family's width.
    Cidr::new(ip, length).unwrap_or_else(|| unreachable!("length {length} for {ip}"))
}

fn open(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(|source| Error::Io {
        what: format!("open {}", path.display()),
        source,
    })
}

fn same_file(a: &File, b: &File) -> Result<bool, Error> {
    let id = |f: &File| -> io::Result<(u64, u64)> {
        let m = f.metadata()?;
        Ok((m.dev(), m.ino()))
    };
    let compare = || Ok(id(a)? == id(b)?);
    compare().map_err(|source| Error::Io {
        what: "compare namespaces".into(),
        source,
    })
}
