//! Watches whose clients do not read.

use std::io::Write;

use serde_json::json;

use super::unread::Unread;
use super::{Stream, code, connect, others_are_served, resident};
use crate::cluster::{Cluster, MAPS, config_map};

#[test]
fn watches_that_do_not_read() {
    let cluster = Cluster::start();
    let mut idle: Vec<Stream> = (0..200).map(|_| connect(&cluster, true)).collect();
    for stream in &mut idle {
        let head = format!("GET {MAPS}?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
    }
    others_are_served(&cluster);
    let before = resident();
    let large = "x".repeat(100_000);
    let map = config_map("large", "0");
    assert_eq!(cluster.post(MAPS, &map).0, 201);
    // 30 MB for each of them, which none takes.
    for n in 0..300 {
        let patch = json!({"data": {"large": large, "n": n.to_string()}});
        assert_eq!(
            cluster
                .patch(&format!("{MAPS}/large"), "merge-patch+json", &patch)
                .0,
            200
        );
    }
    let grown = resident().saturating_sub(before);
    // The store keeps the last versions, which is the same for any number of watches.
    assert!(grown < 200 << 10, "{grown} KiB");
    others_are_served(&cluster);
    // One that begins to read after all gets what happened, or is told to list again.
    let mut late = idle.swap_remove(0);
    assert_eq!(code(&mut late), 200);
}

#[test]
fn a_large_event_is_there_once() {
    let cluster = Cluster::start();
    let forms = [
        "application/json",
        "application/vnd.kubernetes.protobuf;stream=watch",
        "application/json;as=Table;g=meta.k8s.io;v=v1",
    ];
    let unread: Vec<Unread> = forms
        .iter()
        .map(|form| {
            Unread::open(
                &cluster,
                &format!("{MAPS}?watch=1&includeObject=Object"),
                form,
                1 << 16,
            )
        })
        .collect();
    let before = resident();
    let mut map = config_map("large", "0");
    map["data"]["large"] = "x".repeat(1_000_000).into();
    assert_eq!(cluster.post(MAPS, &map).0, 201);
    others_are_served(&cluster);
    let grown = resident().saturating_sub(before);
    assert!(grown < 150 << 10, "{grown} KiB");
    drop(unread);
}

#[test]
fn watches_of_one_connection_that_do_not_read() {
    let cluster = Cluster::start();
    let unread = Unread::open(&cluster, &format!("{MAPS}?watch=1"), "application/json", 1 << 10);
    let before = resident();
    assert_eq!(cluster.post(MAPS, &config_map("large", "0")).0, 201);
    for n in 0..300 {
        let patch = json!({"data": {"large": "x".repeat(100_000), "n": n.to_string()}});
        assert_eq!(
            cluster
                .patch(&format!("{MAPS}/large"), "merge-patch+json", &patch)
                .0,
            200
        );
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 200 << 10, "{grown} KiB");
    others_are_served(&cluster);
    drop(unread);
}
