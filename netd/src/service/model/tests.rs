use std::collections::BTreeSet;
use std::net::SocketAddr;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::nft::Family;
use crate::service::{Frontend, Otherwise, Place, Ruleset, Scope, compile};

fn slice(endpoints: &serde_json::Value, port: i64) -> Option<Slice> {
    let object = json!({
        "metadata": {"name": "s", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "p", "port": port, "protocol": "TCP"}],
        "endpoints": endpoints,
    });
    Slice::from_api(&serde_json::from_value(object).ok()?, "node")
}

#[test]
fn garbage_is_left_out_and_the_rest_kept() {
    let endpoints = json!([
        {"addresses": ["10.42.0.2"], "nodeName": "node", "conditions": {"ready": true}},
        {"addresses": ["010.42.0.3"]},
        {"addresses": ["10.42.0.4/24"]},
        {"addresses": ["0.0.0.0"]},
        {"addresses": ["224.0.0.1"]},
        {"addresses": ["example.org"]},
        {"addresses": [""]},
        {"addresses": []},
        {"addresses": ["10.42.0.5"], "conditions": {"ready": false, "serving": true, "terminating": true}},
        {"addresses": ["10.42.0.6"], "conditions": {"ready": false}},
    ]);
    let found = slice(&endpoints, 80).unwrap();
    let states: Vec<_> = found
        .endpoints
        .iter()
        .map(|e| (e.ip.to_string(), e.local, e.state))
        .collect();
    let expected = [
        ("10.42.0.2".to_owned(), true, State::Ready),
        ("10.42.0.5".to_owned(), false, State::Draining),
        ("10.42.0.6".to_owned(), false, State::Unready),
    ];
    assert_eq!(states, expected);
    for port in [0, -1, 65_536, 4_000_000] {
        assert!(
            slice(&endpoints, port).is_none_or(|s| s.ports.is_empty()),
            "{port}"
        );
    }
}

/// An endpoint: last octet, on this node, number of its state.
type Wanted = (u8, bool, u8);

fn addresses(wanted: &[Wanted], local_only: bool) -> Vec<IpAddr> {
    let of = |state: u8| -> BTreeSet<u8> {
        let fits = |e: &&Wanted| e.2 == state && (e.1 || !local_only);
        wanted.iter().filter(fits).map(|e| e.0).collect()
    };
    let ready = of(0);
    let octets = if ready.is_empty() { of(1) } else { ready };
    octets.into_iter().map(|n| IpAddr::from([10, 42, 0, n])).collect()
}

fn slice_of(wanted: &[Wanted]) -> Slice {
    let endpoint = |(octet, local, state): &Wanted| Endpoint {
        ip: IpAddr::from([10, 42, 0, *octet]),
        hostname: None,
        local: *local,
        state: [State::Ready, State::Draining, State::Unready][usize::from(*state)],
    };
    Slice {
        service: "web".into(),
        ports: vec![SlicePort {
            name: "p".into(),
            protocol: 6,
            port: 8080,
        }],
        endpoints: wanted.iter().map(endpoint).collect(),
    }
}

fn endpoints() -> impl Strategy<Value = Vec<Wanted>> {
    proptest::collection::vec((0_u8..20, any::<bool>(), 0_u8..3), 0..12)
}

proptest! {
    #[test]
    fn no_address_panics(text in ".{0,40}", port: i32) {
        let _ = slice(&json!([{"addresses": [text]}]), i64::from(port));
    }

    /// A frontend leads to ready endpoints, or to draining ones when there are none; to local ones only under a Local
    /// policy; and what `update` says has changed is what has changed.
    #[test]
    fn targets_follow_the_slices(first in endpoints(), second in endpoints(), local: bool, sticky: bool) {
        let vip = IpAddr::from([10, 43, 0, 5]);
        let service = Service {
            cluster_ips: vec![vip],
            ports: vec![ServicePort { name: "p".into(), protocol: 6, port: 80, node_port: 30_080 }],
            affinity: sticky.then_some(60),
            external_local: local,
            ..Service::default()
        };
        let scope = Scope { dns_ip: IpAddr::from([10, 43, 0, 10]) };
        let key = Key::new("d", "web");
        let mut ruleset = Ruleset::default();
        for wanted in [&first, &second] {
            let slice = slice_of(wanted);
            let changes = ruleset.update(&key, compile(&service, &std::iter::once(&slice), scope));
            for (place, port, local_only) in [(Place::Vip(vip), 80, false), (Place::Node, 30_080, local)] {
                let frontend = Frontend { family: Family::V4, place, protocol: 6, port };
                let target = ruleset.get(&frontend).unwrap();
                let ips: Vec<IpAddr> = target.endpoints.iter().map(SocketAddr::ip).collect();
                prop_assert_eq!(ips, addresses(wanted, local_only));
                let nobody = addresses(wanted, false).is_empty();
                prop_assert_eq!(target.otherwise == Otherwise::Reject, nobody);
            }
            for change in changes {
                prop_assert_ne!(&change.old, &change.new);
                prop_assert_eq!(change.new.as_ref(), ruleset.get(&change.frontend));
            }
        }
        prop_assert_eq!(ruleset.update(&key, Vec::new()).len(), 2);
        prop_assert_eq!(ruleset.iter().count(), 0);
    }
}
