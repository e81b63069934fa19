//! Reading everything, a page at a time.
//!
//! The load is of a state in the past, and the watch begins there: so the history of a server that has just started
//! reaches back as far as that of others, and a client's watch that comes over from another server goes on.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::failure::Failure;
use super::landmark::{self, Landmark};
use super::proto::{KeyValue, RangeRequest};
use super::{Core, compact, limits};
use crate::encryption::path_of;
use crate::object::{GroupResource, Object};
use crate::store::index::Index;
use crate::store::sealed::Sealed;
use crate::store::splice;

/// How many revisions of history a server loads, if etcd still has them.
const HISTORY: i64 = 10_000;
/// Keys per answer while loading: of the first one, and at most.
const PAGE: (i64, i64) = (50, 200);
/// Bytes per answer, about: it comes in time and takes little memory, whatever the objects' size.
const PAGE_BYTES: usize = 4 << 20;

/// The index's first content. Tries until it has it.
pub async fn open(core: &Core) -> Result<(), String> {
    loop {
        match load(core, HISTORY).await {
            Ok(loaded) => {
                install(core, loaded);
                return Ok(());
            }
            // Not there yet, or without a leader.
            Err(Failure::NotSent(why) | Failure::Unknown(why)) => {
                tracing::warn!(why, "waiting for etcd");
                // Nothing tells us when it comes.
                sleep(Duration::from_secs(1)).await;
            }
            Err(Failure::Refused(code, why)) => return Err(format!("{why} ({code:?})")),
        }
    }
}

/// What was read at once.
pub struct Loaded {
    index: Index,
    sealed: Sealed,
    landmark: Option<Landmark>,
}

pub fn install(core: &Core, loaded: Loaded) {
    let Loaded {
        mut index,
        sealed,
        landmark,
    } = loaded;
    *core.landmark() = landmark::Seen {
        value: landmark,
        deletion: None,
    };
    let revision = index.revision();
    let mut current = core.cache.write();
    index.succeed(&mut current);
    *current = index;
    core.cache.sealed().found(sealed);
    drop(current);
    core.seen.send_replace(revision);
}

/// Reads everything as it was at most `history` revisions ago.
pub async fn load(core: &Core, history: i64) -> Result<Loaded, Failure> {
    let newest = compact::last(core).await?;
    let from = (newest.now - history).max(newest.compacted).max(1);
    match load_at(core, from.min(newest.now)).await {
        // Somebody else compacts, or it has just happened.
        Err(Failure::Refused(tonic::Code::OutOfRange, _)) => {
            let newest = compact::last(core).await?;
            load_at(core, newest.now).await
        }
        loaded => loaded,
    }
}

async fn load_at(core: &Core, revision: i64) -> Result<Loaded, Failure> {
    let mut landmark = None;
    let sealed = Sealed::new(Arc::clone(&core.options.store.encryption));
    let mut index = Index::new(limits(&core.options.store));
    index.set_revision(revision as u64, revision as u64);
    let mut request = RangeRequest {
        key: core.layout.all(),
        range_end: core.layout.end(),
        limit: PAGE.0,
        revision,
    };
    let mut most = PAGE.1;
    loop {
        let page = match core.client.range(request.clone()).await {
            Ok(page) => page,
            // It did not come in time, or is larger than an answer may be.
            Err(error) if request.limit > 1 && may_be_too_large(&error) => {
                request.limit = (request.limit / 4).max(1);
                most = request.limit;
                tracing::debug!(%error, keys = most, "a page of etcd did not come, a smaller one is asked for");
                continue;
            }
            Err(error) => return Err(error),
        };
        for pair in &page.kvs {
            Landmark::younger(&mut landmark, pair);
            let Some((resource, key)) = core.layout.parse(&pair.key) else {
                continue;
            };
            let (object, finding) = take(core, &resource, key, pair);
            note(&sealed, &resource, key, &finding);
            if let Some(object) = object {
                index.load(&resource, key.to_owned(), object, None);
            }
        }
        // What was slow may have been etcd for a moment.
        most = (2 * most).min(PAGE.1);
        let bytes: usize = page.kvs.iter().map(|pair| pair.value.len()).sum();
        let fit = page.kvs.len() * PAGE_BYTES / bytes.max(1);
        request.limit = i64::try_from(fit)
            .unwrap_or(most)
            .clamp(1, most.min(4 * request.limit));
        let Some(last) = page.kvs.last().filter(|_| page.more) else {
            return Ok(Loaded {
                index,
                sealed,
                landmark,
            });
        };
        // The next key is the last one with a zero byte behind it.
        request.key.clone_from(&last.key);
        request.key.push(0);
    }
}

/// Whether fewer keys may be answered where these were not.
fn may_be_too_large(error: &Failure) -> bool {
    matches!(
        error,
        Failure::Unknown(_) | Failure::Refused(tonic::Code::ResourceExhausted, _)
    )
}

/// A value that was read.
pub struct Decoded {
    /// The object.
    pub object: Object,
    /// It is stored in another encryption than it would be now.
    stale: bool,
}

/// The object that a key's value is, or why it cannot be read.
pub fn decode(core: &Core, resource: &GroupResource, pair: &KeyValue) -> Result<Decoded, String> {
    let revision = pair.mod_revision as u64;
    let key = core.layout.parse(&pair.key).map_or("", |(_, key)| key);
    let path = path_of(resource, key);
    let opened = core
        .cache
        .sealed()
        .encryption()
        .open(resource, &path, &pair.value)
        .map_err(|error| format!("unable to transform key {path:?}: {error}"))?;
    let plain = match opened.plain {
        Cow::Borrowed(plain) => pair.value.slice_ref(plain),
        Cow::Owned(plain) => plain.into(),
    };
    let value: serde_json::Value = serde_json::from_slice(&plain).map_err(|error| error.to_string())?;
    let bytes = splice(&plain, revision).ok_or("it was not written by this program")?;
    let mut object = Object::describe(&value, bytes);
    object.resource_version = revision;
    object.fields = (core.options.store.fields)(resource, &value)
        .into_iter()
        .collect();
    Ok(Decoded {
        object,
        stale: opened.stale,
    })
}

/// What is known of how a key's value is stored.
pub enum Finding {
    Readable { stale: bool },
    Unreadable(String),
    Gone,
}

/// As [`decode`], for the index. One object that cannot be read does not keep all others from being served; it stays as
/// it is, and who asks for it is told why.
pub fn take(core: &Core, resource: &GroupResource, key: &str, pair: &KeyValue) -> (Option<Object>, Finding) {
    match decode(core, resource, pair) {
        Ok(Decoded { object, stale }) => (Some(object), Finding::Readable { stale }),
        Err(why) => {
            tracing::error!(
                resource = resource.resource,
                key,
                why,
                "an object in etcd cannot be read"
            );
            (None, Finding::Unreadable(why))
        }
    }
}

pub fn note(sealed: &Sealed, resource: &Arc<GroupResource>, key: &str, finding: &Finding) {
    match finding {
        Finding::Readable { stale } => sealed.read(resource, key, *stale),
        Finding::Unreadable(why) => sealed.unreadable(Arc::clone(resource), key, why),
        Finding::Gone => sealed.gone(resource, key),
    }
}
