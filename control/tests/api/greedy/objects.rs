//! Objects that take long: of a million parts, or with a million things to complain about.

use std::time::{Duration, Instant};

use http::Method;

use super::{others_are_served, resident};
use crate::cluster::{Cluster, MAPS};

#[test]
fn objects_of_a_million_parts() {
    let cluster = Cluster::start();
    let before = resident();
    let keys = |form: fn(usize) -> String, most: usize| {
        let mut text = String::new();
        let mut n = 0;
        while text.len() < most {
            text.push_str(&form(n));
            n += 1;
        }
        text.pop();
        text
    };
    let map = |inside: &str| {
        format!("{{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{{\"name\":\"m\"{inside}")
    };
    let most = 3_100_000;
    let bodies = [
        (
            "data",
            map(&format!(
                "}},\"data\":{{{}}}}}",
                keys(|n| format!("\"k{n}\":\"\","), most)
            )),
        ),
        (
            "keys",
            map(&format!("}},{}}}", keys(|n| format!("\"k{n}\":1,"), most))),
        ),
        (
            "labels",
            map(&format!(
                ",\"labels\":{{{}}}}}}}",
                keys(|n| format!("\"-{n}\":\"\","), most)
            )),
        ),
        (
            "annotations",
            map(&format!(
                ",\"annotations\":{{{}}}}}}}",
                keys(|n| format!("\"a{n}\":\"\","), most)
            )),
        ),
        (
            "finalizers",
            map(&format!(
                ",\"finalizers\":[{}]}}}}",
                keys(|n| format!("\"x/{n}\","), most)
            )),
        ),
        (
            "owners",
            map(&format!(
                ",\"ownerReferences\":[{}]}}}}",
                "{},".repeat(most / 3).trim_end_matches(',')
            )),
        ),
        (
            "lists",
            map(&format!(
                "}},\"data\":[{}]}}",
                "[],".repeat(most / 3).trim_end_matches(',')
            )),
        ),
        (
            "duplicates",
            map(&format!(
                "}},\"data\":{{{}}}}}",
                "\"k\":\"\",".repeat(most / 7).trim_end_matches(',')
            )),
        ),
    ];
    for (what, body) in &bodies {
        let began = Instant::now();
        let json = [("content-type", "application/json")];
        let (code, answer) = cluster.request(Method::POST, MAPS, &json, body.as_bytes());
        let took = began.elapsed();
        let size = answer.to_string().len();
        println!(
            "{what}: {code} after {took:?}, {size} bytes, {} KiB resident",
            resident()
        );
        // Duplicate keys are one key; the rest is too much in one way or another.
        assert!(
            (400..500).contains(&code) || *what == "duplicates" || *what == "keys",
            "{what}: {code}"
        );
        assert!(took < Duration::from_secs(20), "{what} took {took:?}");
        assert!(size < 2 << 20, "{what}: an answer of {size} bytes");
    }
    let containers = format!(
        "{{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{{\"name\":\"p\"}},\"spec\":{{\"containers\":[{}]}}}}",
        "{},".repeat(1_000_000).trim_end_matches(',')
    );
    let json = [("content-type", "application/json")];
    let path = "/api/v1/namespaces/default/pods";
    let (code, _) = cluster.request(Method::POST, path, &json, containers.as_bytes());
    assert!(matches!(code, 400 | 413), "{code}");
    let grown = resident().saturating_sub(before);
    assert!(grown < 500 << 10, "{grown} KiB");
    others_are_served(&cluster);
}

/// What is long is worked on beside the others, not before them.
#[test]
fn a_long_request_is_no_wait_for_others() {
    let cluster = Cluster::start();
    let containers = "{\"name\":\"c\",\"volumeMounts\":[{},{}]},".repeat(15_000);
    let body = format!(
        "{{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{{\"name\":\"p\"}},\"spec\":{{\"containers\":[{}]}}}}",
        containers.trim_end_matches(',')
    );
    let mut others = 0;
    std::thread::scope(|scope| {
        let long = scope.spawn(|| {
            for _ in 0..3 {
                let json = [("content-type", "application/json")];
                let path = "/api/v1/namespaces/default/pods";
                let (code, answer) = cluster.request(Method::POST, path, &json, body.as_bytes());
                assert_eq!(code, 422, "{answer}");
            }
        });
        while !long.is_finished() {
            assert_eq!(cluster.get("/livez").0, 200);
            others += 1;
        }
    });
    println!("{others} others were answered");
    // In one thread, each of the three stops all others but for the moments between them.
    assert!(others > 30, "{others}");
}
