//! What is in use: by the Services in the store, and by requests that are under way.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::cidrs::{MANAGED_BY, MANAGER};
use crate::admission::fields::{items, text};
use crate::auth::resources::{IP_ADDRESSES, SERVICES};
use crate::object::Reader;

/// How long a request may hold what it has reserved. It gives it back itself; this is for the ones whose client went
/// away in the middle, after which nobody settles.
const HOLD: Duration = Duration::from_mins(1);

/// Something that only one Service can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Item {
    /// A cluster address.
    Address(IpAddr),
    /// A node port of one transport protocol.
    Port(u16, Protocol),
}

/// Transport protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl Protocol {
    /// From the field of a service port.
    pub fn of(port: &Value) -> Self {
        Self::named(text(port, "/protocol"))
    }

    /// By its name; what is no name is the default.
    pub fn named(name: &str) -> Self {
        match name {
            "UDP" => Self::Udp,
            "SCTP" => Self::Sctp,
            _ => Self::Tcp,
        }
    }
}

/// Whether Services of this type have cluster addresses.
pub fn has_address(service: &Value) -> bool {
    text(service, "/spec/type") != "ExternalName"
}

/// Whether this Service has node ports.
pub fn has_node_ports(service: &Value) -> bool {
    match text(service, "/spec/type") {
        "NodePort" => true,
        "LoadBalancer" => service["spec"]["allocateLoadBalancerNodePorts"] != false,
        _ => false,
    }
}

/// Whether this Service has a port for the health checks of a load balancer.
pub fn has_health_check_port(service: &Value) -> bool {
    text(service, "/spec/type") == "LoadBalancer" && text(service, "/spec/externalTrafficPolicy") == "Local"
}

/// The cluster addresses that the Service names; none for a headless one, and none if any of them is not an address
/// (such a Service is refused, and must not seem to hold something meanwhile).
pub fn addresses(service: &Value) -> Vec<IpAddr> {
    let mut texts: Vec<&str> = items(service, "/spec/clusterIPs")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let first = text(service, "/spec/clusterIP");
    if texts.is_empty() && !first.is_empty() {
        texts.push(first);
    }
    if first == "None" {
        return Vec::new();
    }
    texts
        .into_iter()
        .map(str::parse)
        .collect::<Result<_, _>>()
        .unwrap_or_default()
}

/// A node port number, if there is one.
pub fn number(value: &Value) -> Option<u16> {
    value
        .as_u64()
        .and_then(|port| u16::try_from(port).ok())
        .filter(|port| *port != 0)
}

/// Everything that the Service holds. A LoadBalancer's node ports count even if it need not have any.
pub fn held(service: &Value) -> HashSet<Item> {
    let mut held = HashSet::new();
    if has_address(service) {
        held.extend(addresses(service).into_iter().map(Item::Address));
    }
    if matches!(text(service, "/spec/type"), "NodePort" | "LoadBalancer") {
        for port in items(service, "/spec/ports") {
            held.extend(number(&port["nodePort"]).map(|node_port| Item::Port(node_port, Protocol::of(port))));
        }
    }
    if has_health_check_port(service) {
        held.extend(
            number(&service["spec"]["healthCheckNodePort"]).map(|port| Item::Port(port, Protocol::Tcp)),
        );
    }
    held
}

/// The items in use. What each stored Service holds is remembered by its revision, so that a look at five thousand
/// of them parses only those that have changed.
#[derive(Debug, Default)]
pub struct Taken {
    known: HashMap<String, (u64, Arc<HashSet<Item>>)>,
    used: HashSet<Item>,
    version: Option<u64>,
    /// Addresses that have an IPAddress of somebody else than the Services.
    foreign: HashSet<IpAddr>,
    addresses: Option<u64>,
    reserved: HashMap<Item, Instant>,
}

impl Taken {
    /// Catches up with the store. `now` lets reservations end.
    pub fn refresh(&mut self, reader: &dyn Reader, now: Instant) {
        self.reserved
            .retain(|_, since| now.saturating_duration_since(*since) < HOLD);
        self.refresh_foreign(reader);
        // The version first: a change in between is seen again next time.
        let version = reader.version(&SERVICES);
        if self.version == Some(version) {
            return;
        }
        let services = reader.list(&SERVICES, None);
        let mut known = HashMap::with_capacity(services.len());
        self.used.clear();
        for service in services {
            let held = match self.known.remove(&service.uid) {
                Some((version, held)) if version == service.resource_version => held,
                _ => Arc::new(held(&service.value())),
            };
            self.used.extend(held.iter());
            known.insert(service.uid.clone(), (service.resource_version, held));
        }
        self.known = known;
        self.version = Some(version);
    }

    fn refresh_foreign(&mut self, reader: &dyn Reader) {
        let version = reader.version(&IP_ADDRESSES);
        if self.addresses == Some(version) {
            return;
        }
        self.foreign = reader
            .list(&IP_ADDRESSES, None)
            .iter()
            .filter(|address| address.labels.get(MANAGED_BY) != Some(MANAGER))
            .filter_map(|address| address.name.parse().ok())
            .collect();
        self.addresses = Some(version);
    }

    /// Whether somebody has it.
    pub fn is_used(&self, item: Item) -> bool {
        if let Item::Address(address) = item
            && self.foreign.contains(&address)
        {
            return true;
        }
        self.used.contains(&item) || self.reserved.contains_key(&item)
    }

    /// Takes it for a request; false if somebody has it.
    pub fn reserve(&mut self, item: Item, now: Instant) -> bool {
        if self.is_used(item) {
            return false;
        }
        self.reserved.insert(item, now);
        true
    }

    /// Gives it back.
    pub fn release(&mut self, item: Item) {
        self.reserved.remove(&item);
    }
}
