//! The watch of this node's pods.

use std::collections::HashSet;
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::runtime::watcher::{self, Event};

use super::dispatch::{Dispatcher, Found};
use super::orphans;
use crate::Error;
use crate::worker::{Message, load_checkpoints};

/// Delays between attempts while the API is away: at once at first, since most absences are restarts.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(2);

/// How long a starting kubelet waits for the API before it goes on from what it knew: containers that end must be
/// restarted all the same.
const PATIENCE: Duration = Duration::from_secs(2);

/// Follows the pods for as long as the agent runs.
pub(super) async fn follow(dispatcher: &Dispatcher) -> Result<(), Error> {
    dispatcher.set_found(find(dispatcher).await?);
    let context = &dispatcher.context;
    let api: Api<Pod> = Api::all(context.client.clone());
    let config = watcher::Config::default().fields(&format!("spec.nodeName={}", context.config.node_name));
    let stream = watcher::watcher(api, config);
    pin_mut!(stream);
    let mut listed = Vec::new();
    let mut first = true;
    let mut delay = FIRST_RETRY;
    let deadline = tokio::time::sleep(PATIENCE);
    pin_mut!(deadline);
    let mut waiting = true;
    loop {
        let event = tokio::select! {
            event = stream.next() => event,
            () = &mut deadline, if waiting => {
                waiting = false;
                if first {
                    resume(dispatcher).await;
                }
                continue;
            }
        };
        let Some(event) = event else { return Ok(()) };
        if event.is_ok() {
            delay = FIRST_RETRY;
        }
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(pod)) => listed.push(slim(pod)),
            Ok(Event::InitDone) => {
                let present: HashSet<String> = listed.iter().filter_map(|p| p.metadata.uid.clone()).collect();
                synchronize(dispatcher, std::mem::take(&mut listed), &present).await;
                if std::mem::take(&mut first) {
                    // Only now is it known which pods there are: what is left belongs to none of them.
                    orphans::remove(dispatcher, &present);
                }
            }
            Ok(Event::Apply(pod)) => {
                dispatcher.know_labels(std::slice::from_ref(&pod)).await;
                dispatcher.upsert(slim(pod));
            }
            Ok(Event::Delete(pod)) => gone(dispatcher, slim(pod)),
            Err(error) => {
                tracing::debug!(%error, "pod watch");
                tokio::time::sleep(delay).await;
                delay = (delay * 2).min(LONGEST_RETRY);
            }
        }
    }
}

/// The API is away: goes on with the pods that run here as they were last known.
async fn resume(dispatcher: &Dispatcher) {
    let root = dispatcher.context.config.root_dir.clone();
    let loaded = tokio::task::spawn_blocking(move || load_checkpoints(&root))
        .await
        .unwrap_or_default();
    for pod in loaded {
        if dispatcher.is_found(pod.metadata.uid.as_deref().unwrap_or_default()) {
            dispatcher.upsert(pod);
        }
    }
}

/// A full list: new pods, changed pods, and pods that went while nobody watched.
async fn synchronize(dispatcher: &Dispatcher, mut pods: Vec<Pod>, present: &HashSet<String>) {
    for uid in dispatcher.known() {
        if !present.contains(&uid) {
            dispatcher.send(&uid, Message::Gone);
        }
    }
    // Pods that run here already come before those that want to: they hold resources. Among the others the oldest.
    pods.sort_by_key(|pod| {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        (!dispatcher.is_found(uid), pod.metadata.creation_timestamp.clone())
    });
    dispatcher.know_labels(&pods).await;
    for pod in pods {
        dispatcher.upsert(pod);
    }
}

fn gone(dispatcher: &Dispatcher, pod: Pod) {
    let Some(uid) = pod.metadata.uid.clone() else {
        return;
    };
    if dispatcher.known().contains(&uid) {
        // Its last version may carry a shorter grace period.
        dispatcher.upsert(pod);
        dispatcher.send(&uid, Message::Gone);
    }
}

/// Drops what the kubelet never looks at.
fn slim(mut pod: Pod) -> Pod {
    pod.metadata.managed_fields = None;
    pod
}

async fn find(dispatcher: &Dispatcher) -> Result<Found, Error> {
    let runtime = dispatcher.context.runtime.clone();
    let joined = tokio::task::spawn_blocking(move || -> Result<Found, Error> {
        let mut found = Found::default();
        for sandbox in runtime.sandboxes()? {
            found.sandboxes.insert(sandbox.spec.id.clone(), sandbox);
        }
        for container in runtime.containers()? {
            found
                .containers
                .entry(container.sandbox.clone())
                .or_default()
                .push(container);
        }
        Ok(found)
    });
    joined
        .await
        .map_err(|error| Error::Host(format!("listing containers did not end: {error}")))?
}
