//! Watches: raw events, the watcher in both of its ways of listing, metadata only, a reflector's store, recorded events.

use std::pin::pin;

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event as RecordedEvent;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::core::PartialObjectMeta;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Resource, ResourceExt};
use serde_json::json;

use super::{Session, config_map, within};
use crate::context::PATIENCE;

pub async fn all(session: Session) -> Result<()> {
    let maps: Api<ConfigMap> = session.api();
    raw(&maps).await?;
    for streaming in [false, true] {
        watched(&maps, streaming).await?;
    }
    metadata(&session, &maps).await?;
    reflected(&maps).await?;
    recorded(&session).await
}

fn label(value: &str) -> Patch<serde_json::Value> {
    Patch::Merge(json!({"metadata": {"labels": {"app": value}}}))
}

async fn raw(maps: &Api<ConfigMap>) -> Result<()> {
    let start = maps.list(&ListParams::default()).await?.metadata.resource_version;
    let start = start.context("a list has a version")?;
    maps.create(&PostParams::default(), &config_map("raw", "x", "1"))
        .await?;
    maps.patch("raw", &PatchParams::default(), &label("y")).await?;
    maps.patch("raw", &PatchParams::default(), &label("x")).await?;
    maps.delete("raw", &DeleteParams::default()).await?;
    let params = WatchParams::default().labels("app=x").timeout(1);
    let events: Vec<_> = maps.watch(&params, &start).await?.try_collect().await?;
    let types: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            WatchEvent::Added(_) => Some("added"),
            WatchEvent::Modified(_) => Some("modified"),
            WatchEvent::Deleted(_) => Some("deleted"),
            WatchEvent::Bookmark(_) => None,
            WatchEvent::Error(_) => Some("error"),
        })
        .collect();
    ensure!(types == ["added", "deleted", "added", "deleted"], "{types:?}");
    Ok(())
}

async fn watched(maps: &Api<ConfigMap>, streaming: bool) -> Result<()> {
    maps.create(&PostParams::default(), &config_map("w1", "watched", "1"))
        .await?;
    let config = watcher::Config::default().labels("app=watched");
    let config = if streaming {
        config.streaming_lists()
    } else {
        config
    };
    let mut events = pin!(watcher(maps.clone(), config));
    let mut next = async || -> Result<String> {
        let event = within(PATIENCE, events.next()).await?.context("ended")??;
        Ok(match event {
            watcher::Event::Init => "init".into(),
            watcher::Event::InitApply(map) => format!("init {}", map.name_any()),
            watcher::Event::InitDone => "done".into(),
            watcher::Event::Apply(map) => format!("apply {}", map.name_any()),
            watcher::Event::Delete(map) => format!("delete {}", map.name_any()),
        })
    };
    for wanted in ["init", "init w1", "done"] {
        let event = next().await?;
        ensure!(event == wanted, "{event}, not {wanted} (streaming: {streaming})");
    }
    maps.create(&PostParams::default(), &config_map("w2", "watched", "1"))
        .await?;
    maps.patch("w1", &PatchParams::default(), &label("other")).await?;
    maps.delete("w2", &DeleteParams::default()).await?;
    for wanted in ["apply w2", "delete w1", "delete w2"] {
        let event = next().await?;
        ensure!(event == wanted, "{event}, not {wanted} (streaming: {streaming})");
    }
    maps.delete("w1", &DeleteParams::default()).await?;
    Ok(())
}

async fn metadata(session: &Session, maps: &Api<ConfigMap>) -> Result<()> {
    maps.create(&PostParams::default(), &config_map("meta", "meta", "1"))
        .await?;
    let config = watcher::Config::default().labels("app=meta");
    let metadata: Api<PartialObjectMeta<ConfigMap>> = session.api();
    let mut objects = pin!(watcher(metadata, config).touched_objects());
    let object = within(PATIENCE, objects.next()).await?.context("ended")??;
    ensure!(
        object.name_any() == "meta" && object.labels()["app"] == "meta",
        "{object:?}"
    );
    Ok(())
}

async fn reflected(maps: &Api<ConfigMap>) -> Result<()> {
    let (reader, writer) = reflector::store();
    let stream = watcher(maps.clone(), watcher::Config::default().labels("app=reflected"));
    let mut stream = pin!(reflector(writer, stream.default_backoff()).touched_objects());
    let patient = maps.clone();
    let writes = async {
        for number in 0..50 {
            let map = config_map(&format!("r{number:02}"), "reflected", "1");
            patient.create(&PostParams::default(), &map).await?;
        }
        for number in 0..50 {
            let name = format!("r{number:02}");
            if number % 2 == 0 {
                patient.delete(&name, &DeleteParams::default()).await?;
            } else {
                let patch = Patch::Merge(json!({"data": {"k": "2"}}));
                patient.patch(&name, &PatchParams::default(), &patch).await?;
            }
        }
        anyhow::Ok(())
    };
    let consistent = || {
        let state = reader.state();
        state.len() == 25
            && state
                .iter()
                .all(|map| map.data.as_ref().is_some_and(|data| data["k"] == "2"))
    };
    let reads = async {
        while !consistent() {
            stream.next().await.context("ended")??;
        }
        anyhow::Ok(())
    };
    let (written, read) = within(PATIENCE, futures::future::join(writes, reads)).await?;
    written?;
    read?;
    let namespace = maps.namespace().unwrap_or_default();
    let found = reader.get(&ObjectRef::new("r01").within(namespace));
    ensure!(found.is_some(), "found by reference");
    Ok(())
}

async fn recorded(session: &Session) -> Result<()> {
    let maps: Api<ConfigMap> = session.api();
    let map = maps.get("meta").await?;
    let recorder = Recorder::new(session.client.clone(), Reporter::from("tester"));
    let event = Event {
        type_: EventType::Warning,
        reason: "Tested".into(),
        note: Some("a note".into()),
        action: "Testing".into(),
        secondary: None,
    };
    for _ in 0..3 {
        recorder.publish(&event, &map.object_ref(&())).await?;
    }
    let events: Api<RecordedEvent> = session.api();
    let events = events
        .list(&ListParams::default().fields("reason=Tested,regarding.name=meta"))
        .await;
    // The selectable fields of events.k8s.io are those of the core group's.
    let events = if let Ok(events) = events {
        events
    } else {
        let events: Api<RecordedEvent> = session.api();
        events
            .list(&ListParams::default().fields("reason=Tested"))
            .await?
    };
    ensure!(events.items.len() == 1, "one event in a series: {events:?}");
    ensure!(
        events.items[0]
            .series
            .as_ref()
            .is_some_and(|series| series.count >= 2),
        "{events:?}"
    );
    Ok(())
}
