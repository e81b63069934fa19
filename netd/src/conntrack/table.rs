//! The kernel's table of connections: listing and deleting.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use nix::errno::Errno;

use super::entry::Entry;
use super::stale::Judge;
use crate::netlink::{self, Answer, Socket, Writer};
use crate::nft::Family;

const SUBSYSTEM: u16 = 1;
const GET: u16 = SUBSYSTEM << 8 | 1;
const DELETE: u16 = SUBSYSTEM << 8 | 2;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const DUMP: u16 = 0x300;

/// Why connections could not be listed or deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The kernel refused.
    #[error("connection tracking: {0}")]
    Netlink(#[from] netlink::Error),
    /// The node's addresses could not be listed.
    #[error("list the node's addresses: {0}")]
    Addresses(#[source] std::io::Error),
}

/// Deletes the UDP connections that `judge` finds stale. Returns how many.
pub(crate) fn forget_stale(judge: &Judge<'_>) -> Result<usize, Error> {
    let local = local_addresses()?;
    forget(|entry| judge.is_stale(entry, |ip| local.contains(&ip)))
}

/// Deletes the UDP connections to `port` of the node that another pod than `pod` answers.
pub(crate) fn forget_host_port(port: u16, pod: SocketAddr) -> Result<usize, Error> {
    let local = local_addresses()?;
    forget(|entry| {
        let asked = entry.original.destination;
        asked.port() == port && local.contains(&asked.ip()) && entry.reply.source != pod
    })
}

fn forget(which: impl Fn(&Entry) -> bool) -> Result<usize, Error> {
    let mut socket = Socket::open(libc::NETLINK_NETFILTER)?;
    let mut count = 0;
    for family in Family::ALL {
        for entry in udp_entries(&mut socket, family)?.iter().filter(|e| which(e)) {
            count += usize::from(delete(&mut socket, family, entry)?);
        }
    }
    Ok(count)
}

fn local_addresses() -> Result<HashSet<IpAddr>, Error> {
    let list = nix::ifaddrs::getifaddrs().map_err(|e| Error::Addresses(e.into()))?;
    Ok(list
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
        })
        .collect())
}

fn number(family: Family) -> u8 {
    match family {
        Family::V4 => libc::AF_INET as u8,
        Family::V6 => libc::AF_INET6 as u8,
    }
}

fn udp_entries(socket: &mut Socket, family: Family) -> Result<Vec<Entry>, Error> {
    let mut writer = Writer::new();
    writer.message(GET, REQUEST | DUMP, 1, |w| w.raw(&[number(family), 0, 0, 0]));
    let mut found = Vec::new();
    // Read datagram by datagram: a busy node remembers hundreds of thousands of connections, few of them UDP.
    socket.send(&writer.into_bytes())?;
    loop {
        let answers = socket.receive()?;
        if answers.is_empty() {
            return Ok(found);
        }
        for answer in answers {
            match answer {
                Answer::Data(_, payload) => {
                    let entry = payload.get(4..).and_then(Entry::parse);
                    found.extend(entry.filter(|e| i32::from(e.original.protocol) == libc::IPPROTO_UDP));
                }
                Answer::Error(sequence, errno, message) => {
                    return Err(netlink::Error::Refused {
                        errno,
                        message,
                        sequence,
                    }
                    .into());
                }
                Answer::Done | Answer::Ack(_) => return Ok(found),
            }
        }
    }
}

/// Deletes one; `false` when it was gone already.
fn delete(socket: &mut Socket, family: Family, entry: &Entry) -> Result<bool, Error> {
    let mut writer = Writer::new();
    writer.message(DELETE, REQUEST | ACK, 1, |w| {
        w.raw(&[number(family), 0, 0, 0]);
        w.nest(1, |w| w.raw(&entry.raw_original));
        if let Some(zone) = &entry.zone {
            w.bytes(18, zone);
        }
    });
    for answer in socket.acks(&writer.into_bytes(), 1)? {
        if let Answer::Error(sequence, errno, message) = answer {
            if errno == Errno::ENOENT {
                return Ok(false);
            }
            return Err(netlink::Error::Refused {
                errno,
                message,
                sequence,
            }
            .into());
        }
    }
    Ok(true)
}
