//! The node's own device of the cluster, and finding and removing whatever bears the cluster's name.

use std::net::IpAddr;

use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkInfo, LinkMessage};
use nix::errno::Errno;

use super::request::{self, Batch};
use super::{Error, names};
use crate::cidr::Cidr;
use crate::netlink::Socket;

/// Makes the device `ID-br` with `addresses`, and routes `services` to it. Idempotent.
///
/// `sources` are the node's addresses in the pod ranges: what the node's own connections to Services come from.
pub(crate) fn ensure(
    id: &str,
    addresses: &[IpAddr],
    services: &[Cidr],
    sources: &[IpAddr],
) -> Result<(), Error> {
    let mut socket = open()?;
    let name = names::bridge(id);
    let index = match request::find(&mut socket, &name)? {
        Some(link) => link.header.index,
        None => create(&mut socket, &name)?,
    };
    let mut batch = Batch::default();
    batch.up(index);
    for &ip in addresses {
        batch.address(index, ip);
    }
    for range in services {
        let source = sources.iter().copied().find(|s| s.is_ipv6() == range.is_ipv6());
        batch.route(index, range, None, source);
    }
    batch.run(&mut socket)
}

fn create(socket: &mut Socket, name: &str) -> Result<u32, Error> {
    let mut link = LinkMessage::default();
    link.attributes = vec![
        LinkAttribute::IfName(name.into()),
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]),
    ];
    let mut batch = Batch::default();
    batch.create(link);
    batch.run(socket)?;
    request::find(socket, name)?
        .map(|l| l.header.index)
        .ok_or_else(|| Error::Conflict(format!("{name} disappeared while being made")))
}

/// Names of the interfaces in this namespace that belong to cluster `id`.
pub(crate) fn owned(id: &str) -> Result<Vec<String>, Error> {
    let (bridge, prefix) = (names::bridge(id), names::pod_prefix(id));
    let links = request::list(&mut open()?)?;
    Ok(links
        .iter()
        .filter_map(request::name)
        .filter(|name| *name == bridge || name.starts_with(&prefix))
        .map(str::to_owned)
        .collect())
}

/// Deletes an interface; its addresses and routes go with it. A missing one is fine.
pub(crate) fn remove(name: &str) -> Result<(), Error> {
    let mut socket = open()?;
    let Some(link) = request::find(&mut socket, name)? else {
        return Ok(());
    };
    let mut batch = Batch::default();
    batch.delete(link.header.index);
    match batch.run(&mut socket) {
        Err(Error::Netlink { source, .. }) if source.errno() == Some(Errno::ENODEV) => Ok(()),
        outcome => outcome,
    }
}

pub(super) fn open() -> Result<Socket, Error> {
    Socket::open(libc::NETLINK_ROUTE).map_err(|source| Error::Netlink {
        what: "rtnetlink".into(),
        source,
    })
}
