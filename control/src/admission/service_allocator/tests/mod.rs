//! Given out once, kept while held, given back.

mod cidrs;
mod families;
mod property;

use std::sync::Arc;

use super::*;
use crate::admission::tests::{config, kind, user};
use crate::auth::memory::Memory;
use crate::auth::resources::SERVICES;

struct Fixture {
    memory: Arc<Memory>,
    allocator: ServiceAllocator,
}

fn fixture(cidrs: &[&str], ports: (u16, u16)) -> Fixture {
    let memory = Arc::new(Memory::default());
    let config = Config {
        service_cidrs: cidrs.iter().map(|cidr| (*cidr).to_owned()).collect(),
        node_ports: ports,
        ..config()
    };
    Fixture {
        allocator: ServiceAllocator::new(&config, memory.clone()),
        memory,
    }
}

fn usual() -> Fixture {
    fixture(&["10.43.0.0/16"], (30000, 32767))
}

#[allow(clippy::needless_pass_by_value)] // reads better at the call: `json!` without a borrow
fn service(name: &str, spec: Value) -> Value {
    json!({"metadata": {"name": name, "namespace": "a", "uid": format!("uid-{name}")}, "spec": spec})
}

fn web(name: &str, kind: &str) -> Value {
    service(
        name,
        json!({"type": kind, "ports": [{"port": 80, "protocol": "TCP"}], "selector": {"app": "x"}}),
    )
}

impl Fixture {
    fn run(&self, old: Option<&Value>, mut new: Value, settle: bool, dry_run: bool) -> Result<Value, String> {
        let (kind, user) = (kind("", "services"), user("x", &[]));
        let name = new["metadata"]["name"].as_str().unwrap().to_owned();
        let mut request = Request {
            user: &user,
            operation: if old.is_some() {
                Operation::Update
            } else {
                Operation::Create
            },
            kind: &kind,
            subresource: "",
            namespace: "a",
            name: &name,
            old,
            object: Some(&mut new),
            dry_run,
        };
        self.allocator
            .admit(&mut request)
            .map_err(|status| status.message)?;
        if settle {
            self.allocator.settle(&request);
        }
        Ok(new)
    }

    /// Admitted and stored.
    fn store(&self, old: Option<&Value>, new: Value) -> Result<Value, String> {
        let service = self.run(old, new, false, false)?;
        self.memory.put(&SERVICES, &service);
        let (kind, user) = (kind("", "services"), user("x", &[]));
        let mut object = service.clone();
        self.allocator.settle(&Request {
            user: &user,
            operation: Operation::Create,
            kind: &kind,
            subresource: "",
            namespace: "a",
            name: "x",
            old,
            object: Some(&mut object),
            dry_run: false,
        });
        Ok(service)
    }

    fn remove(&self, name: &str) {
        self.memory.remove(&SERVICES, "a", name);
    }

    fn reserved(&self) -> usize {
        let mut taken = self.allocator.taken.lock().unwrap();
        taken.refresh(self.memory.as_ref(), Instant::now());
        (0..=u16::MAX)
            .filter(|port| taken.is_used(Item::Port(*port, Protocol::Tcp)))
            .count()
    }
}

#[test]
fn a_cluster_service_gets_an_address() {
    let fixture = usual();
    let spec = fixture.store(None, web("w", "ClusterIP")).unwrap()["spec"].clone();
    let address: IpAddr = spec["clusterIP"].as_str().unwrap().parse().unwrap();
    assert!(fixture.allocator.ranges[0].contains(address));
    assert_eq!(spec["clusterIPs"], json!([spec["clusterIP"]]));
    assert_eq!(spec["ipFamilies"], json!(["IPv4"]));
    assert_eq!(spec["ipFamilyPolicy"], "SingleStack");
    assert!(spec["ports"][0]["nodePort"].is_null());
}

#[test]
fn headless_and_external_names_get_none() {
    let fixture = usual();
    let mut headless = web("h", "ClusterIP");
    headless["spec"]["clusterIP"] = "None".into();
    let spec = fixture.store(None, headless.clone()).unwrap()["spec"].clone();
    assert_eq!(
        (&spec["clusterIPs"], &spec["ipFamilies"]),
        (&json!(["None"]), &json!(["IPv4"]))
    );
    headless["spec"].as_object_mut().unwrap().remove("selector");
    let spec = fixture.store(None, headless).unwrap()["spec"].clone();
    assert_eq!(
        (&spec["ipFamilyPolicy"], &spec["ipFamilies"]),
        (&json!("RequireDualStack"), &json!(["IPv4", "IPv6"]))
    );
    let external = service(
        "e",
        json!({"type": "ExternalName", "externalName": "example.org"}),
    );
    assert_eq!(fixture.store(None, external.clone()).unwrap(), external);
}

#[test]
fn asked_for_addresses() {
    let fixture = usual();
    let ask = |name: &str, address: &str| {
        let mut service = web(name, "ClusterIP");
        service["spec"]["clusterIP"] = address.into();
        fixture.store(None, service)
    };
    assert_eq!(
        ask("dns", "10.43.0.10").unwrap()["spec"]["clusterIPs"],
        json!(["10.43.0.10"])
    );
    assert_eq!(
        ask("x", "10.43.0.10").unwrap_err(),
        "Service \"x\" is invalid: spec.clusterIPs: Invalid value: [\"10.43.0.10\"]: failed to allocate IP 10.43.0.10: \
         provided IP is already allocated"
    );
    for outside in ["10.44.0.1", "10.43.0.0", "10.43.255.255", "fd00::1"] {
        assert!(ask("x", outside).is_err(), "{outside}");
    }
    assert!(
        ask("x", "10.44.0.1")
            .unwrap_err()
            .contains("The range of valid IPs is 10.43.0.0/16")
    );
    fixture.remove("dns");
    assert!(ask("x", "10.43.0.10").is_ok());
}

#[test]
fn node_ports() {
    let fixture = usual();
    let first = fixture.store(None, web("n", "NodePort")).unwrap();
    let given = first["spec"]["ports"][0]["nodePort"].as_i64().unwrap();
    assert!((30000..=32767).contains(&given));
    let ask = |name: &str, port: i64, protocol: &str| {
        let ports = json!([{"port": 80, "protocol": protocol, "nodePort": port}]);
        fixture.store(None, service(name, json!({"type": "NodePort", "ports": ports})))
    };
    assert_eq!(
        ask("x", given, "TCP").unwrap_err(),
        format!(
            "Service \"x\" is invalid: spec.ports[0].nodePort: Invalid value: {given}: provided port is already allocated"
        )
    );
    assert!(ask("u", given, "UDP").is_ok(), "protocols are apart");
    let outside = "provided port is not in the valid range. The range of valid ports is 30000-32767";
    for wrong in [8080, -1, 70000] {
        let expected =
            format!("Service \"x\" is invalid: spec.ports[0].nodePort: Invalid value: {wrong}: {outside}");
        assert_eq!(ask("x", wrong, "TCP").unwrap_err(), expected);
        let mut changed = first.clone();
        changed["spec"]["ports"][0]["nodePort"] = wrong.into();
        let error = fixture.store(Some(&first), changed).unwrap_err();
        assert!(error.ends_with(outside), "{error}");
    }
    fixture.remove("n");
    assert!(ask("x", given, "TCP").is_ok());
    // One port in two protocols gets one number.
    let dns =
        json!([{"name": "u", "port": 53, "protocol": "UDP"}, {"name": "t", "port": 53, "protocol": "TCP"}]);
    let ports = fixture
        .store(None, service("d", json!({"type": "NodePort", "ports": dns})))
        .unwrap()["spec"]["ports"]
        .clone();
    assert_eq!(ports[0]["nodePort"], ports[1]["nodePort"]);
    // The same number twice in one Service.
    let twice = json!([{"port": 1, "nodePort": 30500}, {"port": 2, "nodePort": 30500}]);
    assert!(
        fixture
            .store(None, service("t", json!({"type": "NodePort", "ports": twice})))
            .is_err()
    );
    assert!(
        ask("y", 30500, "TCP").is_ok(),
        "what the refused one had reserved is free again"
    );
}

#[test]
fn load_balancers() {
    let fixture = usual();
    let mut local = web("l", "LoadBalancer");
    local["spec"]["externalTrafficPolicy"] = "Local".into();
    let spec = fixture.store(None, local).unwrap()["spec"].clone();
    let (port, health) = (&spec["ports"][0]["nodePort"], &spec["healthCheckNodePort"]);
    assert!(port.is_u64() && health.is_u64() && port != health);
    // What is no port is left for validation to refuse.
    for wrong in [-1, 70000] {
        let mut other = web("n", "LoadBalancer");
        other["spec"]["externalTrafficPolicy"] = "Local".into();
        other["spec"]["healthCheckNodePort"] = wrong.into();
        assert_eq!(
            fixture.store(None, other).unwrap()["spec"]["healthCheckNodePort"],
            wrong
        );
        let mut changed = web("l", "LoadBalancer");
        changed["spec"] = spec.clone();
        changed["spec"]["healthCheckNodePort"] = wrong.into();
        let old = service("l", spec.clone());
        assert_eq!(
            fixture.store(Some(&old), changed).unwrap()["spec"]["healthCheckNodePort"],
            wrong
        );
    }
    let mut without = web("m", "LoadBalancer");
    without["spec"]["allocateLoadBalancerNodePorts"] = false.into();
    assert!(fixture.store(None, without).unwrap()["spec"]["ports"][0]["nodePort"].is_null());
}

#[test]
fn types_change_both_ways() {
    let fixture = usual();
    let cluster = fixture.store(None, web("w", "ClusterIP")).unwrap();
    // A manifest that is applied again names nothing that was given.
    let node = fixture.store(Some(&cluster), web("w", "NodePort")).unwrap();
    assert_eq!(node["spec"]["clusterIP"], cluster["spec"]["clusterIP"]);
    assert!(node["spec"]["ports"][0]["nodePort"].is_u64());
    let again = fixture.store(Some(&node), web("w", "NodePort")).unwrap();
    assert_eq!(again["spec"], node["spec"]);
    // kubectl edit leaves the old number in; going back drops it.
    let mut back = node.clone();
    back["spec"]["type"] = "ClusterIP".into();
    let back = fixture.store(Some(&node), back).unwrap();
    assert!(back["spec"]["ports"][0]["nodePort"].is_null());
    assert_eq!(fixture.reserved(), 0);
    let mut external = back.clone();
    external["spec"]["type"] = "ExternalName".into();
    let external = fixture.store(Some(&back), external).unwrap();
    assert!(external["spec"]["clusterIP"].is_null() && external["spec"]["clusterIPs"].is_null());
    let mut thief = web("t", "ClusterIP");
    thief["spec"]["clusterIP"] = cluster["spec"]["clusterIP"].clone();
    assert!(fixture.store(None, thief).is_ok(), "the address is free");
    let anew = fixture.store(Some(&external), web("w", "ClusterIP")).unwrap();
    assert!(
        anew["spec"]["clusterIP"].is_string() && anew["spec"]["clusterIP"] != cluster["spec"]["clusterIP"]
    );
}

#[test]
fn a_failed_or_dry_run_gives_everything_back() {
    let fixture = usual();
    let mut asked = web("x", "NodePort");
    asked["spec"]["ports"][0]["nodePort"] = 30123.into();
    asked["spec"]["clusterIP"] = "10.43.1.1".into();
    fixture.run(None, asked.clone(), true, false).unwrap();
    fixture.run(None, asked.clone(), false, true).unwrap();
    fixture.run(None, asked.clone(), false, false).unwrap();
    assert!(
        fixture.run(None, asked.clone(), false, false).is_err(),
        "reserved by the one before"
    );
    let mut taken = fixture.allocator.taken.lock().unwrap();
    taken.refresh(
        fixture.memory.as_ref(),
        Instant::now() + std::time::Duration::from_secs(61),
    );
    assert!(!taken.is_used(Item::Port(30123, Protocol::Tcp)), "abandoned");
}

#[test]
fn a_refused_service_frees_nothing_of_others() {
    let fixture = usual();
    let mut flying = web("f", "ClusterIP");
    flying["spec"]["clusterIP"] = "10.43.2.2".into();
    fixture.run(None, flying.clone(), false, false).unwrap();
    for spec in [
        json!({"clusterIPs": ["10.43.2.2", "garbage"]}),
        json!({"clusterIP": "None", "clusterIPs": ["None", "10.43.2.2"]}),
        json!({"type": "ExternalName", "clusterIP": "10.43.2.2"}),
    ] {
        let _ = fixture.run(None, service("evil", spec), true, false);
        assert!(fixture.run(None, flying.clone(), false, false).is_err());
    }
}

#[test]
fn dual_stack() {
    let fixture = fixture(&["10.43.0.0/16", "fd43::/112"], (30000, 32767));
    let with = |name: &str, policy: &str| {
        let mut service = web(name, "ClusterIP");
        service["spec"]["ipFamilyPolicy"] = policy.into();
        service
    };
    assert_eq!(
        fixture.store(None, web("s", "ClusterIP")).unwrap()["spec"]["ipFamilies"],
        json!(["IPv4"])
    );
    let both = fixture.store(None, with("p", "PreferDualStack")).unwrap();
    assert_eq!(both["spec"]["ipFamilies"], json!(["IPv4", "IPv6"]));
    assert!(
        both["spec"]["clusterIPs"][1]
            .as_str()
            .unwrap()
            .starts_with("fd43::")
    );
    let mut one = both.clone();
    one["spec"]["ipFamilyPolicy"] = "SingleStack".into();
    let one = fixture.store(Some(&both), one).unwrap();
    assert_eq!(one["spec"]["clusterIPs"], json!([both["spec"]["clusterIP"]]));
    assert_eq!(one["spec"]["ipFamilies"], json!(["IPv4"]));
    let mut six = web("6", "ClusterIP");
    six["spec"]["ipFamilies"] = json!(["IPv6"]);
    assert!(
        fixture.store(None, six.clone()).unwrap()["spec"]["clusterIP"]
            .as_str()
            .unwrap()
            .contains(':')
    );
    let single = usual();
    assert!(
        single
            .store(None, six)
            .unwrap_err()
            .contains("spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster")
    );
    assert!(
        single
            .store(None, with("r", "RequireDualStack"))
            .unwrap_err()
            .contains("not configured for dual-stack")
    );
    assert_eq!(
        single.store(None, with("p", "PreferDualStack")).unwrap()["spec"]["ipFamilies"],
        json!(["IPv4"])
    );
}

#[test]
fn ranges() {
    let range = AddressRange::parse("10.43.0.0/30").unwrap();
    assert_eq!(range.to_string(), "10.43.0.0/30");
    let inside = |text: &str| range.contains(text.parse().unwrap());
    assert!(
        inside("10.43.0.1")
            && inside("10.43.0.2")
            && !inside("10.43.0.0")
            && !inside("10.43.0.3")
            && !inside("::1")
    );
    for wrong in [
        "",
        "10.43.0.0",
        "10.43.0.0/33",
        "10.43.0.0/32",
        "x/8",
        "10.43.0.0/-1",
        "::/129",
    ] {
        assert_eq!(AddressRange::parse(wrong), None, "{wrong}");
    }
    let huge = AddressRange::parse("fd43::/64").unwrap();
    assert!(huge.contains("fd43::ffff".parse().unwrap()) && !huge.contains("fd43::2:0".parse().unwrap()));
    // The lower part is used only when the rest is full.
    let range = AddressRange::parse("10.0.0.0/24").unwrap();
    for _ in 0..50 {
        let IpAddr::V4(chosen) = range.choose(|_| false).unwrap() else {
            panic!("IPv4")
        };
        assert!(chosen.octets()[3] > 16, "{chosen}");
    }
    assert!(
        range
            .choose(|address| address != IpAddr::from([10, 0, 0, 3]))
            .is_some()
    );
    assert_eq!(range.choose(|_| true), None);
}

#[test]
fn a_full_range_says_so() {
    let fixture = fixture(&["10.0.0.0/30"], (30000, 30001));
    for name in ["a", "b"] {
        fixture.store(None, web(name, "NodePort")).unwrap();
    }
    assert!(
        fixture
            .store(None, web("c", "ClusterIP"))
            .unwrap_err()
            .contains("failed to allocate a serviceIP: range is full")
    );
    fixture.remove("a");
    assert!(fixture.store(None, web("c", "NodePort")).is_ok());
    let mut headless = web("d", "NodePort");
    headless["spec"]["clusterIP"] = "None".into();
    assert!(
        fixture
            .store(None, headless)
            .unwrap_err()
            .contains("failed to allocate a nodePort: range is full")
    );
}
