//! Services with real traffic: who answers, whom the endpoint sees, and what is refused.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use libc::{IPPROTO_TCP, IPPROTO_UDP};

use super::attach::uplink;
use crate::lab::{Namespace, Pod, Running, config, on_node, pod};
use crate::lab_services::{Services, service};

/// A node with three pods: two serve TCP 8080 and UDP 53, one is a client.
struct Site {
    netd: Running,
    services: Services,
    a: Pod,
    b: Pod,
    client: Pod,
    _dir: tempfile::TempDir,
}

impl Site {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let netd = Running::start(config(dir.path())).await;
        let mut services = Services::new(&netd.config);
        services.listed(&[]);
        let mut pods = Vec::new();
        for name in ["a", "b", "client"] {
            pods.push(pod(&netd.client, name).await);
        }
        let (client, b, a) = (pods.pop().unwrap(), pods.pop().unwrap(), pods.pop().unwrap());
        for (pod, name) in [(&a, "a"), (&b, "b")] {
            pod.namespace.serve_tcp("0.0.0.0:8080", name);
            pod.namespace.serve_udp("0.0.0.0:53", name);
        }
        Self {
            netd,
            services,
            a,
            b,
            client,
            _dir: dir,
        }
    }

    fn both(&self, port: u16) -> Vec<String> {
        [&self.a, &self.b].map(|p| format!("{}:{port}", p.ip())).to_vec()
    }
}

#[test]
fn a_cluster_ip_spreads_over_endpoints_from_pods_and_node() {
    on_node(|| async {
        let mut site = Site::new().await;
        let endpoints = site.both(8080);
        site.services
            .set("web", service("10.43.0.5", IPPROTO_TCP, 80, 0), &endpoints);
        let node = Namespace::current();
        for (from, ip) in [
            (&site.client.namespace, site.client.ip().to_string()),
            (&node, "10.42.0.1".into()),
        ] {
            let mut seen = BTreeMap::new();
            for _ in 0..40 {
                let (who, whom) = from.ask_tcp("10.43.0.5:80").unwrap();
                assert_eq!(whom, ip, "the endpoint sees the client");
                *seen.entry(who).or_insert(0) += 1;
            }
            assert!(seen.len() == 2 && seen.values().all(|n| *n > 5), "{seen:?}");
        }
        site.netd.stop().await;
    });
}

#[test]
fn a_pod_reaches_itself_through_its_service() {
    on_node(|| async {
        let mut site = Site::new().await;
        let own = [format!("{}:8080", site.a.ip())];
        site.services
            .set("web", service("10.43.0.5", IPPROTO_TCP, 80, 0), &own);
        site.services.set(
            "dns",
            service("10.43.0.6", IPPROTO_UDP, 53, 0),
            &[format!("{}:53", site.a.ip())],
        );
        let a = &site.a.namespace;
        assert_eq!(
            a.ask_tcp("10.43.0.5:80").unwrap(),
            ("a".into(), "10.42.0.1".into())
        );
        assert_eq!(
            a.ask_udp("0.0.0.0:0", "10.43.0.6:53").unwrap(),
            ("a".into(), "10.42.0.1".into())
        );
        site.netd.stop().await;
    });
}

#[test]
fn nothing_behind_it_means_refused_at_once() {
    on_node(|| async {
        let mut site = Site::new().await;
        site.services
            .set("web", service("10.43.0.5", IPPROTO_TCP, 80, 30080), &[]);
        site.services
            .set("dns", service("10.43.0.6", IPPROTO_UDP, 53, 30053), &[]);
        for from in [&site.client.namespace, &Namespace::current()] {
            for to in ["10.43.0.5:80", "10.43.0.5:81", "10.43.0.77:80", "10.42.0.1:30080"] {
                let error = from.ask_tcp(to).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{to}");
            }
            for to in ["10.43.0.6:53", "10.43.0.6:54", "10.42.0.1:30053"] {
                // On the node itself the refusal may come from the send already.
                let kind = from.ask_udp("0.0.0.0:0", to).unwrap_err().kind();
                assert!(
                    matches!(kind, ErrorKind::ConnectionRefused | ErrorKind::PermissionDenied),
                    "{to}: {kind}"
                );
            }
        }
        // And it works as soon as there is one.
        let endpoints = site.both(8080);
        site.services
            .set("web", service("10.43.0.5", IPPROTO_TCP, 80, 30080), &endpoints);
        site.client.namespace.ask_tcp("10.43.0.5:80").unwrap();
        site.services.remove("web");
        assert!(site.client.namespace.ask_tcp("10.43.0.5:80").is_err());
        site.netd.stop().await;
    });
}

#[test]
fn node_ports_work_from_everywhere() {
    on_node(|| async {
        let world = uplink();
        let mut site = Site::new().await;
        let one = [format!("{}:8080", site.a.ip())];
        site.services
            .set("web", service("10.43.0.5", IPPROTO_TCP, 80, 30080), &one);
        site.services.set(
            "dns",
            service("10.43.0.6", IPPROTO_UDP, 53, 30053),
            &[format!("{}:53", site.a.ip())],
        );
        let node = Namespace::current();
        let gateway = ("a".to_owned(), "10.42.0.1".to_owned());
        for (from, to) in [
            (&world, "192.0.2.2"),
            (&node, "192.0.2.2"),
            (&node, "127.0.0.1"),
            (&node, "10.42.0.1"),
            (&site.client.namespace, "192.0.2.2"),
            (&site.a.namespace, "192.0.2.2"),
        ] {
            assert_eq!(from.ask_tcp(&format!("{to}:30080")).unwrap(), gateway, "{to}");
            assert_eq!(
                from.ask_udp("0.0.0.0:0", &format!("{to}:30053")).unwrap(),
                gateway,
                "{to}"
            );
        }
        assert!(world.ask_tcp("192.0.2.2:30081").is_err());
        site.netd.stop().await;
    });
}

#[test]
fn a_local_policy_keeps_the_clients_address() {
    on_node(|| async {
        let world = uplink();
        let mut site = Site::new().await;
        let one = [format!("{}:8080", site.a.ip())];
        let mut web = service("10.43.0.5", IPPROTO_TCP, 80, 30080);
        web.external_local = true;
        web.external_ips = vec!["192.0.2.50".parse().unwrap()];
        site.services.set("web", web.clone(), &one);
        let seen = ("a".to_owned(), "192.0.2.1".to_owned());
        assert_eq!(world.ask_tcp("192.0.2.2:30080").unwrap(), seen);
        world.sh("ip route add 192.0.2.50 via 192.0.2.2");
        assert_eq!(world.ask_tcp("192.0.2.50:80").unwrap(), seen);
        web.external_local = false;
        site.services.set("web", web, &one);
        assert_eq!(
            world.ask_tcp("192.0.2.50:80").unwrap(),
            ("a".into(), "10.42.0.1".into())
        );
        site.netd.stop().await;
    });
}

#[test]
fn clients_stay_with_their_endpoint_also_over_restarts() {
    on_node(|| async {
        let mut site = Site::new().await;
        let both = site.both(8080);
        let mut web = service("10.43.0.5", IPPROTO_TCP, 80, 30080);
        web.affinity = Some(600);
        site.services.set("web", web.clone(), &both);
        let ask = |to: &str, site: &Site| site.client.namespace.ask_tcp(to).unwrap().0;
        for to in ["10.43.0.5:80", "10.42.0.1:30080"] {
            let first = ask(to, &site);
            for _ in 0..15 {
                assert_eq!(ask(to, &site), first);
            }
            // Another daemon takes over.
            let mut services = Services::new(&site.netd.config);
            services.set("web", web.clone(), &both);
            services.listed(&["web"]);
            site.services = services;
            for _ in 0..15 {
                assert_eq!(ask(to, &site), first, "after a restart");
            }
            // The endpoint goes: its clients move on, and stay there.
            let (left, other) = if first == "a" {
                (both[1].clone(), "b")
            } else {
                (both[0].clone(), "a")
            };
            site.services.set("web", web.clone(), &[left]);
            assert_eq!(ask(to, &site), other);
            site.services.set("web", web.clone(), &both);
            for _ in 0..15 {
                assert_eq!(ask(to, &site), other);
            }
        }
        site.netd.stop().await;
    });
}

#[test]
fn udp_clients_leave_an_endpoint_that_is_gone() {
    on_node(|| async {
        let mut site = Site::new().await;
        let both = site.both(53);
        let dns = || service("10.43.0.6", IPPROTO_UDP, 53, 30053);
        site.services.set("dns", dns(), &both[..1]);
        let ask = |to: &str, site: &Site| site.client.namespace.ask_udp("0.0.0.0:5353", to);
        for to in ["10.43.0.6:53", "10.42.0.1:30053"] {
            site.services.set("dns", dns(), &both[..1]);
            assert_eq!(ask(to, &site).unwrap().0, "a");
            site.services.set("dns", dns(), &both[1..]);
            assert_eq!(ask(to, &site).unwrap().0, "b", "same client port, other endpoint");
        }
        site.services.remove("dns");
        assert!(ask("10.43.0.6:53", &site).is_err());
        site.netd.stop().await;
    });
}

#[test]
fn host_ports_lead_to_the_pod() {
    on_node(|| async {
        let world = uplink();
        let site = Site::new().await;
        let namespace = Namespace::new();
        let mut request = crate::lab::request("published", namespace.path());
        let port = |protocol: &str, host_ip: Option<&str>| crate::client::HostPort {
            protocol: protocol.into(),
            host_port: 8081,
            container_port: 80,
            host_ip: host_ip.map(|ip| ip.parse().unwrap()),
        };
        request.host_ports = vec![port("TCP", None), port("UDP", Some("192.0.2.2"))];
        let attachment = site.netd.client.attach(&request).await.unwrap();
        namespace.serve_tcp("0.0.0.0:80", "published");
        namespace.serve_udp("0.0.0.0:80", "published");
        assert_eq!(
            world.ask_tcp("192.0.2.2:8081").unwrap(),
            ("published".into(), "192.0.2.1".into())
        );
        assert_eq!(
            world.ask_udp("0.0.0.0:0", "192.0.2.2:8081").unwrap().0,
            "published"
        );
        for from in [&Namespace::current(), &site.client.namespace, &namespace] {
            assert_eq!(from.ask_tcp("192.0.2.2:8081").unwrap().0, "published");
        }
        assert_eq!(
            Namespace::current().ask_tcp("127.0.0.1:8081").unwrap().0,
            "published"
        );
        assert!(
            site.client
                .namespace
                .ask_udp("0.0.0.0:0", "10.42.0.1:8081")
                .is_err(),
            "another address"
        );
        let mut rival = crate::lab::request("rival", Namespace::new().path());
        rival.host_ports = vec![port("TCP", None)];
        let error = site.netd.client.attach(&rival).await.unwrap_err().to_string();
        assert!(
            error.contains("host port 8081/TCP is in use by pod default/published"),
            "{error}"
        );
        // It goes with the pod, and comes back after a restart with a pod that stayed.
        assert_eq!(site.netd.client.attach(&request).await.unwrap(), attachment);
        site.netd.client.detach(&request.pod_uid).await.unwrap();
        assert!(world.ask_tcp("192.0.2.2:8081").is_err());
        site.netd.stop().await;
    });
}
