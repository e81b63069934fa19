//! Measurements. `cargo test --release -p keelson-netd bench -- --ignored --nocapture` prints them.

use std::time::{Duration, Instant};

use libc::IPPROTO_TCP;

use crate::lab::{Namespace, Running, config, on_node, request};
use crate::lab_services::{Services, service, slice};
use crate::proxy::Event;
use crate::service::Key;

const COUNT: u32 = 30_000;

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn median(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() * 95 / 100])
}

#[test]
#[ignore = "a measurement"]
fn bench_services() {
    on_node(|| async {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path());
        config.service_cidrs = vec!["10.128.0.0/9".into()];
        config.dns_ip = "10.128.0.10".parse().unwrap();
        let ip = |n: u32| std::net::Ipv4Addr::from(0x0a80_1000 + n).to_string();
        let endpoints = |n: u32, shift: u32| -> Vec<String> {
            (0..3)
                .map(|i| {
                    format!(
                        "{}:8080",
                        std::net::Ipv4Addr::from(0x0a2a_0000 + (n * 3 + i + shift) % 60_000)
                    )
                })
                .collect()
        };
        let fill = |services: &mut Services| {
            let before = resident();
            let mut names = std::collections::HashSet::new();
            let mut events = Vec::new();
            for n in 0..COUNT {
                let key = || Key::new("default", &format!("s{n}"));
                names.insert(key());
                events.push(Event::Service(key(), Some(service(&ip(n), IPPROTO_TCP, 80, 0))));
                events.push(Event::Slice(
                    key(),
                    Some(slice(&format!("s{n}"), IPPROTO_TCP, &endpoints(n, 0))),
                ));
            }
            events.push(Event::ServicesListed(names.clone()));
            events.push(Event::SlicesListed(names));
            let start = Instant::now();
            services.tell(events);
            println!(
                "{COUNT} services loaded in {:?}, {} KiB more resident",
                start.elapsed(),
                resident() - before
            );
        };
        let mut services = Services::new(&config);
        fill(&mut services);
        let mut times = Vec::new();
        for n in 0..500 {
            let key = Key::new("default", &format!("s{n}"));
            let changed = slice(&format!("s{n}"), IPPROTO_TCP, &endpoints(n, 1));
            let start = Instant::now();
            services.tell(vec![Event::Slice(key, Some(changed))]);
            times.push(start.elapsed());
        }
        println!("one endpoint replaced: median and p95 {:?}", median(times));
        println!("a successor takes over:");
        fill(&mut Services::new(&config));
    });
}

#[test]
#[ignore = "a measurement"]
fn bench_attach() {
    on_node(|| async {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path());
        config.pod_cidrs = vec!["10.42.0.0/20".into()];
        let netd = Running::start(config).await;
        let namespaces: Vec<Namespace> = (0..1000).map(|_| Namespace::new()).collect();
        let mut times = Vec::new();
        for (n, namespace) in namespaces.iter().enumerate() {
            let request = request(&format!("p{n}"), namespace.path());
            let start = Instant::now();
            netd.client.attach(&request).await.unwrap();
            times.push(start.elapsed());
        }
        println!(
            "attach, first 100: median and p95 {:?}",
            median(times[..100].to_vec())
        );
        println!(
            "attach, last 100 of 1000: median and p95 {:?}",
            median(times[900..].to_vec())
        );
        let start = Instant::now();
        netd.client.detach("uid-p0").await.unwrap();
        println!("detach {:?}", start.elapsed());
        netd.stop().await;
    });
}
