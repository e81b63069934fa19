//! Pods get addresses, reach each other, the node and the world, and nobody else's identity.

use std::collections::BTreeSet;

use crate::client::Error;
use crate::lab::{Namespace, Running, config, on_node, pod, request, sh};

#[test]
fn pods_reach_each_other_and_the_node() {
    on_node(|| async {
        let dir = tempfile::tempdir().unwrap();
        let netd = Running::start(config(dir.path())).await;
        let (a, b) = (pod(&netd.client, "a").await, pod(&netd.client, "b").await);
        assert_ne!(a.ip(), b.ip());
        b.namespace.serve_tcp("0.0.0.0:80", "b");
        let node = Namespace::current();
        node.serve_tcp("0.0.0.0:81", "node");
        assert_eq!(
            a.namespace.ask_tcp(&format!("{}:80", b.ip())).unwrap(),
            ("b".into(), a.ip().to_string())
        );
        assert_eq!(
            a.namespace.ask_tcp("10.42.0.1:81").unwrap(),
            ("node".into(), a.ip().to_string())
        );
        assert_eq!(
            node.ask_tcp(&format!("{}:80", b.ip())).unwrap(),
            ("b".into(), "10.42.0.1".into())
        );
        netd.stop().await;
    });
}

#[test]
fn attach_is_idempotent_and_survives_restarts() {
    on_node(|| async {
        let dir = tempfile::tempdir().unwrap();
        let netd = Running::start(config(dir.path())).await;
        let (a, b) = (pod(&netd.client, "a").await, pod(&netd.client, "b").await);
        assert_eq!(netd.client.attach(&a.request).await.unwrap(), a.attachment);
        b.namespace.serve_tcp("0.0.0.0:80", "b");
        netd.kill().await;
        // Traffic goes on without the daemon.
        let to_b = format!("{}:80", b.ip());
        a.namespace.ask_tcp(&to_b).unwrap();
        let netd = Running::start(config(dir.path())).await;
        assert_eq!(netd.client.attach(&a.request).await.unwrap(), a.attachment);
        a.namespace.ask_tcp(&to_b).unwrap();
        let c = pod(&netd.client, "c").await;
        assert!(c.ip() != a.ip() && c.ip() != b.ip());
        netd.client.detach("uid-a").await.unwrap();
        netd.client.detach("uid-a").await.unwrap();
        netd.client.detach("uid-never").await.unwrap();
        netd.stop().await;
    });
}

#[test]
fn many_at_once_get_different_addresses() {
    on_node(|| async {
        let dir = tempfile::tempdir().unwrap();
        let netd = Running::start(config(dir.path())).await;
        let pods = futures::future::join_all((0..40).map(|i| {
            let client = netd.client.clone();
            async move { pod(&client, &format!("p{i}")).await }
        }))
        .await;
        let ips: BTreeSet<_> = pods.iter().map(crate::lab::Pod::ip).collect();
        assert_eq!(ips.len(), 40);
        pods[39].namespace.serve_tcp("0.0.0.0:80", "last");
        pods[0]
            .namespace
            .ask_tcp(&format!("{}:80", pods[39].ip()))
            .unwrap();
        futures::future::join_all(pods.iter().map(|p| netd.client.detach(&p.request.pod_uid))).await;
        netd.stop().await;
        let netd = Running::start(config(dir.path())).await;
        assert_eq!(sh("ip -o link | grep -c kl7e57-p || true").trim(), "0");
        netd.stop().await;
    });
}

#[test]
fn a_failed_attach_leaves_nothing() {
    on_node(|| async {
        let dir = tempfile::tempdir().unwrap();
        let netd = Running::start(config(dir.path())).await;
        let before = sh("ip -o link; ip route");
        let missing = request("a", "/nonexistent".into());
        assert!(
            matches!(netd.client.attach(&missing).await, Err(Error::Refused(m)) if m.contains("/nonexistent"))
        );
        let node = Namespace::current();
        let own = netd
            .client
            .attach(&request("b", node.path()))
            .await
            .unwrap_err()
            .to_string();
        assert!(own.contains("own network namespace"), "{own}");
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(netd.client.attach(&request("c", file)).await.is_err());
        let taken = Namespace::new();
        taken.sh("ip link add eth0 type bridge");
        let error = netd
            .client
            .attach(&request("d", taken.path()))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("not ours"), "{error}");
        assert_eq!(sh("ip -o link; ip route"), before);
        assert_eq!(
            std::fs::read_dir(dir.path().join("state/leases"))
                .unwrap()
                .count(),
            0
        );
        netd.stop().await;
    });
}

#[test]
fn pods_leave_the_cluster_with_the_nodes_address() {
    on_node(|| async {
        let dir = tempfile::tempdir().unwrap();
        let world = uplink();
        let netd = Running::start(config(dir.path())).await;
        let a = pod(&netd.client, "a").await;
        world.serve_tcp("0.0.0.0:80", "world");
        assert_eq!(
            a.namespace.ask_tcp("192.0.2.1:80").unwrap(),
            ("world".into(), "192.0.2.2".into())
        );
        assert!(
            a.namespace.sh("ip link show eth0").contains("mtu 1400"),
            "the uplink's MTU"
        );
        netd.stop().await;
    });
}

/// The world beyond the node: 192.0.2.1, the node is 192.0.2.2, MTU 1400.
pub(super) fn uplink() -> Namespace {
    let world = Namespace::new();
    let path = world.path();
    sh("ip link add eth9 mtu 1400 type veth peer name world9 mtu 1400");
    sh("ip addr add 192.0.2.2/24 dev eth9; ip link set eth9 up");
    // `ip` wants a name under /run/netns or a pid; a pid of a process inside will do.
    let holder = world
        .spawn(|| std::process::Command::new("sleep").arg("5").spawn().unwrap())
        .join()
        .unwrap();
    sh(&format!("ip link set world9 netns {}", holder.id()));
    world.sh("ip addr add 192.0.2.1/24 dev world9; ip link set world9 up; ip link set lo up");
    sh("ip route add default via 192.0.2.1");
    let _ = path;
    let mut holder = holder;
    let _ = holder.kill();
    let _ = holder.wait();
    world
}

#[test]
fn a_pod_cannot_use_anothers_address() {
    on_node(|| async {
        let dir = tempfile::tempdir().unwrap();
        let netd = Running::start(config(dir.path())).await;
        let (a, b) = (pod(&netd.client, "a").await, pod(&netd.client, "b").await);
        let node = Namespace::current();
        node.serve_udp("10.42.0.1:90", "node");
        b.namespace.serve_udp("0.0.0.0:90", "b");
        let ask = |from: String, to: String| a.namespace.ask_udp(&from, &to);
        assert!(ask(format!("{}:0", a.ip()), "10.42.0.1:90".into()).is_ok());
        // The pod takes b's address, an address of nobody, and one of the node.
        for stolen in [b.ip().to_string(), "10.42.0.77".into(), "203.0.113.9".into()] {
            a.namespace.sh(&format!("ip addr add {stolen}/32 dev eth0"));
            let seen = counting(&node, || {
                assert!(
                    ask(format!("{stolen}:0"), "10.42.0.1:90".into()).is_err(),
                    "{stolen}"
                );
            });
            assert_eq!(seen, 0, "a datagram from {stolen} arrived");
            a.namespace.sh(&format!("ip addr del {stolen}/32 dev eth0"));
        }
        // It announces b's address on its link, under another MAC address.
        a.namespace.sh("ip link set eth0 address 0a:58:66:66:66:66");
        a.namespace.sh(&format!("ip addr add {}/32 dev eth0", b.ip()));
        a.namespace
            .sh("ip link set eth0 up; ping -c1 -W1 10.42.0.1 || true");
        assert_eq!(
            node.ask_udp("0.0.0.0:0", &format!("{}:90", b.ip())).unwrap().0,
            "b"
        );
        // Nor does it reach what the node serves to itself only.
        node.serve_udp("127.0.0.1:91", "secret");
        a.namespace
            .sh("ip route add 127.0.0.0/8 via 10.42.0.1 dev eth0 onlink table local 2>/dev/null || true");
        assert!(a.namespace.ask_udp("0.0.0.0:0", "127.0.0.1:91").is_err());
        netd.stop().await;
    });
}

/// UDP datagrams that the node's sockets received meanwhile.
fn counting(node: &Namespace, work: impl FnOnce()) -> u64 {
    let read = || -> u64 {
        let text = node.sh("cat /proc/self/net/snmp");
        let line = text
            .lines()
            .filter(|l| l.starts_with("Udp:"))
            .nth(1)
            .unwrap()
            .to_owned();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let before = read();
    work();
    read() - before
}

#[test]
fn reset_removes_everything_twice() {
    on_node(|| async {
        let dir = tempfile::tempdir().unwrap();
        let before = sh("ip -o link; ip addr; ip route; nft list ruleset");
        let netd = Running::start(config(dir.path())).await;
        let _a = pod(&netd.client, "a").await;
        let config = netd.config.clone();
        netd.kill().await;
        crate::reset(&config).await.unwrap();
        assert_eq!(sh("ip -o link; ip addr; ip route; nft list ruleset"), before);
        assert!(!config.state_dir.exists() && !config.socket.exists());
        crate::reset(&config).await.unwrap();
    });
}
