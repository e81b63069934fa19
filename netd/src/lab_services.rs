//! For tests: Services without an API server.

use std::net::SocketAddr;
use std::sync::{Arc, RwLock};

use tokio::sync::watch;

use crate::proxy::{Event, Worker, table_settings};
use crate::service::{Cluster, Endpoint, Key, Service, ServicePort, Slice, SlicePort, State};
use crate::settings::Settings;

/// A proxy that is told of Services by the test.
pub(crate) struct Services {
    worker: Worker,
}

/// A Service at `ip` with one port, leading to `node_port` too unless that is 0.
pub(crate) fn service(ip: &str, protocol: i32, port: u16, node_port: u16) -> Service {
    Service {
        cluster_ips: vec![ip.parse().unwrap()],
        ports: vec![ServicePort {
            name: "p".into(),
            protocol: protocol as u8,
            port,
            node_port,
        }],
        ..Service::default()
    }
}

/// A slice of Service `name` with these ready endpoints, all of one port and on this node.
pub(crate) fn slice(name: &str, protocol: i32, endpoints: &[String]) -> Slice {
    let addresses: Vec<SocketAddr> = endpoints.iter().map(|e| e.parse().unwrap()).collect();
    let endpoint = |a: &SocketAddr| Endpoint {
        ip: a.ip(),
        hostname: None,
        local: true,
        state: State::Ready,
    };
    Slice {
        service: name.into(),
        ports: addresses
            .first()
            .map(|a| SlicePort {
                name: "p".into(),
                protocol: protocol as u8,
                port: a.port(),
            })
            .into_iter()
            .collect(),
        endpoints: addresses.iter().map(endpoint).collect(),
    }
}

impl Services {
    /// A proxy for the cluster of `config`, with empty tables.
    pub(crate) fn new(config: &crate::Config) -> Self {
        let settings = table_settings(&Settings::new(config).unwrap());
        let cluster = Arc::new(RwLock::new(Cluster::default()));
        let worker = Worker::new(settings, cluster, watch::Sender::new(false)).unwrap();
        Self { worker }
    }

    /// Passes events on.
    pub(crate) fn tell(&mut self, events: Vec<Event>) {
        self.worker.handle(events.into_iter());
    }

    /// Everything has been listed.
    pub(crate) fn listed(&mut self, names: &[&str]) {
        let keys = || names.iter().map(|n| Key::new("default", n)).collect();
        self.tell(vec![Event::ServicesListed(keys()), Event::SlicesListed(keys())]);
    }

    /// Sets a Service and its endpoints.
    pub(crate) fn set(&mut self, name: &str, service: Service, endpoints: &[String]) {
        let protocol = i32::from(service.ports[0].protocol);
        let key = || Key::new("default", name);
        self.tell(vec![
            Event::Service(key(), Some(service)),
            Event::Slice(key(), Some(slice(name, protocol, endpoints))),
        ]);
    }

    /// Removes a Service.
    pub(crate) fn remove(&mut self, name: &str) {
        let key = || Key::new("default", name);
        self.tell(vec![Event::Service(key(), None), Event::Slice(key(), None)]);
    }
}
