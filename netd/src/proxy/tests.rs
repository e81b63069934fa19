//! The thread: what it does after a failure, and that its end is told.

use super::*;
use crate::lab::{config, on_node};
use crate::nft::{self, Batch, Family};
use crate::settings::Settings as Configured;

/// So that a test fails instead of standing still.
const LIMIT: Duration = Duration::from_secs(30);

fn worker(loaded: watch::Sender<bool>) -> Worker {
    let config = config(std::path::Path::new("/nonexistent"));
    let settings = table_settings(&Configured::new(&config).unwrap());
    Worker::new(settings, Arc::default(), loaded).unwrap()
}

#[test]
fn tables_that_the_kernel_refused_are_loaded_again_without_an_event() {
    on_node(|| async {
        let loaded = watch::Sender::new(false);
        let mut worker = worker(loaded.clone());
        // A table of this name that nobody else may change.
        let mut owner = nft::open().unwrap();
        let mut batch = Batch::new(&nft::services_table(&worker.settings.id), Family::V4);
        batch.own_table();
        batch.commit(&mut owner).unwrap();
        let nothing = HashSet::new;
        worker.handle([Event::ServicesListed(nothing()), Event::SlicesListed(nothing())].into_iter());
        assert!(!*loaded.borrow());
        // The table goes with its owner.
        drop(owner);
        let (_events, queue) = mpsc::channel(1);
        let _ended = worker.start(queue).unwrap();
        let mut seen = loaded.subscribe();
        let outcome = tokio::time::timeout(LIMIT, seen.wait_for(|loaded| *loaded)).await;
        outcome.expect("it waits for an event").unwrap();
    });
}

#[test]
fn its_end_is_told() {
    on_node(|| async {
        let (events, queue) = mpsc::channel(1);
        let ended = worker(watch::Sender::new(false)).start(queue).unwrap();
        drop(events);
        let outcome = tokio::time::timeout(LIMIT, ended).await;
        outcome.expect("it is not told").unwrap_err();
    });
}
