//! How many connections there are, and who has to go when there is no more room: those of whom nothing is known yet, and
//! those that somebody has beyond a share.
//!
//! A connection costs its peer nothing, so whoever opens thousands and says nothing must not keep others out. A peer becomes
//! known by a certificate or a token that is good, and then keeps its place; any other has to leave it to the next one. As
//! any token is good for that, no user's connections become known beyond a share, nor do those of all tenants beyond what
//! is left when nodes, administrators and the control plane's programs have theirs.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

use crate::auth::UserInfo;

/// Most connections at once.
const MOST: usize = 4096;
/// Most known connections of one user, or of what counts as one.
const MOST_OF_ONE: usize = MOST / 4;
/// Most known connections of all but those without whom the cluster does not work.
const MOST_OF_TENANTS: usize = MOST - MOST / 4;

/// Whether it is known who is at the other end of a connection, and so keeps its place.
type Known = Arc<AtomicBool>;

/// The place of a connection. Whatever outlives its HTTP, as an upgraded stream does, keeps a clone.
#[derive(Debug, Clone)]
pub struct Place(Arc<Taken>);

#[derive(Debug)]
struct Taken {
    known: Known,
    claim: OnceLock<Claim>,
    tally: Arc<Mutex<Tally>>,
    _permit: OwnedSemaphorePermit,
}

/// Whom a known connection counts for.
#[derive(Debug)]
struct Claim {
    tenant: String,
    vital: bool,
}

/// The known connections.
#[derive(Debug, Default)]
struct Tally {
    of: HashMap<String, usize>,
    tenants: usize,
}

impl Place {
    /// Somebody has shown good credentials. Whether the connection keeps its place.
    pub fn claim(&self, user: &UserInfo) -> bool {
        self.0.known.load(Ordering::Relaxed) || self.claim_as(user.tenant(), user.is_vital())
    }

    /// As [`Self::claim`], of one of those without whom the cluster does not work.
    pub fn claim_vital(&self, name: &str) -> bool {
        self.claim_as(name.to_owned(), true)
    }

    fn claim_as(&self, tenant: String, vital: bool) -> bool {
        let mut tally = self.0.tally.lock().unwrap_or_else(PoisonError::into_inner);
        if self.0.claim.get().is_some() {
            return true;
        }
        let own = tally.of.get(&tenant).copied().unwrap_or(0);
        if own >= MOST_OF_ONE || !vital && tally.tenants >= MOST_OF_TENANTS {
            return false;
        }
        tally.of.insert(tenant.clone(), own + 1);
        tally.tenants += usize::from(!vital);
        // Nobody else sets it: the tally is locked.
        drop(self.0.claim.set(Claim { tenant, vital }));
        self.0.known.store(true, Ordering::Relaxed);
        true
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let Some(claim) = self.claim.get() else { return };
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.tenants -= usize::from(!claim.vital);
        if let Some(own) = tally.of.get_mut(&claim.tenant) {
            *own -= 1;
            if *own == 0 {
                tally.of.remove(&claim.tenant);
            }
        }
    }
}

/// A connection that has just come, without its place.
#[derive(Debug)]
pub struct Stranger(Known);

/// All connections of a listener.
#[derive(Debug)]
pub struct Connections {
    room: Arc<Semaphore>,
    tally: Arc<Mutex<Tally>>,
    /// In the order in which they came; some have become known or are gone.
    strangers: Mutex<VecDeque<(Known, AbortHandle)>>,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            room: Arc::new(Semaphore::new(MOST)),
            tally: Arc::default(),
            strangers: Mutex::default(),
        }
    }
}

impl Connections {
    /// Room for one more. If there is none, the stranger who came first has to go; if all are known, waits.
    pub async fn enter(&self) -> Option<Place> {
        let room = Arc::clone(&self.room);
        let place = |permit| {
            Place(Arc::new(Taken {
                known: Arc::default(),
                claim: OnceLock::new(),
                tally: Arc::clone(&self.tally),
                _permit: permit,
            }))
        };
        if let Ok(permit) = Arc::clone(&room).try_acquire_owned() {
            return Some(place(permit));
        }
        self.show_out();
        room.acquire_owned().await.ok().map(place)
    }

    /// What is to be [added](Self::add) of a connection.
    pub fn stranger(place: &Place) -> Stranger {
        Stranger(Arc::clone(&place.0.known))
    }

    /// Takes note of a connection's task.
    pub fn add(&self, stranger: Stranger, task: AbortHandle) {
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        if strangers.len() >= 2 * MOST {
            strangers.retain(|(known, task)| !known.load(Ordering::Relaxed) && !task.is_finished());
        }
        strangers.push_back((stranger.0, task));
    }

    fn show_out(&self) {
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((known, task)) = strangers.pop_front() {
            if !known.load(Ordering::Relaxed) && !task.is_finished() {
                return task.abort();
            }
        }
    }

    /// Waits until all have ended, but not longer than this.
    pub async fn ended(&self, linger: Duration) {
        let all = self.room.acquire_many(MOST as u32);
        drop(tokio::time::timeout(linger, all).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserInfo {
        UserInfo {
            name: name.to_owned(),
            ..UserInfo::default()
        }
    }

    async fn enter(connections: &Connections) -> (Place, tokio::task::JoinHandle<()>) {
        let place = connections.enter().await.unwrap();
        let held = place.clone();
        let task = tokio::spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        connections.add(Connections::stranger(&place), task.abort_handle());
        (place, task)
    }

    #[tokio::test]
    async fn nobody_takes_more_than_a_share_from_others() {
        let connections = Connections::default();
        let mut kept = 0;
        let mut tasks = Vec::new();
        for n in 0..MOST {
            let (place, task) = enter(&connections).await;
            // Service accounts of one namespace are one.
            kept += usize::from(place.claim(&user(&format!("system:serviceaccount:a:x{n}"))));
            tasks.push(task);
        }
        assert_eq!(kept, MOST_OF_ONE);
        // Others come in all the same, and stay.
        let mut others = Vec::new();
        for n in 0..100 {
            let (place, task) = enter(&connections).await;
            assert!(place.claim(&user(&format!("u{n}"))));
            others.push(task);
        }
        assert_eq!(tasks.iter().filter(|task| task.is_finished()).count(), 100);
        assert!(others.iter().all(|task| !task.is_finished()));
        assert!(
            tasks[..MOST_OF_ONE].iter().all(|task| !task.is_finished()),
            "its share"
        );
    }

    #[tokio::test]
    async fn tenants_together_leave_room_for_the_cluster() {
        let connections = Connections::default();
        let mut places = Vec::new();
        for n in 0..MOST {
            let (place, task) = enter(&connections).await;
            let kept = place.claim(&user(&format!("u{}", n % 5)));
            assert_eq!(kept, n < MOST_OF_TENANTS, "{n}");
            places.push((place, task));
        }
        let node = UserInfo {
            groups: vec!["system:nodes".to_owned()],
            ..user("system:node:n")
        };
        let (last, _) = places.last().unwrap();
        assert!(last.claim(&node) && last.claim(&node));
        for (place, task) in places {
            task.abort();
            drop(place);
        }
        connections.ended(Duration::from_mins(1)).await;
        let tally = connections.tally.lock().unwrap();
        assert!(tally.of.is_empty() && tally.tenants == 0, "{tally:?}");
    }
}
