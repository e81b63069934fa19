//! List, then watch from there; list again when the server says that the revision is gone.
//!
//! Source: Kubernetes API concepts, "Efficient detection of changes".

use std::collections::BTreeSet;

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep};

use super::frames::{Frame, Lines};
use super::pace::Pace;
use super::{Handler, Informer, Object};
use crate::controllers::api::{Api, Error};

/// Objects per page of a list.
const PAGE: usize = 500;
const METADATA_LIST: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;q=0.9";
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;q=0.9";

#[derive(Deserialize)]
struct List<'a> {
    metadata: ListMeta,
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ListMeta {
    resource_version: String,
    #[serde(rename = "continue")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Bookmark {
    metadata: ListMeta,
}

/// Keeps the informer's cache up to date, forever.
pub(super) async fn follow<T: Object>(informer: &Informer<T>, api: &Api, handlers: &[Handler<T>]) {
    let mut pace = Pace::default();
    loop {
        let mut revision = match list(informer, api, handlers).await {
            Ok(revision) => revision,
            Err(error) => {
                tracing::debug!(resource = informer.resource.plural, %error, "list failed");
                sleep(pace.failed()).await;
                continue;
            }
        };
        pace.listed();
        let listed = Instant::now();
        informer.synced.send_replace(true);
        loop {
            let wait = match watch(informer, api, handlers, &mut revision).await {
                Ok(()) => pace.ended(),
                Err(End::Relist) => break,
                Err(End::Failed(error)) => {
                    tracing::debug!(resource = informer.resource.plural, %error, "watch failed");
                    pace.failed()
                }
            };
            sleep(wait).await;
        }
        sleep(pace.relist(listed.elapsed())).await;
    }
}

async fn list<T: Object>(
    informer: &Informer<T>,
    api: &Api,
    handlers: &[Handler<T>],
) -> Result<String, Error> {
    let accept = if informer.metadata_only {
        METADATA_LIST
    } else {
        "application/json"
    };
    let (mut limit, mut next) = (PAGE, String::new());
    let mut present = BTreeSet::new();
    loop {
        let path = format!(
            "{}?limit={limit}{next}{}",
            informer.resource.path(""),
            selector_query(informer),
        );
        let body = match api
            .send(Method::GET, &path, "application/json", accept, Vec::new())
            .await
        {
            // The pages of a list are of one revision, and the server has forgotten it meanwhile: it might do so again
            // each time, so there are no pages now (as upstream's pager does).
            Err(error) if error.code() == Some(410) && !next.is_empty() => {
                limit = 0;
                next.clear();
                present.clear();
                continue;
            }
            answer => answer?,
        };
        let bytes = body.collect_bytes().await.map_err(|source| Error::Transport {
            path: path.clone(),
            source,
        })?;
        let list: List<'_> =
            serde_json::from_slice(&bytes).map_err(|source| Error::Decode { path, source })?;
        for item in list.items.unwrap_or_default() {
            if let Some(object) = decode::<T>(informer, item) {
                present.insert(object.meta().key());
                informer.apply(object, handlers);
            }
        }
        if let Some(token) = list.metadata.next.filter(|next| !next.is_empty()) {
            next = format!("&continue={}", escape(&token));
            continue;
        }
        for key in informer.store.keys_except(&present) {
            informer.remove(&key, handlers);
        }
        return Ok(list.metadata.resource_version);
    }
}

enum End {
    /// The revision is too old.
    Relist,
    /// Try again from the same revision.
    Failed(Error),
}

async fn watch<T: Object>(
    informer: &Informer<T>,
    api: &Api,
    handlers: &[Handler<T>],
    revision: &mut String,
) -> Result<(), End> {
    let accept = if informer.metadata_only {
        METADATA
    } else {
        "application/json"
    };
    let path = format!(
        "{}?watch=true&allowWatchBookmarks=true&resourceVersion={}{}",
        informer.resource.path(""),
        escape(revision),
        selector_query(informer),
    );
    let sent = api
        .send(Method::GET, &path, "application/json", accept, Vec::new())
        .await;
    let mut body = match sent {
        Ok(body) => body,
        Err(error) if matches!(error.code(), Some(410)) => return Err(End::Relist),
        Err(error) => return Err(End::Failed(error)),
    };
    let mut lines = Lines::default();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            // The connection broke: resume from the last revision.
            return Ok(());
        };
        let Ok(data) = frame.into_data() else { continue };
        lines.push(&data);
        while let Some(line) = lines.next() {
            handle(informer, handlers, revision, &line)?;
        }
    }
    Ok(())
}

fn handle<T: Object>(
    informer: &Informer<T>,
    handlers: &[Handler<T>],
    revision: &mut String,
    line: &Bytes,
) -> Result<(), End> {
    // What cannot be understood may have been a change: start over with a list.
    let frame: Frame<'_> = serde_json::from_slice(line).map_err(|error| {
        tracing::warn!(resource = informer.resource.plural, %error, "malformed watch event");
        End::Relist
    })?;
    match frame.kind.as_ref() {
        "ADDED" | "MODIFIED" | "DELETED" => {
            let Some(object) = decode::<T>(informer, frame.object) else {
                return Ok(());
            };
            revision.clone_from(&object.meta().resource_version);
            if frame.kind == "DELETED" {
                informer.remove(&object.meta().key(), handlers);
            } else {
                informer.apply(object, handlers);
            }
            Ok(())
        }
        "BOOKMARK" => {
            if let Ok(bookmark) = serde_json::from_str::<Bookmark>(frame.object.get()) {
                *revision = bookmark.metadata.resource_version;
            }
            Ok(())
        }
        // An error event is 410 Expired in nearly all cases; a list is right after any of them.
        _ => Err(End::Relist),
    }
}

fn decode<T: Object>(informer: &Informer<T>, text: &RawValue) -> Option<T> {
    serde_json::from_str(text.get())
        .or_else(|_| without_nulls(text.get()))
        .inspect_err(
            |error| tracing::warn!(resource = informer.resource.plural, %error, "object not understood"),
        )
        .ok()
}

/// Some clients write nulls where Go's decoder reads "absent". Removing them takes time, so the object is first read
/// as it is.
fn without_nulls<T: Object>(text: &str) -> Result<T, serde_json::Error> {
    fn prune(value: &mut Value) {
        match value {
            Value::Object(map) => map.retain(|_, value| {
                prune(value);
                !value.is_null()
            }),
            Value::Array(items) => items.iter_mut().for_each(prune),
            _ => {}
        }
    }
    let mut value: Value = serde_json::from_str(text)?;
    prune(&mut value);
    serde_json::from_str(&value.to_string())
}

fn selector_query<T>(informer: &Informer<T>) -> String {
    if informer.field_selector.is_empty() {
        String::new()
    } else {
        format!("&fieldSelector={}", escape(&informer.field_selector))
    }
}

fn escape(text: &str) -> String {
    crate::controllers::api::segment(text)
}

#[cfg(test)]
mod tests;
