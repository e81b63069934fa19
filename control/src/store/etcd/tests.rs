//! The store on a real etcd: what every store must do, and what is different when others write to it as well.

mod fake;
mod hangs;
mod panics;
mod racing;
mod replaced;
mod several;
mod slow;
mod strangers;
mod tls;

use proptest::test_runner::{Config, TestRunner};

use super::peer::Peer;
use super::*;
use crate::store::tests::both::{self, Subject};
use crate::store::tests::{configmaps, options, put, wait};
use crate::store::{Expect, StoreError};

/// The same store again and again.
pub struct OnEtcd {
    options: EtcdOptions,
}

impl OnEtcd {
    /// Keys below a prefix of its own.
    pub fn new(peer: &Peer, prefix: &str) -> Self {
        Self {
            options: settings(peer, prefix),
        }
    }
}

impl Subject for OnEtcd {
    type Store = Etcd;

    fn open(&mut self, store: &Options) -> Etcd {
        let options = EtcdOptions {
            store: store.clone(),
            ..self.options.clone()
        };
        wait(Etcd::open(options)).unwrap()
    }
}

pub fn settings(peer: &Peer, prefix: &str) -> EtcdOptions {
    EtcdOptions {
        servers: Servers {
            prefix: prefix.to_owned(),
            ..Servers::new(peer.urls())
        },
        store: options(),
        builtin: vec![GroupResource::new("", "configmaps")],
        // Every object claims what its data is.
        claims: |_, object| {
            let value = object.value();
            let claim = value["data"]["k"]
                .as_str()
                .filter(|text| text.starts_with("claim"));
            claim.map(str::to_owned).into_iter().collect()
        },
        compaction: None,
    }
}

pub fn open(peer: &Peer, prefix: &str) -> Etcd {
    wait(Etcd::open(settings(peer, prefix))).unwrap()
}

/// Waits until a store has caught up with what others have written.
pub fn catch_up(store: &Etcd) {
    wait(store.barrier().unwrap()).unwrap();
}

#[test]
fn behaves_like_a_map_with_history() {
    let Some(peer) = Peer::start(1) else { return };
    let number = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(Config {
        cases: 20,
        ..Config::default()
    });
    let done = runner.run(&both::steps(), |steps| {
        number.set(number.get() + 1);
        let prefix = format!("/case{}", number.get());
        both::follow_model(&mut OnEtcd::new(&peer, &prefix), steps)
    });
    done.unwrap();
}

#[test]
fn pages_are_of_one_state_and_history_is_bounded() {
    let Some(peer) = Peer::start(1) else { return };
    both::read_pages(&mut OnEtcd::new(&peer, Servers::PREFIX));
}

#[test]
fn objects_expire() {
    let Some(peer) = Peer::start(1) else { return };
    both::expire(&mut OnEtcd::new(&peer, Servers::PREFIX));
}

#[test]
fn many_writers_see_their_own_writes() {
    let Some(peer) = Peer::start(1) else { return };
    both::write_at_once(&mut OnEtcd::new(&peer, Servers::PREFIX));
}

#[test]
fn authorization_reads_what_can_be_decrypted() {
    let Some(peer) = Peer::start(1) else { return };
    both::read_beside_sealed(&mut OnEtcd::new(&peer, Servers::PREFIX));
}

#[test]
fn objects_that_expire_share_leases_and_go_together() {
    let Some(peer) = Peer::start(1) else { return };
    let store = open(&peer, Servers::PREFIX);
    let before = store.revision();
    let expires = crate::store::writer::now() + 10;
    let writes = (0..300).map(|number| {
        let mut write = put(("a", &format!("o{number}")), Expect::Absent, "1");
        if let crate::store::Change::Put { expires: at, .. } = &mut write.change {
            *at = Some(expires);
        }
        store.write(write)
    });
    for done in wait(futures::future::join_all(writes)) {
        done.unwrap();
    }
    let text = peer.ctl(&["get", "--prefix", "/registry/configmaps/", "--write-out", "json"]);
    let kept: serde_json::Value = serde_json::from_str(&text).unwrap();
    let pairs = kept["kvs"].as_array().unwrap();
    let leases: std::collections::BTreeSet<i64> =
        pairs.iter().map(|pair| pair["lease"].as_i64().unwrap()).collect();
    assert_eq!(pairs.len(), 300);
    assert!(leases.len() <= 3 && !leases.contains(&0), "{leases:?}");
    // They go in few revisions, and a watcher that takes a few events at a time misses none.
    let mut changed = store.subscribe(&configmaps());
    let (mut cursor, mut deleted) = (before, std::collections::BTreeSet::new());
    while deleted.len() < 300 {
        changed.borrow_and_update();
        let changes = store.changes(&configmaps(), cursor, 7).unwrap();
        for event in &changes.events {
            assert!(event.revision > cursor);
            if event.deleted {
                assert!(deleted.insert(event.object.name.clone()), "twice");
            }
        }
        cursor = changes.upto;
        if changes.events.is_empty() {
            wait(changed.changed()).unwrap();
        }
    }
    assert_eq!(store.count(&configmaps()), 0);
}

#[test]
fn objects_near_the_limit_are_stored_and_larger_ones_refused_as_such() {
    let Some(peer) = Peer::start(1) else { return };
    let (store, other) = (open(&peer, Servers::PREFIX), open(&peer, Servers::PREFIX));
    let before = store.revision();
    let write =
        |name: &str, bytes: usize| wait(store.write(put(("a", name), Expect::Absent, &"x".repeat(bytes))));
    let limit = 3 << 19;
    for number in 0..5 {
        write(&format!("large{number}"), limit - 2000).unwrap();
    }
    for bytes in [limit, limit + (1 << 19), 3 << 20] {
        let refused = write("larger", bytes);
        assert!(
            matches!(refused, Err(StoreError::TooLarge(_))),
            "{bytes}: {refused:?}"
        );
    }
    write("small", 10).unwrap();
    // Others are told of them, and who starts later loads them.
    let size = |store: &Etcd| {
        let changes = store.changes(&configmaps(), before, 100).unwrap();
        changes
            .events
            .iter()
            .map(|event| event.object.bytes.len())
            .sum::<usize>()
    };
    catch_up(&other);
    assert_eq!(size(&other), size(&store));
    assert!(size(&other) > 5 * (limit - 2000));
    assert_eq!(open(&peer, Servers::PREFIX).count(&configmaps()), 6);
}

#[test]
fn an_etcd_that_is_not_there_or_is_named_wrongly_is_one_clear_error() {
    let servers = |url: &str| Servers::new(vec![url.to_owned()]);
    for (url, expected) in [
        ("127.0.0.1:2379", "a URL with http or https is expected"),
        ("ftp://127.0.0.1:2379", "a URL with http or https is expected"),
        ("http://", "etcd server \"http://\""),
    ] {
        let error = Client::new(&servers(url)).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let error = Client::new(&Servers {
        ca_file: Some("/nowhere/ca.crt".into()),
        ..servers("https://127.0.0.1:1")
    });
    assert!(error.unwrap_err().contains("cannot read /nowhere/ca.crt"));
}
