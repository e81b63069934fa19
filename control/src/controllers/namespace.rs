//! Empties namespaces that are being deleted, and lets them go.
//!
//! Source: `k8s.io/kubernetes/pkg/controller/namespace/deletion`. Pods go first (`OrderedNamespaceDeletion`), so that
//! what they depend on, network policies above all, outlives them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Context;
use super::api::{Api, Error, JSON, Resource, resources};
use super::discovery::{Discovered, discover};
use super::informer::{Informer, Next, Queue};
use super::model::{Condition, Namespace, Time};

const NAME: &str = "namespace-controller";
const FINALIZER: &str = "kubernetes";
/// Content that is not pods goes without an event that we would see; this is how long to wait before looking again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Starts the controller.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    let queue: Arc<Queue<String>> = Queue::new();
    let adder = queue.clone();
    context.namespaces.on_change(move |_, new| {
        if let Some(namespace) = new.filter(|namespace| namespace.metadata.deleted.is_some()) {
            adder.add(namespace.metadata.name.clone());
        }
    });
    let (adder, namespaces) = (queue.clone(), context.namespaces.clone());
    context.pods.on_change(move |old, new| {
        if let (Some(pod), None) = (old, new) {
            let name = &pod.metadata.namespace;
            if namespaces
                .store()
                .get("", name)
                .is_some_and(|namespace| namespace.metadata.deleted.is_some())
            {
                adder.add(name.clone());
            }
        }
    });
    let (api, namespaces) = (context.api(NAME), context.namespaces.clone());
    for _ in 0..2 {
        let (api, namespaces, queue) = (api.clone(), namespaces.clone(), queue.clone());
        tasks.spawn(async move {
            namespaces.synced().await;
            queue.work(NAME, |name| reconcile(&api, &namespaces, name)).await;
        });
    }
}

/// What is left in a namespace.
#[derive(Debug, Default)]
struct Remains {
    /// `pods.` or `deployments.apps`, with the number of objects.
    objects: BTreeMap<String, usize>,
    /// Finalizer to the number of objects that have it.
    finalizers: BTreeMap<String, usize>,
    /// What could not be deleted or listed.
    errors: Vec<String>,
}

async fn reconcile(api: &Api, namespaces: &Informer<Namespace>, name: String) -> Result<Next, Error> {
    let Some(namespace) = namespaces.store().get("", &name) else {
        return Ok(Next::Wait);
    };
    let waits = namespace
        .spec
        .finalizers
        .iter()
        .any(|finalizer| finalizer == FINALIZER);
    if namespace.metadata.deleted.is_none() || !waits {
        return Ok(Next::Wait);
    }
    let resources = match discover(api).await {
        Ok(resources) => resources,
        Err(error) => {
            let failure = condition(
                "NamespaceDeletionDiscoveryFailure",
                "True",
                "DiscoveryFailed",
                format!("Discovery failed for some groups: {error}"),
            );
            write_status(api, &namespace, vec![failure]).await?;
            return Err(error);
        }
    };
    let mut remains = Remains::default();
    let (pods, others): (Vec<_>, Vec<_>) = resources
        .into_iter()
        .filter(|found| found.resource.namespaced && found.can(&["list", "delete"]))
        .partition(|found| found.resource == *resources::pods());
    empty(api, &name, &pods, &mut remains).await;
    if remains.objects.is_empty() {
        empty(api, &name, &others, &mut remains).await;
    }
    if remains.objects.is_empty() && remains.errors.is_empty() {
        return finalize(api, &namespace).await;
    }
    write_status(api, &namespace, conditions(&remains)).await?;
    Ok(Next::After(LOOK_AGAIN))
}

async fn empty(api: &Api, namespace: &str, found: &[Discovered], remains: &mut Remains) {
    for Discovered { resource, verbs } in found {
        let result = if verbs.iter().any(|verb| verb == "deletecollection") {
            delete_collection(api, namespace, resource).await
        } else {
            delete_each(api, namespace, resource).await
        };
        let left = match result {
            Ok(()) => list(api, namespace, resource).await,
            Err(error) => Err(error),
        };
        match left {
            Ok(items) if items.is_empty() => {}
            Ok(items) => {
                remains
                    .objects
                    .insert(format!("{}.{}", resource.plural, resource.group), items.len());
                for item in &items {
                    for finalizer in item["metadata"]["finalizers"].as_array().into_iter().flatten() {
                        let name = finalizer.as_str().unwrap_or_default().to_owned();
                        *remains.finalizers.entry(name).or_insert(0) += 1;
                    }
                }
            }
            // The resource went away (its definition was deleted), and its objects with it.
            Err(error) if error.is_not_found() || error.code() == Some(405) => {}
            Err(error) => remains.errors.push(error.to_string()),
        }
    }
}

async fn delete_collection(api: &Api, namespace: &str, resource: &Resource) -> Result<(), Error> {
    // Nothing to delete is the usual case, and a list is cheaper than a delete.
    if list(api, namespace, resource).await?.is_empty() {
        return Ok(());
    }
    let options = json!({"propagationPolicy": "Background"})
        .to_string()
        .into_bytes();
    api.send(
        http::Method::DELETE,
        &resource.path(namespace),
        JSON,
        JSON,
        options,
    )
    .await
    .map(drop)
}

async fn delete_each(api: &Api, namespace: &str, resource: &Resource) -> Result<(), Error> {
    for item in list(api, namespace, resource).await? {
        let name = item["metadata"]["name"].as_str().unwrap_or_default();
        api.delete(
            resource,
            namespace,
            name,
            &json!({"propagationPolicy": "Background"}),
        )
        .await?;
    }
    Ok(())
}

async fn list(api: &Api, namespace: &str, resource: &Resource) -> Result<Vec<Value>, Error> {
    let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;q=0.9";
    let mut list: Value = api.get_path(&resource.path(namespace), accept).await?;
    match list["items"].take() {
        Value::Array(items) => Ok(items),
        _ => Ok(Vec::new()),
    }
}

/// Takes our finalizer away; the API server removes the namespace with the last one.
async fn finalize(api: &Api, namespace: &Namespace) -> Result<Next, Error> {
    let target = (
        "",
        namespace.metadata.name.as_str(),
        namespace.metadata.uid.as_str(),
    );
    api.edit(resources::namespaces(), target, "finalize", |object| {
        let Some(list) = object["spec"]["finalizers"].as_array_mut() else {
            return false;
        };
        let before = list.len();
        list.retain(|finalizer| finalizer.as_str() != Some(FINALIZER));
        list.len() != before
    })
    .await?;
    Ok(Next::Wait)
}

fn condition(kind: &str, status: &str, reason: &str, message: String) -> Condition {
    Condition {
        kind: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        last_transition_time: Some(Time::now()),
        ..Condition::default()
    }
}

/// The five conditions, in upstream's order and words.
fn conditions(remains: &Remains) -> Vec<Condition> {
    let count = |map: &BTreeMap<String, usize>, word: &str| {
        let parts: Vec<_> = map
            .iter()
            .map(|(name, number)| format!("{name} {word} {number} resource instances"))
            .collect();
        parts.join(", ")
    };
    let choose = |kind: &str, ok: (&str, &str), bad: (&str, String)| {
        if bad.1.is_empty() {
            condition(kind, "False", ok.0, ok.1.to_owned())
        } else {
            condition(kind, "True", bad.0, bad.1)
        }
    };
    let prefixed = |prefix: &str, text: String| {
        if text.is_empty() {
            text
        } else {
            format!("{prefix}{text}")
        }
    };
    vec![
        choose(
            "NamespaceDeletionDiscoveryFailure",
            ("ResourcesDiscovered", "All resources successfully discovered"),
            ("DiscoveryFailed", String::new()),
        ),
        choose(
            "NamespaceDeletionGroupVersionParsingFailure",
            ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
            ("GroupVersionParsingFailed", String::new()),
        ),
        choose(
            "NamespaceDeletionContentFailure",
            (
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization",
            ),
            (
                "ContentDeletionFailed",
                prefixed("Failed to delete all resource types, ", remains.errors.join(", ")),
            ),
        ),
        choose(
            "NamespaceContentRemaining",
            ("ContentRemoved", "All content successfully removed"),
            (
                "SomeResourcesRemain",
                prefixed("Some resources are remaining: ", count(&remains.objects, "has")),
            ),
        ),
        choose(
            "NamespaceFinalizersRemaining",
            (
                "ContentHasNoFinalizers",
                "All content-preserving finalizers finished",
            ),
            (
                "SomeFinalizersRemain",
                prefixed(
                    "Some content in the namespace has finalizers remaining: ",
                    count(&remains.finalizers, "in"),
                ),
            ),
        ),
    ]
}

/// Writes conditions that differ in more than their time.
async fn write_status(api: &Api, namespace: &Namespace, conditions: Vec<Condition>) -> Result<(), Error> {
    if !merge(&mut namespace.status.conditions.clone(), &conditions) {
        return Ok(());
    }
    let target = (
        "",
        namespace.metadata.name.as_str(),
        namespace.metadata.uid.as_str(),
    );
    api.edit(resources::namespaces(), target, "status", |object| {
        let status = &mut object["status"];
        // Into those that are there now: others may have theirs.
        let mut current = Vec::<Condition>::deserialize(&status["conditions"]).unwrap_or_default();
        let changed = merge(&mut current, &conditions);
        status["conditions"] = json!(current);
        changed
    })
    .await?;
    Ok(())
}

/// Whether anything but times has changed. Conditions of other types stay.
fn merge(known: &mut Vec<Condition>, conditions: &[Condition]) -> bool {
    let mut changed = false;
    for new in conditions {
        match known.iter_mut().find(|old| old.kind == new.kind) {
            Some(old)
                if old.status == new.status && old.reason == new.reason && old.message == new.message => {}
            Some(old) => {
                let since = old.last_transition_time.filter(|_| old.status == new.status);
                *old = new.clone();
                old.last_transition_time = since.or(new.last_transition_time);
                changed = true;
            }
            None => {
                known.push(new.clone());
                changed = true;
            }
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_of_others_stay() {
        let condition = |kind: &str, status: &str, seconds| Condition {
            kind: kind.to_owned(),
            status: status.to_owned(),
            last_transition_time: Some(Time(seconds)),
            ..Condition::default()
        };
        let mut known = vec![condition("Mine", "True", 1), condition("A", "False", 2)];
        assert!(!merge(&mut known, &[condition("A", "False", 9)]));
        assert!(merge(
            &mut known,
            &[condition("A", "True", 9), condition("B", "False", 9)]
        ));
        assert_eq!(
            known,
            [
                condition("Mine", "True", 1),
                condition("A", "True", 9),
                condition("B", "False", 9)
            ]
        );
        let mut reworded = condition("A", "True", 20);
        reworded.message = "m".to_owned();
        assert!(merge(&mut known, &[reworded]));
        assert_eq!(known[1].last_transition_time, Some(Time(9)));
    }

    #[test]
    fn conditions_in_upstreams_words() {
        let remains = Remains {
            objects: BTreeMap::from([("pods.".to_owned(), 2)]),
            finalizers: BTreeMap::from([("example.com/x".to_owned(), 1)]),
            errors: Vec::new(),
        };
        let text: Vec<_> = conditions(&remains)
            .into_iter()
            .map(|c| format!("{}={} {}", c.kind, c.status, c.message))
            .collect();
        assert_eq!(
            text[2..],
            [
                "NamespaceDeletionContentFailure=False All content successfully deleted, may be waiting on finalization",
                "NamespaceContentRemaining=True Some resources are remaining: pods. has 2 resource instances",
                "NamespaceFinalizersRemaining=True Some content in the namespace has finalizers remaining: \
                 example.com/x in 1 resource instances",
            ]
        );
    }
}
