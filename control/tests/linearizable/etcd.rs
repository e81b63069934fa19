//! The same on a real etcd, with several servers on it, of which any may be killed, and so may members of etcd.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::crash::{KILLED, Life, last};
use crate::driver::{DRAIN, Plan, Random, require};
use crate::history::History;
use crate::peer::Peer;
use crate::place::Place;
use crate::{ALL, assert_sound, duration, record, seed};

/// The part of an etcd that one history has for itself.
pub fn place(peer: &Peer, history: u64) -> Place {
    Place::Etcd(peer.urls(), format!("/history{history}"))
}

#[test]
#[ignore = "make unit-etcd"]
fn three_servers_are_linearizable_while_members_die() {
    let Some(mut peer) = Peer::start(3) else { return };
    let mut seeds = Random(seed());
    let began = Instant::now();
    let (mut runs, mut kills) = (0, 0);
    let mut total = BTreeMap::new();
    while runs < 2 || began.elapsed() < duration() {
        let seed = seeds.next();
        let mut choice = Random(seed);
        let place = place(&peer, runs);
        let stores = (0..3).map(|_| place.open_with(if runs % 2 == 0 { 10_000 } else { 40 }));
        let stores = stores.collect();
        let plan = Plan {
            seed,
            clients: 6 + runs as usize % 5,
            calls: 250,
            watchers: 3,
            drain: DRAIN,
        };
        let history = std::thread::scope(|scope| {
            let clients = scope.spawn(|| record(stores, plan));
            // Here, because members end with the thread that started them.
            std::thread::sleep(Duration::from_millis(200 + choice.below(500)));
            while !clients.is_finished() {
                let member = match choice.below(3) {
                    0 => choice.below(3) as usize,
                    _ => peer.leader().unwrap_or(0),
                };
                peer.kill(member);
                kills += 1;
                std::thread::sleep(Duration::from_millis(choice.below(400)));
                peer.restart(member);
                std::thread::sleep(Duration::from_millis(500 + choice.below(1000)));
            }
            clients.join().unwrap()
        });
        for (what, count) in assert_sound(seed, &history) {
            *total.entry(what).or_insert(0) += count;
        }
        runs += 1;
    }
    println!("{runs} histories, {kills} kills: {total:?}");
    assert!(kills > 0, "nothing was killed");
    require(&total, &ALL);
}

#[test]
#[ignore = "make unit-etcd"]
fn what_was_promised_before_a_kill_of_server_or_etcd_holds_after_it() {
    const ROUNDS: u64 = 5;
    let Some(mut peer) = Peer::start(1) else { return };
    let mut seeds = Random(seed());
    let began = Instant::now();
    let mut runs = 0;
    while runs < 1 || began.elapsed() < duration() {
        let seed = seeds.next();
        let mut choice = Random(seed);
        let place = place(&peer, runs);
        let mut history = History::default();
        for round in 0..ROUNDS {
            // Two servers; etcd dies while they work, then the one, then the other.
            let mut pause = |most| std::thread::sleep(Duration::from_millis(choice.below(most)));
            let (one, other) = (seeds.next(), seeds.next());
            let one = Life::begin(&place, 2 * round + 1, one);
            pause(300);
            let other = Life::begin(&place, 2 * round + 2, other);
            std::thread::sleep(Duration::from_millis(300));
            pause(500);
            peer.kill(0);
            pause(200);
            peer.restart(0);
            pause(800);
            history.append(one.end());
            pause(300);
            history.append(other.end());
        }
        history.append(last(&place, 2 * ROUNDS + 1, seed));
        let tally = assert_sound(seed, &history);
        println!("seed {seed}: {tally:?}");
        require(&tally, &KILLED);
        runs += 1;
    }
}
