//! The node's pod ranges: which are wanted, and which are in force.

use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use crate::cidr::Cidr;
use crate::cidr_cache;

/// The ranges in force, or why none are for certain.
pub(crate) type InForce = Result<Vec<Cidr>, String>;

/// Between attempts: what stands in the way (a device or an address of somebody else, memory) does not say when it goes.
const PAUSE: Duration = Duration::from_secs(1);

/// Puts the pod ranges in force, and on disk, when the Node object says them for the first time, or others: tries until
/// it succeeds or newer ones are wanted.
pub(crate) async fn follow<F, E>(
    mut wanted: watch::Receiver<Vec<Cidr>>,
    in_force: &watch::Sender<InForce>,
    state_dir: &Path,
    apply: impl Fn(Vec<Cidr>) -> F,
) where
    F: Future<Output = Result<(), E>>,
    E: std::fmt::Display,
{
    let say = |now: InForce| drop(in_force.send_replace(now));
    while wanted.changed().await.is_ok() {
        let ranges = wanted.borrow_and_update().clone();
        info!(?ranges, "pod CIDRs of this node");
        if let Err(error) = cidr_cache::save(state_dir, &ranges) {
            warn!(%error, "could not remember the pod CIDRs");
        }
        say(Err("other pod CIDRs are being put in force".into()));
        loop {
            let Err(error) = apply(ranges.clone()).await else {
                say(Ok(ranges));
                break;
            };
            warn!(%error, "could not bring up the pod network, trying again");
            say(Err(error.to_string()));
            tokio::time::sleep(PAUSE).await;
            if wanted.has_changed().unwrap_or(true) {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn ranges(text: &str) -> Vec<Cidr> {
        vec![text.parse().unwrap()]
    }

    /// Follows until these are in force.
    async fn until(in_force: &watch::Sender<InForce>, ranges: &Vec<Cidr>, follow: impl Future<Output = ()>) {
        let mut seen = in_force.subscribe();
        let there = async {
            drop(seen.wait_for(|now| now.as_ref() == Ok(ranges)).await.unwrap());
        };
        tokio::select! {
            () = follow => panic!("it gave up"),
            () = there => {}
            // Only so that the test fails instead of standing still.
            () = tokio::time::sleep(Duration::from_secs(30)) => panic!("{ranges:?} are not put in force"),
        }
    }

    #[tokio::test]
    async fn a_failure_is_said_and_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (ranges("10.42.0.0/24"), ranges("10.42.1.0/24"));
        let wanted = watch::Sender::new(old.clone());
        let in_force = watch::Sender::new(Ok(old.clone()));
        let said = RefCell::new(Vec::new());
        let apply = |ranges: Vec<Cidr>| {
            said.borrow_mut().push(in_force.borrow().clone());
            assert_eq!(ranges, new);
            let attempts = said.borrow().len();
            std::future::ready(if attempts < 3 { Err("in the way") } else { Ok(()) })
        };
        let follow = follow(wanted.subscribe(), &in_force, dir.path(), apply);
        wanted.send_replace(new.clone());
        until(&in_force, &new, follow).await;
        let said = said.borrow();
        assert!(said[0].is_err(), "the old ones are not in force any more");
        let reason = Err("in the way".to_owned());
        assert_eq!(said[1..], [reason.clone(), reason]);
        assert_eq!(cidr_cache::load(dir.path()), new);
    }

    #[tokio::test]
    async fn newer_ranges_take_the_place_of_those_that_fail() {
        let dir = tempfile::tempdir().unwrap();
        let (bad, good) = (ranges("10.42.1.0/24"), ranges("10.42.2.0/24"));
        let wanted = watch::Sender::new(Vec::new());
        let in_force = watch::Sender::new(Ok(Vec::new()));
        let apply = |ranges: Vec<Cidr>| {
            let is_bad = ranges == bad;
            if is_bad {
                wanted.send_replace(good.clone());
            }
            std::future::ready(if is_bad { Err("in the way") } else { Ok(()) })
        };
        let follow = follow(wanted.subscribe(), &in_force, dir.path(), apply);
        wanted.send_replace(bad.clone());
        until(&in_force, &good, follow).await;
    }
}
