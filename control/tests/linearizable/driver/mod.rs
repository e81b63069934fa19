//! Random clients of any store, all at once, and what they were told.
//!
//! Several stores stand for several servers of one cluster: each call goes to one of them at random, and a watch goes on at
//! another one than where it began.

mod client;
mod tally;
mod watcher;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keelson_control::object::{GroupResource, Object};
use keelson_control::store::{Store, key_of};

use crate::history::Seen;
use crate::record::Recorder;
use client::Client;
pub use tally::{require, tally};
use watcher::Watcher;

/// Long enough for any machine.
pub const DRAIN: Duration = Duration::from_secs(20);

/// What to do.
#[derive(Clone)]
pub struct Plan {
    /// Chooses everything that is random.
    pub seed: u64,
    /// Clients that read and write.
    pub clients: usize,
    /// Calls of each.
    pub calls: usize,
    /// Watchers beside them.
    pub watchers: usize,
    /// How long watchers may take to see everything once nothing is written any more.
    pub drain: Duration,
}

/// Numbers that look random (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// One of some stores.
    fn of<'a>(&mut self, stores: &'a [Arc<dyn Store>]) -> &'a Arc<dyn Store> {
        &stores[self.below(stores.len() as u64) as usize]
    }
}

/// The resource that is used.
pub fn resource() -> Arc<GroupResource> {
    Arc::new(GroupResource::new("", "configmaps"))
}

/// Runs the plan to its end.
pub async fn run(stores: Vec<Arc<dyn Store>>, recorder: Arc<Recorder>, plan: Plan) {
    let done = Arc::new(AtomicBool::new(false));
    let mut random = Random(plan.seed);
    let watchers: Vec<_> = (0..plan.watchers)
        .map(|_| {
            let watcher = Watcher {
                stores: stores.clone(),
                recorder: Arc::clone(&recorder),
                random: Random(random.next()),
                done: Arc::clone(&done),
                drain: plan.drain,
            };
            tokio::spawn(watcher.run())
        })
        .collect();
    let clients: Vec<_> = (0..plan.clients)
        .map(|_| {
            let client = Client::new(stores.clone(), Arc::clone(&recorder), Random(random.next()));
            tokio::spawn(client.run(plan.calls))
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    for watcher in watchers {
        watcher.await.unwrap();
    }
}

/// Waits until reads of a store see all that was acknowledged before; false if it cannot be known.
async fn barrier(store: &Arc<dyn Store>) -> bool {
    match store.barrier() {
        Some(barrier) => barrier.await.is_ok(),
        None => true,
    }
}

fn key(object: &Object) -> String {
    key_of(&object.namespace, &object.name)
}

fn seen(object: &Object) -> Seen {
    let value = object.value();
    let revision = &value["metadata"]["resourceVersion"];
    assert_eq!(
        *revision,
        object.resource_version.to_string(),
        "the bytes say the same"
    );
    Seen {
        revision: object.resource_version,
        value: value["data"]["n"].as_str().unwrap().parse().unwrap(),
    }
}
