//! Servers on etcd that break their promises, and an etcd that does.

use std::path::Path;

use super::stores::{WRONGS, assert_found, wrong_history};
use super::*;
use crate::driver::Random;
use crate::etcd::place;
use crate::faulty::Wrong;
use crate::peer::Peer;
use crate::record::Recorder;
use crate::record_to;
use std::sync::Arc;

/// As [`plan`], with fewer calls: each takes longer.
fn few(seed: u64) -> Plan {
    Plan {
        calls: 80,
        ..plan(seed)
    }
}

#[test]
#[ignore = "make unit-etcd"]
fn faulty_servers_are_found_out() {
    let Some(peer) = Peer::start(1) else { return };
    for (history, (wrong, expected)) in (0..).zip(WRONGS) {
        let place = place(&peer, history);
        let stores = vec![place.open(), place.open()];
        assert_found(&wrong_history(stores, wrong, 3), wrong, expected);
    }
    let place = place(&peer, 100);
    let sound = record(vec![place.open(), place.open()], few(3));
    assert_eq!(check(&sound), Ok(()));
}

/// A server that does not ask etcd before it reads is behind the others now and then: the barrier is what prevents that.
#[test]
#[ignore = "make unit-etcd"]
fn servers_that_do_not_ask_etcd_are_found_out() {
    let Some(peer) = Peer::start(1) else { return };
    let mut seeds = Random(5);
    let found = (0..20).find_map(|history| {
        let place = place(&peer, history);
        let stores = (0..3).map(|_| place.open()).collect();
        wrong_history(stores, Wrong::SkipsBarriers, seeds.next()).err()
    });
    assert!(matches!(found, Some(Fault::Stale(_))), "{found:?}");
}

/// Somebody puts an older copy of etcd's files in their place: what it had acknowledged since is gone, and its revisions
/// are given out again.
#[test]
#[ignore = "make unit-etcd"]
fn an_etcd_that_forgets_is_found_out() {
    let Some(mut peer) = Peer::start(1) else { return };
    let place = place(&peer, 1);
    let mut history = record(vec![place.open()], few(3));
    let copy = tempfile::tempdir().unwrap();
    peer.kill(0);
    copy_dir(&peer.data_dir(0), &copy.path().join("older"));
    peer.restart(0);
    let next = |number| {
        record_to(
            &Arc::new(Recorder::after(number)),
            vec![place.open()],
            few(number),
        )
    };
    history.append(next(1));
    assert_eq!(check(&history), Ok(()), "a kill alone makes it forget nothing");
    peer.kill(0);
    std::fs::remove_dir_all(peer.data_dir(0)).unwrap();
    copy_dir(&copy.path().join("older"), &peer.data_dir(0));
    peer.restart(0);
    history.append(next(2));
    let fault = check(&history);
    assert!(fault.is_err(), "{fault:?}");
}

/// What nobody of ours did.
#[test]
#[ignore = "make unit-etcd"]
fn changes_by_others_are_found_out() {
    let Some(peer) = Peer::start(1) else { return };
    let place = place(&peer, 1);
    let mut history = record(vec![place.open()], few(3));
    peer.ctl(&["del", "--prefix", "/history1/configmaps/"]);
    history.append(record_to(
        &Arc::new(Recorder::after(1)),
        vec![place.open()],
        few(4),
    ));
    let fault = check(&history);
    assert!(fault.is_err(), "{fault:?}");
}

fn copy_dir(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status();
    assert!(copied.unwrap().success());
}
