//! The elements that one frontend has in the maps, and the ids of endpoints.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::super::adopt::Elements;
use super::super::family::octets;
use super::super::pods::{endpoint, port_key};
use super::class::slots;
use super::layout;
use crate::service::{Frontend, Place, Target};

/// The elements of a frontend in the state `target` whose class has the mark `class`.
pub(super) fn of(frontend: &Frontend, target: &Target, class: u32, ids: &Ids) -> Elements {
    let port = port_key(frontend.protocol, frontend.port);
    let (key, classes, endpoints, slot_ids) = match frontend.place {
        Place::Vip(ip) => (
            [octets(ip), port].concat(),
            layout::SERVICES,
            layout::ENDPOINTS,
            layout::SLOTS,
        ),
        Place::Node => (
            port,
            layout::NODE_PORTS,
            layout::NODE_ENDPOINTS,
            layout::NODE_SLOTS,
        ),
    };
    let mut out = Elements::new();
    for (slot, &address) in (0..slots(target)).zip(&target.endpoints) {
        let slot_key = [key.as_slice(), &u32::from(slot).to_ne_bytes()].concat();
        if target.affinity.is_some() {
            let id = ids.get(address);
            out.insert((slot_ids.name, slot_key), id.to_ne_bytes().to_vec());
        } else {
            out.insert((endpoints.name, slot_key), endpoint(address.ip(), address.port()));
        }
    }
    out.insert((classes.name, key), class.to_ne_bytes().to_vec());
    out
}

/// Numbers of the endpoints of Services with session affinity: what a client's entry remembers.
#[derive(Debug)]
pub(super) struct Ids {
    /// Number and how many slots lead to it.
    numbers: HashMap<SocketAddr, (u32, u32)>,
    last: u32,
}

/// Below are slot numbers.
const FIRST_ID: u32 = 0x1_0000;
/// The mask that tells a slot number from an id is 0x7fff0000: nft would print one of leading ones as a prefix length.
const LAST_ID: u32 = 0x7fff_ffff;

impl Ids {
    /// No endpoint has a number yet.
    pub(super) fn new() -> Self {
        Self {
            numbers: HashMap::new(),
            last: FIRST_ID,
        }
    }

    /// Numbers in use before a restart: clients' entries name them.
    pub(super) fn restore(known: impl Iterator<Item = (SocketAddr, u32)>) -> Self {
        let mut ids = Self::new();
        for (address, id) in known.filter(|(_, id)| (FIRST_ID..=LAST_ID).contains(id)) {
            ids.numbers.insert(address, (id, 0));
            ids.last = ids.last.max(id);
        }
        ids
    }

    /// The number of an endpoint that was [acquired](Ids::acquire).
    fn get(&self, address: SocketAddr) -> u32 {
        self.numbers.get(&address).map_or(0, |n| n.0)
    }

    /// Counts a slot; the number when its element must be added.
    pub(super) fn acquire(&mut self, address: SocketAddr) -> Option<u32> {
        // A number is not used again before two thousand million others: an old entry of a client, which lives a
        // day at most, never leads to a stranger.
        let next = if self.last < LAST_ID {
            self.last + 1
        } else {
            FIRST_ID
        };
        let (id, count) = self.numbers.entry(address).or_insert((next, 0));
        if *id == next {
            self.last = next;
        }
        *count += 1;
        (*count == 1).then_some(*id)
    }

    /// Uncounts a slot; the number when its element must be deleted.
    pub(super) fn release(&mut self, address: SocketAddr) -> Option<u32> {
        let (id, count) = self.numbers.get_mut(&address)?;
        *count = count.saturating_sub(1);
        let gone = (*count == 0).then_some(*id);
        if gone.is_some() {
            self.numbers.remove(&address);
        }
        gone
    }

    /// Forgets restored numbers that nobody acquired.
    pub(super) fn forget_unused(&mut self) {
        self.numbers.retain(|_, (_, count)| *count > 0);
    }

    /// Number and endpoint of all in use.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, SocketAddr)> {
        self.numbers.iter().map(|(address, (id, _))| (*id, *address))
    }
}
