//! PersistentVolumeClaims: in use while a pod that has a node names them.

use std::sync::Arc;

use serde::Deserialize;
use tokio::task::JoinSet;

use super::set_finalizer;
use crate::admission::CLAIM_PROTECTION as FINALIZER;
use crate::controllers::Context;
use crate::controllers::api::{Api, Error, JSON, resources};
use crate::controllers::informer::{Informer, Key, Next, Queue};
use crate::controllers::model::{Meta, Pod};

const NAME: &str = "pvc-protection-controller";

#[derive(Deserialize)]
struct Pods {
    items: Vec<Pod>,
}

/// Starts the controller.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    let queue: Arc<Queue<Key>> = Queue::new();
    let adder = queue.clone();
    context.claims.on_change(move |_, new| {
        if let Some(claim) = new
            && wants(claim)
        {
            adder.add(claim.key());
        }
    });
    let adder = queue.clone();
    context.pods.on_change(move |old, new| {
        // A pod that has gone, and one that has ended: its ephemeral claims are free.
        let freed = match (old, new) {
            (Some(old), None) => old,
            (_, Some(new)) if new.has_ended() => new,
            _ => return,
        };
        for (name, _) in freed.claims() {
            adder.add(Key::new(&freed.metadata.namespace, &name));
        }
    });
    let (api, claims, pods) = (context.api(NAME), context.claims.clone(), context.pods.clone());
    tasks.spawn(async move {
        claims.synced().await;
        pods.synced().await;
        queue.work(NAME, |key| look(&api, &claims, &pods, key)).await;
    });
}

/// Whether the finalizer is missing, or may have to go.
fn wants(claim: &Meta) -> bool {
    let has = claim.finalizers.iter().any(|finalizer| finalizer == FINALIZER);
    claim.deleted.is_some() == has
}

async fn look(api: &Api, claims: &Informer<Meta>, pods: &Informer<Pod>, key: Key) -> Result<Next, Error> {
    let Some(claim) = claims.store().get_key(&key).filter(|claim| wants(claim)) else {
        return Ok(Next::Wait);
    };
    let resource = resources::persistent_volume_claims();
    if claim.deleted.is_none() {
        set_finalizer(api, resource, &claim, FINALIZER, true).await?;
        return Ok(Next::Wait);
    }
    let used = |pod: &Pod| uses(pod, &key.name);
    // The pods' cache may be late, and a pod that starts on a volume that goes loses data: the API has the last word.
    // When the pod ends, it comes back here.
    if pods
        .store()
        .in_namespace(&key.namespace)
        .iter()
        .any(|pod| used(pod))
    {
        return Ok(Next::Wait);
    }
    let live: Pods = api
        .get_path(&resources::pods().path(&key.namespace), JSON)
        .await?;
    if !live.items.iter().any(used) {
        set_finalizer(api, resource, &claim, FINALIZER, false).await?;
    }
    Ok(Next::Wait)
}

/// Whether a pod holds a claim. Without a node it does not: no kubelet starts it on a claim that is being deleted.
pub(super) fn uses(pod: &Pod, claim: &str) -> bool {
    !pod.spec.node_name.is_empty()
        && pod
            .claims()
            .any(|(name, ephemeral)| name == claim && !(ephemeral && pod.has_ended()))
}
