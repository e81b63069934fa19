//! Heartbeats and Events of a large cluster, with time compressed: the store's file comes to a size and stays there.
//!
//! By default fifty nodes for four hours, four times as long as an Event lives; `KEELSON_STORE_HOURS=168` takes five hundred
//! nodes and the week for which they are promised to stay under 200 MB.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use bytes::Bytes;
use keelson_control::object::{GroupResource, Object};
use keelson_control::store::{Change, Embedded, Expect, Options, Store, Write};

/// Seconds between two renewals of a node's Lease.
const LEASE: u64 = 10;
/// Seconds between two reports of a node that does not change.
const STATUS: u64 = 300;
/// Seconds between two Events of a node.
const EVENT: u64 = 60;
/// How long an Event lives.
const LIFE: u64 = 3600;
/// What is promised of five hundred nodes.
const PROMISE: u64 = 200 << 20;

/// Simulated Unix time.
static NOW: AtomicU64 = AtomicU64::new(1_700_000_000);

fn clock() -> u64 {
    NOW.load(Ordering::SeqCst)
}

/// An object of about so many bytes that says what time it is.
fn object(kind: &str, namespace: &str, name: &str, bytes: usize) -> Object {
    /// What all have in common. Reading each one's JSON would take longer than storing it.
    static BLANK: LazyLock<Object> =
        LazyLock::new(|| Object::describe(&serde_json::Value::Null, Bytes::new()));
    let mut text = format!(
        "{{\"apiVersion\":\"v1\",\"kind\":\"{kind}\",\"metadata\":{{\"resourceVersion\":\"\",\"name\":\"{name}\",\
         \"namespace\":\"{namespace}\"}},\"now\":{},\"filler\":\"",
        clock()
    );
    text.extend(std::iter::repeat_n('x', bytes.saturating_sub(text.len() + 2)));
    text.push_str("\"}");
    Object {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        bytes: text.into(),
        ..BLANK.clone()
    }
}

/// What writes, and what it knows of the objects that it renews.
struct Fleet {
    store: Embedded,
    nodes: u64,
    leases: Arc<GroupResource>,
    states: Arc<GroupResource>,
    events: Arc<GroupResource>,
    last: BTreeMap<(bool, u64), u64>,
}

impl Fleet {
    fn put(&self, resource: &Arc<GroupResource>, key: String, expect: Option<u64>, object: Object) -> Write {
        let expires = (resource == &self.events).then(|| clock() + LIFE);
        Write {
            resource: Arc::clone(resource),
            key,
            expect: expect.map_or(Expect::Absent, Expect::Revision),
            change: Change::Put { object, expires },
        }
    }

    /// Ten seconds.
    async fn step(&mut self, step: u64) {
        NOW.fetch_add(LEASE, Ordering::SeqCst);
        let mut writes = Vec::new();
        let mut renewed = Vec::new();
        for node in 0..self.nodes {
            let name = format!("node-{node:04}");
            let known = |lease| self.last.get(&(lease, node)).copied();
            // A Lease with its managedFields is about 800 bytes.
            let lease = object("Lease", "kube-node-lease", &name, 800);
            writes.push(self.put(
                &self.leases,
                format!("kube-node-lease/{name}"),
                known(true),
                lease,
            ));
            renewed.push(Some((true, node)));
            // Nodes do not act at the same moment.
            if (step + node).is_multiple_of(STATUS / LEASE) {
                // With fifty images a Node is about 12 KB.
                writes.push(self.put(
                    &self.states,
                    name.clone(),
                    known(false),
                    object("Node", "", &name, 12_000),
                ));
                renewed.push(Some((false, node)));
            }
            if (step + node).is_multiple_of(EVENT / LEASE) {
                let name = format!(
                    "{name}.{:016x}",
                    (step * self.nodes + node).wrapping_mul(0x9e37_79b9_7f4a_7c15)
                );
                let event = object("Event", "default", &name, 1000);
                writes.push(self.put(&self.events, format!("default/{name}"), None, event));
                renewed.push(None);
            }
        }
        let stored = futures::future::join_all(writes.into_iter().map(|write| self.store.write(write))).await;
        for (stored, renewed) in stored.into_iter().zip(renewed) {
            let revision = stored.unwrap().resource_version;
            if let Some(which) = renewed {
                self.last.insert(which, revision);
            }
        }
    }
}

/// The length of a file, and what it takes on the disk.
fn size(file: &Path) -> u64 {
    let metadata = file.metadata().unwrap();
    metadata.len().max(metadata.blocks() * 512)
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[test]
fn heartbeats_and_events_do_not_grow_the_file() {
    let hours: Option<u64> = std::env::var("KEELSON_STORE_HOURS").map_or(None, |hours| hours.parse().ok());
    let (nodes, seconds) = hours.map_or((50, 4 * 3600), |hours| (500, hours * 3600));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("store.redb");
    let options = Options {
        clock,
        ..Options::new(|_, _| BTreeMap::new())
    };
    let resource = |group: &str, plural: &str| Arc::new(GroupResource::new(group, plural));
    let mut fleet = Fleet {
        store: Embedded::open(dir.path(), &options).unwrap(),
        nodes,
        leases: resource("coordination.k8s.io", "leases"),
        states: resource("", "nodes"),
        events: resource("", "events"),
        last: BTreeMap::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let steps = seconds / LEASE;
    let began = Instant::now();
    let mut largest = 0;
    let mut at_half = 0;
    for step in 0..steps {
        runtime.block_on(fleet.step(step));
        largest = largest.max(size(&file));
        if step == steps / 2 {
            at_half = largest;
        }
        if hours.is_some() && step.is_multiple_of(2160) {
            println!("after {} hours: {:.1} MB", step / 360, megabytes(size(&file)));
        }
    }
    let live = fleet.store.count(&fleet.events) as u64;
    println!(
        "{nodes} nodes, {} hours, {} writes in {:.0} s: at most {:.1} MB on disk, {:.1} MB at half time; {live} events live",
        seconds / 3600,
        fleet.store.revision() - 1,
        began.elapsed().as_secs_f64(),
        megabytes(largest),
        megabytes(at_half),
    );
    // Those of an hour, and of the last step or two.
    let hour = nodes * LIFE / EVENT;
    assert!(
        (hour..hour + 3 * nodes).contains(&live),
        "{live} events, {hour} an hour"
    );
    assert!(largest <= PROMISE * nodes / 500, "{:.1} MB", megabytes(largest));
    // It has come to its size in the first half, most of which is longer than an Event lives.
    assert!(
        largest <= at_half + at_half / 10,
        "it grows: {at_half} to {largest}"
    );
    let (count, leases) = (fleet.store.revision(), fleet.store.count(&fleet.leases));
    drop(fleet);
    let again = Embedded::open(dir.path(), &options).unwrap();
    // Some Events may have expired in between.
    assert!(again.revision() >= count);
    assert_eq!(again.count(&resource("coordination.k8s.io", "leases")), leases);
}
