//! Nothing is lost while things change.

use std::io::Read;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use libc::IPPROTO_TCP;

use crate::lab::{Namespace, Running, config, on_node, pod};
use crate::lab_services::{Services, service};

/// Shorter than the second after which a lost packet would be sent again: a single loss fails.
const PATIENCE: Duration = Duration::from_millis(900);

/// Connects as fast as it can until told to stop; counts successes and failures.
fn hammer(
    from: &Namespace,
    to: &'static str,
) -> (Arc<AtomicBool>, Arc<[AtomicU32; 2]>, std::thread::JoinHandle<()>) {
    let stop = Arc::new(AtomicBool::new(false));
    let counts = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
    let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&counts));
    let address = to.parse().unwrap();
    let thread = from.spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            // Reading the greeting waits for the server's accept: its queue never overflows.
            let outcome = TcpStream::connect_timeout(&address, PATIENCE).and_then(|mut stream| {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.read(&mut [0; 64])
            });
            if let Err(error) = &outcome {
                eprintln!("{error}");
            }
            counted[usize::from(outcome.is_err())].fetch_add(1, Ordering::Relaxed);
        }
    });
    (stop, counts, thread)
}

#[test]
fn no_connect_fails_while_endpoints_come_and_go_and_daemons_restart() {
    on_node(|| async {
        let dir = tempfile::tempdir().unwrap();
        let netd = Running::start(config(dir.path())).await;
        let mut services = Services::new(&netd.config);
        let (a, b, client) = (
            pod(&netd.client, "a").await,
            pod(&netd.client, "b").await,
            pod(&netd.client, "client").await,
        );
        for p in [&a, &b] {
            p.namespace.serve_tcp("0.0.0.0:8080", "x");
            p.namespace.serve_tcp("0.0.0.0:8081", "x");
        }
        // Endpoints that are always there; their number goes up and down.
        let all: Vec<String> = [&a, &b].map(|p| format!("{}:8080", p.ip())).to_vec();
        services.set("web", service("10.43.0.5", IPPROTO_TCP, 80, 0), &all);
        services.listed(&["web"]);
        let (stop, counts, thread) = hammer(&client.namespace, "10.43.0.5:80");
        for round in 0..1000 {
            let now = match round % 3 {
                0 => &all[..1],
                1 => &all[..],
                _ => &all[1..],
            };
            services.set("web", service("10.43.0.5", IPPROTO_TCP, 80, 0), now);
            if round % 20 == 0 {
                // A successor takes over.
                services = Services::new(&netd.config);
                services.set("web", service("10.43.0.5", IPPROTO_TCP, 80, 0), now);
                services.listed(&["web"]);
            }
            if round % 100 == 0 {
                // Pods come and go meanwhile.
                let passing = pod(&netd.client, &format!("passing{round}")).await;
                netd.client.detach(&passing.request.pod_uid).await.unwrap();
            }
        }
        stop.store(true, Ordering::Relaxed);
        thread.join().unwrap();
        let [good, bad] = &*counts;
        assert_eq!(bad.load(Ordering::Relaxed), 0);
        assert!(good.load(Ordering::Relaxed) > 100);
        netd.stop().await;
    });
}

#[test]
fn both_families_work_side_by_side() {
    on_node(|| async {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path());
        config.pod_cidrs.push("fd42::/64".into());
        config.cluster_cidrs.push("fd42::/48".into());
        config.service_cidrs.push("fd43::/112".into());
        let netd = Running::start(config).await;
        let mut services = Services::new(&netd.config);
        services.listed(&[]);
        let (a, client) = (pod(&netd.client, "a").await, pod(&netd.client, "client").await);
        assert_eq!(a.attachment.ips.len(), 2);
        a.namespace.serve_tcp("[::]:8080", "a");
        let endpoint = [format!("[{}]:8080", a.attachment.ips[1])];
        services.set("six", service("fd43::5", IPPROTO_TCP, 80, 30080), &endpoint);
        let client_ip = client.attachment.ips[1].to_string();
        let ask = |from: &Namespace, to: &str| from.ask_tcp(to).unwrap();
        assert_eq!(
            ask(&client.namespace, &format!("[{}]:8080", a.attachment.ips[1])),
            ("a".into(), client_ip.clone())
        );
        assert_eq!(ask(&client.namespace, "[fd43::5]:80"), ("a".into(), client_ip));
        assert_eq!(
            ask(&a.namespace, "[fd43::5]:80"),
            ("a".into(), "fd42::1".into()),
            "itself"
        );
        assert_eq!(
            ask(&Namespace::current(), "[fd43::5]:80"),
            ("a".into(), "fd42::1".into())
        );
        assert_eq!(
            ask(&client.namespace, "[fd42::1]:30080"),
            ("a".into(), "fd42::1".into())
        );
        assert!(client.namespace.ask_tcp("[fd43::6]:80").is_err());
        // The other pod's address does not help.
        client
            .namespace
            .sh(&format!("ip addr add {}/128 dev eth0 nodad", a.attachment.ips[1]));
        let stolen = client
            .namespace
            .ask_udp(&format!("[{}]:0", a.attachment.ips[1]), "[fd42::1]:90");
        assert!(stolen.is_err());
        netd.stop().await;
    });
}
