//! List, then watch from there; list again when the server says that the revision is gone.
//!
//! Source: Kubernetes API concepts, "Efficient detection of changes".

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::frames::{Frame, Lines};
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
    let mut failures = 0u32;
    loop {
        let mut revision = match list(informer, api, handlers).await {
            Ok(revision) => revision,
            Err(error) => {
                failures += 1;
                tracing::debug!(resource = informer.resource.plural, %error, "list failed");
                pause(failures).await;
                continue;
            }
        };
        informer.synced.send_replace(true);
        loop {
            match watch(informer, api, handlers, &mut revision).await {
                Ok(()) => failures = 0,
                Err(End::Relist) => break,
                Err(End::Failed(error)) => {
                    failures += 1;
                    tracing::debug!(resource = informer.resource.plural, %error, "watch failed");
                }
            }
            // A server that ends watches at once must not be asked in a tight loop.
            pause(failures.max(1)).await;
        }
    }
}

/// Waits between attempts: 50 ms doubling to 10 s.
async fn pause(failures: u32) {
    let millis = 25u64 << failures.min(9);
    tokio::time::sleep(Duration::from_millis(millis.min(10_000))).await;
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
    let mut next = String::new();
    let mut present = BTreeSet::new();
    loop {
        let path = format!(
            "{}?limit={PAGE}{}{}",
            informer.resource.path(""),
            selector_query(informer),
            if next.is_empty() {
                String::new()
            } else {
                format!("&continue={}", escape(&next))
            },
        );
        let body = api
            .send(Method::GET, &path, "application/json", accept, Vec::new())
            .await?;
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
            next = token;
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
mod tests {
    use super::*;
    use crate::controllers::model::Pod;

    #[test]
    fn nulls_mean_absent() {
        let text = r#"{"metadata":{"name":"p","labels":null},"spec":{"nodeName":null,"containers":null},
            "status":{"phase":"Running","podIP":null,"conditions":[{"type":"Ready","status":"True","reason":null}]}}"#;
        let informer = Informer::<Pod>::new(crate::controllers::api::resources::pods());
        let pod = decode(&informer, serde_json::from_str(text).unwrap()).unwrap();
        assert!(pod.is_ready() && pod.spec.node_name.is_empty());
        assert!(decode(&informer, serde_json::from_str("[1]").unwrap()).is_none());
    }
}
