//! Compaction, as kube-apiserver does it and together with it: a key tells when anybody last compacted, and who changes
//! it first is the one who does it this time. What is compacted is what was current one interval ago.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::sleep;

use super::failure::Failure;
use super::proto::{Compare, Op, PutRequest, RangeRequest, TxnRequest};
use super::{Core, barrier};

/// The key; its version counts compactions, its value is the last revision that was compacted.
pub const KEY: &[u8] = b"compact_rev_key";

/// Where etcd's history begins and ends.
#[derive(Debug, Clone, Copy)]
pub struct History {
    /// The last compaction that is known of.
    pub compacted: i64,
    /// The current revision.
    pub now: i64,
}

/// Reads where history begins.
pub async fn last(core: &Core) -> Result<History, Failure> {
    let request = RangeRequest {
        key: KEY.to_vec(),
        ..RangeRequest::default()
    };
    let answer = core.client.range(request).await?;
    let value = answer.kvs.first().map(|pair| pair.value.clone());
    Ok(History {
        compacted: value
            .and_then(|value| std::str::from_utf8(&value).ok()?.parse().ok())
            .unwrap_or(0),
        now: answer.header.map_or(0, |header| header.revision),
    })
}

/// Compacts for ever.
pub async fn run(core: Arc<Core>, interval: Duration) {
    let (mut times, mut revision) = (0, 0);
    loop {
        match once(&core, times, revision).await {
            Ok(next) => (times, revision) = next,
            Err(error) => tracing::warn!(%error, "etcd could not be compacted"),
        }
        // History is kept for a time, whatever happens in it.
        sleep(interval).await;
    }
}

/// Compacts up to a revision, if nobody has compacted since `times` was read. Returns what to pass the next time.
async fn once(core: &Core, times: i64, revision: i64) -> Result<(i64, i64), Failure> {
    let value = Bytes::from(revision.to_string());
    let request = TxnRequest {
        compare: vec![Compare::version(KEY, times)],
        success: vec![
            Op::Put(PutRequest {
                key: KEY.to_vec(),
                value,
                lease: 0,
            })
            .into(),
            // The key is not among those that are watched, but this one is: so the index sees the revision.
            barrier::touch(core).into(),
        ],
        failure: vec![
            Op::Range(RangeRequest {
                key: KEY.to_vec(),
                ..RangeRequest::default()
            })
            .into(),
        ],
    };
    let answer = core.client.txn(request).await?;
    let now = answer.header.map_or(0, |header| header.revision);
    if !answer.succeeded {
        let version = answer
            .responses
            .first()
            .and_then(|response| response.range.as_ref()?.kvs.first())
            .map_or(0, |pair| pair.version);
        return Ok((version, now));
    }
    if revision > 0 {
        match core.client.compact(revision).await {
            // Somebody else was faster.
            Ok(_) | Err(Failure::Refused(tonic::Code::OutOfRange, _)) => {
                tracing::debug!(revision, "compacted etcd");
            }
            Err(error) => return Err(error),
        }
    }
    Ok((times + 1, now))
}
