//! What watchers have seen, and whether it fits what writers were told.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};

use super::load::{COUNTERS, NAMESPACE, Rotation, Told};

/// One event: revision, what happened, name, number.
pub type Seen = (u64, &'static str, String, u64);

/// What a watcher has seen, and how often it had to begin a watch.
#[derive(Debug, Default)]
pub struct Watched {
    events: Vec<Seen>,
    begun: usize,
}

/// Watches from a revision on, at one server or another, until it sees the end.
pub async fn watch(clients: Vec<kube::Client>, at: usize, from: String) -> Watched {
    let mut watched = Watched::default();
    let mut revision = from;
    let mut rotation = Rotation::new(clients, at);
    loop {
        watched.begun += 1;
        // Bookmarks are on by default.
        let stream = rotation.maps().watch(&WatchParams::default(), &revision).await;
        if let Ok(stream) = stream {
            let mut stream = Box::pin(stream);
            while let Some(event) = stream.next().await {
                let (what, object) = match event {
                    Ok(WatchEvent::Added(object)) => ("added", object),
                    Ok(WatchEvent::Modified(object)) => ("modified", object),
                    Ok(WatchEvent::Deleted(object)) => ("deleted", object),
                    Ok(WatchEvent::Bookmark(bookmark)) => {
                        revision = bookmark.metadata.resource_version;
                        continue;
                    }
                    Ok(WatchEvent::Error(error)) => {
                        panic!("the watch cannot go on from {revision}: {error:?}")
                    }
                    // The connection; an object that was not wholly there has not been seen.
                    Err(_) => break,
                };
                revision = object.metadata.resource_version.clone().unwrap();
                let name = object.metadata.name.unwrap();
                let number = object
                    .data
                    .and_then(|data| data.get("n")?.parse().ok())
                    .unwrap_or(0);
                let is_end = name == "end";
                watched
                    .events
                    .push((revision.parse().unwrap(), what, name, number));
                if is_end {
                    return watched;
                }
            }
        }
        rotation.next().await;
    }
}

/// Everything that was told and seen.
pub struct Outcome {
    /// By the writers.
    pub told: Told,
    /// By each watcher.
    pub watched: Vec<Watched>,
}

impl Outcome {
    /// For people.
    pub fn summary(&self) -> String {
        format!(
            "{} creates and {} steps acknowledged, {} requests without a clear answer; {} events, watches begun {:?} times",
            self.told.created.len(),
            self.told.steps.len(),
            self.told.unknown.len(),
            self.watched[0].events.len(),
            self.watched
                .iter()
                .map(|watched| watched.begun)
                .collect::<Vec<_>>(),
        )
    }

    /// Panics if anything is missing, twice or out of order.
    pub async fn check(&self, clients: &[kube::Client]) {
        assert!(
            self.told.created.len() > 200 && self.told.steps.len() > 200,
            "hardly any load"
        );
        let lists: Vec<BTreeMap<String, String>> = {
            let mut lists = Vec::new();
            for client in clients {
                lists.push(list(client).await);
            }
            lists
        };
        assert!(lists.iter().all(|list| *list == lists[0]), "the servers disagree");
        for (name, revision) in &self.told.created {
            assert_eq!(lists[0].get(name), Some(revision), "{name} was acknowledged");
        }
        let events = &self.watched[0].events;
        for watched in &self.watched {
            for pair in watched.events.windows(2) {
                assert!(pair[0].0 < pair[1].0, "{pair:?}");
            }
            let (mine, first): (BTreeSet<_>, BTreeSet<_>) =
                (watched.events.iter().collect(), events.iter().collect());
            let differ: Vec<_> = mine.symmetric_difference(&first).take(5).collect();
            assert!(
                differ.is_empty(),
                "watchers have seen different things: {differ:?}"
            );
        }
        assert!(events.iter().all(|(_, what, ..)| *what != "deleted"));
        // Every object was added once, and what is there was seen.
        let added: Vec<&Seen> = events.iter().filter(|(_, what, ..)| *what == "added").collect();
        let names: BTreeSet<&str> = added.iter().map(|(.., name, _)| name.as_str()).collect();
        assert_eq!(names.len(), added.len(), "something was added twice");
        for (name, revision) in &lists[0] {
            // From before the watch: the first object of all, and what a controller puts into every namespace.
            if matches!(name.as_str(), "begin" | "kube-root-ca.crt") {
                continue;
            }
            assert!(names.contains(name.as_str()), "{name} was not seen");
            let last = events.iter().rev().find(|(.., seen, _)| seen == name).unwrap();
            assert_eq!(last.0.to_string(), *revision, "{name}");
        }
        for counter in COUNTERS {
            let values: Vec<(u64, u64)> = events
                .iter()
                .filter(|(.., name, _)| name == counter)
                .map(|(revision, .., value)| (*value, *revision))
                .collect();
            let counted: Vec<u64> = values.iter().map(|(value, _)| *value).collect();
            assert_eq!(
                counted,
                (0..counted.len() as u64).collect::<Vec<_>>(),
                "{counter}: no step twice or left out"
            );
            let by_value: BTreeMap<u64, u64> = values.into_iter().collect();
            let steps: Vec<_> = self
                .told
                .steps
                .iter()
                .filter(|(name, ..)| name == counter)
                .collect();
            for (_, value, revision) in &steps {
                assert_eq!(
                    by_value.get(value).map(u64::to_string).as_ref(),
                    Some(revision),
                    "{counter} {value}"
                );
            }
            let distinct: BTreeSet<u64> = steps.iter().map(|(_, value, _)| *value).collect();
            assert_eq!(
                distinct.len(),
                steps.len(),
                "{counter}: a step was acknowledged to two"
            );
            let unknown = self.told.unknown.iter().filter(|name| *name == counter).count();
            assert!(
                counted.len() - 1 <= steps.len() + unknown,
                "{counter}: steps that nobody made"
            );
        }
    }
}

async fn list(client: &kube::Client) -> BTreeMap<String, String> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    let list = maps.list(&ListParams::default()).await.unwrap();
    let pair = |map: ConfigMap| (map.metadata.name.unwrap(), map.metadata.resource_version.unwrap());
    list.items.into_iter().map(pair).collect()
}
