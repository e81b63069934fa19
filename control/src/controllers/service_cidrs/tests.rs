//! What is decided about addresses and ranges.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Value, json};

use super::address::{Deed, decide};
use super::cidr::is_needed;
use super::prefix::Prefix;
use crate::controllers::model::{IpAddress, Service, ServiceCidr};

fn service(name: &str) -> Arc<Service> {
    let spec = json!({"type": "ClusterIP", "clusterIP": "10.0.0.9", "clusterIPs": ["10.0.0.9"]});
    let object = json!({"metadata": {"name": name, "namespace": "a"}, "spec": spec});
    Arc::new(serde_json::from_value(object).unwrap())
}

fn address(manager: &str, parent: &str) -> IpAddress {
    serde_json::from_value(json!({
        "metadata": {"name": "10.0.0.9", "uid": "u", "labels": {"ipaddress.kubernetes.io/managed-by": manager}},
        "spec": {"parentRef": {"resource": "services", "namespace": "a", "name": parent}},
    }))
    .unwrap()
}

#[test]
fn an_ip_address_follows_its_service() {
    let at: IpAddr = "10.0.0.9".parse().unwrap();
    let ours = "ipallocator.k8s.io";
    let (one, nobody) = ([service("w")], []);
    let made = json!({
        "metadata": {"name": "10.0.0.9", "labels": {
            "ipaddress.kubernetes.io/ip-family": "IPv4", "ipaddress.kubernetes.io/managed-by": ours,
        }},
        "spec": {"parentRef": {"resource": "services", "namespace": "a", "name": "w"}},
    });
    assert_eq!(decide(at, &one, None), Deed::Make(made));
    assert_eq!(decide(at, &one, Some(&address(ours, "w"))), Deed::Nothing);
    // Another Service has the address by now.
    assert_eq!(
        decide(at, &one, Some(&address(ours, "x"))),
        Deed::Remove("u".to_owned())
    );
    assert_eq!(
        decide(at, &nobody, Some(&address(ours, "w"))),
        Deed::Remove("u".to_owned())
    );
    assert_eq!(decide(at, &nobody, None), Deed::Nothing);
    for holders in [&one[..], &nobody[..]] {
        assert_eq!(decide(at, holders, Some(&address("me", "w"))), Deed::Nothing);
    }
}

#[test]
fn a_range_is_needed_by_what_only_it_has() {
    let cidr = |name: &str, cidrs: Value, deleted: bool| -> Arc<ServiceCidr> {
        let mut metadata = json!({"name": name});
        if deleted {
            metadata["deletionTimestamp"] = "2024-01-01T00:00:00Z".into();
        }
        Arc::new(serde_json::from_value(json!({"metadata": metadata, "spec": {"cidrs": cidrs}})).unwrap())
    };
    let taken: Vec<IpAddr> = ["10.0.0.9", "fd00::9"].map(|text| text.parse().unwrap()).into();
    let own = cidr("own", json!(["10.0.0.0/24", "fd00::/112"]), true);
    let needed = |others: &[Arc<ServiceCidr>]| {
        let mut all = vec![own.clone()];
        all.extend(others.iter().cloned());
        is_needed(&own, &all, &taken)
    };
    assert!(needed(&[]));
    assert!(
        needed(&[cidr("4", json!(["10.0.0.0/16"]), false)]),
        "the other family"
    );
    let both = json!(["10.0.0.0/16", "fd00::/64"]);
    assert!(!needed(&[cidr("both", both.clone(), false)]));
    assert!(needed(&[cidr("both", both, true)]), "which goes as well");
    assert!(!needed(&[cidr(
        "parts",
        json!(["10.0.0.8/29", "fd00::/120"]),
        false
    )]));
    assert!(!is_needed(
        &own,
        std::slice::from_ref(&own),
        &["10.0.1.9".parse().unwrap()]
    ));
}

#[test]
fn prefixes() {
    let parse = |text: &str| Prefix::parse(text).unwrap();
    let wide = parse("10.1.2.3/8");
    assert_eq!(wide, parse("10.0.0.0/8"));
    assert!(wide.has("10.255.0.1".parse().unwrap()) && !wide.has("11.0.0.1".parse().unwrap()));
    assert!(!wide.has("::a00:1".parse().unwrap()));
    assert!(wide.covers(&parse("10.9.0.0/16")) && !parse("10.9.0.0/16").covers(&wide));
    assert!(parse("0.0.0.0/0").covers(&wide) && !parse("::/0").covers(&wide));
    for wrong in ["", "10.0.0.0", "10.0.0.0/33", "x/1", "::/129"] {
        assert_eq!(Prefix::parse(wrong), None, "{wrong}");
    }
}
