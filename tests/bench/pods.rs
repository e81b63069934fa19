//! From an accepted create to a running and a Ready pod.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, PostParams, WatchEvent, WatchParams};
use kube::{Client, ResourceExt};

use crate::statistics::Samples;

const LIMIT: Duration = Duration::from_mins(2);

/// When a pod's container was first seen started, and Ready, since its create was accepted.
#[derive(Debug, Clone, Copy, Default)]
struct Times {
    started: Option<Duration>,
    ready: Option<Duration>,
}

/// Starts and removes one pod.
pub async fn one(client: &Client, name: &str) -> Result<()> {
    let names = start(client, &[name.to_owned()]).await?;
    remove(client, names.into_keys().collect()).await
}

/// One pod after another on a quiet cluster.
pub async fn series(client: &Client, count: usize) -> Result<()> {
    let mut started = Vec::new();
    let mut ready = Vec::new();
    for index in 0..count {
        let times = start(client, &[format!("single-{index}")]).await?;
        started.extend(times.values().filter_map(|times| times.started));
        ready.extend(times.values().filter_map(|times| times.ready));
        remove(client, times.into_keys().collect()).await?;
    }
    println!(
        "one pod, create accepted to container started: {}",
        Samples::new(started).summary()
    );
    println!(
        "one pod, create accepted to Ready: {}",
        Samples::new(ready).summary()
    );
    Ok(())
}

/// Many pods at once; returns their names, still running.
pub async fn burst(client: &Client, count: usize) -> Result<Vec<String>> {
    let names: Vec<_> = (0..count).map(|index| format!("burst-{index}")).collect();
    let begun = Instant::now();
    let times = start(client, &names).await?;
    println!(
        "{count} pods at once, first create to the last one Ready: {:.2} s",
        begun.elapsed().as_secs_f64()
    );
    let started = times.values().filter_map(|times| times.started).collect();
    let ready = times.values().filter_map(|times| times.ready).collect();
    println!(
        "{count} pods at once, each from create accepted to container started: {}",
        Samples::new(started).summary()
    );
    println!(
        "{count} pods at once, each from create accepted to Ready: {}",
        Samples::new(ready).summary()
    );
    Ok(times.into_keys().collect())
}

/// Deletes pods and waits until they are gone.
pub async fn remove(client: &Client, names: Vec<String>) -> Result<()> {
    let api: Api<Pod> = Api::default_namespaced(client.clone());
    for name in &names {
        api.delete(name, &DeleteParams::default()).await?;
    }
    let deadline = Instant::now() + LIMIT;
    for name in names {
        while api.get_opt(&name).await?.is_some() {
            if Instant::now() > deadline {
                bail!("pod {name} was not removed");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}

/// Creates the pods and watches until all are Ready.
async fn start(client: &Client, names: &[String]) -> Result<BTreeMap<String, Times>> {
    let api: Api<Pod> = Api::default_namespaced(client.clone());
    let version = api
        .list_metadata(&kube::api::ListParams::default())
        .await?
        .metadata
        .resource_version;
    let version = version.context("list without resourceVersion")?;
    let mut events = api.watch(&WatchParams::default(), &version).await?.boxed();
    let mut accepted = BTreeMap::new();
    let parameters = PostParams::default();
    let mut creates = futures::stream::iter(names.iter().map(|name| async {
        api.create(&parameters, &pod(name))
            .await
            .map(|_| (name.clone(), Instant::now()))
    }))
    .buffer_unordered(8);
    let mut seen: BTreeMap<String, (Option<Instant>, Option<Instant>)> = BTreeMap::new();
    let deadline = tokio::time::Instant::now() + LIMIT;
    while seen.values().filter(|(_, ready)| ready.is_some()).count() < names.len() {
        tokio::select! {
            Some(created) = creates.next() => { let (name, at) = created?; accepted.insert(name, at); }
            event = events.try_next() => match event? {
                Some(WatchEvent::Added(pod) | WatchEvent::Modified(pod)) if names.contains(&pod.name_any()) => note(&mut seen, &pod),
                Some(WatchEvent::Error(error)) => bail!("watch: {error:?}"),
                Some(_) => {}
                None => bail!("the watch ended"),
            },
            () = tokio::time::sleep_until(deadline) => bail!("not all pods were Ready within {} s: {seen:?}", LIMIT.as_secs()),
        }
    }
    Ok(accepted
        .into_iter()
        .map(|(name, at)| {
            let (started, ready) = seen.get(&name).copied().unwrap_or_default();
            let since = |moment: Option<Instant>| moment.map(|moment| moment.saturating_duration_since(at));
            (
                name,
                Times {
                    started: since(started),
                    ready: since(ready),
                },
            )
        })
        .collect())
}

fn note(seen: &mut BTreeMap<String, (Option<Instant>, Option<Instant>)>, pod: &Pod) {
    let Some(status) = &pod.status else { return };
    let entry = seen.entry(pod.name_any()).or_default();
    let running = status
        .container_statuses
        .iter()
        .flatten()
        .any(|c| c.state.as_ref().is_some_and(|s| s.running.is_some()));
    let ready = status
        .conditions
        .iter()
        .flatten()
        .any(|c| c.type_ == "Ready" && c.status == "True");
    let now = Instant::now();
    if running {
        entry.0.get_or_insert(now);
    }
    if ready {
        entry.1.get_or_insert(now);
    }
}

fn pod(name: &str) -> Pod {
    use k8s_openapi::api::core::v1::{Container, PodSpec};
    let container = Container {
        name: "c".into(),
        image: Some("busybox:1.36".into()),
        command: Some(vec!["sleep".into(), "3600".into()]),
        ..Container::default()
    };
    let spec = PodSpec {
        containers: vec![container],
        termination_grace_period_seconds: Some(0),
        ..PodSpec::default()
    };
    let mut pod = Pod {
        spec: Some(spec),
        ..Pod::default()
    };
    pod.metadata.name = Some(name.to_owned());
    pod
}
