//! A write: a transaction that compares the revision of the key's last change.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use super::failure::Failure;
use super::proto::{Compare, DeleteRangeRequest, KeyValue, Op, PutRequest, RangeRequest, TxnRequest};
use super::{Core, PATIENCE, Turn, claims, lease, load};
use crate::encryption::{SealError, path_of};
use crate::object::Object;
use crate::store::{Change, Expect, StoreError, Write, splice};

/// How often a write is tried with a new lease.
const TRIES: usize = 3;

/// Carries out a write. When it returns, the index has seen it, or what made it fail.
pub async fn run(core: &Core, write: Write, turn: Option<Turn>) -> Result<Arc<Object>, StoreError> {
    if matches!((write.expect, &write.change), (Expect::Absent, Change::Delete)) {
        return Err(StoreError::NotFound);
    }
    let key = core.layout.key(&write.resource, &write.key);
    let claims = claims(core, &write).await;
    for _ in 0..TRIES {
        let lease = match &write.change {
            Change::Put {
                expires: Some(at), ..
            } => lease::until(core, *at).await.map_err(not_stored)?,
            _ => 0,
        };
        let request = transaction(core, &key, &write, lease, &claims, turn.as_ref())
            .map_err(|error| StoreError::Failed(error.to_string()))?;
        let seen = *core.seen.borrow();
        if let Some(why) = core.failed.borrow().clone() {
            return Err(StoreError::Failed(why));
        }
        let answer = match core.client.txn(request).await {
            Ok(answer) => answer,
            // The lease has ended meanwhile, or etcd has lost it.
            Err(Failure::Refused(tonic::Code::NotFound, _)) if lease != 0 => {
                lease::forget(core, lease).await;
                continue;
            }
            Err(error) => return Err(failed(error)),
        };
        let revision = answer.header.as_ref().map_or(0, |header| header.revision as u64);
        // A change comes after everything that was seen before it was asked for, and so does a refusal, or at the same time:
        // if not, this is another etcd, whose watch has only not been begun yet.
        if revision < seen || (answer.succeeded && revision == seen) {
            return Err(StoreError::Failed(core.fail(&format!(
                "a write was answered at revision {revision}, and {seen} had been there"
            ))));
        }
        let mut results = answer.responses.into_iter();
        if answer.succeeded {
            let deleted = results
                .next()
                .and_then(|result| result.deleted?.prev_kvs.into_iter().next());
            // It is durable; whether our own watch has brought it is of no concern to who wrote it.
            if !core.wait_for_own(revision).await {
                core.behind.notify_one();
            }
            return stored(core, write, revision, deleted);
        }
        let current = results
            .next()
            .and_then(|result| result.range?.kvs.into_iter().next());
        return Err(refused(core, &write, &claims, turn.is_some(), current, revision).await);
    }
    Err(StoreError::Unreachable("etcd loses its leases".to_owned()))
}

/// What changes hands. The object that is replaced must be known; if it is not the one that the write expects, the write
/// will be refused anyway.
async fn claims(core: &Core, write: &Write) -> claims::Change {
    let old = match write.expect {
        Expect::Absent => None,
        Expect::Revision(revision) => {
            core.wait(revision, PATIENCE).await;
            core.cache
                .read()
                .get(&write.resource, &write.key)
                .filter(|object| object.resource_version == revision)
                .cloned()
        }
    };
    let new = match &write.change {
        Change::Put { object, .. } => Some(object),
        Change::Delete => None,
    };
    claims::Change::between(core, &write.resource, old.as_deref(), new)
}

fn transaction(
    core: &Core,
    key: &[u8],
    write: &Write,
    lease: i64,
    claims: &claims::Change,
    turn: Option<&Turn>,
) -> Result<TxnRequest, SealError> {
    let expected = match write.expect {
        // etcd's way to say that the key is absent; no object has this revision.
        Expect::Absent => 0,
        Expect::Revision(0) => -1,
        Expect::Revision(revision) => revision as i64,
    };
    let op = match &write.change {
        Change::Put { object, .. } => Op::Put(PutRequest {
            key: key.to_vec(),
            value: sealed(core, write, &object.bytes)?,
            lease,
        }),
        Change::Delete => Op::Delete(DeleteRangeRequest {
            key: key.to_vec(),
            prev_kv: true,
        }),
    };
    let mut compare = vec![Compare::changed_at(key, expected)];
    compare.extend(claims.conditions(core));
    compare.extend(turn.map(Turn::condition));
    let mut success = vec![op.into()];
    success.extend(claims.operations(core, write.key.as_bytes()).map(Into::into));
    success.extend(turn.map(|turn| turn.operation().into()));
    Ok(TxnRequest {
        compare,
        success,
        failure: vec![
            Op::Range(RangeRequest {
                key: key.to_vec(),
                ..RangeRequest::default()
            })
            .into(),
        ],
    })
}

/// An object's bytes as etcd gets them.
fn sealed(core: &Core, write: &Write, bytes: &Bytes) -> Result<Bytes, SealError> {
    let path = path_of(&write.resource, &write.key);
    let sealed = core
        .cache
        .sealed()
        .encryption()
        .seal(&write.resource, &path, bytes)?;
    Ok(match sealed {
        Cow::Borrowed(plain) => bytes.slice_ref(plain),
        Cow::Owned(sealed) => sealed.into(),
    })
}

/// The object as it was stored, or of a deletion its last state.
fn stored(
    core: &Core,
    write: Write,
    revision: u64,
    deleted: Option<KeyValue>,
) -> Result<Arc<Object>, StoreError> {
    let mut object = match write.change {
        Change::Put { object, .. } => {
            // The index has it already, most likely.
            let shared = core.cache.read().get(&write.resource, &write.key).cloned();
            if let Some(shared) = shared.filter(|shared| shared.resource_version == revision) {
                return Ok(shared);
            }
            object
        }
        Change::Delete => deleted
            .and_then(|pair| load::decode(core, &write.resource, &pair).ok())
            .map(|decoded| decoded.object)
            .ok_or_else(|| StoreError::Failed("the object that was deleted cannot be read".to_owned()))?,
    };
    object.bytes = splice(&object.bytes, revision)
        .ok_or_else(|| StoreError::Failed("the object was not encoded by the server".to_owned()))?;
    object.resource_version = revision;
    Ok(Arc::new(object))
}

/// Why the transaction was refused. The index is to have seen the reason, or the caller would try the same again.
async fn refused(
    core: &Core,
    write: &Write,
    claims: &claims::Change,
    in_turn: bool,
    current: Option<KeyValue>,
    now: u64,
) -> StoreError {
    let seen = current.as_ref().map_or(now, |pair| pair.mod_revision as u64);
    match (write.expect, current) {
        (Expect::Absent, Some(_)) => {
            core.wait(seen, PATIENCE).await;
            StoreError::Exists
        }
        (Expect::Revision(expected), Some(pair)) if pair.mod_revision as u64 != expected => {
            core.wait(seen, PATIENCE).await;
            match load::decode(core, &write.resource, &pair) {
                Ok(decoded) => StoreError::Conflict(Arc::new(decoded.object)),
                Err(why) => StoreError::Unreadable(why),
            }
        }
        (Expect::Revision(_), None) => {
            // A deletion; its revision is not told, but it is not above the current one.
            super::barrier::await_revision(core, now).await;
            StoreError::NotFound
        }
        // Or what it claims is taken, which the next try will show.
        _ if in_turn => StoreError::Overtaken,
        _ => {
            super::barrier::await_revision(core, now).await;
            StoreError::Taken(claims.names())
        }
    }
}

/// A request that only prepared the write.
fn not_stored(error: Failure) -> StoreError {
    match error {
        Failure::Refused(tonic::Code::ResourceExhausted, why) => StoreError::Full(why),
        error => StoreError::Unreachable(error.to_string()),
    }
}

fn failed(error: Failure) -> StoreError {
    match error {
        Failure::NotSent(why) => StoreError::Unreachable(why),
        // etcd's limit (--max-request-bytes, usually 1.5 MiB), and that of messages half a MiB above it.
        Failure::Refused(tonic::Code::InvalidArgument, why) if why.contains("request is too large") => {
            StoreError::TooLarge(why)
        }
        Failure::Refused(tonic::Code::ResourceExhausted, why) if why.contains("larger than max") => {
            StoreError::TooLarge(why)
        }
        Failure::Refused(tonic::Code::ResourceExhausted, why) => StoreError::Full(why),
        Failure::Refused(_, why) | Failure::Unknown(why) => StoreError::Failed(why),
    }
}
