//! Turns for requests that a quota counts, where several servers share a store.

use std::sync::Arc;
use std::time::Duration;

use crate::admission::Request;
use crate::object::Object;
use crate::server::call::Call;
use crate::store::{StoreError, Turn, Write};

/// How often a request is tried again because other servers were faster. One of those that contend always gets through.
pub const TRIES: usize = 64;

/// Whether the objects of this call's namespace are limited, and somebody else might write some.
pub fn may_need(call: &Call) -> bool {
    call.api.store.is_shared() && call.api.chain.has_quota(call.namespace())
}

/// Waits for a turn in the namespace, if the request needs one.
pub async fn take(call: &Call, request: &Request<'_>) -> Result<Option<Turn>, StoreError> {
    let (store, chain) = (&call.api.store, &call.api.chain);
    if request.dry_run || !store.is_shared() || !chain.is_limited(request) {
        return Ok(None);
    }
    match store.turn(request.namespace) {
        Some(turn) => turn.await.map(Some),
        None => Ok(None),
    }
}

/// Between two tries: at once at first, then after a random time, so that who is farther from the store gets in between.
pub async fn pause(call: &Call, tries: usize) {
    if tries > 2 {
        let most = 1 << tries.min(7);
        let time = u64::from(call.api.random_below(most)) + 1;
        tokio::time::sleep(Duration::from_millis(time)).await;
    }
}

/// Writes, in the turn if there is one.
pub async fn write(call: &Call, write: Write, turn: Option<Turn>) -> Result<Arc<Object>, StoreError> {
    match turn {
        Some(turn) => call.api.store.write_in_turn(write, turn).await,
        None => call.api.store.write(write).await,
    }
}
