//! Turns: decisions that look at many objects and must hold when one more is written, as a quota does.
//!
//! A matter is a key, changed in the same transaction as what was decided in it; the transaction fails if another server has
//! changed it since the turn was taken. Who has a turn has waited for the index to see everything that was stored before,
//! so it decides on what is there. On one server, turns in a matter come one after the other.
//!
//! Upstream swaps the used amounts in the quota's status instead, before the object is written. What fails to be written then
//! stays counted until a controller counts again, and that may itself count before what was admitted is there. Here
//! nothing is kept that could be wrong.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::proto::{Compare, Op, PutRequest, RangeRequest};
use super::{Core, barrier};
use crate::store::StoreError;

/// Matters that have one key. A matter's own would stay for ever; two that share a key wait for each other at most.
const KEYS: usize = 256;
/// How long a request waits for those before it.
const QUEUE: Duration = Duration::from_secs(10);

/// The keys, as this server's requests wait for them.
#[derive(Debug)]
pub struct Turns(Vec<Arc<Mutex<()>>>);

impl Default for Turns {
    fn default() -> Self {
        Self((0..KEYS).map(|_| Arc::default()).collect())
    }
}

/// A turn. It ends with its write, or when it is dropped.
#[derive(Debug)]
pub struct Turn {
    key: Vec<u8>,
    /// Of the key's last change; 0 if it is absent.
    revision: i64,
    _alone: OwnedMutexGuard<()>,
}

impl Turn {
    /// What must hold.
    pub fn condition(&self) -> Compare {
        Compare::changed_at(&self.key, self.revision)
    }

    /// What is done.
    pub fn operation(&self) -> Op {
        Op::Put(PutRequest {
            key: self.key.clone(),
            value: Bytes::new(),
            lease: 0,
        })
    }
}

/// Waits for a turn, and for the index to see what was stored before.
pub async fn take(core: &Core, matter: &str) -> Result<Turn, StoreError> {
    let slot = slot(matter);
    let unreachable = |why: String| StoreError::Unreachable(why);
    let alone = tokio::time::timeout(QUEUE, Arc::clone(&core.turns.0[slot]).lock_owned())
        .await
        .map_err(|_| unreachable("the turns before this one do not end".to_owned()))?;
    let key = core.layout.own(&format!("turns/{slot:02x}"));
    let request = RangeRequest {
        key: key.clone(),
        ..RangeRequest::default()
    };
    let answer = core
        .client
        .glance(request)
        .await
        .map_err(|error| unreachable(error.to_string()))?;
    let now = answer.header.map_or(0, |header| header.revision as u64);
    if !barrier::await_revision(core, now).await {
        return Err(unreachable(format!("its changes up to {now} do not come")));
    }
    Ok(Turn {
        key,
        revision: answer.kvs.first().map_or(0, |pair| pair.mod_revision),
        _alone: alone,
    })
}

/// FNV-1a: servers of all versions must agree.
fn slot(matter: &str) -> usize {
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    matter.bytes().fold(0x811c_9dc5, step) as usize % KEYS
}
