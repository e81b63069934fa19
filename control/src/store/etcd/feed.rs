//! What feeds the index: everything once, then a watch.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::failure::{self, Fault};
use super::load::{Finding, install, load, note, take};
use super::proto::{DELETE, Event, WatchCreateRequest};
use super::{Core, landmark};
use crate::object::Object;
use crate::store::index::Applied;
use crate::store::splice;
use crate::store::writer::now;

/// Longest pause between tries to watch again.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How often history is looked at for what has become too old.
const FORGET: Duration = Duration::from_secs(30);

/// Follows the watch for ever.
pub async fn follow(core: Arc<Core>) {
    let mut pause = Duration::ZERO;
    loop {
        let before = *core.seen.borrow();
        let ended = watch(&core).await;
        core.attached.send_replace(false);
        match ended {
            Ended::Compacted => {
                tracing::warn!(
                    revision = before,
                    "etcd has forgotten what happened since; reading everything again"
                );
                match load(&core, 0).await {
                    Ok(loaded) => install(&core, loaded),
                    Err(error) => tracing::warn!(%error, "etcd cannot be read"),
                }
            }
            Ended::Replaced(why) => {
                core.fail(&why);
                return;
            }
            Ended::Broken(why) => tracing::warn!(why, "the watch of etcd has ended; beginning again"),
        }
        pause = if *core.seen.borrow() > before {
            Duration::ZERO
        } else {
            // A server that refuses would refuse again at once.
            (pause * 2).clamp(Duration::from_millis(50), LONGEST_PAUSE)
        };
        sleep(pause).await;
    }
}

/// Lets go of history that is too old; for ever.
pub async fn forget(core: Arc<Core>) {
    loop {
        // Age is a matter of time alone.
        sleep(FORGET).await;
        core.cache.write().compact(now());
    }
}

/// Why a watch has ended.
enum Ended {
    Compacted,
    /// By another one, or by an older state.
    Replaced(String),
    Broken(String),
}

async fn watch(core: &Core) -> Ended {
    match landmark::missing(core).await {
        Ok(None) => {}
        Ok(Some(why)) => return Ended::Replaced(why),
        Err(error) => return Ended::Broken(error.to_string()),
    }
    let create = WatchCreateRequest {
        key: core.layout.all(),
        range_end: core.layout.end(),
        start_revision: *core.seen.borrow() as i64 + 1,
    };
    let (connection, mut responses) = match core.client.watch(create).await {
        Ok(watch) => watch,
        Err(error) => return Ended::Broken(error.to_string()),
    };
    let (why, fault) = loop {
        let message = tokio::select! {
            message = responses.message() => message,
            // A server that hangs is noticed sooner by requests than by its silence.
            () = connection.broken() => break ("its connection is broken".to_owned(), Fault::Broken),
            // Requests have gone to another server for some time, and only that one has what they are about.
            () = core.behind.notified() => if core.client.has_left(&connection).await {
                break ("it is behind".to_owned(), Fault::Unwell);
            } else {
                continue;
            },
        };
        match message {
            Ok(Some(response)) if response.compact_revision > 0 => return Ended::Compacted,
            Ok(Some(response)) if response.canceled => break (response.cancel_reason, Fault::Unwell),
            Ok(Some(response)) => {
                core.attached.send_replace(true);
                apply(core, response.events);
            }
            Ok(None) => break ("it was closed".to_owned(), Fault::Broken),
            Err(status) => break (status.message().to_owned(), failure::fault(&status)),
        }
    };
    core.client.give_up(&connection, fault).await;
    Ended::Broken(why)
}

/// Applies the events of one answer: whole revisions, in order.
pub fn apply(core: &Core, events: Vec<Event>) {
    let mut changes: Vec<Applied> = Vec::with_capacity(events.len());
    let mut findings = Vec::with_capacity(events.len());
    let mut revision = 0;
    let mut last = *core.seen.borrow();
    let mut seen = core.landmark().clone();
    for event in events {
        let Some(pair) = event.kv else { continue };
        // A watch that was begun again may repeat nothing, but this costs nothing either.
        if pair.mod_revision as u64 <= *core.seen.borrow() {
            continue;
        }
        revision = pair.mod_revision as u64;
        if revision > last + 1 {
            core.strangers.noticed();
        }
        last = revision;
        seen.note(&pair, event.kind == DELETE);
        let Some((resource, key)) = core.layout.parse(&pair.key) else {
            continue;
        };
        let (put, finding) = if event.kind == DELETE {
            (None, Finding::Gone)
        } else {
            take(core, &resource, key, &pair)
        };
        findings.push((Arc::clone(&resource), key.to_owned(), finding));
        let deleted = put.is_none();
        let object = if let Some(object) = put {
            object
        } else {
            // Gone, or not to be read any more: its last state, from the same answer or from the index.
            let earlier = changes
                .iter()
                .rev()
                .find(|change| change.resource == resource && change.key == key);
            let last = match earlier {
                Some(change) if change.deleted => None,
                Some(change) => Some(Arc::clone(&change.object)),
                None => core.cache.read().get(&resource, key).cloned(),
            };
            let Some(last) = last else { continue };
            let mut object = Object::clone(&last);
            if let Some(bytes) = splice(&object.bytes, revision) {
                object.bytes = bytes;
            }
            object.resource_version = revision;
            object
        };
        changes.push(Applied {
            resource,
            key: key.to_owned(),
            object: Arc::new(object),
            deleted,
            expires: None,
        });
    }
    if revision == 0 {
        return;
    }
    let mut index = core.cache.write();
    // With the index, so that nobody lists an object that can be read again without it.
    for (resource, key, finding) in &findings {
        note(core.cache.sealed(), resource, key, finding);
    }
    index.apply(changes, now());
    index.advance(revision);
    drop(index);
    *core.landmark() = seen;
    core.seen.send_replace(revision);
}
