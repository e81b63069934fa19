//! Cluster addresses and node ports of Services: given out, asked for, kept and given back.
//!
//! The stored Services are the record of what is in use ([`taken`]); nothing else has to be kept in step with them. Their
//! IPAddresses follow them (`controllers::service_cidrs`); an address that has one of somebody else is in use, too.
//! Between the decision and the write an item is reserved in memory, so that two creates at once never get the same
//! one; [`ServiceAllocator::settle`] ends that. Texts of errors are those of `pkg/registry/core/service` upstream.

mod cidrs;
mod family;
mod kept;
mod range;
mod taken;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use keelson_api::status::{FieldError, Status};
use serde_json::{Value, json};

pub use self::cidrs::{
    DEFAULT as DEFAULT_SERVICE_CIDR, FAMILY as ADDRESS_FAMILY, MANAGED_BY as ADDRESS_MANAGED_BY,
    MANAGER as ADDRESS_MANAGER,
};

use self::cidrs::Ranges;
use self::range::{AddressRange, PortRange};
use self::taken::{
    Item, Protocol, Taken, addresses, has_address, has_health_check_port, has_node_ports, held, number,
};
use super::fields::{items, map, text};
use super::{Operation, Request};
use crate::Config;
use crate::kinds::changed_addresses;
use crate::object::Reader;

/// Gives out addresses and ports.
#[derive(Debug)]
pub struct ServiceAllocator {
    /// Those of the configuration, which say what families there are.
    ranges: Vec<AddressRange>,
    /// Those that addresses are given from.
    current: Mutex<Ranges>,
    ports: PortRange,
    reader: Arc<dyn Reader>,
    taken: Mutex<Taken>,
}

/// One request's way through the allocation: what it has reserved so far.
struct Allocation<'a> {
    allocator: &'a ServiceAllocator,
    ranges: Arc<[AddressRange]>,
    taken: &'a mut Taken,
    now: Instant,
    reserved: Vec<Item>,
}

/// What a Service holds and no other one can have, by name. A store that several servers share keeps these apart, as
/// [`ServiceAllocator`] does in one server.
pub fn claims(service: &Value) -> BTreeSet<String> {
    let name = |item: &Item| match item {
        Item::Address(address) => format!("service-address/{address}"),
        Item::Port(port, protocol) => format!("service-port/{protocol:?}/{port}"),
    };
    held(service).iter().map(name).collect()
}

impl ServiceAllocator {
    /// For the ranges of the configuration; what is in use is read from `reader`.
    pub fn new(config: &Config, reader: Arc<dyn Reader>) -> Self {
        let ranges = config
            .service_cidrs
            .iter()
            .filter_map(|cidr| {
                let range = AddressRange::parse(cidr);
                if range.is_none() {
                    tracing::error!(cidr, "service CIDR is not usable");
                }
                range
            })
            .collect();
        let (first, last) = config.node_ports;
        Self {
            ranges,
            current: Mutex::default(),
            ports: PortRange { first, last },
            reader,
            taken: Mutex::default(),
        }
    }

    /// Completes a Service that is being created or changed, and reserves what it gets.
    pub fn admit(&self, request: &mut Request<'_>) -> Result<(), Status> {
        if !request.is("", "services") || !matches!(request.operation, Operation::Create | Operation::Update)
        {
            return Ok(());
        }
        let (old, dry_run) = (request.old, request.dry_run);
        let name = request.name.to_owned();
        let Some(service) = request.object.as_deref_mut() else {
            return Ok(());
        };
        if map(service, "spec").is_none() {
            return Ok(());
        }
        match old {
            Some(old) => kept::carry_over(old, service),
            None => kept::normalize(&Value::Null, service),
        }
        let now = Instant::now();
        // The guarded tables are consistent after every step, so a panic in between leaves nothing half done.
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.refresh(self.reader.as_ref(), now);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let ranges = current.current(&self.ranges, self.reader.as_ref());
        let mut allocation = Allocation {
            allocator: self,
            ranges,
            taken: &mut taken,
            now,
            reserved: Vec::new(),
        };
        let result = allocation.run(old.unwrap_or(&Value::Null), service, &name);
        if result.is_err() || dry_run {
            allocation.undo();
        }
        result
    }

    /// Ends the reservations of a request: a stored Service holds its items itself, a failed one does without.
    pub fn settle(&self, request: &Request<'_>) {
        if !request.is("", "services") || request.dry_run || request.object.is_none() {
            return;
        }
        let old = held(request.stored());
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        for item in held(request.object()).difference(&old) {
            taken.release(*item);
        }
    }
}

impl Allocation<'_> {
    fn run(&mut self, old: &Value, service: &mut Value, name: &str) -> Result<(), Status> {
        let invalid = |errors: Vec<FieldError>| Status::invalid("", "Service", name, &errors);
        if has_address(service) {
            family::complete(&self.allocator.ranges, old, service).map_err(invalid)?;
            // Validation would refuse it as well, but a refused Service must not have reserved what is not given out.
            let wrong = changed_addresses(old, service);
            if !wrong.is_empty() && !old.is_null() {
                return Err(invalid(wrong));
            }
            self.cluster_addresses(old, service, name)?;
        }
        if has_node_ports(service) || text(service, "/spec/type") == "LoadBalancer" {
            self.node_ports(old, service, name)?;
        }
        if has_health_check_port(service) {
            self.health_check_port(old, service, name)?;
        }
        Ok(())
    }

    fn reserve(&mut self, item: Item) -> bool {
        let free = self.taken.reserve(item, self.now);
        if free {
            self.reserved.push(item);
        }
        free
    }

    fn undo(&mut self) {
        for item in self.reserved.drain(..) {
            self.taken.release(item);
        }
    }

    fn cluster_addresses(&mut self, old: &Value, service: &mut Value, name: &str) -> Result<(), Status> {
        let mut given: Vec<String> = items(service, "/spec/clusterIPs")
            .iter()
            .filter_map(|address| address.as_str().map(str::to_owned))
            .collect();
        if given.first().is_some_and(|first| first == "None") {
            return Ok(());
        }
        let own = if has_address(old) {
            addresses(old)
        } else {
            Vec::new()
        };
        for address in given.iter().filter_map(|address| address.parse().ok()) {
            if !own.contains(&address) {
                self.requested(address, service, name)?;
            }
        }
        let families: Vec<bool> = items(service, "/spec/ipFamilies")
            .iter()
            .map(|family| family == "IPv6")
            .collect();
        for is_ipv6 in families.into_iter().skip(given.len()) {
            given.push(self.any(is_ipv6)?.to_string());
        }
        let Some(spec) = map(service, "spec") else {
            return Ok(());
        };
        if let Some(first) = given.first() {
            let slot = spec.entry("clusterIP").or_insert(Value::Null);
            // One that is stored and differs from the list stays.
            if slot.as_str().is_none_or(str::is_empty) {
                *slot = first.as_str().into();
            }
        }
        spec.insert("clusterIPs".to_owned(), json!(given));
        Ok(())
    }

    /// An address that the client wants.
    fn requested(&mut self, address: IpAddr, service: &Value, name: &str) -> Result<(), Status> {
        let mut ranges = self
            .ranges
            .iter()
            .filter(|range| range.is_ipv6 == address.is_ipv6())
            .peekable();
        // Which families there are is checked elsewhere.
        let why = if ranges.peek().is_none() {
            format!("no service range for {address}")
        } else if !ranges.clone().any(|range| range.contains(address)) {
            let ranges: Vec<String> = ranges.map(ToString::to_string).collect();
            let ranges = ranges.join(", ");
            format!(
                "the provided IP ({address}) is not in the valid range. The range of valid IPs is {ranges}"
            )
        } else if self.reserve(Item::Address(address)) {
            return Ok(());
        } else {
            "provided IP is already allocated".to_owned()
        };
        let list = match &service["spec"]["clusterIPs"] {
            Value::Null => json!([address.to_string()]),
            list => list.clone(),
        };
        let error = FieldError::invalid(
            "spec.clusterIPs",
            list,
            &format!("failed to allocate IP {address}: {why}"),
        );
        Err(Status::invalid("", "Service", name, &[error]))
    }

    fn any(&mut self, is_ipv6: bool) -> Result<IpAddr, Status> {
        let mut ranges = self.ranges.iter().filter(|range| range.is_ipv6 == is_ipv6);
        let is_used = |address| self.taken.is_used(Item::Address(address));
        let chosen = ranges.find_map(|range| range.choose(is_used));
        let Some(address) = chosen else {
            return Err(Status::internal("failed to allocate a serviceIP: range is full"));
        };
        self.reserve(Item::Address(address));
        Ok(address)
    }

    fn node_ports(&mut self, old: &Value, service: &mut Value, name: &str) -> Result<(), Status> {
        let own = held(old);
        let automatic = has_node_ports(service);
        // Ports that are asked for come first, lest one be given to another port of the same Service.
        let mut given: Vec<(i64, u16, Protocol)> = Vec::new();
        for (index, port) in items(service, "/spec/ports").iter().enumerate() {
            // Whatever is not zero is asked for, a negative number too.
            let Some(wanted) = port["nodePort"].as_i64().filter(|wanted| *wanted != 0) else {
                continue;
            };
            let protocol = Protocol::of(port);
            let range = self.allocator.ports;
            let asked = number(&port["nodePort"]);
            let is_own = asked.is_some_and(|asked| own.contains(&Item::Port(asked, protocol)));
            let free = match asked.filter(|asked| is_own || range.contains(*asked)) {
                None => {
                    let (first, last) = (range.first, range.last);
                    Err(format!(
                        "provided port is not in the valid range. The range of valid ports is {first}-{last}"
                    ))
                }
                Some(asked) if is_own || self.reserve(Item::Port(asked, protocol)) => Ok(asked),
                Some(_) => Err("provided port is already allocated".to_owned()),
            };
            let asked = free.map_err(|why| {
                let error = FieldError::invalid(format!("spec.ports[{index}].nodePort"), wanted, &why);
                Status::invalid("", "Service", name, &[error])
            })?;
            given.push((port["port"].as_i64().unwrap_or_default(), asked, protocol));
        }
        if !automatic {
            return Ok(());
        }
        let ports = map(service, "spec")
            .and_then(|spec| spec.get_mut("ports"))
            .and_then(Value::as_array_mut);
        for port in ports.into_iter().flatten() {
            if !port.is_object() || number(&port["nodePort"]).is_some() {
                continue;
            }
            let (service_port, protocol) = (port["port"].as_i64().unwrap_or_default(), Protocol::of(port));
            // One service port in two protocols (DNS) gets one number, if it can.
            let twin = given
                .iter()
                .find(|(number, _, other)| *number == service_port && *other != protocol);
            let twin = twin.map(|(_, node_port, _)| *node_port);
            let chosen = twin.filter(|node_port| self.reserve(Item::Port(*node_port, protocol)));
            let node_port = match chosen {
                Some(node_port) => node_port,
                None => self.any_port(protocol)?,
            };
            port["nodePort"] = node_port.into();
            given.push((service_port, node_port, protocol));
        }
        Ok(())
    }

    /// A port that nobody uses in any protocol, so that a second protocol can join it later.
    fn any_port(&mut self, protocol: Protocol) -> Result<u16, Status> {
        let used = |port| {
            [Protocol::Tcp, Protocol::Udp, Protocol::Sctp]
                .iter()
                .any(|other| self.taken.is_used(Item::Port(port, *other)))
        };
        let Some(port) = self.allocator.ports.choose(used) else {
            return Err(Status::internal("failed to allocate a nodePort: range is full"));
        };
        self.reserve(Item::Port(port, protocol));
        Ok(port)
    }

    fn health_check_port(&mut self, old: &Value, service: &mut Value, name: &str) -> Result<(), Status> {
        let given = &service["spec"]["healthCheckNodePort"];
        let port = match number(given) {
            // No port at all, as validation will say.
            None if given.as_i64().is_some_and(|port| port != 0) => return Ok(()),
            None => self.any_port(Protocol::Tcp)?,
            Some(asked) => {
                let item = Item::Port(asked, Protocol::Tcp);
                let free =
                    held(old).contains(&item) || (self.allocator.ports.contains(asked) && self.reserve(item));
                if !free {
                    let error = FieldError::invalid(
                        "spec.healthCheckNodePort",
                        asked,
                        "provided port is already allocated or not in the valid range",
                    );
                    return Err(Status::invalid("", "Service", name, &[error]));
                }
                asked
            }
        };
        if let Some(spec) = map(service, "spec") {
            spec.insert("healthCheckNodePort".to_owned(), port.into());
        }
        Ok(())
    }
}
