//! Leases of objects that expire. Many objects share one, as with kube-apiserver: a lease for each would cost etcd more
//! than the object.

use std::time::{Duration, Instant};

use super::Core;
use super::failure::Failure;
use crate::store::writer::now;

/// Most objects of a lease: they are deleted in one revision.
const MOST: usize = 1000;
/// How much longer than asked for an object may live, so that the next ones can share its lease: at most this, and at most
/// a twentieth of its life (upstream's figures).
const SLACK: u64 = 60;

/// The lease that is given out.
#[derive(Debug, Default)]
pub struct Leases {
    current: Option<Lease>,
}

#[derive(Debug, Clone, Copy)]
struct Lease {
    id: i64,
    /// When it ends, by the clock that does not jump.
    ends: Instant,
    objects: usize,
}

impl Leases {
    /// The current lease, if an object that is to live so long can have it.
    fn share(&mut self, life: Duration, slack: Duration) -> Option<i64> {
        let wanted = Instant::now() + life;
        let lease = self.current.as_mut()?;
        if lease.objects >= MOST || lease.ends < wanted || lease.ends > wanted + slack {
            return None;
        }
        lease.objects += 1;
        Some(lease.id)
    }
}

/// A lease for an object that expires at that Unix time in seconds.
pub async fn until(core: &Core, expires: u64) -> Result<i64, Failure> {
    let life = expires.saturating_sub(now()).max(1);
    let slack = SLACK.min(life / 20).max(1);
    let mut leases = core.leases.lock().await;
    if let Some(id) = leases.share(Duration::from_secs(life), Duration::from_secs(slack)) {
        return Ok(id);
    }
    let asked = Instant::now();
    let granted = core.client.grant((life + slack) as i64).await?;
    if granted.id == 0 || !granted.error.is_empty() {
        return Err(Failure::NotSent(format!("no lease: {}", granted.error)));
    }
    leases.current = Some(Lease {
        id: granted.id,
        ends: asked + Duration::from_secs(granted.ttl.max(0) as u64),
        objects: 1,
    });
    Ok(granted.id)
}

/// Lets go of a lease that etcd does not know any more.
pub async fn forget(core: &Core, id: i64) {
    let mut leases = core.leases.lock().await;
    if leases.current.is_some_and(|lease| lease.id == id) {
        leases.current = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_shared_while_it_fits() {
        let mut leases = Leases::default();
        let hour = Duration::from_hours(1);
        let slack = Duration::from_mins(1);
        assert_eq!(leases.share(hour, slack), None);
        leases.current = Some(Lease {
            id: 7,
            ends: Instant::now() + hour + slack,
            objects: MOST - 2,
        });
        assert_eq!(leases.share(hour * 2, slack), None, "it would end too early");
        assert_eq!(leases.share(hour / 2, slack), None, "it would end too late");
        assert_eq!(leases.share(hour, slack * 2), Some(7));
        assert_eq!(leases.share(hour, slack * 2), Some(7));
        assert_eq!(leases.share(hour, slack * 2), None, "it is full");
    }
}
