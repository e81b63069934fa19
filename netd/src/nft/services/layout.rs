//! The fixed part of the table: maps and base chains.

use std::net::IpAddr;

use super::super::batch::{Batch, Hook};
use super::super::expression::Verdict;
use super::super::family::Family;
use super::super::set::{Set, Type, Value};
use crate::cidr::Cidr;

use Type::{Address, Mark, Port, Protocol, Random};

const ENDPOINT: Value = Value::Data(&[Address, Port]);
const MARK: Value = Value::Data(&[Mark]);

const fn map(name: &'static str, key: &'static [Type], value: Value) -> Set {
    Set {
        name,
        key,
        value,
        dynamic: None,
    }
}

pub(super) const SERVICES: Set = map("svc", &[Address, Protocol, Port], MARK);
pub(super) const NODE_PORTS: Set = map("np", &[Protocol, Port], MARK);
pub(super) const ENDPOINTS: Set = map("ep", &[Address, Protocol, Port, Random], ENDPOINT);
pub(super) const NODE_ENDPOINTS: Set = map("npep", &[Protocol, Port, Random], ENDPOINT);
pub(super) const SLOTS: Set = map("slot", &[Address, Protocol, Port, Mark], MARK);
pub(super) const NODE_SLOTS: Set = map("npslot", &[Protocol, Port, Mark], MARK);
pub(super) const ENDPOINT_IDS: Set = map("epid", &[Mark], ENDPOINT);
pub(super) const DISPATCH: Set = map("disp", &[Mark], Value::Verdict);
/// Bounded, so that a flood of clients costs memory only so far: past it, clients are spread as without affinity.
pub(super) const AFFINITY: Set = Set {
    name: "aff",
    key: &[Address, Address, Protocol, Port],
    value: MARK,
    dynamic: Some(65_535),
};

const ALL: [Set; 9] = [
    SERVICES,
    NODE_PORTS,
    ENDPOINTS,
    NODE_ENDPOINTS,
    SLOTS,
    NODE_SLOTS,
    ENDPOINT_IDS,
    DISPATCH,
    AFFINITY,
];

/// The maps whose elements follow from the Services; the others are filled by rules and by classes.
pub(super) const FROM_SERVICES: [&str; 7] = [
    SERVICES.name,
    NODE_PORTS.name,
    ENDPOINTS.name,
    NODE_ENDPOINTS.name,
    SLOTS.name,
    NODE_SLOTS.name,
    ENDPOINT_IDS.name,
];

/// The chain that rejects. Not called so: nft could not read its own keyword back.
pub(super) const REFUSED: &str = "refused";

/// Makes the table anew, without elements.
pub(super) fn create(
    batch: &mut Batch,
    family: Family,
    service_cidrs: &[Cidr],
    dns_ip: IpAddr,
    marker: &str,
) {
    batch.replace_table();
    batch.chain(marker, None);
    for set in &ALL {
        batch.set(set);
    }
    batch.chain(REFUSED, None);
    batch.rule(REFUSED, |r| {
        r.tcp().reset();
    });
    batch.rule(REFUSED, |r| {
        r.reject();
    });
    batch.chain("services", None);
    batch.rule("services", |r| {
        let word = r.key_destination(0);
        r.key_port(word);
        r.map(SERVICES.name).set_mark_from_word();
    });
    dispatch(batch);
    for range in service_cidrs.iter().filter(|c| Family::of(c.base()) == family) {
        // A port that no Service has, or an address that is nobody's. Cluster DNS is the node itself.
        batch.rule("services", |r| {
            r.destination_in(range);
            if range.contains(dns_ip) {
                r.destination_not(dns_ip);
            }
            r.verdict(Verdict::Goto(REFUSED));
        });
    }
    batch.rule("services", |r| {
        r.destination_local().key_port(0);
        r.map(NODE_PORTS.name).set_mark_from_word();
    });
    dispatch(batch);
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
            r.verdict(Verdict::Goto("services"));
        });
    }
}

fn dispatch(batch: &mut Batch) {
    batch.rule("services", |r| {
        r.key_mark(0);
        r.verdict_map(DISPATCH.name);
    });
}
