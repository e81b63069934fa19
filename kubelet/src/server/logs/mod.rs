//! Container logs: `/containerLogs/NAMESPACE/POD/CONTAINER`.
//!
//! - [`record`]: the CRI log format, and what is printed of it; pure.
//! - [`files`]: a log's files, the rotated ones included, and where the last lines begin.
//! - [`cursor`]: reading through them.
//! - [`follow`]: sending that to a client, and waiting for more.

mod cursor;
mod files;
mod follow;
mod record;

use std::sync::Arc;
use std::time::SystemTime;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use keelson_runtime::node::NodeRuntime;

use super::answer::{Answer, failure, stream, whole};
use super::query::{LogOptions, Query};
use super::route::Target;
use super::{PodLookup, blocking};
use follow::Source;

/// Answers a request for logs.
pub(super) async fn serve(
    target: Target,
    query: &Query,
    pods: Arc<dyn PodLookup>,
    runtime: NodeRuntime,
) -> Answer {
    let options = match LogOptions::parse(query, SystemTime::now()) {
        Ok(options) => options,
        Err(words) => return failure(422, &words),
    };
    let Some(pod) = pods.pod(&target.namespace, &target.pod) else {
        return failure(404, &format!("pod {:?} does not exist", target.pod));
    };
    let name = target.container;
    if !has_container(&pod, &name) {
        return failure(
            404,
            &format!("container {name:?} not found in pod {:?}", target.pod),
        );
    }
    let uid = pod.metadata.uid.clone().unwrap_or_default();
    let previous = options.previous;
    let found = {
        let (pods, uid, name) = (pods.clone(), uid.clone(), name.clone());
        blocking(move || {
            let state = pods.container(&uid, &name, previous);
            // The log outlives its container; without either, nothing has started yet.
            let path = pods.log_path(&uid, &name, previous);
            (path.filter(|path| state.is_some() || path.exists()), state)
        })
        .await
    };
    let (path, state) = match found {
        Ok((Some(path), state)) => (path, state),
        Ok((None, _)) => return failure(400, &why_no_log(&pod, &name, previous)),
        Err(words) => return failure(500, &words),
    };
    let id = state.map(|state| state.spec.id);
    let source = Source {
        path,
        pods,
        uid,
        name,
        previous,
        id,
    };
    if !options.follow {
        let (sender, body) = stream();
        tokio::spawn(follow::send(source, options, sender, None));
        return whole(200, body);
    }
    // Subscribed before the first look at the container's phase, so that its end cannot be missed.
    match blocking(move || runtime.events()).await {
        Ok(Ok(events)) => {
            let (sender, body) = stream();
            tokio::spawn(follow::send(source, options, sender, Some(events)));
            whole(200, body)
        }
        Ok(Err(error)) => failure(500, &error.to_string()),
        Err(words) => failure(500, &words),
    }
}

fn has_container(pod: &Pod, name: &str) -> bool {
    let Some(spec) = &pod.spec else { return false };
    spec.containers.iter().any(|container| container.name == name)
        || spec
            .init_containers
            .iter()
            .flatten()
            .any(|container| container.name == name)
        || spec
            .ephemeral_containers
            .iter()
            .flatten()
            .any(|container| container.name == name)
}

/// Upstream's words for a container that has no log.
fn why_no_log(pod: &Pod, name: &str, previous: bool) -> String {
    let pod_name = pod.metadata.name.as_deref().unwrap_or_default();
    if previous {
        return format!("previous terminated container {name:?} in pod {pod_name:?} not found");
    }
    let waiting = statuses(pod)
        .find(|status| status.name == name)
        .and_then(|status| status.state.as_ref()?.waiting.as_ref()?.reason.clone());
    let because = match waiting.as_deref() {
        Some("ErrImagePull") => ": image can't be pulled",
        Some("ImagePullBackOff") => ": trying and failing to pull image",
        Some(reason) => &format!(": {reason}"),
        None => " - no logs yet",
    };
    format!("container {name:?} in pod {pod_name:?} is waiting to start{because}")
}

fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    pod.status.iter().flat_map(|status| {
        let lists = [
            &status.container_statuses,
            &status.init_container_statuses,
            &status.ephemeral_container_statuses,
        ];
        lists.into_iter().flatten().flatten()
    })
}

#[cfg(test)]
mod tests;
