//! Building rtnetlink requests and running them as one batch.

use std::net::IpAddr;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkHeader,
    NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;

use super::Error;
use crate::cidr::Cidr;
use crate::netlink::{Answer, Socket};

/// Protocol number of routes that netd makes (`rt_protos`): tells them from the operator's.
pub(super) const ROUTE_PROTOCOL: u8 = 107;

/// Requests to be sent in one datagram; each says what it is for.
#[derive(Debug, Default)]
pub(super) struct Batch {
    entries: Vec<(RouteNetlinkMessage, u16, &'static str)>,
}

impl Batch {
    fn push(&mut self, message: RouteNetlinkMessage, flags: u16, what: &'static str) {
        self.entries
            .push((message, flags | NLM_F_REQUEST | NLM_F_ACK, what));
    }

    /// Creates a link.
    pub(super) fn create(&mut self, link: LinkMessage) {
        self.push(
            RouteNetlinkMessage::NewLink(link),
            NLM_F_CREATE | NLM_F_EXCL,
            "create link",
        );
    }

    /// Deletes a link.
    pub(super) fn delete(&mut self, index: u32) {
        let mut link = LinkMessage::default();
        link.header.index = index;
        self.push(RouteNetlinkMessage::DelLink(link), 0, "delete link");
    }

    /// Brings a link up.
    pub(super) fn up(&mut self, index: u32) {
        let mut link = LinkMessage::default();
        link.header.index = index;
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        self.push(RouteNetlinkMessage::SetLink(link), 0, "bring link up");
    }

    /// Adds a host address (/32 or /128) to a link, without duplicate address detection: addresses are ours to give.
    pub(super) fn address(&mut self, index: u32, ip: IpAddr) {
        let mut message = AddressMessage::default();
        message.header.family = family(ip);
        message.header.prefix_len = if ip.is_ipv6() { 128 } else { 32 };
        message.header.index = index;
        message.header.scope = AddressScope::Universe;
        if ip.is_ipv6() {
            message.header.flags = AddressHeaderFlags::Nodad;
        }
        message.attributes = vec![AddressAttribute::Local(ip), AddressAttribute::Address(ip)];
        self.push(
            RouteNetlinkMessage::NewAddress(message),
            NLM_F_CREATE | NLM_F_REPLACE,
            "add address",
        );
    }

    /// Says once and for all which MAC address `ip` has behind a link.
    pub(super) fn neighbour(&mut self, index: u32, ip: IpAddr, mac: [u8; 6]) {
        let mut message = NeighbourMessage::default();
        message.header.family = family(ip);
        message.header.ifindex = index;
        message.header.state = NeighbourState::Permanent;
        message.header.kind = RouteType::Unicast;
        let destination = match ip {
            IpAddr::V4(v4) => NeighbourAddress::Inet(v4),
            IpAddr::V6(v6) => NeighbourAddress::Inet6(v6),
        };
        message.attributes = vec![
            NeighbourAttribute::Destination(destination),
            NeighbourAttribute::LinkLayerAddress(mac.to_vec()),
        ];
        self.push(
            RouteNetlinkMessage::NewNeighbour(message),
            NLM_F_CREATE | NLM_F_REPLACE,
            "add neighbour",
        );
    }

    /// Routes `destination` to a link, optionally through `gateway` on it and preferring `source`.
    pub(super) fn route(
        &mut self,
        index: u32,
        destination: &Cidr,
        gateway: Option<IpAddr>,
        source: Option<IpAddr>,
    ) {
        let mut message = RouteMessage::default();
        message.header.address_family = family(destination.base());
        message.header.destination_prefix_length = destination.length();
        message.header.table = RouteHeader::RT_TABLE_MAIN;
        message.header.protocol = RouteProtocol::from(ROUTE_PROTOCOL);
        message.header.kind = RouteType::Unicast;
        message.header.scope = match gateway {
            None if !destination.is_ipv6() => RouteScope::Link,
            _ => RouteScope::Universe,
        };
        message.attributes = vec![RouteAttribute::Oif(index)];
        if destination.length() > 0 {
            message
                .attributes
                .push(RouteAttribute::Destination(RouteAddress::from(
                    destination.base(),
                )));
        }
        if let Some(gateway) = gateway {
            // The gateway is in no subnet of the pod's /32 address.
            message.header.flags = RouteFlags::Onlink;
            message
                .attributes
                .push(RouteAttribute::Gateway(RouteAddress::from(gateway)));
        }
        if let Some(source) = source {
            message
                .attributes
                .push(RouteAttribute::PrefSource(RouteAddress::from(source)));
        }
        self.push(
            RouteNetlinkMessage::NewRoute(message),
            NLM_F_CREATE | NLM_F_REPLACE,
            "add route",
        );
    }

    /// Sends everything. All requests are tried; the first refusal is returned.
    pub(super) fn run(self, socket: &mut Socket) -> Result<(), Error> {
        let mut bytes = Vec::new();
        for (sequence, (message, flags, _)) in self.entries.iter().enumerate() {
            append(&mut bytes, message.clone(), *flags, sequence as u32 + 1);
        }
        let answers = socket
            .acks(&bytes, self.entries.len())
            .map_err(|source| Error::Netlink {
                what: "rtnetlink".into(),
                source,
            })?;
        for answer in answers {
            if let Answer::Error(sequence, errno, message) = answer {
                let what = self
                    .entries
                    .get(sequence as usize - 1)
                    .map_or("rtnetlink", |e| e.2);
                let source = crate::netlink::Error::Refused {
                    errno,
                    message,
                    sequence,
                };
                return Err(Error::Netlink {
                    what: what.into(),
                    source,
                });
            }
        }
        Ok(())
    }
}

/// One link, by name; `None` when there is none.
pub(super) fn find(socket: &mut Socket, name: &str) -> Result<Option<LinkMessage>, Error> {
    let mut link = LinkMessage::default();
    link.attributes = vec![LinkAttribute::IfName(name.into())];
    match query(socket, RouteNetlinkMessage::GetLink(link), 0) {
        Ok(found) => Ok(found.into_iter().next()),
        Err(Error::Netlink { source, .. }) if source.errno() == Some(Errno::ENODEV) => Ok(None),
        Err(error) => Err(error),
    }
}

/// All links.
pub(super) fn list(socket: &mut Socket) -> Result<Vec<LinkMessage>, Error> {
    query(
        socket,
        RouteNetlinkMessage::GetLink(LinkMessage::default()),
        NLM_F_DUMP,
    )
}

fn query(socket: &mut Socket, message: RouteNetlinkMessage, flags: u16) -> Result<Vec<LinkMessage>, Error> {
    let mut bytes = Vec::new();
    append(&mut bytes, message, flags | NLM_F_REQUEST, 1);
    let answers = socket.query(&bytes).map_err(|source| Error::Netlink {
        what: "look up links".into(),
        source,
    })?;
    Ok(answers
        .iter()
        .filter_map(|(_, payload)| netlink_packet_core::Parseable::parse(payload.as_slice()).ok())
        .collect())
}

/// A link's name.
pub(super) fn name(link: &LinkMessage) -> Option<&str> {
    link.attributes.iter().find_map(|a| match a {
        LinkAttribute::IfName(name) => Some(name.as_str()),
        _ => None,
    })
}

/// A link's MAC address.
pub(super) fn mac(link: &LinkMessage) -> Option<&[u8]> {
    link.attributes.iter().find_map(|a| match a {
        LinkAttribute::Address(mac) => Some(mac.as_slice()),
        _ => None,
    })
}

fn append(bytes: &mut Vec<u8>, message: RouteNetlinkMessage, flags: u16, sequence: u32) {
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    header.sequence_number = sequence;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
    message.finalize();
    let start = bytes.len();
    bytes.resize(start + message.buffer_len(), 0);
    message.serialize(&mut bytes[start..]);
}

fn family(ip: IpAddr) -> AddressFamily {
    if ip.is_ipv6() {
        AddressFamily::Inet6
    } else {
        AddressFamily::Inet
    }
}
