use super::*;
use crate::service::{ServicePort, Slice, SlicePort};

fn cluster() -> Cluster {
    let mut cluster = Cluster::known();
    let port = |name: &str, protocol: i32, port| ServicePort {
        name: name.into(),
        protocol: protocol as u8,
        port,
        node_port: 0,
    };
    let mut set = |name: &str, service| cluster.set_service(Key::new("default", name), Some(service));
    set(
        "web",
        Service {
            cluster_ips: vec!["10.43.0.5".parse().unwrap(), "fd43::5".parse().unwrap()],
            ports: vec![port("http", libc::IPPROTO_TCP, 80)],
            ..Service::default()
        },
    );
    set(
        "db",
        Service {
            headless: true,
            ports: vec![port("sql", libc::IPPROTO_TCP, 5432)],
            ..Service::default()
        },
    );
    set(
        "empty",
        Service {
            headless: true,
            ..Service::default()
        },
    );
    set(
        "out",
        Service {
            external_name: Some("example.org".into()),
            ..Service::default()
        },
    );
    set(
        "odd",
        Service {
            external_name: Some("not a name..".into()),
            ..Service::default()
        },
    );
    let endpoint = |ip: &str, hostname: Option<&str>, state| Endpoint {
        ip: ip.parse().unwrap(),
        hostname: hostname.map(Into::into),
        local: true,
        state,
    };
    cluster.set_slice(
        Key::new("default", "db-x"),
        Some(Slice {
            service: "db".into(),
            ports: vec![SlicePort {
                name: "sql".into(),
                protocol: 6,
                port: 5433,
            }],
            endpoints: vec![
                endpoint("10.42.0.7", Some("db-0"), State::Ready),
                endpoint("10.42.0.8", None, State::Ready),
                endpoint("10.42.0.9", Some("db-2"), State::Unready),
            ],
        }),
    );
    cluster
}

fn zone() -> Zone {
    let reverse = vec!["10.42.0.0/16".parse().unwrap(), "10.43.0.0/16".parse().unwrap()];
    Zone::new("cluster.local", reverse, "10.43.0.10".parse().unwrap()).unwrap()
}

fn ask(name: &str, kind: RecordType) -> String {
    let name = Name::from_ascii(name).unwrap();
    match zone().answer(&cluster(), &name, kind) {
        Reply::Found { answers, additionals } => {
            let text = |r: &Record| r.data.to_string();
            let mut all: Vec<String> = answers.iter().map(text).collect();
            all.extend(additionals.iter().map(|r| format!("+{} {}", r.name, r.data)));
            all.join(", ")
        }
        Reply::Alias(_, target) => format!("-> {target}"),
        other => format!("{other:?}"),
    }
}

#[test]
fn services_and_endpoints() {
    use RecordType::{A, AAAA, MX, PTR, SRV};
    let cases = [
        ("web.default.svc.cluster.local.", A, "10.43.0.5"),
        ("WEB.Default.svc.CLUSTER.local.", A, "10.43.0.5"),
        ("web.default.svc.cluster.local.", AAAA, "fd43::5"),
        ("web.default.svc.cluster.local.", MX, "NoData"),
        ("db.default.svc.cluster.local.", A, "10.42.0.7, 10.42.0.8"),
        ("db.default.svc.cluster.local.", AAAA, "NoData"),
        ("db-0.db.default.svc.cluster.local.", A, "10.42.0.7"),
        ("10-42-0-8.db.default.svc.cluster.local.", A, "10.42.0.8"),
        ("db-2.db.default.svc.cluster.local.", A, "NoName"),
        ("db-0.web.default.svc.cluster.local.", A, "NoName"),
        ("empty.default.svc.cluster.local.", A, "NoName"),
        ("nosuch.default.svc.cluster.local.", A, "NoName"),
        ("nosuch.default.svc.cluster.local.", AAAA, "NoName"),
        (
            "_http._tcp.web.default.svc.cluster.local.",
            SRV,
            "0 100 80 web.default.svc.cluster.local., +web.default.svc.cluster.local. 10.43.0.5, \
             +web.default.svc.cluster.local. fd43::5",
        ),
        (
            "_sql._tcp.db.default.svc.cluster.local.",
            SRV,
            "0 100 5433 db-0.db.default.svc.cluster.local., 0 100 5433 10-42-0-8.db.default.svc.cluster.local., \
             +db-0.db.default.svc.cluster.local. 10.42.0.7, +10-42-0-8.db.default.svc.cluster.local. 10.42.0.8",
        ),
        ("_http._udp.web.default.svc.cluster.local.", SRV, "NoName"),
        ("_http._tcp.web.default.svc.cluster.local.", A, "NoData"),
        ("_tcp.web.default.svc.cluster.local.", A, "NoData"),
        ("5.0.43.10.in-addr.arpa.", PTR, "web.default.svc.cluster.local."),
        (
            "7.0.42.10.in-addr.arpa.",
            PTR,
            "db-0.db.default.svc.cluster.local.",
        ),
        ("99.0.43.10.in-addr.arpa.", PTR, "NoName"),
        ("1.2.0.192.in-addr.arpa.", PTR, "Elsewhere"),
        ("1.2.3.4.5.in-addr.arpa.", PTR, "Elsewhere"),
        ("005.0.43.10.in-addr.arpa.", PTR, "Elsewhere"),
        ("256.0.43.10.in-addr.arpa.", PTR, "Elsewhere"),
        ("out.default.svc.cluster.local.", A, "-> example.org."),
        ("odd.default.svc.cluster.local.", A, "NoData"),
        ("10-42-0-7.default.pod.cluster.local.", A, "10.42.0.7"),
        ("fd42--7.default.pod.cluster.local.", AAAA, "fd42::7"),
        ("nonsense.default.pod.cluster.local.", A, "NoName"),
    ];
    for (name, kind, expected) in cases {
        assert_eq!(ask(name, kind), expected, "{name} {kind}");
    }
}

#[test]
fn the_zone_itself_and_what_is_not_in_it() {
    use RecordType::{A, NS, SOA, TXT};
    for (name, kind, expected) in [
        ("cluster.local.", A, "NoData"),
        ("cluster.local.", NS, "ns.dns.cluster.local."),
        ("ns.dns.cluster.local.", A, "10.43.0.10"),
        ("dns-version.cluster.local.", TXT, "1.1.0"),
        ("svc.cluster.local.", A, "NoData"),
        ("default.svc.cluster.local.", A, "NoData"),
        ("nosuch.svc.cluster.local.", A, "NoName"),
        ("example.com.cluster.local.", A, "NoName"),
        ("example.com.svc.cluster.local.", A, "NoName"),
        ("example.com.", A, "Elsewhere"),
        ("xcluster.local.", A, "Elsewhere"),
        ("local.", A, "Elsewhere"),
        (".", A, "Elsewhere"),
    ] {
        assert_eq!(ask(name, kind), expected, "{name} {kind}");
    }
    assert!(ask("cluster.local.", SOA).starts_with("ns.dns.cluster.local. hostmaster.cluster.local."));
}

#[test]
fn before_the_api_has_answered_nothing_is_denied() {
    let name = Name::from_ascii("web.default.svc.cluster.local.").unwrap();
    assert_eq!(
        zone().answer(&Cluster::default(), &name, RecordType::A),
        Reply::NotYet
    );
}
