//! Reads that must not miss what another server has acknowledged.
//!
//! etcd tells its revision (one linearizable read for all who ask at once), and the index waits until its watch has
//! brought it there. A revision that changed none of our keys would never come; then one of ours is touched.
//!
//! Upstream asks the watch for its progress instead. Before 3.4.25 and 3.5.8 etcd's answer may overtake events
//! (etcd issue 15220), and Debian 12 has 3.4.23; an event cannot overtake another one.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::failure::Failure;
use super::proto::{Op, PutRequest, RangeRequest, TxnRequest};
use super::{Core, PATIENCE, lag};
use crate::store::StoreError;

/// The key that is touched.
pub fn progress_key(core: &Core) -> Vec<u8> {
    core.layout.own("progress")
}

/// A change of that key.
pub fn touch(core: &Core) -> Op {
    Op::Put(PutRequest {
        key: progress_key(core),
        value: Bytes::new(),
        lease: 0,
    })
}

/// Serves barriers: all that have come while one was being served share the next.
pub async fn run(
    core: Arc<Core>,
    mut queue: mpsc::UnboundedReceiver<oneshot::Sender<Result<(), StoreError>>>,
) {
    while let Some(first) = queue.recv().await {
        let mut waiting = vec![first];
        while let Ok(next) = queue.try_recv() {
            waiting.push(next);
        }
        let result = catch_up(&core).await;
        for reply in waiting {
            // Who has gone away does not wait any more.
            drop(reply.send(result.clone()));
        }
    }
}

/// Waits until the index has seen what etcd has now.
pub async fn catch_up(core: &Core) -> Result<(), StoreError> {
    let seen = *core.seen.borrow();
    let current = current(core)
        .await
        .map_err(|error| StoreError::Unreachable(error.to_string()))?;
    if current < seen {
        core.fail(&format!("it is at revision {current}, and {seen} had been there"));
    }
    if let Some(why) = core.failed.borrow().clone() {
        return Err(StoreError::Failed(why));
    }
    if await_revision(core, current).await {
        return Ok(());
    }
    let seen = *core.seen.borrow();
    Err(StoreError::Unreachable(format!(
        "it is at revision {current}, and only those up to {seen} have come"
    )))
}

/// Waits until the index has seen a revision that etcd has told, which need not have changed any of our keys.
pub async fn await_revision(core: &Core, revision: u64) -> bool {
    let usual = if core.strangers.are_about() {
        core.lag.beside_strangers()
    } else {
        lag::USUAL
    };
    if core.wait(revision, usual).await {
        return true;
    }
    let came = Instant::now();
    let has_come = || *core.seen.borrow() >= revision;
    // Who touches the key may be held up for long, and what is waited for comes all the same.
    let mut last_failure = tokio::select! {
        biased;
        seen = core.wait(revision, PATIENCE) => return seen,
        last_failure = core.touching.lock() => last_failure,
    };
    // Who has waited for another's touch has what it brought, or fails as it did: etcd without a majority would let each
    // wait as long, one after the other.
    if has_come() {
        return true;
    }
    if last_failure.is_some_and(|at| at >= came) {
        return false;
    }
    let seen = touched(core, revision).await || has_come();
    if !seen {
        *last_failure = Some(Instant::now());
        core.behind.notify_one();
    }
    seen
}

/// Touches our key, and waits until what that has brought is there, for all who want to know meanwhile.
async fn touched(core: &Core, revision: u64) -> bool {
    let request = TxnRequest {
        success: vec![touch(core).into()],
        ..TxnRequest::default()
    };
    let own = match core.client.txn(request).await {
        Ok(answer) => answer.header.map_or(0, |header| header.revision as u64),
        // It may have been carried out all the same.
        Err(error) => {
            tracing::debug!(%error, "the progress key cannot be written");
            return core.wait(revision, PATIENCE).await;
        }
    };
    core.wait_for_own(own.max(revision)).await
}

/// etcd's revision: every write that was acknowledged before has this or a lower one.
pub async fn current(core: &Core) -> Result<u64, Failure> {
    let request = RangeRequest {
        key: progress_key(core),
        ..RangeRequest::default()
    };
    let answer = core.client.glance(request).await?;
    Ok(answer.header.map_or(0, |header| header.revision as u64))
}
