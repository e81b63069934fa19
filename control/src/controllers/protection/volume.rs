//! PersistentVolumes: in use while bound to a claim.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::set_finalizer;
use crate::admission::VOLUME_PROTECTION as FINALIZER;
use crate::controllers::Context;
use crate::controllers::api::{Api, Error, resources};
use crate::controllers::informer::{Informer, Next, Queue};
use crate::controllers::model::Volume;

const NAME: &str = "pv-protection-controller";

/// Starts the controller.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    let queue: Arc<Queue<String>> = Queue::new();
    let adder = queue.clone();
    context.volumes.on_change(move |_, new| {
        if let Some(volume) = new {
            adder.add(volume.metadata.name.clone());
        }
    });
    let (api, volumes) = (context.api(NAME), context.volumes.clone());
    tasks.spawn(async move {
        volumes.synced().await;
        queue.work(NAME, |name| look(&api, &volumes, name)).await;
    });
}

async fn look(api: &Api, volumes: &Informer<Volume>, name: String) -> Result<Next, Error> {
    let Some(volume) = volumes.store().get("", &name) else {
        return Ok(Next::Wait);
    };
    if let Some(there) = decide(&volume) {
        let resource = resources::persistent_volumes();
        set_finalizer(api, resource, &volume.metadata, FINALIZER, there).await?;
    }
    Ok(Next::Wait)
}

/// Whether the finalizer has to be added (`true`) or removed (`false`).
pub(super) fn decide(volume: &Volume) -> Option<bool> {
    let meta = &volume.metadata;
    let has = meta.finalizers.iter().any(|finalizer| finalizer == FINALIZER);
    match (meta.deleted.is_some(), has) {
        (false, false) => Some(true),
        (true, true) if volume.status.phase != "Bound" => Some(false),
        _ => None,
    }
}
